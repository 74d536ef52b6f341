"""An op as a Python class with a kernel of its own: darkens a picture towards its corners."""

import numpy as np

import dovetail as trt
from dovetail.core.types import DataType
from dovetail.plugins import Input, Output, Plugin, field


def mask(height, width, strength):
    """1 in the middle, 1 - strength in the corners."""
    rows, columns = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)
    return 1 - strength * (rows**2 + columns**2) / 2


class Vignette(Plugin):
    """y[r, c] = x[r, c] * (1 - strength * (u(r)^2 + u(c)^2) / 2), u from -1 to 1 across the picture.

    Inputs    x  [..., H, W], float32
    Outputs   y  dims of x
    """

    namespace = "acme"
    x = Input((DataType.FLOAT,))
    y = Output(like="x")
    strength: float = field(0.5, low=0, high=1, doc="How dark the corners become.")

    def infer(self, x):
        return x.like()

    def reference(self, x):
        return x * mask(*x.shape[-2:], self.strength)

    # The kernel. What depends on the extents alone is made when they change; each context has its own.
    def shape_changed(self, inputs, outputs):
        self.mask = mask(*inputs[0].dims[-2:], self.strength).astype(np.float32)

    def enqueue(self, inputs, outputs, workspace, stream):
        np.multiply(inputs[0], self.mask, out=outputs[0])


def main():
    trt.get_plugin_registry().add_op(Vignette)
    builder = trt.Builder(trt.Logger())
    network = builder.create_network()
    x = network.add_input("x", trt.float32, (3, -1, -1))
    layer = network.add_plugin("acme::Vignette@1", [x], {"strength": 0.8})
    layer.get_output(0).name = "y"
    network.mark_output(layer.get_output(0))
    config, profile = builder.create_builder_config(), builder.create_optimization_profile()
    config.default_device_type = trt.DeviceType.CPU  # where the plugin computes
    profile.set_shape("x", (3, 1, 1), (3, 480, 640), (3, 1080, 1920))
    config.add_optimization_profile(profile)
    plan = builder.build_serialized_network(network, config)
    print(trt.build_report(plan))
    context = trt.Runtime(trt.Logger()).deserialize_cuda_engine(plan).create_execution_context()
    for size in ((48, 64), (9, 5)):
        values = np.random.default_rng(0).random((3, *size), np.float32)
        assert np.allclose(context.run({"x": values})["y"], values * mask(*size, 0.8), atol=1e-6)


if __name__ == "__main__":
    main()
