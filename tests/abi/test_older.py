"""Libraries of earlier minors: they work as they did, and are never handed what they do not know."""

import numpy as np
import pytest

import dovetail as trt
from dovetail.core.types import FLOATS
from dovetail.machine.plan import read_plan
from dovetail.plugins import Input, Output, Plugin


class Twice(Plugin):
    """y = 2 * x"""

    namespace = "older"
    x = Input(FLOATS)
    y = Output(like="x")

    def reference(self, x):
        return 2 * x


@pytest.fixture(scope="module")
def record(toolchain):
    registry = trt.get_plugin_registry()
    registry.add_op(Twice, "older")
    library = toolchain.build("plugins/older.c", toolchain.map, include=toolchain.past_header())
    record = registry.load_library(library)
    yield record
    registry.deregister_library(record)


def test_the_header_of_then_is_smaller(toolchain):
    text = (toolchain.past_header() / "dovetail/plugin.h").read_text()
    assert "DT_ABI_MINOR 0" in text
    assert "(*absorb)" not in text
    assert "(*plan)" not in text
    assert "uint64_t replaces" not in text


def test_a_library_of_1_0_runs_and_is_given_nothing_to_absorb(record):
    builder = trt.Builder(trt.Logger())
    network = builder.create_network()
    x = network.add_input("x", trt.float32, (2, 3))
    twice = network.add_plugin("older::Twice@1", [x])
    relu = network.add_activation(twice.get_output(0), trt.ActivationType.RELU)
    twice.name, relu.name, relu.get_output(0).name = "twice", "relu", "y"
    network.mark_output(relu.get_output(0))
    config = builder.create_builder_config()
    config.default_device_type = trt.DeviceType.CPU
    config.pin_implementation("twice", "#c")
    plan = builder.build_serialized_network(network, config)
    assert [step["layer"] for step in read_plan(plan)["report"]["steps"]] == ["twice", "relu"]
    values = np.array([[-1, 2, 3], [0, -5, 6]], np.float32)
    context = trt.Runtime(trt.Logger()).deserialize_cuda_engine(plan).create_execution_context()
    np.testing.assert_array_equal(context.run({"x": values})["y"], np.maximum(2 * values, 0))
