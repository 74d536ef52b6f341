"""The choice among the ways to run a group: how much of the tail its kernel absorbs, and what runs the rest."""

import numpy as np
import pytest

import dovetail as trt
from dovetail.core.contract import Implementation
from dovetail.core.epilogue import Taken
from dovetail.core.negotiation import FormatRow, Place
from dovetail.machine.builder.build import build_of
from dovetail.machine.builder.graph import Candidate, Found, Graph, LayerGroup
from dovetail.machine.builder.passes.split_groups import split_groups
from dovetail.machine.builder.selection import FUSED_GAIN
from dovetail.machine.testing import make_layer

CPU = trt.DeviceType.CPU
LINEAR, BLOCKED = (Place(trt.float32, f, CPU) for f in (trt.TensorFormat.LINEAR, trt.TensorFormat.CHW16))
REFORMAT_NS = 25.0
FUSED = 1 - FUSED_GAIN


def way(layer, name, places, time_ns, n_absorbed=0):
    row = FormatRow(Implementation(layer.spec.id, name), 0, name, tuple(places))
    return Candidate(row, None, time_ns, n_absorbed)


@pytest.fixture
def build():
    """A build of nothing, in which a reformat costs REFORMAT_NS."""
    network = trt.Builder(trt.Logger()).create_network()
    made = build_of(network, trt.Builder(trt.Logger()).create_builder_config())
    made.reformats.cost = lambda tensor, a, b: 0.0 if a == b else REFORMAT_NS
    return made


@pytest.fixture
def graph():
    """x -> sum with z -> relu -> product with w -> y, as one group."""
    lookup = trt.get_plugin_registry()
    x, z, w = (np.ones((1, 16, 2, 2), np.float32) for _ in range(3))
    layers = []
    for name, op, arrays, values in (
        ("add", "ElementWise@1", [x, z], {"op": int(trt.ElementWiseOperation.SUM)}),
        ("relu", "Activation@1", [x], {}),
        ("mul", "ElementWise@1", [x, w], {"op": int(trt.ElementWiseOperation.PROD)}),
    ):
        layer = make_layer(lookup, op, arrays, {**lookup.find(op.split("@")[0]).defaults(), **values})
        layer.name = name
        for tensor in layer.inputs:
            tensor.constant = None
        if layers:
            layer.inputs[0] = layers[-1].outputs[0]
        layers.append(layer)
    add, relu, mul = layers
    for layer in layers:
        layer.outputs[0].producer = layer
    names = zip((add.inputs[0], add.inputs[1], mul.inputs[1], mul.outputs[0]), "xzwy", strict=True)
    for tensor, name in names:
        tensor.name = name
    made = Graph("", lookup, inputs=[add.inputs[0], add.inputs[1], mul.inputs[1]], outputs=[mul.outputs[0]])
    made.set_groups([LayerGroup(add, [relu, mul], taken=[[], [Taken(1, None)]])])
    return made


def offer(graph, head, relu, mul):
    group = graph.groups[0]
    group.found, group.found_alone = Found(head), [Found(relu), Found(mul)]


def test_a_group_speaks_of_all_its_layers(graph):
    group = graph.groups[0]
    assert group.name == "add + relu + mul"
    assert group.label == "ElementWise@1 'add + relu + mul'"
    assert [tensor.name for tensor in group.tensors] == ["x", "z", "w", "y"]
    assert {tensor.name for tensor in graph.all_tensors()} == {"x", "z", "w", "y"}  # those inside are no tensors


def test_what_is_not_absorbed_runs_by_itself(graph, build):
    add, relu, mul = graph.groups[0].layers
    offer(
        graph,
        [
            way(add, "all", [LINEAR] * 3, 100.0, n_absorbed=2),
            way(add, "some", [LINEAR] * 3, 60.0, n_absorbed=1),
            way(add, "none", [LINEAR] * 3, 50.0),
        ],
        [way(relu, "relu", [LINEAR] * 2, 20.0)],
        [way(mul, "mul", [LINEAR] * 3, 30.0)],
    )
    costs = [100.0 * FUSED, 60.0 * FUSED + 30.0, 100.0]
    assert [one.cost_ns for one in build.selection.alternatives(graph.groups[0])] == costs
    assert build.selection.choose(graph).cost == costs[1]
    split_groups(graph, build)
    assert [(group.name, group.choice.row.tactic) for group in graph.groups] == [("add + relu", "some"), ("mul", "mul")]
    assert [layer.name for layer in graph.layers] == ["add", "relu", "mul"]


