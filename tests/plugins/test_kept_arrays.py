"""Arrays that a Python plugin keeps past its run: they own their memory, and nothing else is written there."""

from __future__ import annotations

import gc

import numpy as np
import pytest

import dovetail as trt
from dovetail.core.errors import PluginFailed
from dovetail.plugins import Input, Output, Plugin

KEPT: list = []


class Keep(Plugin):
    """y = x + 1; what the run is handed goes to KEPT."""

    namespace = "keep"
    x = Input(trt.float32)
    y = Output(like="x")

    def get_workspace_size(self, inputs, outputs):
        return 4096

    def reference(self, x):
        return x + 1

    def enqueue(self, inputs, outputs, workspace, stream):
        np.add(inputs[0], 1, out=outputs[0])
        workspace[:] = 7
        KEPT.append((inputs, outputs, workspace))
        if np.isnan(inputs[0][0]):
            raise ValueError("nan")


def build():
    """x -> three times (negated, kept) -> negated: every array of the first ones is used again later in the run."""
    registry = trt.get_plugin_registry()
    registry.add_op(Keep)
    builder = trt.Builder(trt.Logger(trt.Logger.ERROR))
    network, config = builder.create_network(), builder.create_builder_config()
    config.default_device_type = trt.DeviceType.CPU
    tensor = network.add_input("x", trt.float32, (-1,))
    profile = builder.create_optimization_profile()
    profile.set_shape("x", (1,), (1000,), (2_000_000,))
    config.add_optimization_profile(profile)
    for _ in range(3):
        negated = network.add_unary(tensor, trt.UnaryOperation.NEG).get_output(0)
        tensor = network.add_plugin("keep::Keep", [negated]).get_output(0)
    last = network.add_unary(tensor, trt.UnaryOperation.NEG).get_output(0)
    last.name = "y"
    network.mark_output(last)
    return builder.build_serialized_network(network, config)


@pytest.fixture(scope="module")
def engine():
    return trt.Runtime(trt.Logger(trt.Logger.ERROR)).deserialize_cuda_engine(build())


@pytest.fixture(autouse=True)
def forget():
    KEPT.clear()
    yield
    KEPT.clear()


def _values():
    """What the kept arrays hold: one number each."""
    found = []
    for inputs, outputs, _ in KEPT:
        for array in (inputs[0], outputs[0]):
            assert (array == array[0]).all()
            found.append(float(array[0]))
    return found


@pytest.mark.parametrize("n", [10, 2_000_000])
def test_they_hold_what_they_held_when_their_layer_returned(engine, n):
    context = engine.create_execution_context()
    for start in (5.0, 9.0):
        context.run({"x": np.full(n, start, np.float32)})
    of_first = [-5, -4, 4, 5, -5, -4]
    of_second = [-9, -8, 8, 9, -9, -8]
    assert _values() == [*of_first, *of_second]
    del context
    gc.collect()
    assert _values() == [*of_first, *of_second]
    assert all((workspace == 7).all() for _, _, workspace in KEPT)


def test_views_and_memoryviews_of_them_are_kept_as_well(engine):
    context = engine.create_execution_context()
    context.run({"x": np.full(100, 5, np.float32)})
    views = [memoryview(KEPT[0][0][0]), KEPT[0][1][0][3:7].reshape(2, 2)]
    KEPT.clear()
    context.run({"x": np.full(100, 6, np.float32)})
    del context
    gc.collect()
    assert np.asarray(views[0]).tolist() == [-5] * 100
    assert views[1].tolist() == [[-4, -4], [-4, -4]]


def test_writing_into_them_later_changes_no_result(engine):
    context = engine.create_execution_context()
    x = np.full(50, 5, np.float32)
    first = context.run({"x": x})["y"].copy()
    for _, outputs, workspace in KEPT:
        outputs[0][...] = 77
        workspace[...] = 77
    assert np.array_equal(context.run({"x": x})["y"], first)


def test_an_array_at_a_bare_address_gets_memory_of_its_own(engine):
    context = engine.create_execution_context()
    x, y = np.full(1000, 5, np.float32), np.zeros(1000, np.float32)
    context.set_input_shape("x", (1000,))
    context.set_tensor_address("x", x.ctypes.data)
    context.set_tensor_address("y", y.ctypes.data)
    memory = np.zeros(engine.device_memory_size + 64, np.uint8)
    context.device_memory = memory.ctypes.data + -memory.ctypes.data % 64
    context.execute_async_v3()
    x[:], memory[:] = 0, 0
    assert _values()[:2] == [-5, -4]


def test_a_run_without_kept_arrays_hands_out_the_same_ones_again(engine, monkeypatch):
    seen = []

    def enqueue(self, inputs, outputs, workspace, stream):
        np.add(inputs[0], 1, out=outputs[0])
        seen.append((id(inputs[0]), id(outputs[0]), outputs[0].ctypes.data))

    monkeypatch.setattr(Keep, "enqueue", enqueue)
    context = engine.create_execution_context()
    for _ in range(3):
        context.run({"x": np.ones(10, np.float32)})
    assert seen[:3] == seen[3:6] == seen[6:]


def test_a_traceback_keeps_the_arrays_of_a_run_that_failed(engine):
    context = engine.create_execution_context()
    with pytest.raises(PluginFailed) as error:
        context.run({"x": np.full(1000, np.nan, np.float32)})
    KEPT.clear()
    for start in (5.0, 6.0):
        context.run({"x": np.full(1000, start, np.float32)})
    del context
    gc.collect()
    trace = error.value.__cause__.__traceback__
    while trace.tb_next is not None:
        trace = trace.tb_next
    held = trace.tb_frame.f_locals["outputs"][0]
    assert held.shape == (1000,) and np.isnan(held).all()


def test_arrays_of_a_build_are_kept_as_well():
    assert build()
    gc.collect()
    assert KEPT
    for inputs, outputs, workspace in KEPT:
        assert np.array_equal(outputs[0], inputs[0] + 1) and (workspace == 7).all()
    for _, outputs, _ in KEPT:
        outputs[0][...] = 3  # their memory, and nobody else's
