"""Softmax spelled out is one layer."""

import pytest
from rewriting import Net

import dovetail as trt


def reduced(n, x, kind, *axes, keep=True):
    mask = sum(1 << axis for axis in axes)
    return n.add("Reduce", x, op=trt.ReduceOperation[kind], axes=mask, keep_dims=keep)


def plain(n, x):
    e = n.unary("EXP", x)
    return n.ew("DIV", e, reduced(n, e, "SUM", 2))


def shifted(n, x):
    return plain(n, n.ew("SUB", x, reduced(n, x, "MAX", 2)))


def by_a_reciprocal(n, x):
    e = n.unary("EXP", x)
    return n.ew("PROD", n.unary("RECIP", reduced(n, e, "SUM", 2)), e)


def over_two_axes(n, x):
    e = n.unary("EXP", n.ew("SUB", x, reduced(n, x, "MAX", 1, 2)))
    return n.ew("DIV", e, reduced(n, e, "SUM", 1, 2))


@pytest.mark.parametrize("spelling", [plain, shifted, by_a_reciprocal, over_two_axes], ids=lambda s: s.__name__)
def test_each_spelling_is_one_layer(spelling):
    n = Net()
    n.out(spelling(n, n.unary("SIN", n.x(2, 4, 8))))
    graph = n.graph()
    assert [layer.spec.name for layer in graph.layers] == ["Unary", "SoftMax"]
    assert any(note.startswith("one SoftMax layer each") for note in graph.notes)
    n.same(rtol=1e-5, atol=1e-6)


def the_sum_of_others(n, x):
    return n.ew("DIV", n.unary("EXP", x), reduced(n, n.unary("EXP", n.unary("NEG", x)), "SUM", 2))


def the_sum_of_x(n, x):
    return n.ew("DIV", n.unary("EXP", x), n.unary("EXP", reduced(n, x, "SUM", 2)))


def a_mean(n, x):
    e = n.unary("EXP", x)
    return n.ew("DIV", e, n.mean(e, 2))


def the_sum_over_the_result(n, x):
    e = n.unary("EXP", x)
    return n.ew("DIV", reduced(n, e, "SUM", 2), e)


def the_sum_taken_too(n, x):
    e = n.unary("EXP", x)
    total = reduced(n, e, "SUM", 2)
    return n.ew("SUM", n.ew("DIV", e, total), n.unary("NEG", total))


NEAR = [the_sum_of_others, the_sum_of_x, a_mean, the_sum_over_the_result, the_sum_taken_too]


@pytest.mark.parametrize("spelling", NEAR, ids=lambda spelling: spelling.__name__)
def test_what_only_looks_like_one_stays(spelling):
    n = Net()
    n.out(spelling(n, n.unary("SIN", n.x(2, 4, 8))))
    assert "SoftMax" not in n.ops()
    n.same()


def test_the_largest_over_another_axis_is_taken_off_before():
    n = Net()
    x = n.unary("SIN", n.x(2, 4, 8))
    n.out(plain(n, n.ew("SUB", x, reduced(n, x, "MAX", 1))))
    assert n.ops() == ["Unary", "Reduce", "ElementWise", "SoftMax"]
    n.same()
