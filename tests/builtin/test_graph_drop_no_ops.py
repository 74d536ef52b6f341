"""Layers that change nothing are removed, and no others."""

import numpy as np
import pytest
from block_networks import BlockNetwork
from rewriting import Net

import dovetail as trt
from dovetail.machine.builder.graph import Block
from dovetail.machine.builder.own_layers import layer_of_role

ONE_D = [
    ("Identity", lambda n, x: n.add("Identity", x)),
    ("Cast to its type", lambda n, x: n.add("Cast", x, to_type=trt.float32)),
    ("identity order", lambda n, x: n.shuffle(x, (0, 1, 2, 3))),
    ("an order that moves extents of 1", lambda n, x: n.shuffle(x, (1, 0, 2, 3))),
    ("its own dims", lambda n, x: n.shuffle(x, (), (1, 1, 3, 4))),
    ("there and back in one layer", lambda n, x: n.shuffle(x, (0, 1, 3, 2), (-2,), (0, 1, 3, 2))),
    ("slice of everything", lambda n, x: n.add("Slice", x, start=(0,) * 4, shape=(1, 1, 3, 4), stride=(1,) * 4)),
    ("no padding", lambda n, x: n.add("Padding", x, pre_padding=(0, 0), post_padding=(0, 0))),
    ("one to join", lambda n, x: n.add("Concatenation", x, axis=1)),
    ("x * 1", lambda n, x: n.ew("PROD", x, n.c(np.ones((1, 1, 1, 1))))),
    ("1 * x, spread", lambda n, x: n.ew("PROD", n.c(np.ones((1, 1, 3, 4))), x)),
    ("x / 1", lambda n, x: n.ew("DIV", x, n.c(np.ones((1, 1, 1, 1))))),
    ("x + 0", lambda n, x: n.ew("SUM", x, n.c(np.zeros((1, 1, 1, 1))))),
    ("x - 0", lambda n, x: n.ew("SUB", x, n.c(np.zeros((1, 1, 1, 1))))),
    ("x ** 1", lambda n, x: n.ew("POW", x, n.c(np.ones((1, 1, 1, 1))))),
    (
        "Scale by 1 and 0",
        lambda n, x: n.network.add_scale(
            x, trt.ScaleMode.UNIFORM, np.float32([0]), np.float32([1]), np.float32([1])
        ).get_output(0),
    ),
    ("Resize by 1", lambda n, x: n.add("Resize", x, scales=(1.0, 1.0, 1.0, 1.0))),
    ("Resize to its dims", lambda n, x: n.add("Resize", x, shape=(1, 1, 3, 4))),
]

NEAR = [
    ("Cast to another type", lambda n, x: n.add("Cast", n.add("Cast", x, to_type=trt.float16), to_type=trt.float32)),
    ("an order", lambda n, x: n.shuffle(x, (0, 1, 3, 2))),
    (
        "an order whose dims are alike",
        lambda n, x: n.shuffle(n.shuffle(x, (), (1, 1, 2, 6)), (0, 1, 3, 2), (1, 1, 3, 4)),
    ),
    ("a slice by -1", lambda n, x: n.add("Slice", x, start=(0, 0, 2, 0), shape=(1, 1, 3, 4), stride=(1, 1, -1, 1))),
    (
        "a slice from -1, filled",
        lambda n, x: n.add(
            "Slice", x, start=(0, 0, -1, 0), shape=(1, 1, 3, 4), stride=(1,) * 4, mode=trt.SampleMode.FILL
        ),
    ),
    ("padding that keeps the extent", lambda n, x: n.add("Padding", x, pre_padding=(1, 0), post_padding=(-1, 0))),
    (
        "itself twice",
        lambda n, x: n.add(
            "Slice", n.add("Concatenation", x, x, axis=2), start=(0, 0, 3, 0), shape=(1, 1, 3, 4), stride=(1,) * 4
        ),
    ),
    ("1 / x", lambda n, x: n.ew("DIV", n.c(np.ones((1, 1, 1, 1))), x)),
    ("0 - x", lambda n, x: n.ew("SUB", n.c(np.zeros((1, 1, 1, 1))), x)),
    ("1 ** x", lambda n, x: n.ew("POW", n.c(np.ones((1, 1, 1, 1))), x)),
    ("x // 1", lambda n, x: n.ew("FLOOR_DIV", x, n.c(np.ones((1, 1, 1, 1))))),
    ("x - -0, which is x + 0", lambda n, x: n.ew("SUB", x, n.c(np.full((1, 1, 1, 1), -0.0)))),
    ("x * 1 and 2", lambda n, x: n.ew("PROD", x, n.c([[[[1, 1, 1, 2]]]]))),
    (
        "a crop to the same dims",
        lambda n, x: n.add(
            "Resize",
            x,
            shape=(1, 1, 3, 4),
            resize_mode=trt.InterpolationMode.LINEAR,
            roi_start=(0, 0, 0.25, 0),
            roi_end=(1, 1, 1, 1),
            coordinate_transformation=trt.ResizeCoordinateTransformation.CROP_AND_RESIZE,
        ),
    ),
]


@pytest.mark.parametrize(("name", "layer"), ONE_D, ids=[name for name, _ in ONE_D])
def test_what_changes_nothing_is_removed(name, layer):
    n = Net()
    x = n.relu(n.x(1, 1, 3, 4))
    n.out(n.relu(layer(n, x)))
    assert n.ops(until="drop_no_ops") == ["Activation", "Activation"]
    n.same(exact=True)


