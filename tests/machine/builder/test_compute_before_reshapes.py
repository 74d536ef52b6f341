"""Pointwise layers go in front of reshapes of products, which keep the last extent; others stay where they are."""

import pytest
from rewriting import Net

import dovetail as trt

NONE = trt.MatrixOperation.NONE


def product(net, n=12, rows=6):
    """[rows, n]"""
    return net.add("MatrixMultiply", net.x(rows, 8), net.random(8, n), op0=NONE, op1=NONE)


def ops(net):
    """Up to the pass itself, without the layers that make constants."""
    graph = net.graph(until="compute_before_reshapes")
    return [layer.spec.name for layer in graph.all_layers() if layer.spec.name != "Constant"]


def ends(net, y):
    """With another product behind it, as outputs of the network stay what they are."""
    rank = len(y.shape)
    weights = net.random(*(1,) * (rank - 2), y.shape[-1], 5)
    return net.out(net.add("MatrixMultiply", y, weights, op0=NONE, op1=NONE))


def test_gelu_behind_a_reshape_is_computed_in_front_of_it():
    net = Net()
    x = net.shuffle(product(net), dims=(2, 3, 12))
    cube = net.ew("POW", x, net.c([[[3.0]]]))
    inner = net.ew("SUM", x, net.ew("PROD", cube, net.c([[[0.044715]]])))
    tanh = net.add("Activation", net.ew("PROD", inner, net.c([[[0.79788]]])), type=trt.ActivationType.TANH)
    ends(net, net.ew("PROD", net.ew("PROD", x, net.c([[[0.5]]])), net.ew("SUM", tanh, net.c([[[1.0]]]))))
    found = ops(net)
    assert found.count("Shuffle") == 1 and found.index("Shuffle") == len(found) - 2
    net.same()


def test_a_bias_along_the_last_axis_and_a_sum_of_two_products():
    net = Net()
    a, b = (net.shuffle(product(net), dims=(2, 3, 12)) for _ in range(2))
    ends(net, net.relu(net.ew("SUM", net.ew("SUM", a, net.random(1, 1, 12)), b)))
    assert ops(net)[-2:] == ["Shuffle", "MatrixMultiply"] and ops(net).count("Shuffle") == 1
    net.same()


def test_extents_that_are_not_known():
    net = Net()
    x = net.x(-1, 4, 8)
    flat = net.shuffle(x, dims=(-1, 8))
    y = net.add("MatrixMultiply", flat, net.random(8, 12), op0=NONE, op1=NONE)
    ends(net, net.relu(net.shuffle(y, dims=(-1, 4, 12))))
    net.profile(x0=((1, 4, 8), (2, 4, 8), (5, 4, 8)))
    assert ops(net) == ["Shuffle", "MatrixMultiply", "Activation", "Shuffle", "MatrixMultiply"]
    net.same(feeds=net.feeds(x0=(3, 4, 8)))


def another_last_extent(net):
    return net.relu(net.shuffle(product(net), dims=(6, 3, 4)))


def another_order(net):
    return net.relu(net.shuffle(product(net), second=(1, 0), dims=(6, 12)))


def constant_of_rows(net):
    return net.ew("SUM", net.shuffle(product(net), dims=(2, 3, 12)), net.random(1, 3, 1))


def another_tensor(net):
    return net.ew("SUM", net.shuffle(product(net), dims=(2, 3, 12)), net.x(2, 3, 12))


def no_product(net):
    return net.relu(net.shuffle(net.x(6, 12), dims=(2, 3, 12)))


def repeated(net):
    return net.ew("SUM", net.shuffle(product(net, rows=3), dims=(1, 3, 12)), net.random(2, 1, 1))


@pytest.mark.parametrize(
    "make", [another_last_extent, another_order, constant_of_rows, another_tensor, no_product, repeated]
)
def test_near_misses_stay(make):
    net = Net()
    ends(net, make(net))
    assert ops(net)[-2] in ("Activation", "ElementWise")
    net.same()


def test_pinned_layers_and_outputs_stay():
    net = Net()
    y = net.relu(net.shuffle(product(net), dims=(2, 3, 12)), name="pinned")
    ends(net, y)
    net.config.pin_implementation("pinned", "#cpu")
    assert ops(net)[-2] == "Activation"
    net = Net()
    y = net.relu(net.shuffle(product(net), dims=(2, 3, 12)))
    net.out(y)
    assert ops(net)[-1] == "Activation"


def test_other_takers_of_the_reshape_see_what_they_saw():
    net = Net()
    x = net.shuffle(product(net), dims=(2, 3, 12))
    y = net.relu(x)
    net.out(net.mean(x, 1), net.add("Concatenation", y, x, axis=2))
    assert ops(net).count("Shuffle") == 2
    net.same()
