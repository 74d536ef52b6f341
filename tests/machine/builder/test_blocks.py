"""Graphs whose layers own blocks: every pass works on the blocks, too, and the plan runs."""

from __future__ import annotations

import json
import os
import subprocess
from itertools import combinations
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from networks import new_network, profile_of

import dovetail as trt
from dovetail import _native
from dovetail.core.expr import DimsExprs
from dovetail.machine.builder.build import build_of
from dovetail.machine.builder.control import conditional, loop
from dovetail.machine.builder.graph import Block, Graph, GraphTensor
from dovetail.machine.builder.passes.plan_memory import max_bytes
from dovetail.machine.builder.pipeline import with_plugins
from dovetail.machine.plan import read_plan
from dovetail.machine.weights_table import weights_text
from dovetail.plugins import Input, Output, Plugin

CHANNELS, SIDE = 4, 6
RNG = np.random.default_rng(5)
KERNEL = RNG.uniform(-0.3, 0.3, (CHANNELS, CHANNELS, 3, 3)).astype(np.float32)


def convolved(x: np.ndarray) -> np.ndarray:
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    return np.einsum("nchwij,ocij->nohw", windows, KERNEL).astype(np.float32)


class Network:
    """Layers of x, which a test puts into blocks when shapes are inferred."""

    def __init__(self, is_open: bool, level: int = 0, device: trt.DeviceType = trt.DeviceType.CPU):
        self.builder, self.network, self.config = new_network()
        self.config.default_device_type = device
        self.config.builder_optimization_level = level
        add = self.network
        x = add.add_input("x", trt.float32, (-1 if is_open else 2, CHANNELS, SIDE, SIDE))
        add.add_input("condition", trt.bool, (1,))
        add.add_input("count", trt.int32, ())
        if is_open:
            rest = (CHANNELS, SIDE, SIDE)
            profile_of(self.builder, self.config, x=((1, *rest), (2, *rest), (5, *rest)))
        convolution = add.add_convolution_nd(x, CHANNELS, (3, 3), KERNEL)
        convolution.padding_nd = (1, 1)
        self._end("relu", add.add_activation(convolution.get_output(0), trt.ActivationType.RELU), convolution, "conv")
        self._end("tanh", add.add_activation(x, trt.ActivationType.TANH))
        self._end("double", add.add_elementwise(x, x, trt.ElementWiseOperation.SUM))
        self._end("last", add.add_activation(x, trt.ActivationType.SIGMOID))

    def _end(self, name, layer, before=None, before_name=""):
        layer.name = name
        if before is not None:
            before.name = before_name
        layer.get_output(0).name = f"{name} of x"
        self.network.mark_output(layer.get_output(0))

    def build(self, arrange) -> Graph:
        """The graph behind all passes, changed by `arrange` when the layers are there."""
        build = build_of(self.network, self.config)
        graph = Graph(self.network.name, self.network.lookup)
        for name, pass_ in with_plugins(self.network.lookup):
            graph = pass_(graph, build)
            if name == "infer_shapes":
                arrange(graph, {layer.name: layer for layer in graph.layers}, *graph.inputs)
        return graph


def like(tensor: GraphTensor, name: str) -> GraphTensor:
    return GraphTensor(name, DimsExprs(tensor.dims), tensor.dtype, tensor.ranges, allowed_device=tensor.allowed_device)


def branches(layers, x, condition, y, taken=None):
    """relu(conv(x)) or tanh(x)."""
    then = Block(layers=[layers["conv"], layers["relu"]], outputs=layers["relu"].outputs[:])
    otherwise = Block(layers=[layers["tanh"]], outputs=layers["tanh"].outputs[:])
    for name in ("conv", "tanh"):
        layers[name].inputs[0] = x
    return conditional("choice", condition, [y], (then, otherwise), x.allowed_device)


def choose(graph, layers, x, condition, count):
    y = like(x, "chosen")
    layers["last"].inputs[0] = y
    graph.layers = [branches(layers, x, condition, y), layers["last"]]
    graph.outputs = layers["last"].outputs[:]


def repeat(graph, layers, x, condition, count):
    """a = 2 * a, again and again, then the sigmoid."""
    a, y = like(x, "a"), like(x, "repeated")
    layers["double"].inputs = [a, a]
    body = Block(layers=[layers["double"]], inputs=[a], outputs=layers["double"].outputs[:])
    layers["last"].inputs[0] = y
    graph.layers = [loop("again", count, [x], [y], body, x.allowed_device), layers["last"]]
    graph.outputs = layers["last"].outputs[:]


