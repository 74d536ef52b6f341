"""Reformats of third parties: they run under guards before a plan has them, also where nothing is timed."""

from dataclasses import replace

import numpy as np
import pytest
from networks import new_network

import dovetail as trt
from dovetail.core.errors import PluginFailed
from dovetail.core.tensor import pack
from dovetail.core.types import DataType, TensorFormat
from dovetail.machine.builder.candidates import Candidates
from dovetail.machine.plan import read_plan
from dovetail.plugins import Input, Output, Plugin, kernel

DIMS = (1, 20, 3, 4)
PACKED = TensorFormat.CHW16
FAILS: list[bool] = []  # is it to fail, whatever it is given?


class Careless(Plugin):
    """y = x, but for its last elements."""

    namespace = "reformats"
    x = Input(DataType.FLOAT)
    y = Output(like="x")

    def infer(self, x):
        return x.like()

    @kernel(formats="linear -> chw16")
    def unwritten(self, inputs, outputs, workspace, stream):
        if FAILS:
            raise ValueError("not these contents")
        outputs[0][:32] = 1


@pytest.fixture
def strangers_first(monkeypatch):
    """Before our own Reformat, one that leaves elements unwritten; unknown to the registry, which other tests share."""
    (careless,) = Careless.dovetail_implementations
    ours = Candidates.implementations_of

    def implementations_of(self, layer):
        before = [replace(careless, op="Reformat@1", name="careless")] if layer.spec.id == "Reformat@1" else []
        return (*map(self.lookup.bound, before), *ours(self, layer))

    monkeypatch.setattr(Candidates, "implementations_of", implementations_of)


def network_with_a_reformat(level):
    builder, network, config = new_network()
    config.default_device_type, config.builder_optimization_level = trt.DeviceType.CPU, level
    x = network.add_input("x", trt.float32, DIMS)
    layer = network.add_softmax(x)  # has rows of row-major order alone
    layer.get_output(0).name = "y"
    network.mark_output(layer.get_output(0))
    layer.get_output(0).allowed_formats = 1 << int(PACKED)
    return builder, network, config


def reformats_of(plan):
    return [step["implementation"] for step in read_plan(plan)["steps"] if step["op"] == "Reformat@1"]


@pytest.mark.parametrize("level", [0, 3])
def test_one_that_leaves_elements_unwritten_loses_to_another(level, strangers_first):
    builder, network, config = network_with_a_reformat(level)
    plan = builder.build_serialized_network(network, config)
    assert reformats_of(plan) == ["Reformat@1#cpu"]
    (lost,) = [note for note in read_plan(plan)["report"]["notes"] if "Reformat@1#careless" in note]
    assert "left elements of its outputs unwritten" in lost and "and lost" in lost
    x = np.random.default_rng(0).random(DIMS, np.float32)
    context = trt.Runtime(trt.Logger()).deserialize_cuda_engine(plan).create_execution_context()
    e = np.exp(x - x.max(1, keepdims=True))
    np.testing.assert_allclose(context.run({"x": x})["y"], pack(e / e.sum(1, keepdims=True), PACKED), rtol=1e-5)


@pytest.mark.parametrize("level", [0, 3])
def test_one_without_another_is_an_error(level, strangers_first):
    builder, network, config = network_with_a_reformat(level)
    config.pin_implementation("reformat y to CHW16", "Reformat@1#careless")
    with pytest.raises(PluginFailed, match=r"#careless(.|\n)* left elements of its outputs unwritten") as error:
        builder.build_serialized_network(network, config)
    assert "reformat y to CHW16" in str(error.value)


def test_one_that_fails_otherwise_stays_where_nothing_is_timed(strangers_first, monkeypatch, graph_after):
    """What it is given there is not what it will get."""
    monkeypatch.setitem(globals(), "FAILS", [True])
    _, network, config = network_with_a_reformat(0)
    graph = graph_after("insert_reformats", network, config)
    assert any("#careless" in note and "failed while watched, and stays" in note for note in graph.notes)
    (reformat,) = (group for group in graph.groups if group.is_reformat)
    assert reformat.choice.row.implementation.name == "careless"


def test_our_own_are_not_watched_at_level_0(monkeypatch):
    def watch(self, group, candidate):
        raise AssertionError(f"{candidate.row.label} was watched")

    monkeypatch.setattr("dovetail.machine.builder.measurements.Measurements.watch", watch)
    builder, network, config = network_with_a_reformat(0)
    assert reformats_of(builder.build_serialized_network(network, config)) == ["Reformat@1#cpu"]