def test_an_implementation_that_absorbs_nothing_competes(graph, build):
    add, relu, mul = graph.groups[0].layers
    offer(
        graph,
        [way(add, "all", [LINEAR] * 3, 100.0, n_absorbed=2), way(add, "none", [LINEAR] * 3, 10.0)],
        [way(relu, "relu", [LINEAR] * 2, 20.0)],
        [way(mul, "mul", [LINEAR] * 3, 30.0)],
    )
    assert build.selection.choose(graph).cost == 60.0
    split_groups(graph, build)
    assert [group.name for group in graph.groups] == ["add", "relu", "mul"]


def test_a_kernel_that_absorbs_may_take_a_little_longer_than_the_layers_by_themselves(graph, build):
    add, relu, mul = graph.groups[0].layers
    others = [way(relu, "relu", [LINEAR] * 2, 20.0)], [way(mul, "mul", [LINEAR] * 3, 30.0)]
    for time_ns, wanted in ((154.0, ["add + relu + mul"]), (160.0, ["add", "relu", "mul"])):
        graph.set_groups([LayerGroup(add, [relu, mul], taken=[[], [Taken(1, None)]])])
        none = way(add, "none", [LINEAR] * 3, 100.0)
        offer(graph, [way(add, "all", [LINEAR] * 3, time_ns, n_absorbed=2), none], *others)
        build.selection.choose(graph)
        split_groups(graph, build)
        assert [group.name for group in graph.groups] == wanted


def test_a_row_does_not_lose_to_itself_unless_absorbing_takes_far_longer(graph, build):
    """A busy machine makes single times longer; that a kernel and a step more take less is not believed easily."""
    add, relu, mul = graph.groups[0].layers
    others = [way(relu, "relu", [LINEAR] * 2, 20_000.0)], [way(mul, "mul", [LINEAR] * 3, 30_000.0)]
    for name, time_ns, wanted in (
        ("row", 181_000.0, ["add + relu + mul"]),
        ("row", 183_000.0, ["add", "relu", "mul"]),
        ("another", 181_000.0, ["add", "relu", "mul"]),
    ):
        graph.set_groups([LayerGroup(add, [relu, mul], taken=[[], [Taken(1, None)]])])
        row = way(add, "row", [LINEAR] * 3, 100_000.0)
        offer(graph, [way(add, name, [LINEAR] * 3, time_ns, n_absorbed=2), row], *others)
        assert build.selection.choose(graph).cost == 150_000.0
        split_groups(graph, build)
        assert [group.name for group in graph.groups] == wanted


def test_reformats_inside_of_a_group_count(graph, build):
    add, relu, mul = graph.groups[0].layers
    offer(
        graph,
        [way(add, "blocked", [BLOCKED] * 3, 10.0)],
        [way(relu, "plain", [LINEAR] * 2, 1.0), way(relu, "blocked", [BLOCKED] * 2, 20.0)],
        [way(mul, "plain", [LINEAR] * 3, 1.0), way(mul, "blocked", [BLOCKED] * 3, 40.0)],
    )
    alternative = build.selection.alternatives(graph.groups[0])[0]
    assert [one.row.tactic for one in alternative.candidate.rest] == ["plain", "plain"]
    assert alternative.cost_ns == 10.0 + REFORMAT_NS + 1.0 + 1.0
    assert list(alternative.places) == [BLOCKED, BLOCKED, LINEAR, LINEAR]


def test_operands_of_what_is_absorbed_lie_as_the_result(graph, build):
    add = graph.groups[0].head
    offer(graph, [way(add, "blocked", [LINEAR, LINEAR, BLOCKED], 10.0, n_absorbed=2)], [], [])
    alternative = build.selection.alternatives(graph.groups[0])[0]
    assert list(alternative.places) == [LINEAR, LINEAR, BLOCKED, BLOCKED]
    assert build.selection.choose(graph).cost == 10.0 * FUSED + 2 * REFORMAT_NS  # w into the group, and y out of it
