"""Two inputs with different open extents, two outputs, run at two sizes; and what a mistake looks like."""

import sys

import numpy as np

import dovetail as trt

trt.get_plugin_registry().load_library(sys.argv[1])
builder = trt.Builder(trt.Logger())
network = builder.create_network()
a = network.add_input("a", trt.float32, (-1, 3))
b = network.add_input("b", trt.float32, (-1, 3))
layer = network.add_plugin("BarPlugin", [a, b])
for index, name in enumerate(("joined", "copy")):
    layer.get_output(index).name = name
    network.mark_output(layer.get_output(index))
config, profile = builder.create_builder_config(), builder.create_optimization_profile()
config.default_device_type = trt.DeviceType.CPU  # where the plugin computes
for name in ("a", "b"):
    profile.set_shape(name, (1, 3), (4, 3), (16, 3))
config.add_optimization_profile(profile)
plan = builder.build_serialized_network(network, config)

context = trt.Runtime(trt.Logger()).deserialize_cuda_engine(plan).create_execution_context()
for rows in ((1, 5), (16, 2)):
    first, second = (np.random.default_rng(n).random((n, 3), np.float32) for n in rows)
    outputs = context.run({"a": first, "b": second})
    assert np.array_equal(outputs["joined"], np.concatenate([first, second]))
    assert np.array_equal(outputs["copy"], first)
    print(first.shape, second.shape, "->", outputs["joined"].shape, outputs["copy"].shape)

try:
    wrong = builder.create_network()
    tensors = [wrong.add_input("a", trt.float32, (2, 3)), wrong.add_input("b", trt.float32, (2, 3, 4))]
    wrong.mark_output(wrong.add_plugin("BarPlugin", tensors).get_output(0))
    builder.build_serialized_network(wrong, builder.create_builder_config())
except trt.errors.ShapeError as error:
    print(error)
else:
    sys.exit("inputs of two ranks were joined")