@pytest.mark.parametrize(("name", "layer"), NEAR, ids=[name for name, _ in NEAR])
def test_what_changes_something_stays(name, layer):
    n = Net()
    x = n.relu(n.x(1, 1, 3, 4))
    n.out(n.relu(layer(n, x)))
    assert len(n.ops(until="drop_no_ops")) > 2
    n.same(exact=True)


def test_integers_times_one_and_plus_zero_are_removed():
    n = Net()
    x = n.x(5, dtype=trt.int32)
    y = n.ew("SUM", n.ew("PROD", x, n.c([1], np.int32)), n.c([0], np.int32))
    n.out(n.ew("FLOOR_DIV", n.ew("SUM", y, y), n.c([1], np.int32)))
    assert n.ops(until="drop_no_ops") == ["ElementWise"]
    n.same(exact=True)


def test_nan_infinity_and_the_sign_of_zero_pass_through_factors_of_one():
    n = Net()
    x = n.relu(n.x(4, name="x"))
    n.out(n.unary("RECIP", n.ew("PROD", n.unary("NEG", x), n.c([1.0]))))
    n.same(exact=True, feeds={"x": np.float32([0, np.inf, np.nan, 2])})


def test_an_operand_that_is_spread_over_more_stays():
    n = Net()
    n.out(n.ew("PROD", n.relu(n.x(1, 4)), n.c(np.ones((3, 1)))))
    assert n.ops(until="drop_no_ops") == ["Activation", "ElementWise"]


def test_a_no_op_that_makes_an_output_leaves_it_to_the_layer_in_front():
    n = Net()
    n.out(n.add("Identity", n.relu(n.x(3)), name="copy"))
    graph = n.graph(until="drop_no_ops")
    assert [layer.spec.name for layer in graph.layers] == ["Activation"]
    assert [tensor.name for tensor in graph.outputs] == ["y0"]
    n.same(exact=True)


def test_outputs_that_are_inputs_or_outputs_again_stay_and_the_report_says_so():
    n = Net()
    x = n.x(3)
    y = n.relu(x)
    n.out(n.add("Identity", x, name="of the input"), y, n.add("Identity", y, name="of an output"))
    graph = n.graph(until="drop_no_ops")
    assert [layer.spec.name for layer in graph.layers].count("Identity") == 2
    (note,) = (note for note in graph.notes if "make outputs" in note)
    assert "of the input" in note and "of an output" in note
    n.same(exact=True)


def test_a_second_layer_that_takes_what_becomes_the_output_takes_the_output():
    n = Net()
    y = n.relu(n.x(3))
    n.out(n.add("Identity", y), n.unary("NEG", y))
    assert n.ops(until="drop_no_ops") == ["Activation", "Unary"]
    n.same(exact=True)


def test_unknown_extents_are_compared_as_expressions():
    n = Net()
    x = n.relu(n.x(-1, 4, name="x"))
    y = n.add("Shuffle", x, reshape_dims=(0, 4))
    n.profile(x=((1, 4), (2, 4), (8, 4))).out(n.relu(y))
    assert n.ops(until="drop_no_ops") == ["Activation", "Activation"]
    n.same(exact=True, feeds=n.feeds(x=(3, 4)))


def test_what_is_pinned_or_has_a_precision_stays():
    n = Net()
    x = n.relu(n.x(3))
    y = n.relu(n.add("Identity", x, name="pinned"))
    z = n.add("Identity", y, name="precise")
    n.config.pin_implementation("pinned", "Identity@1#cpu")
    n.network.get_layer(n.network.num_layers - 1).precision = trt.float32
    n.out(n.relu(z))
    graph = n.graph(until="drop_no_ops")
    assert [layer.name for layer in graph.layers if layer.spec.name == "Identity"] == ["pinned", "precise"]
    assert any("pinned to Identity@1#cpu: pinned" in note for note in graph.notes)
    assert any("its precision is set to FLOAT: precise" in note for note in graph.notes)


def test_the_report_names_what_was_removed_and_level_0_removes_nothing():
    n = Net()
    n.out(n.relu(n.add("Identity", n.relu(n.x(3)), name="copy")))
    assert "removed, for they change nothing: copy" in n.notes()
    assert "Identity" in n.ops(level=0)
    n.config.builder_optimization_level = 1
    plan = n.builder.build_serialized_network(n.network, n.config)
    assert "removed, for they change nothing: copy" in str(trt.build_report(plan))


def test_blocks_are_searched_too():
    def arrange(net):
        a, copied = net.like("a"), net.like("copied")
        tanh, narrow = net.layer("tanh", a)
        copy = layer_of_role(net.graph.lookup, "identity", "inside", [narrow], [copied], net.device)
        double, after = net.layer("double", copied, copied)
        body = Block(layers=[tanh, copy, double], inputs=[a], outputs=[after])
        last = net.like("last of a")
        net.graph.layers.append(net.loop("again", net.number("product"), [net.inputs["x"]], [last], body))
        net.end(last)

    net = BlockNetwork(trt.DeviceType.CPU)
    context = net.engine(arrange).create_execution_context()
    assert any("removed, for they change nothing: inside" in note for note in net.graph.notes)
    x, number = np.float32([[0.1, 0.2, 0.3]]), np.int32([2])
    y = context.run({"x": x, "n": number, "m": number, "one": number})["y"]
    np.testing.assert_allclose(y, -2 * np.tanh(2 * np.tanh(x)), rtol=1e-5)