def nest(graph, layers, x, condition, count):
    """a = (relu(conv(a)) or tanh(a)) + x, again and again."""
    a, y, chosen = like(x, "a"), like(x, "repeated"), like(x, "chosen")
    layers["double"].inputs = [chosen, x]
    body = Block(
        layers=[branches(layers, a, condition, chosen), layers["double"]],
        inputs=[a],
        outputs=layers["double"].outputs[:],
    )
    layers["last"].inputs[0] = y
    graph.layers = [loop("again", count, [x], [y], body, x.allowed_device), layers["last"]]
    graph.outputs = layers["last"].outputs[:]


def pass_on(graph, layers, x, condition, count):
    """Outputs that no layer of their block computes: a, b = b, x in a loop of three; then b or x."""
    a, b, y, z, chosen = (like(x, name) for name in ("a", "b", "y", "z", "chosen"))
    layers["tanh"].inputs[0] = x
    body = Block(inputs=[a, b], outputs=[b, x])
    carried = loop("again", 3, [x, layers["tanh"].outputs[0]], [y, z], body, x.allowed_device)
    either = Block(outputs=[z]), Block(outputs=[y])
    choice = conditional("choice", condition, [chosen], either, x.allowed_device)
    layers["last"].inputs[0] = chosen
    graph.layers = [layers["tanh"], carried, choice, layers["last"]]
    graph.outputs = layers["last"].outputs[:]


def expected(arrange, x, flag, count):
    def step(a):
        return np.maximum(convolved(a), 0) if flag else np.tanh(a)

    y = x
    if arrange is choose:
        y = step(x)
    elif arrange is repeat:
        y = x * 2.0**count
    elif arrange is nest:
        for _ in range(count):
            y = step(y) + x
    return 1 / (1 + np.exp(-y.astype(np.float64)))


@pytest.mark.parametrize(("is_open", "level"), [(False, 0), (True, 0), (True, 2)], ids=["static", "open", "timed"])
@pytest.mark.parametrize("arrange", [choose, repeat, nest, pass_on])
@pytest.mark.parametrize("device", [trt.DeviceType.CPU, pytest.param(trt.DeviceType.GPU, marks=pytest.mark.gpu)])
def test_a_plan_with_blocks_computes_what_its_graph_says(device, arrange, is_open, level):
    graph = Network(is_open, level, device).build(arrange)
    tolerance = {"rtol": 2e-5, "atol": 2e-6} if device == trt.DeviceType.CPU else {"rtol": 5e-3, "atol": 5e-3}  # TF32
    engine = trt.Runtime(trt.Logger()).deserialize_cuda_engine(graph.plan)
    context = engine.create_execution_context()
    for n in (5, 1, 2) if is_open else (2,):
        x = RNG.uniform(-1, 1, (n, CHANNELS, SIDE, SIDE)).astype(np.float32)
        for flag, count in ((True, 0), (False, 1), (True, 2), (False, 3)):
            feed = {"x": x, "condition": np.array([flag]), "count": np.int32(count)}
            (y,) = context.run(feed).values()
            np.testing.assert_allclose(y, expected(arrange, x, flag, count), **tolerance)


def found_in(x, arrange):
    """The graph of y = relu or tanh of the places of what is not 0 in x, as floats, and the plan's answer."""
    network = Network(False)
    network.network = trt.Builder(trt.Logger()).create_network()
    add = network.network
    given = add.add_input("x", trt.float32, x.shape)
    add.add_input("condition", trt.bool, (1,))
    add.add_input("count", trt.int32, ())
    places = add.add_non_zero(given)
    floats = add.add_cast(places.get_output(0), trt.float32)
    places.name, floats.name = "places", "floats"
    network._end("relu", add.add_activation(floats.get_output(0), trt.ActivationType.RELU))
    network._end("tanh", add.add_activation(floats.get_output(0), trt.ActivationType.TANH))
    graph = network.build(arrange)
    return trt.Runtime(trt.Logger()).deserialize_cuda_engine(graph.plan).create_execution_context()


def choose_among_found(graph, layers, x, condition, count):
    relu, tanh = layers["relu"], layers["tanh"]
    y = like(relu.outputs[0], "y")
    blocks = Block(layers=[relu], outputs=relu.outputs[:]), Block(layers=[tanh], outputs=tanh.outputs[:])
    own = [layer for layer in graph.layers if layer not in (relu, tanh)]
    graph.layers, graph.outputs = [*own, conditional("choice", condition, [y], blocks)], [y]


