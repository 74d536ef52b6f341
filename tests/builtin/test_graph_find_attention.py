"""Attention in the spellings of the exporters becomes one layer; what only looks like it stays."""

import numpy as np
import pytest
from rewriting import Net

import dovetail as trt

B, L, H, S = 2, 6, 3, 4
W = H * S
TURN = trt.MatrixOperation.TRANSPOSE
KEEP = trt.MatrixOperation.NONE


def product(n, a, b, op1=KEEP, name=None):
    return n.add("MatrixMultiply", a, b, name=name, op0=KEEP, op1=op1)


def linear(n, x, width=W, bias=True):
    y = product(n, x, n.random(*(1,) * (len(x.shape) - 2), x.shape[-1], width))
    return n.ew("SUM", y, n.random(*(1,) * (len(x.shape) - 1), width)) if bias else y


def softmax(n, x, axis=-1):
    return n.add("SoftMax", x, axes=1 << axis % len(x.shape))


def number(n, value, rank=4):
    return n.c(np.full((1,) * rank, value))


def by_head(n, x, order=(0, 2, 1, 3)):
    return n.shuffle(x, (), (0, 0, H, S), order)


def joined(n, y):
    return n.shuffle(y, (0, 2, 1, 3), (0, 0, W))


def rows(n):
    return n.unary("SIN", n.x(B, L, W))


def attended(n, q, k, v, mask=None):
    """Scale on the scores, key turned by the product."""
    scores = n.ew("DIV", product(n, q, k, TURN), number(n, 2.0))
    return product(n, softmax(n, scores if mask is None else n.ew("SUM", scores, mask)), v)


def three(n, x):
    return [by_head(n, linear(n, x)) for _ in range(3)]


# ---- spellings, each of rows [B, L, W]


def bert_like(n, x):
    q, v = (by_head(n, linear(n, x)) for _ in range(2))
    k = by_head(n, linear(n, x), (0, 2, 3, 1))
    mask = n.unary("SIN", n.x(B, 1, 1, L))
    return joined(n, product(n, softmax(n, n.ew("SUM", n.ew("DIV", product(n, q, k), number(n, 2.0)), mask)), v))


def without_mask(n, x):
    return joined(n, attended(n, *three(n, x)))


def root_of_the_scale_on_both_sides(n, x):
    parts = n.shuffle(linear(n, x, 3 * W), (), (0, 0, 3, H, S), (2, 0, 3, 1, 4))
    dims, steps = (1, B, H, L, S), (1,) * 5
    slices = (n.add("Slice", parts, start=(i, 0, 0, 0, 0), shape=dims, stride=steps) for i in range(3))
    q, k, v = (n.shuffle(one, (), dims[1:]) for one in slices)
    k = n.ew("PROD", n.shuffle(k, (0, 1, 3, 2)), number(n, 0.7))
    return joined(n, product(n, softmax(n, product(n, n.ew("PROD", q, number(n, 0.7)), k)), v))


def gathered_parts(n, x, mask=None):
    parts = n.shuffle(linear(n, x, 3 * W, bias=False), (), (0, 0, 3, H, S), (2, 0, 3, 1, 4))
    q, k, v = (n.add("Gather", parts, n.c(i, np.int64), axis=0) for i in range(3))
    scores = product(n, n.ew("PROD", q, number(n, 0.5)), k, TURN)
    return joined(n, product(n, softmax(n, n.ew("SUM", scores, n.random(1, H, L, L))), v))


def parts_of_each_head(n, x):
    parts = n.shuffle(linear(n, x, 3 * W), (), (0, 0, H, 3, S), (3, 0, 2, 1, 4))
    q, k, v = (n.add("Gather", parts, n.c(i, np.int64), axis=0) for i in range(3))
    return joined(n, attended(n, q, k, v))


def windows(n, x):
    """The batch is the windows of one picture."""
    q, k, v = three(n, x)
    scores = n.ew("SUM", product(n, q, k, TURN), n.random(1, H, L, L))
    apart = n.ew("SUM", n.shuffle(scores, (), (1, B, H, L, L)), n.random(1, B, 1, L, L))
    return joined(n, product(n, softmax(n, n.shuffle(apart, (), (B, H, L, L))), v))


def scaled_behind_the_mask(n, x):
    q, k, v = three(n, x)
    scores = n.ew("SUM", n.unary("SIN", n.x(B, H, L, L)), product(n, q, k, TURN))
    return joined(n, product(n, softmax(n, n.ew("PROD", number(n, 0.5), scores)), v))


def hidden_by_select(n, x):
    q, k, v = three(n, x)
    causal = n.c(np.tril(np.ones((1, 1, L, L))), bool)
    return joined(n, product(n, softmax(n, n.add("Select", causal, product(n, q, k, TURN), number(n, -3.4e38))), v))


def hidden_where_true(n, x):
    q, k, v = three(n, x)
    hidden = n.ew("GREATER", n.x(B, 1, L, L), number(n, 0.9))
    scores = n.add("Select", hidden, number(n, -3.4e38), product(n, q, k, TURN))
    return joined(n, product(n, softmax(n, scores), v))


