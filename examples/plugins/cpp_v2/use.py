"""Loads the library while the program runs, and uses its op in a network with open extents."""

import sys

import numpy as np

import dovetail as trt

record = trt.get_plugin_registry().load_library(sys.argv[1])
print(record.name, record.version, record.ops)

builder = trt.Builder(trt.Logger())
network = builder.create_network()
picture = network.add_input("picture", trt.float32, (3, -1, -1))
layer = network.add_plugin("acme::Posterize@1", [picture], {"levels": 3})
layer.get_output(0).name = "poster"
network.mark_output(layer.get_output(0))
config, profile = builder.create_builder_config(), builder.create_optimization_profile()
config.default_device_type = trt.DeviceType.CPU  # where the plugin computes
profile.set_shape("picture", (3, 1, 1), (3, 480, 640), (3, 2160, 3840))
config.add_optimization_profile(profile)
plan = builder.build_serialized_network(network, config)

context = trt.Runtime(trt.Logger()).deserialize_cuda_engine(plan).create_execution_context()
values = np.random.default_rng(0).uniform(-0.2, 1.2, (3, 47, 64)).astype(np.float32)
poster = context.run({"picture": values})["poster"]
assert np.array_equal(poster, np.floor(np.clip(values, 0, 1) * 2 + 0.5) / 2)
print("values:", np.unique(poster))