def test_extents_that_data_decide_may_be_those_of_a_block():
    x = np.float32([[0, 1, 0], [2, 3, 0]])
    context = found_in(x, choose_among_found)
    for n in (3, 1, 0):
        x.ravel()[[1, 3, 4][n:]] = 0
        places = np.array(np.nonzero(x), np.float32)
        for flag, function in ((True, lambda a: a), (False, np.tanh)):
            feed = {"x": x, "condition": np.array([flag]), "count": np.int32(0)}
            (y,) = context.run(feed).values()
            np.testing.assert_allclose(y, function(places), rtol=1e-6)


class KeepInLoop(Plugin):
    """y = x + 1; what the run is handed is kept."""

    namespace = "blocks"
    x = Input(trt.float32)
    y = Output(like="x")
    kept: ClassVar[list] = []

    def reference(self, x):
        return x + 1

    def enqueue(self, inputs, outputs, workspace, stream):
        np.add(inputs[0], 1, out=outputs[0])
        self.kept.append((inputs[0], outputs[0]))


def test_arrays_that_a_python_plugin_keeps_in_a_loop_stay_what_they_were():
    """The context goes on in a copy of its memory, where what is carried lies as it did before."""
    registry = trt.get_plugin_registry()
    registry.add_op(KeepInLoop)
    network = Network(False)
    network.network = trt.Builder(trt.Logger()).create_network()
    add = network.network
    given = add.add_input("x", trt.float32, (5,))
    add.add_input("condition", trt.bool, (1,))
    add.add_input("count", trt.int32, ())
    network._end("double", add.add_plugin("blocks::KeepInLoop", [given]))
    network._end("last", add.add_activation(given, trt.ActivationType.RELU))

    def arrange(graph, layers, x, condition, count):
        a, y = like(x, "a"), like(x, "y")
        layers["double"].inputs = [a]
        body = Block(layers=[layers["double"]], inputs=[a], outputs=layers["double"].outputs[:])
        layers["last"].inputs[0] = y
        graph.layers, graph.outputs = [loop("again", count, [x], [y], body), layers["last"]], layers["last"].outputs[:]

    context = trt.Runtime(trt.Logger(trt.Logger.ERROR)).deserialize_cuda_engine(network.build(arrange).plan)
    context = context.create_execution_context()
    KeepInLoop.kept.clear()
    for n in (3, 4):
        feed = {"x": np.zeros(5, np.float32), "condition": np.array([True]), "count": np.int32(n)}
        (y,) = context.run(feed).values()
        assert y.tolist() == [float(n)] * 5
    pairs = [(x[0], y[0]) for x, y in KeepInLoop.kept]
    assert pairs == [(i, i + 1) for n in (3, 4) for i in range(n)]


def test_layers_in_a_block_are_fused_and_those_of_two_blocks_are_not():
    names = [group.name for group in Network(False).build(choose).all_groups()]
    assert "conv + relu" in names
    assert "last" in names


def spans(graph):
    """name -> (begin, end) in the arena, of profile 0."""
    memory = graph.memory[0]
    return {
        tensor.name: (offset, offset + max_bytes(tensor, 0))
        for tensor in graph.all_tensors()
        if (offset := memory.offsets.get(id(tensor), -1)) >= 0
    }


def overlap(a, b) -> bool:
    return a[0] < b[1] and b[0] < a[1]


def test_what_a_loop_carries_has_two_memories_and_its_result_a_third():
    found = spans(Network(True).build(nest))
    assert set(found) >= {"a", "double of x", "repeated", "chosen"}
    for one, other in combinations(("a", "double of x", "repeated", "chosen"), 2):
        assert not overlap(found[one], found[other]), (one, other)


def test_branches_share_memory():
    """Each has a tensor of its own, which lives with the result, and with none of the other branch."""

    def arrange(graph, layers, x, condition, count):
        y = like(x, "chosen")
        inner = [like(x, name) for name in ("one", "two")]
        blocks = []
        for name, tensor in zip(("double", "tanh"), inner, strict=True):
            layers[name].inputs = [x] * len(layers[name].inputs)
            layers[name].outputs, final = [tensor], layers[name].outputs[0]
            tensor.producer = layers[name]
            blocks.append((layers[name], tensor, final))
        (one, one_tensor, one_final), (two, two_tensor, two_final) = blocks
        relu, last = layers["relu"], layers["last"]
        relu.inputs[0], relu.outputs, one_final.producer = one_tensor, [one_final], relu
        last.inputs[0], last.outputs, two_final.producer = two_tensor, [two_final], last
        then, otherwise = Block(layers=[one, relu], outputs=[one_final]), Block(layers=[two, last], outputs=[two_final])
        graph.layers = [conditional("choice", condition, [y], (then, otherwise))]
        graph.outputs = [y]

    network = Network(False)
    network.config.allow_fusion = False
    graph = network.build(arrange)
    found = spans(graph)
    assert found["one"] == found["two"]
    assert graph.memory[0].arenas[trt.DeviceType.CPU].size == found["one"][1] - found["one"][0]