def guarded_against_nan(n, x):
    """A mask of -inf may leave a query no key."""
    q, k, v = three(n, x)
    shown = np.tril(np.ones((1, 1, L, L)), -1)
    mask = n.c(np.where(shown, 0, -np.inf))
    weights = softmax(n, n.ew("SUM", product(n, q, k, TURN), mask))
    return joined(n, product(n, n.add("Select", n.unary("ISNAN", weights), number(n, 0.0), weights), v))


def shared_heads(n, x):
    def repeated(y):
        y = n.shuffle(y, (), (0, 0, 1, S), (0, 2, 1, 3))
        y = n.add("Slice", n.shuffle(y, (), (B, 1, 1, L, S)), start=(0,) * 5, shape=(B, 1, H, L, S),
                  stride=(1, 1, 0, 1, 1))  # fmt: skip
        return n.shuffle(y, (), (B, H, L, S))

    k, v = (repeated(linear(n, x, S)) for _ in range(2))
    return joined(n, attended(n, by_head(n, linear(n, x)), k, v))


def heads_in_the_batch(n, x):
    q, k, v = (n.shuffle(by_head(n, linear(n, x)), (), (B * H, L, S)) for _ in range(3))
    y = product(n, softmax(n, n.ew("SUM", product(n, q, k, TURN), n.random(1, L, L))), v)
    return joined(n, n.shuffle(y, (), (B, H, L, S)))


def heads_stay_apart(n, x):
    return n.unary("SIN", attended(n, *three(n, x)))


def rows_behind(n, x):
    """The heads are joined in rows of other dims."""
    return n.shuffle(attended(n, *three(n, x)), (0, 2, 1, 3), (B * L, W))


SPELLINGS = [
    bert_like, without_mask, root_of_the_scale_on_both_sides, gathered_parts, parts_of_each_head, windows,
    scaled_behind_the_mask, hidden_by_select, hidden_where_true, guarded_against_nan, shared_heads,
    heads_in_the_batch, heads_stay_apart, rows_behind,
]  # fmt: skip


@pytest.mark.parametrize("spelling", SPELLINGS, ids=lambda spelling: spelling.__name__)
def test_each_spelling_is_one_layer(spelling):
    n = Net()
    n.out(spelling(n, rows(n)))
    graph = n.graph()
    names = [layer.spec.name for layer in graph.layers]
    assert names.count("Attention") == 1 and "SoftMax" not in names
    assert any(note.startswith("one Attention layer each") for note in graph.notes)
    n.same()


READ_AS_ROWS = [bert_like, without_mask, root_of_the_scale_on_both_sides, gathered_parts, parts_of_each_head, windows]


@pytest.mark.parametrize("spelling", READ_AS_ROWS, ids=lambda spelling: spelling.__name__)
def test_rows_of_all_heads_are_read_and_written_without_moves(spelling):
    n = Net()
    n.out(spelling(n, rows(n)))
    layers = n.graph().layers
    assert not {"Shuffle", "Slice", "Gather"} & {layer.spec.name for layer in layers}
    attention = layers[-1]
    assert attention.spec.name == "Attention" and attention.values["num_heads"] == H


def test_a_product_of_which_something_else_is_used_is_not_taken_apart():
    n = Net()
    parts = n.shuffle(linear(n, rows(n), 3 * W), (), (0, 0, 3, H, S), (2, 0, 3, 1, 4))
    q, k, v = (n.add("Gather", parts, n.c(i, np.int64), axis=0) for i in range(3))
    n.out(joined(n, attended(n, q, k, v)), n.unary("NEG", k))
    names = n.ops()
    assert names.count("MatrixMultiply") == 1 and names.count("Attention") == 1
    n.same()


def test_a_cache_in_front_is_read_where_it_lies():
    n = Net()
    q, k, v = (by_head(n, linear(n, n.unary("SIN", n.x(B, 1, W)))) for _ in range(3))
    k, v = (n.add("Concatenation", n.x(B, H, L, S), one, axis=2) for one in (k, v))
    n.out(joined(n, attended(n, q, k, v, n.unary("SIN", n.x(B, 1, 1, L + 1)))), k, v)
    attention = next(layer for layer in n.graph().layers if layer.spec.name == "Attention")
    assert [len(tensor.dims) for tensor in attention.inputs[:3]] == [3, 4, 4]
    n.same()


def test_extents_may_be_unknown():
    n = Net()
    x = n.x(-1, -1, W, name="x")
    n.profile(x=((1, 1, W), (2, 4, W), (3, 9, W))).out(without_mask(n, n.unary("SIN", x)))
    layers = n.graph().layers
    assert layers[-1].spec.name == "Attention" and "Shuffle" not in [layer.spec.name for layer in layers]
    n.same(feeds=n.feeds(x=(3, 5, W)))


# ---- near misses


def softmax_over_queries(n, x):
    q, k, v = three(n, x)
    return joined(n, product(n, softmax(n, product(n, q, k, TURN), 2), v))


