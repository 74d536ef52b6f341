"""Normalisations in the spellings of the exporters become one layer; what only looks like one stays."""

import numpy as np
import pytest
from rewriting import Net

import dovetail as trt

EPSILON = 1e-5


def root(n, x, axes, square="PROD", epsilon=EPSILON, d=None):
    """x - mean, and sqrt(variance + epsilon)."""
    centered = n.ew("SUB", x, n.mean(x, *axes))
    d = d or centered
    squares = n.ew("PROD", d, d) if square == "PROD" else n.ew("POW", d, number(n, 2.0))
    return centered, n.unary("SQRT", n.ew("SUM", n.mean(squares, *axes), number(n, epsilon)))


def number(n, value, rank=3):
    return n.c(np.full((1,) * rank, value))


def affine(n, y, dims=(1, 1, 8), scale=True, bias=True):
    y = n.ew("PROD", y, n.random(*dims)) if scale else y
    return n.ew("SUM", n.random(*dims), y) if bias else y


def torch_like(n, x):
    centered, deviation = root(n, x, (2,), "POW")
    return affine(n, n.ew("DIV", centered, deviation))


def with_products(n, x):
    centered, deviation = root(n, x, (2,))
    return affine(n, n.ew("PROD", n.unary("RECIP", deviation), centered))


def with_a_quotient_of_one(n, x):
    centered, deviation = root(n, x, (2,))
    return affine(n, n.ew("PROD", centered, n.ew("DIV", number(n, 1.0), deviation)))


def with_powers(n, x):
    centered = n.ew("SUB", x, n.mean(x, 2))
    variance = n.ew("SUM", number(n, EPSILON), n.mean(n.ew("POW", centered, number(n, 2.0)), 2))
    return affine(n, n.ew("PROD", centered, n.ew("POW", variance, number(n, -0.5))))


def centred_twice(n, x):
    other = n.ew("SUB", x, n.mean(x, 2))
    centered, deviation = root(n, x, (2,), d=other)
    return affine(n, n.ew("DIV", centered, deviation))


def over_two_axes(n, x):
    centered, deviation = root(n, x, (1, 2))
    return affine(n, n.ew("DIV", centered, deviation), (1, 4, 8))


def without_factor(n, x):
    return affine(n, n.ew("DIV", *root(n, x, (2,))), scale=False)


def without_bias(n, x):
    return affine(n, n.ew("DIV", *root(n, x, (2,))), bias=False)


def bare(n, x):
    return n.ew("DIV", *root(n, x, (2,)))


def tensorflow_like(n, x):
    mean = n.mean(x, 2)
    d = n.ew("SUB", x, mean)
    variance = n.ew("SUM", n.mean(n.ew("PROD", d, d), 2), number(n, EPSILON))
    s = n.ew("PROD", n.unary("RECIP", n.unary("SQRT", variance)), n.random(1, 1, 8))
    return n.ew("SUM", n.ew("PROD", x, s), n.ew("SUB", n.random(1, 1, 8), n.ew("PROD", mean, s)))


def mean_square(n, x, square="POW", axes=(2,)):
    squares = n.ew("PROD", x, x) if square == "PROD" else n.ew("POW", x, number(n, 2.0))
    return n.ew("SUM", n.mean(squares, *axes), number(n, EPSILON))


def rms_like_llama(n, x):
    inverse = n.unary("RECIP", n.unary("SQRT", mean_square(n, x)))
    return n.ew("PROD", n.random(1, 1, 8), n.ew("PROD", x, inverse))


def rms_with_a_quotient(n, x):
    return affine(n, n.ew("DIV", x, n.unary("SQRT", mean_square(n, x, "PROD", (1, 2)))), bias=False)


def rms_with_powers(n, x):
    return n.ew("PROD", n.ew("POW", mean_square(n, x), number(n, -0.5)), x)


def rms_of_a_difference(n, x):
    d = n.ew("SUB", x, number(n, 0.25))
    return affine(n, n.ew("DIV", d, n.unary("SQRT", mean_square(n, d))))