PROGRAMS = os.environ.get("DOVETAIL_TEST_PROGRAMS")


@pytest.mark.skipif(
    not PROGRAMS, reason="needs the C++ test programs: make test and .ci/sanitize set DOVETAIL_TEST_PROGRAMS"
)
@pytest.mark.parametrize("arrange", [choose, nest, pass_on])
def test_changed_plans_run_or_are_refused(arrange, tmp_path):
    (tmp_path / "plan").write_bytes(bytes(Network(True).build(arrange).plan))
    library = Path(_native.__file__).parent / "lib" / "libdovetail_cpu.so"
    variants = os.environ.get("DOVETAIL_FUZZ_VARIANTS", "400")
    command = [f"{PROGRAMS}/test_plan_fuzz", "--variants", variants, library, tmp_path / "plan"]
    environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    environment["ASAN_OPTIONS"] = "detect_stack_use_after_return=0"
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, f"exit status {done.returncode}\n" + done.stdout[-4000:] + done.stderr[-8000:]


NESTED = [("again", 0), ("choice", 1), ("conv + relu", 2), ("tanh", 2), ("double", 1), ("last", 0)]


def test_reports_and_inspectors_show_layers_in_blocks():
    plan = Network(False).build(nest).plan
    engine = trt.Runtime(trt.Logger()).deserialize_cuda_engine(plan)
    inspector = engine.create_engine_inspector()
    for index, (name, depth) in enumerate(NESTED):
        line = inspector.get_layer_information(index, trt.LayerInformationFormat.ONELINE)
        assert line.startswith("  " * depth + name + " [")
        facts = json.loads(inspector.get_layer_information(index, trt.LayerInformationFormat.JSON))
        assert (facts["layer"], facts.get("depth", 0)) == (name, depth)
    assert engine.num_layers == len(NESTED)
    rows = [line for line in str(plan).splitlines() if "#" in line and "lost" not in line]
    starts = {row.index(name) - 2 * depth for row, (name, depth) in zip(rows, NESTED, strict=True)}
    assert len(starts) == 1
    assert str(plan) == engine.report()
    assert "conv + relu" in engine.report("conv + relu")
    assert [(step["layer"], step["depth"]) for step in engine._engine.steps] == NESTED


def test_weights_of_layers_in_blocks_are_in_the_table():
    text = weights_text(read_plan(Network(False).build(nest).plan))
    assert "conv kernel: packed by 'conv + relu'" in text


def test_a_profiler_is_told_of_layers_in_blocks():
    seen = []

    class Profiler(trt.IProfiler):
        def report_layer_time(self, layer_name, ms):
            seen.append((layer_name, ms > 0))

    engine = trt.Runtime(trt.Logger()).deserialize_cuda_engine(Network(False).build(nest).plan)
    context = engine.create_execution_context()
    context.profiler = Profiler()
    x = np.ones((2, CHANNELS, SIDE, SIDE), np.float32)
    context.run({"x": x, "condition": np.array([True]), "count": np.int32(2)})
    assert [name for name, _ in seen] == [name for name, _ in NESTED]
    assert dict(seen)["conv + relu"] and not dict(seen)["tanh"]


def test_the_document_has_steps_in_steps():
    document = read_plan(Network(False).build(nest).plan)
    (outer, last) = document["steps"]
    (body,) = outer["blocks"]
    choice, _ = body["steps"]
    assert (outer["control"], choice["control"], last["layer"]) == ("loop", "conditional", "last")
    assert [len(block["steps"]) for block in choice["blocks"]] == [1, 1]
    tensors = document["tensors"]
    for block in choice["blocks"]:
        (own,) = block["outputs"]
        assert (tensors[own]["where"], tensors[own]["alias_of"]) == ("alias", choice["outputs"][0])
    assert len(document["profiles"][0]["workspace"]) == 6
    assert "Loop" not in str(document["requires"])
