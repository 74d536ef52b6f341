"""Each kernel of the op against its reference, and the op in a network."""

import numpy as np

import dovetail as trt
from dovetail.machine.testing import Case, check

test_dither = check(
    "halftone::Dither@1",
    [
        Case("picture", x=(3, 31, 18)),
        Case("five levels", x=(1, 2, 9, 7), levels=5, low=-0.2, high=1.2),
        Case("one row", x=(1, 3)),
        Case("empty", x=(0, 3)),
    ],
)


def test_it_is_found_without_being_imported():
    builder = trt.Builder(trt.Logger())
    network = builder.create_network()
    layer = network.add_plugin("halftone::Dither@1", [network.add_input("x", trt.float32, (2, 8, 8))])
    layer.get_output(0).name = "y"
    network.mark_output(layer.get_output(0))
    config = builder.create_builder_config()
    config.default_device_type = trt.DeviceType.CPU  # for which the library has kernels
    plan = builder.build_serialized_network(network, config)
    context = trt.Runtime(trt.Logger()).deserialize_cuda_engine(plan).create_execution_context()
    y = context.run({"x": np.full((2, 8, 8), 0.25, np.float32)})["y"]
    assert y.mean() == 0.25