def rms_of_what_has_no_mean_over_another_axis(n, x):
    d = n.ew("SUB", x, n.mean(x, 1))
    return n.ew("DIV", d, n.unary("SQRT", mean_square(n, d)))


SPELLINGS = [
    torch_like, with_products, with_a_quotient_of_one, with_powers, centred_twice, over_two_axes, without_factor,
    without_bias, bare, tensorflow_like,
]  # fmt: skip


@pytest.mark.parametrize("spelling", SPELLINGS, ids=lambda spelling: spelling.__name__)
def test_each_spelling_is_one_layer(spelling):
    n = Net()
    n.out(spelling(n, n.relu(n.x(2, 4, 8))))
    graph = n.graph()
    assert [layer.spec.name for layer in graph.layers] == ["Activation", "Normalization"]
    assert graph.layers[-1].values["epsilon"] == pytest.approx(EPSILON)
    assert any(note.startswith("one Normalization layer each") for note in graph.notes)
    n.same()


RMS = [
    rms_like_llama, rms_with_a_quotient, rms_with_powers, rms_of_a_difference,
    rms_of_what_has_no_mean_over_another_axis,
]  # fmt: skip


@pytest.mark.parametrize("spelling", RMS, ids=lambda spelling: spelling.__name__)
def test_each_spelling_of_rms_is_one_layer(spelling):
    n = Net()
    n.out(spelling(n, n.relu(n.x(2, 4, 8))))
    layers = [layer for layer in n.graph().layers if layer.spec.name not in ("ElementWise", "Reduce")]  # differences
    assert [layer.spec.name for layer in layers] == ["Activation", "Normalization"]
    assert layers[-1].values["centered"] is False and layers[-1].values["epsilon"] == pytest.approx(EPSILON)
    n.same()


def root_of_other_squares(n, x):
    return n.ew("DIV", x, n.unary("SQRT", mean_square(n, n.relu(n.ew("SUB", x, number(n, 0.5))))))


def rms_of_products(n, x):
    mean = n.mean(n.ew("PROD", x, n.relu(n.x(2, 4, 8))), 2)
    return n.ew("DIV", x, n.unary("SQRT", n.ew("SUM", mean, number(n, EPSILON))))


def sum_of_squares(n, x):
    total = n.add("Reduce", n.ew("PROD", x, x), op=trt.ReduceOperation.SUM, axes=4, keep_dims=True)
    return n.ew("DIV", x, n.unary("SQRT", n.ew("SUM", total, number(n, EPSILON))))


def rms_upside_down(n, x):
    return n.ew("DIV", n.unary("SQRT", mean_square(n, x)), n.ew("SUM", x, number(n, 9.0)))


def epsilon_behind_the_root(n, x):
    d = n.ew("SUB", x, n.mean(x, 2))
    return n.ew("DIV", d, n.ew("SUM", n.unary("SQRT", n.mean(n.ew("PROD", d, d), 2)), number(n, EPSILON)))


def squares_of_something_else(n, x):
    centered, deviation = root(n, x, (2,), d=x)
    return n.ew("DIV", centered, deviation)


def a_third_power(n, x):
    d = n.ew("SUB", x, n.mean(x, 2))
    variance = n.mean(n.ew("POW", d, number(n, 3.0)), 2)
    return n.ew("DIV", d, n.unary("SQRT", n.ew("SUM", variance, number(n, 1e3))))


def upside_down(n, x):
    centered, deviation = root(n, x, (2,))
    return n.ew("DIV", deviation, n.ew("SUM", centered, number(n, 9.0)))


def an_epsilon_for_each(n, x):
    d = n.ew("SUB", x, n.mean(x, 2))
    variance = n.ew("SUM", n.mean(n.ew("PROD", d, d), 2), n.c(np.linspace(0.1, 1, 4).reshape(1, 4, 1)))
    return n.ew("DIV", d, n.unary("SQRT", variance))


def deviation_taken_too(n, x):
    centered, deviation = root(n, x, (2,))
    return n.ew("SUM", n.ew("DIV", centered, deviation), deviation)


NEAR = [
    epsilon_behind_the_root, squares_of_something_else, a_third_power, upside_down,
    an_epsilon_for_each, deviation_taken_too, root_of_other_squares, rms_of_products, sum_of_squares, rms_upside_down,
]  # fmt: skip


