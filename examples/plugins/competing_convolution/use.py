"""Pits the library's convolution against the built-in ones, and pins a layer to it."""

import sys

import numpy as np

import dovetail as trt

record = trt.get_plugin_registry().load_library(sys.argv[1])
print(record.name, "brings", *record.implementations)

rng = np.random.default_rng(0)
kernel = rng.standard_normal((8, 2, 3, 3)).astype(np.float32)
values = rng.standard_normal((1, 4, 30, 41)).astype(np.float32)


def run(pin: str | None) -> np.ndarray:
    builder = trt.Builder(trt.Logger())
    network = builder.create_network()
    x = network.add_input("x", trt.float32, values.shape)
    layer = network.add_convolution_nd(x, 8, (3, 3), kernel, np.arange(8, dtype=np.float32))
    layer.name, layer.num_groups, layer.stride_nd, layer.padding_nd = "conv", 2, (2, 1), (1, 1)
    layer.get_output(0).name = "y"
    network.mark_output(layer.get_output(0))
    config = builder.create_builder_config()
    config.default_device_type = trt.DeviceType.CPU  # for which the library has kernels
    if pin:
        config.pin_implementation("conv", pin)
    plan = builder.build_serialized_network(network, config)
    print(trt.build_report(plan, "conv"))
    engine = trt.Runtime(trt.Logger()).deserialize_cuda_engine(plan)
    return engine.create_execution_context().run({"x": values})["y"]


fastest = run(None)  # whoever is fastest on this machine
ours = run("#acme.direct")  # this library, whatever it costs
assert np.allclose(ours, fastest, atol=1e-4)
