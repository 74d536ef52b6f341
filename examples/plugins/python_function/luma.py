"""An op from one function: the brightness of a picture, weighted as the eye weighs colours."""

import numpy as np

import dovetail as trt
from dovetail.core.types import FLOATS
from dovetail.plugins import Input, op


def one_channel(picture):
    """Dims and type of the output: those of the input, with one channel."""
    return picture.like([*picture.dims[:-3], 1, *picture.dims[-2:]])


@op("acme::Luma@1", infer=one_channel)
def luma(picture: Input(FLOATS), *, weights: trt.Floats = (0.2126, 0.7152, 0.0722)):
    """y = weights[0] * red + weights[1] * green + weights[2] * blue; the default is ITU-R BT.709."""
    red, green, blue = np.moveaxis(picture, -3, 0)
    return (weights[0] * red + weights[1] * green + weights[2] * blue)[..., None, :, :]


def main():
    trt.get_plugin_registry().add_op(luma)
    builder = trt.Builder(trt.Logger())
    network = builder.create_network()
    picture = network.add_input("picture", trt.float32, (3, -1, -1))
    grey = network.add_plugin("acme::Luma@1", [picture]).get_output(0)
    print("grey is", grey.shape)
    grey.name = "grey"
    network.mark_output(grey)
    config, profile = builder.create_builder_config(), builder.create_optimization_profile()
    config.default_device_type = trt.DeviceType.CPU  # where the plugin computes
    profile.set_shape("picture", (3, 1, 1), (3, 480, 640), (3, 1080, 1920))
    config.add_optimization_profile(profile)
    plan = builder.build_serialized_network(network, config)
    print(trt.build_report(plan))
    context = trt.Runtime(trt.Logger()).deserialize_cuda_engine(plan).create_execution_context()
    values = np.random.default_rng(0).random((3, 48, 64), np.float32)
    assert np.allclose(context.run({"picture": values})["grey"], luma(values), atol=1e-6)


if __name__ == "__main__":
    main()