@pytest.mark.parametrize("spelling", NEAR, ids=lambda spelling: spelling.__name__)
def test_what_only_looks_like_one_stays(spelling):
    n = Net()
    n.out(spelling(n, n.relu(n.x(2, 4, 8))))
    assert "Normalization" not in n.ops()
    n.same()


def test_an_output_in_the_middle_stays_and_the_report_says_so():
    n = Net()
    centered, deviation = root(n, n.relu(n.x(2, 4, 8)), (2,))
    n.out(n.ew("DIV", centered, deviation), centered)
    graph = n.graph()
    assert "Normalization" not in [layer.spec.name for layer in graph.layers]
    assert any(note.startswith("not made a Normalization, for something else takes") for note in graph.notes)


def test_a_factor_of_other_dims_stays_behind():
    n = Net()
    n.out(n.ew("PROD", bare(n, n.relu(n.x(2, 4, 8))), n.relu(n.x(1, 1, 8))))
    assert n.ops() == ["Activation", "Normalization", "Activation", "ElementWise"]
    n.same()


def test_unknown_extents_are_normalised_over_known_axes():
    n = Net()
    x = n.x(-1, -1, 8, name="x")
    n.profile(x=((1, 1, 8), (2, 4, 8), (3, 9, 8))).out(torch_like(n, n.relu(x)))
    assert n.ops() == ["Activation", "Normalization"]
    n.same(feeds=n.feeds(x=(3, 5, 8)))


def grouped(n, x, groups, scale=1.0):
    channels = x.shape[1]
    y = n.shuffle(x, (), (0, groups, -1))
    parameters = [n.c(np.full((1, groups, 1), value)) for value in (scale, 0.25)]
    y = n.add("Normalization", y, *parameters, axes=1 << 2, epsilon=EPSILON, name="norm")
    y = n.add("Shuffle", y, reshape_dims=tuple(x.shape))
    return affine(n, y, (1, channels, 1, 1))


@pytest.mark.parametrize("groups", [1, 2, 4, 8])
def test_normalisation_of_reshaped_groups_is_one_layer(groups):
    n = Net()
    n.out(grouped(n, n.relu(n.x(2, 8, 3, 5)), groups, 1.5))
    graph = n.graph()
    assert [layer.spec.name for layer in graph.layers] == ["Activation", "Normalization"]
    assert graph.layers[-1].values["num_groups"] == groups
    n.same()


def test_groups_whose_result_something_else_takes_stay():
    n = Net()
    y = n.shuffle(n.relu(n.x(2, 8, 3, 5)), (), (0, 4, -1))
    parameters = [n.c(np.full((1, 4, 1), value)) for value in (1, 0)]
    y = n.add("Normalization", y, *parameters, axes=1 << 2)
    n.out(n.relu(n.add("Shuffle", y, reshape_dims=(2, 8, 3, 5))), n.relu(y))
    assert n.ops().count("Shuffle") == 2
    n.same()


def test_a_normalisation_over_other_axes_of_reshaped_groups_stays():
    n = Net()
    y = n.shuffle(n.relu(n.x(2, 8, 3, 5)), (), (0, 4, -1))
    parameters = [n.c(np.full((1, 4, 1), value)) for value in (1, 0)]
    y = n.add("Normalization", y, *parameters, axes=1 << 1)
    n.out(n.relu(n.add("Shuffle", y, reshape_dims=(2, 8, 3, 5))))
    assert n.ops().count("Shuffle") == 2
    n.same()


def test_half_precision_is_normalised_too():
    n = Net()
    x = n.relu(n.x(2, 4, 8, dtype=trt.float16))
    d = n.ew("SUB", x, n.mean(x, 2))
    half = [n.c(np.full((1, 1, 1), value), np.float16) for value in (1e-3,)]
    n.out(n.ew("DIV", d, n.unary("SQRT", n.ew("SUM", n.mean(n.ew("PROD", d, d), 2), *half))))
    assert n.ops() == ["Activation", "Normalization"]
    n.same(rtol=2e-2, atol=2e-2)
