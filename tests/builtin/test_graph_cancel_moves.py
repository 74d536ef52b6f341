"""Orders of axes around layers that do not depend on them are removed in pairs."""

import numpy as np
import pytest
from rewriting import Net

import dovetail as trt

IN, OUT = (0, 3, 1, 2), (0, 2, 3, 1)  # to channels in front, and back


REGIONS = [
    ("activation", lambda n, x: n.relu(x)),
    ("a chain", lambda n, x: n.unary("NEG", n.relu(n.unary("NEG", x)))),
    ("a number", lambda n, x: n.ew("PROD", x, n.c([[[[3.0]]]]))),
    ("a number a channel", lambda n, x: n.ew("SUM", n.random(1, 5, 1, 1), x)),
    ("numbers for all", lambda n, x: n.ew("MAX", x, n.random(1, 5, 3, 4))),
    (
        "scale",
        lambda n, x: n.network.add_scale_nd(
            x, trt.ScaleMode.CHANNEL, n.rng.random(5, np.float32), n.rng.random(5, np.float32), None, 1
        ).get_output(0),
    ),
    ("uniform scale", lambda n, x: n.network.add_scale_nd(x, trt.ScaleMode.UNIFORM, np.float32([2])).get_output(0)),
    ("softmax", lambda n, x: n.add("SoftMax", x, axes=1 << 1)),
    ("softmax of the default axis", lambda n, x: n.add("SoftMax", x)),
    ("a mean over places", lambda n, x: n.ew("SUB", x, n.mean(x, 2, 3))),
    ("x with itself", lambda n, x: n.ew("PROD", x, x)),
    ("joined", lambda n, x: n.add("Concatenation", x, n.relu(x), axis=1)),
    ("conversions", lambda n, x: n.add("Cast", n.add("Cast", x, to_type=trt.float16), to_type=trt.float32)),
]


@pytest.mark.parametrize(("name", "layers"), REGIONS, ids=[name for name, _ in REGIONS])
def test_a_region_works_on_the_other_order(name, layers):
    n = Net()
    x = n.shuffle(n.unary("SIN", n.x(2, 3, 4, 5)), IN)
    n.out(n.unary("COS", n.shuffle(layers(n, x), OUT)))
    graph = n.graph(until="cancel_moves")
    assert "Shuffle" not in [layer.spec.name for layer in graph.layers]
    assert any("cancel across the layers" in note for note in graph.notes)
    n.same(rtol=1e-6, atol=1e-6)  # sums run in another order


def test_all_ends_of_a_region_are_found():
    n = Net()
    a, b = (n.shuffle(n.unary("SIN", n.x(2, 3, 4, 5)), IN) for _ in range(2))
    total = n.relu(n.ew("SUM", a, b))
    n.out(n.unary("COS", n.shuffle(total, OUT)), n.shuffle(n.unary("NEG", total), OUT))
    assert "Shuffle" not in n.ops(until="cancel_moves")
    n.same(exact=True)


def test_an_axis_of_one_element_is_taken_through():
    n = Net()
    x = n.add("Squeeze", n.unary("SIN", n.x(2, 5, 1, 7)), n.c([2], np.int64))
    y = n.relu(n.ew("PROD", x, n.random(1, 5, 1)))
    n.out(n.unary("COS", n.add("Unsqueeze", y, n.c([2], np.int64))))
    assert n.ops(until="cancel_moves") == ["Unary", "ElementWise", "Activation", "Unary"]
    n.same(exact=True)


NEAR = [
    ("another order behind", lambda n, x: n.shuffle(n.relu(x), IN)),
    (
        "a second layer that needs the order",
        lambda n, x: n.add(
            "Concatenation",
            n.shuffle(n.relu(x), OUT),
            n.shuffle(n.shuffle(n.relu(x), (), (2, 60)), (), (2, 3, 4, 5)),
            axis=0,
        ),
    ),
    (
        "a layer that depends on the order",
        lambda n, x: n.shuffle(n.add("TopK", n.relu(x), op=trt.TopKOperation.MAX, k=5, axes=2), OUT),
    ),
    ("an input in the other order", lambda n, x: n.shuffle(n.ew("SUM", x, n.x(2, 5, 3, 4)), OUT)),
    (
        "scale for all elements",
        lambda n, x: n.shuffle(
            n.network.add_scale_nd(
                x, trt.ScaleMode.ELEMENTWISE, n.rng.random(60, np.float32), None, None, 1
            ).get_output(0),
            OUT,
        ),
    ),
]


@pytest.mark.parametrize(("name", "layers"), NEAR, ids=[name for name, _ in NEAR])
def test_orders_that_something_needs_stay(name, layers):
    n = Net()
    x = n.shuffle(n.unary("SIN", n.x(2, 3, 4, 5)), IN)
    n.out(n.unary("COS", layers(n, x)))
    assert n.ops(until="cancel_moves").count("Shuffle") >= 2
    n.same(exact=True)


def test_an_output_inside_the_region_keeps_it():
    n = Net()
    y = n.relu(n.shuffle(n.unary("SIN", n.x(2, 3, 4, 5)), IN))
    n.out(y, n.unary("COS", n.shuffle(y, OUT)))
    assert n.ops(until="cancel_moves").count("Shuffle") == 2


def test_a_result_that_is_an_output_keeps_its_name():
    n = Net()
    n.out(n.shuffle(n.relu(n.shuffle(n.unary("SIN", n.x(2, 3, 4, 5)), IN)), OUT))
    graph = n.graph(until="cancel_moves")
    assert [layer.spec.name for layer in graph.layers] == ["Unary", "Activation"]
    assert graph.outputs[0].name == "y0" and graph.outputs[0].producer is graph.layers[-1]
    n.same(exact=True)


def test_a_pinned_layer_keeps_its_order():
    n = Net()
    y = n.relu(n.shuffle(n.unary("SIN", n.x(2, 3, 4, 5)), IN), name="pinned")
    n.config.pin_implementation("pinned", "Activation@1#cpu")
    n.out(n.shuffle(y, OUT))
    assert n.ops(until="cancel_moves").count("Shuffle") == 2


def test_unknown_extents_do_not_matter():
    n = Net()
    x = n.shuffle(n.unary("SIN", n.x(-1, -1, 4, 5, name="x")), IN)
    n.profile(x=((1, 1, 4, 5), (2, 3, 4, 5), (4, 4, 4, 5)))
    n.out(n.unary("COS", n.shuffle(n.relu(x), OUT)))
    assert "Shuffle" not in n.ops(until="cancel_moves")
    n.same(exact=True, feeds=n.feeds(x=(2, 3, 4, 5)))
