"""Tensors with ranges become INT8 in front of convolutions and products; what is near such a pattern stays in float."""

import re

import numpy as np
import pytest
from networks import engine_of, new_network

import dovetail as trt

RNG = np.random.default_rng(11)
RANGE = 4.0


class Net:
    """A network whose tensors all have a range unless a test takes it away."""

    def __init__(self, *shape):
        self.builder, self.network, self.config = new_network()
        self.config.default_device_type = trt.DeviceType.CPU
        self.x = self.network.add_input("x", trt.float32, shape or (2, 8, 9, 7))

    def conv(self, x, maps=8, kernel=3, groups=1, name=""):
        channels = x.shape[1] // groups
        weights = RNG.standard_normal((maps, channels, kernel, kernel)) / np.sqrt(channels) / kernel
        layer = self.network.add_convolution_nd(x, maps, (kernel, kernel), weights.astype(np.float32))
        layer.padding_nd, layer.num_groups = (kernel // 2,) * 2, groups
        layer.name = name or layer.name
        return layer.get_output(0)

    def relu(self, x):
        return self.network.add_activation(x, trt.ActivationType.RELU).get_output(0)

    def sum(self, a, b):
        return self.network.add_elementwise(a, b, trt.ElementWiseOperation.SUM).get_output(0)

    def output(self, y, name="y"):
        y.name = name
        self.network.mark_output(y)

    def plan(self):
        self.config.set_flag(trt.BuilderFlag.INT8)
        for tensor in self.network.tensors():
            if tensor.dynamic_range is None and tensor.dtype == trt.float32:
                tensor.set_dynamic_range(-RANGE, RANGE)
        return str(self.builder.build_serialized_network(self.network, self.config))

    def near(self):
        """Outputs in INT8 are those in float within some steps; returns both."""
        x = np.clip(RNG.standard_normal(self.x.shape), -RANGE, RANGE).astype(np.float32)
        wanted = engine_of(self.builder, self.network, self.config).create_execution_context().run({"x": x})
        self.plan()
        found = engine_of(self.builder, self.network, self.config).create_execution_context().run({"x": x})
        for name in wanted:
            assert np.abs(found[name] - wanted[name]).max() < 4 * RANGE / 127
            assert not np.array_equal(found[name], wanted[name])


def residual(net):
    a = net.relu(net.conv(net.x))
    b = net.relu(net.sum(net.conv(net.relu(net.conv(a))), a))
    net.output(net.conv(b))


def pooled(net):
    layer = net.network.add_pooling_nd(net.relu(net.conv(net.x)), trt.PoolingType.MAX, (2, 2))
    net.output(net.conv(layer.get_output(0)))


def joined(net):
    layer = net.network.add_concatenation([net.relu(net.conv(net.x)), net.conv(net.x, kernel=1)])
    net.output(net.conv(layer.get_output(0)))


def depthwise(net):
    net.output(net.conv(net.relu(net.conv(net.relu(net.conv(net.x)), groups=8)), kernel=1))


def swish(net):
    a = net.conv(net.x)
    gate = net.network.add_activation(a, trt.ActivationType.SIGMOID).get_output(0)
    net.output(net.conv(net.network.add_elementwise(a, gate, trt.ElementWiseOperation.PROD).get_output(0)))


def hard_swish(net):
    a = net.conv(net.x)
    gate = net.network.add_activation(a, trt.ActivationType.HARD_SIGMOID)
    gate.alpha, gate.beta = 1 / 6, 0.5
    y = net.network.add_elementwise(a, gate.get_output(0), trt.ElementWiseOperation.PROD).get_output(0)
    net.output(net.conv(net.conv(y, groups=8)))


def two_outputs(net):
    middle = net.relu(net.conv(net.x))
    net.output(middle, "middle")
    net.output(net.conv(middle))


def steps_of(text):
    """The ops of the plan's steps, without reformats."""
    lines = [line for line in text.splitlines() if re.match(r"  \d+ ", line)]
    return [re.search(r" (\w+)@1#", line)[1] for line in lines if "Reformat@1#" not in line]


CONV = "QuantizedConvolution"


@pytest.mark.parametrize(
    ("make", "steps"),
    [
        (residual, ["Quantize", CONV, CONV, CONV, CONV]),  # the sum is in the third
        (pooled, ["Quantize", CONV, "Pooling", CONV]),
        (joined, ["Quantize", CONV, CONV, "Concatenation", CONV]),
        (depthwise, ["Quantize", CONV, CONV, CONV]),
        (swish, ["Quantize", CONV, "ByteTable", CONV]),
        (hard_swish, ["Quantize", CONV, "ByteTable", CONV, CONV]),
    ],
)
def test_layers_between_convolutions_work_on_integers(make, steps):
    net = Net()
    make(net)
    assert steps_of(net.plan()) == steps
    again = Net()
    make(again)
    again.near()


def test_a_gate_of_its_own_is_no_function_of_one_tensor():
    """Squeeze and excite: the sums are taken in float by the mean and by the product."""
    net = Net()
    a = net.relu(net.conv(net.x))
    mean = net.network.add_reduce(a, trt.ReduceOperation.AVG, 0b1100, True).get_output(0)
    gate = net.network.add_activation(net.conv(mean, kernel=1), trt.ActivationType.SIGMOID).get_output(0)
    net.output(net.conv(net.network.add_elementwise(a, gate, trt.ElementWiseOperation.PROD).get_output(0)))
    net.near()
    assert "ByteTable" not in steps_of(net.plan())


def test_an_output_in_the_middle_stays_in_float():
    net = Net()
    two_outputs(net)
    net.near()
    assert net.plan().count("QuantizedConvolution@1#") >= 2


def test_products_with_constant_weights_and_no_others():
    net = Net(2, 5, 16)
    none = trt.MatrixOperation.NONE
    for op in (none, trt.MatrixOperation.TRANSPOSE):
        w = RNG.standard_normal((1, 16, 16)).astype(np.float32) / 4
        weights = net.network.add_constant(w.shape, w).get_output(0)
        net.output(net.network.add_matrix_multiply(net.x, none, weights, op).get_output(0), f"y{int(op)}")
    products = net.network.add_matrix_multiply(net.x, none, net.x, trt.MatrixOperation.TRANSPOSE)
    products.name = "scores"
    net.output(products.get_output(0), "scores")
    text = net.plan()
    assert text.count("  QuantizedMatrixMultiply@1#") == 2
    assert "scores" not in text.split("in INT8, by the ranges of their inputs: ")[1].splitlines()[0]


def test_weights_have_a_scale_for_each_output_channel():
    """Channels whose weights differ by orders of magnitude are as exact as others, and one of zeros is 0."""
    net = Net(1, 4, 6, 6)
    weights = RNG.standard_normal((5, 4, 1, 1)).astype(np.float32)
    scales = np.float32([1e-4, 1, 1e4, 0, 1e-20]).reshape(5, 1, 1, 1)
    net.output(net.network.add_convolution_nd(net.x, 5, (1, 1), weights * scales).get_output(0))
    x = RNG.uniform(-RANGE, RANGE, net.x.shape).astype(np.float32)
    net.plan()
    y = engine_of(net.builder, net.network, net.config).create_execution_context().run({"x": x})["y"]
    wanted = np.einsum("nchw,kc->nkhw", x.astype(np.float64), (weights * scales)[:, :, 0, 0])
    assert np.all(y[:, 3] == 0)
    for channel in (0, 1, 2, 4):
        largest = np.abs(wanted[:, channel]).max()
        assert np.abs(y[:, channel] - wanted[:, channel]).max() < 0.04 * largest


def test_what_is_outside_of_the_range_is_cut_off():
    net = Net(1, 1, 4, 4)
    one = np.ones((1, 1, 1, 1), np.float32)
    net.output(net.network.add_convolution_nd(net.x, 1, (1, 1), one).get_output(0))
    net.plan()
    context = engine_of(net.builder, net.network, net.config).create_execution_context()
    x = np.linspace(-10, 10, 16, dtype=np.float32).reshape(1, 1, 4, 4)
    step = RANGE / 127
    assert np.allclose(context.run({"x": x})["y"], np.clip(np.rint(x / step), -128, 127) * step, atol=1e-5)


def test_pinned_layers_and_layers_of_other_types_stay():
    net = Net()
    pinned = net.conv(net.x, name="pinned")
    net.config.pin_implementation("pinned", "#reference")
    half = net.network.add_cast(net.x, trt.float16).get_output(0)
    kernel = RNG.standard_normal((4, 8, 1, 1)).astype(np.float16)
    layer = net.network.add_convolution_nd(half, 4, (1, 1), kernel)
    layer.name = "half"
    net.output(pinned)
    net.output(layer.get_output(0), "z")
    text = net.plan()
    assert "QuantizedConvolution" not in text
    assert "left as they are by quantize_by_ranges, pinned to #reference: pinned" in text


def test_without_the_flag_ranges_change_nothing():
    net = Net()
    residual(net)
    for tensor in net.network.tensors():
        tensor.set_dynamic_range(-1, 1)
    assert "Quantize" not in str(net.builder.build_serialized_network(net.network, net.config))
