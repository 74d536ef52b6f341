"""Networks of convolutions and pointwise layers, built with and without fusion."""

import numpy as np

import dovetail as trt
from dovetail.machine.plan import read_plan

RNG = np.random.default_rng(0)
RELU, SIGMOID = trt.ActivationType.RELU, trt.ActivationType.SIGMOID
SUM, PROD = trt.ElementWiseOperation.SUM, trt.ElementWiseOperation.PROD


class Net:
    """A network on one input, with layers called by what they are and their number."""

    def __init__(self, dims=(2, 5, 9, 13), batch=None):
        self.builder = trt.Builder(trt.Logger())
        self.network = self.builder.create_network()
        self.batch = batch
        self.x = self.network.add_input("x", trt.float32, (-1, *dims[1:]) if batch else dims)
        self.values = RNG.uniform(-1, 1, dims).astype(np.float32)
        self.rng = np.random.default_rng(1)
        self.weights = {}

    def named(self, layer, name):
        layer.name = name
        layer.get_output(0).name = f"{name}.y"
        return layer.get_output(0)

    def conv(self, x, maps, name="conv", size=3):
        kernel = self.rng.uniform(-0.5, 0.5, (maps, x.shape[1], size, size)).astype(np.float32)
        bias = self.rng.uniform(-0.5, 0.5, maps).astype(np.float32)
        layer = self.network.add_convolution_nd(x, maps, (size, size), kernel, bias)
        layer.padding_nd = (size // 2, size // 2)
        return self.named(layer, name)

    def activation(self, x, name="act", kind=RELU):
        return self.named(self.network.add_activation(x, kind), name)

    def scale(self, x, name="scale"):
        n = x.shape[1]
        scale, shift = (self.rng.uniform(0.5, 1.5, n).astype(np.float32) for _ in range(2))
        return self.named(self.network.add_scale(x, trt.ScaleMode.CHANNEL, shift, scale), name)

    def add(self, a, b, name="add", op=SUM):
        return self.named(self.network.add_elementwise(a, b, op), name)

    def unary(self, x, op, name):
        return self.named(self.network.add_unary(x, op), name)

    def number(self, value, rank=4):
        """A constant of one value."""
        return self.network.add_constant((1,) * rank, np.full((1,) * rank, value, np.float32)).get_output(0)

    def plan(self, *outputs, **settings):
        for output in outputs:
            self.network.mark_output(output)
        config = self.builder.create_builder_config()
        config.default_device_type = trt.DeviceType.CPU
        config.builder_optimization_level = 0
        for name, value in settings.items():
            setattr(config, name, value)
        if self.batch:
            profile = self.builder.create_optimization_profile()
            dims = tuple(self.x.shape)[1:]
            profile.set_shape("x", *((n, *dims) for n in self.batch))
            config.add_optimization_profile(profile)
        return self.builder.build_serialized_network(self.network, config)


def run(plan, x):
    return trt.Runtime(trt.Logger()).deserialize_cuda_engine(plan).create_execution_context().run({"x": x})


def steps(plan):
    return [s["layer"] for s in read_plan(plan)["report"]["steps"] if not s["inserted_for"]]


def not_fused(plan):
    return read_plan(plan)["report"]["not_fused"]


def check_both(net, *outputs, wanted, by_time=(), **settings):
    """Fused and by themselves the layers give the same; the steps are those that are wanted.

    Where candidates are timed, times decide about reformats, and whether layers of `by_time` are steps.
    """
    fused = net.plan(*outputs, **settings)
    is_timed = settings.get("builder_optimization_level", 0) > 0
    found = steps(fused)
    if is_timed:
        found = [name for name in found if name not in by_time and not name.startswith("reformat ")]
    assert found == wanted
    alone = net.plan(allow_fusion=False, **settings)
    assert not any(" + " in name for name in steps(alone))
    check_alike(net, fused, alone)
    return fused


def check_alike(net, plan, other):
    """Both plans compute the same of the network's values.

    Differences are compared with the largest value of a tensor: a timed build may choose Winograd, whose error is a
    part of the values that a tile sums, and not of what is left of them.
    """
    wanted = run(other, net.values)
    for name, value in run(plan, net.values).items():
        scale = max(1.0, float(np.abs(wanted[name]).max()))
        np.testing.assert_allclose(value / scale, wanted[name] / scale, rtol=1e-4, atol=2e-5, err_msg=name)