def softmax_of_something_else(n, x):
    q, k, v = three(n, x)
    return joined(n, product(n, softmax(n, n.unary("SIN", product(n, q, k, TURN))), v))


def weights_on_the_right(n, x):
    q, k, v = three(n, x)
    return product(n, n.shuffle(v, (0, 1, 3, 2)), softmax(n, product(n, q, k, TURN)))


def a_factor_for_each_head(n, x):
    q, k, v = three(n, x)
    scores = n.ew("PROD", product(n, q, k, TURN), n.random(1, H, 1, 1))
    return joined(n, product(n, softmax(n, scores), v))


def a_divided_number(n, x):
    q, k, v = three(n, x)
    return joined(n, product(n, softmax(n, n.ew("DIV", number(n, 2.0), product(n, q, k, TURN))), v))


def a_mask_for_each_query(n, x):
    q, k, v = three(n, x)
    return joined(n, attended(n, q, k, v, n.unary("SIN", n.x(B, 1, L, 1))))


def a_number_that_is_not_small(n, x):
    q, k, v = three(n, x)
    causal = n.c(np.tril(np.ones((1, 1, L, L))), bool)
    return joined(n, product(n, softmax(n, n.add("Select", causal, product(n, q, k, TURN), number(n, -2.0))), v))


def guarded_by_one(n, x):
    q, k, v = three(n, x)
    weights = softmax(n, product(n, q, k, TURN))
    return joined(n, product(n, n.add("Select", n.unary("ISNAN", weights), number(n, 1.0), weights), v))


def scores_used_twice(n, x):
    q, k, v = three(n, x)
    scores = product(n, q, k, TURN)
    return n.ew("SUM", product(n, softmax(n, scores), v), n.add("Reduce", scores, op=trt.ReduceOperation.MAX, axes=8,
                keep_dims=True))  # fmt: skip


def weights_used_twice(n, x):
    q, k, v = three(n, x)
    weights = softmax(n, product(n, q, k, TURN))
    return n.ew("SUM", product(n, weights, v), n.add("Reduce", weights, op=trt.ReduceOperation.MAX, axes=8,
                keep_dims=True))  # fmt: skip


NEAR = [
    softmax_over_queries, softmax_of_something_else, weights_on_the_right, a_factor_for_each_head, a_divided_number,
    a_mask_for_each_query, a_number_that_is_not_small, guarded_by_one, scores_used_twice, weights_used_twice,
]  # fmt: skip


@pytest.mark.parametrize("spelling", NEAR, ids=lambda spelling: spelling.__name__)
def test_what_only_looks_like_one_stays(spelling):
    n = Net()
    n.out(spelling(n, rows(n)))
    assert "Attention" not in n.ops()
    n.same()


def test_an_output_in_the_middle_stays_and_the_report_says_so():
    n = Net()
    q, k, v = three(n, rows(n))
    scores = product(n, q, k, TURN)
    n.out(joined(n, product(n, softmax(n, scores), v)), scores)
    graph = n.graph()
    assert "Attention" not in [layer.spec.name for layer in graph.layers]
    assert any(note.startswith("not made an Attention, for something else takes") for note in graph.notes)


def test_a_mask_that_may_be_repeated_stays_outside():
    n = Net()
    q, k, v = three(n, rows(n))
    mask = n.unary("SIN", n.x(1, 1, 1, -1, name="mask"))
    n.profile(mask=((1, 1, 1, 1), (1, 1, 1, L), (1, 1, 1, L))).out(joined(n, attended(n, q, k, v, mask)))
    assert "Attention" not in n.ops()
    n.same(feeds=n.feeds(mask=(1, 1, 1, 1)))


def test_a_mask_that_is_never_repeated_is_taken():
    n = Net()
    q, k, v = three(n, n.unary("SIN", n.x(B, -1, W, name="x")))
    mask = n.unary("SIN", n.x(B, 1, 1, -1, name="mask"))
    n.profile(x=((B, 1, W), (B, L, W), (B, L, W)), mask=((B, 1, 1, 2), (B, 1, 1, L), (B, 1, 1, L)))
    n.out(joined(n, attended(n, q, k, v, mask)))
    assert "Attention" in n.ops()
    n.same(feeds=n.feeds(x=(B, 4, W), mask=(B, 1, 1, 4)))


def test_a_pinned_softmax_stays():
    n = Net()
    q, k, v = three(n, rows(n))
    weights = n.add("SoftMax", product(n, q, k, TURN), axes=8, name="weights")
    n.config.pin_implementation("weights", "SoftMax@1#cpu")
    n.out(joined(n, product(n, weights, v)))
    assert "Attention" not in n.ops()


def test_weights_that_are_to_be_refitted_stay_as_they_are():
    n = Net()
    n.config.set_flag(trt.BuilderFlag.REFIT)
    n.out(gathered_parts(n, rows(n)))
    names = n.ops()
    assert names.count("MatrixMultiply") == 1 and names.count("Attention") == 1
    n = Net()
    n.config.set_flag(trt.BuilderFlag.REFIT)
    n.out(windows(n, rows(n)))
    assert "Attention" not in n.ops()
