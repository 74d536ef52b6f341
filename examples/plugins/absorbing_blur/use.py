"""A third party on both sides of fusion: the built-in convolution absorbs its formula, its kernel absorbs others."""

import sys

import numpy as np

import dovetail as trt
from dovetail.core.types import FLOATS
from dovetail.machine.plan import read_plan
from dovetail.machine.testing import Case, check_now
from dovetail.plugins import Input, Output, Plugin, field


class SoftClip(Plugin):
    """y = limit * tanh(x / limit)"""

    namespace = "acme"
    x = Input(FLOATS)
    y = Output(like="x")
    limit: float = field(1.0, doc="Largest size of a result.")

    scalar = "limit * tanh(x / limit)"  # that is all: it is the reference, and what kernels absorb


class BoxBlur(Plugin):
    """y = mean of x over a square of 2 * radius + 1 cells, cells outside counting as zero"""

    namespace = "acme"
    x = Input(FLOATS)
    y = Output(like="x")
    radius: int = field(1, low=0, high=16, doc="Cells on each side.")

    def infer(self, x):
        return x.like()

    def reference(self, x):
        r = self.radius
        padded = np.pad(x, ((0, 0), (0, 0), (r, r), (r, r)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (2 * r + 1, 2 * r + 1), axis=(2, 3))
        return windows.mean((-1, -2)).astype(x.dtype)


registry = trt.get_plugin_registry()
registry.add_op(SoftClip, owner="acme-blur")  # the library below, whose namespace is acme, too
registry.add_op(BoxBlur, owner="acme-blur")
registry.load_library(sys.argv[1])
# Every kernel against the reference, and those that absorb with pointwise layers behind them.
check_now("acme::BoxBlur@1#acme.rows", [Case("odd extents", x=(2, 3, 7, 13)), Case("wide", x=(1, 1, 2, 700), radius=2)])
check_now("acme::SoftClip@1", [Case("any", x=(3, 5), limit=0.5)])

rng = np.random.default_rng(0)
kernel = rng.standard_normal((8, 3, 3, 3)).astype(np.float32)
values = rng.standard_normal((2, 3, 20, 31)).astype(np.float32)


def run(allow_fusion: bool) -> tuple[np.ndarray, list[str]]:
    builder = trt.Builder(trt.Logger())
    network = builder.create_network()
    x = network.add_input("x", trt.float32, values.shape)
    convolution = network.add_convolution_nd(x, 8, (3, 3), kernel, np.zeros(8, np.float32))
    soft = network.add_plugin("acme::SoftClip@1", [convolution.get_output(0)], {"limit": 2.0})
    blur = network.add_plugin("acme::BoxBlur@1", [soft.get_output(0)])
    again = network.add_plugin("acme::SoftClip@1", [blur.get_output(0)], {"limit": 0.5})
    relu = network.add_activation(again.get_output(0), trt.ActivationType.RELU)
    convolution.name, soft.name, blur.name, again.name, relu.name = "conv", "soft", "blur", "again", "relu"
    network.mark_output(relu.get_output(0))
    relu.get_output(0).name = "y"
    config = builder.create_builder_config()
    config.default_device_type = trt.DeviceType.CPU
    config.builder_optimization_level = 0  # take what fits first: a network this small is not worth timing
    config.allow_fusion = allow_fusion
    plan = builder.build_serialized_network(network, config)
    steps = [step["layer"] for step in read_plan(plan)["report"]["steps"] if not step["inserted_for"]]
    engine = trt.Runtime(trt.Logger()).deserialize_cuda_engine(plan)
    return engine.create_execution_context().run({"x": values})["y"], steps


fused, steps = run(allow_fusion=True)
print(steps)
assert steps == ["conv + soft", "blur + again + relu"]
alone, steps = run(allow_fusion=False)
assert steps == ["conv", "soft", "blur", "again", "relu"]
assert np.allclose(fused, alone, atol=1e-5)
