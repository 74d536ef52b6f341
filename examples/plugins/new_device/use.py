"""Runs a network on the board, with one layer that the board cannot compute."""

import sys

import numpy as np

import dovetail as trt
from dovetail.machine.testing import Case, check_now

record = trt.get_plugin_registry().load_library(sys.argv[1])
print(record.name, "brings", *record.implementations)

builder = trt.Builder(trt.Logger())
network = builder.create_network()
x = network.add_input("x", trt.float32, (-1, 3, 8))
first = network.add_activation(x, trt.ActivationType.RELU)
middle = network.add_softmax(first.get_output(0))
last = network.add_activation(middle.get_output(0), trt.ActivationType.RELU)
first.name, middle.name, last.name = "first", "middle", "last"
last.get_output(0).name = "y"
network.mark_output(last.get_output(0))

config, profile = builder.create_builder_config(), builder.create_optimization_profile()
config.default_device_type = trt.DeviceType.GPU  # the device that is not the CPU, whatever it is
config.set_flag(trt.BuilderFlag.GPU_FALLBACK)  # what it cannot run may run on the CPU
profile.set_shape("x", (1, 3, 8), (4, 3, 8), (16, 3, 8))
config.add_optimization_profile(profile)
plan = builder.build_serialized_network(network, config)
report = str(trt.build_report(plan))
print(report)

engine = trt.Runtime(trt.Logger()).deserialize_cuda_engine(plan)
assert engine.device_type == trt.DeviceType.GPU
values = np.linspace(-4, 4, 5 * 24, dtype=np.float32).reshape(5, 3, 8)
y = engine.create_execution_context().run({"x": values})["y"]
powers = np.exp(np.maximum(values, 0))
np.testing.assert_allclose(y, powers / powers.sum(0), rtol=1e-5)
for kernel in ("Activation@1#acme.board:plain", "Reformat@1#acme.board:to_host", "Reformat@1#acme.board:to_board"):
    assert kernel in report, kernel

# Every row of the board against the layer's reference, with red zones around its memory.
check_now("Activation@1#acme.board", [Case("three rows", x=(3, 7)), Case("empty", x=(0, 7))], device=trt.DeviceType.GPU)
