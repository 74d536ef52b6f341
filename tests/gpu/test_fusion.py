"""Pointwise layers that CUDA kernels compute before they store their results."""

import numpy as np
import pytest
from networks import new_network

import dovetail as trt
from dovetail.core.types import DataType, DeviceType
from dovetail.machine.plan import read_plan
from dovetail.machine.testing import Case, Yardstick, make_layer, rows_of, run_row
from dovetail.machine.testing_epilogues import ALONG_LAST_AXIS, EPILOGUES, Behind, absorbs

pytestmark = pytest.mark.gpu

RELU = trt.ActivationType.RELU
SUM, GREATER = trt.ElementWiseOperation.SUM, trt.ElementWiseOperation.GREATER
HALVES = (DataType.HALF, DataType.BF16)
# Those of the bench, and what kernels compute without a program or take out of the front of one. `w` has one value for
# each place on the last axis.
ALONG_CHANNELS = {name: formulas for name, formulas in EPILOGUES.items() if name not in ALONG_LAST_AXIS} | {
    "bias": ("x + along(s, 1)",),
    "bias, residual and limits": ("along(s, 1) + x", "r + x", "max(x, -0.5)", "min(x, 0.75)"),
    "limits the other way round": ("min(max(min(x, 1.5), 0.25), 2)", "max(x, 0.5)"),
    "bias and value used twice": ("x + along(s, 1)", "x * sigmoid(x)", "x + r"),
    "limits, then more": ("max(x, 0)", "x * 0.5 + r", "x if x >= 0 else 0.1 * x"),
}
ALONG_COLUMNS = {
    "bias": ("x + w",),
    "bias and gelu": ("w + x", "0.5 * x * (1 + erf(x * 0.70710678))"),
    "bias and residual": ("x + w", "x + r"),
    "factor, residual and limits": ("x * w", "r + x", "max(x, -0.5)", "min(x, 0.75)"),
    "residual, then bias": ("x + r", "x + w", "max(x, 0)"),
}


def convolution(name, x, kernel, groups=1, op="Convolution@1", **more):
    maps = kernel[0] if op == "Convolution@1" else kernel[1] * groups
    bias = {"bias": (maps,)} if more.pop("bias", False) else {}
    fields = {"num_output_maps": maps, "kernel_size_nd": kernel[2:], "num_groups": groups}
    return op, Case(name, x=x, kernel=kernel, **bias, **fields, **more)


def deconvolution(name, x, kernel, **more):
    return convolution(name, x, kernel, op="Deconvolution@1", **more)


def product(name, a, b, **more):
    return "MatrixMultiply@1", Case(name, a=a, b=b, op0=more.pop("op0", 0), op1=more.pop("op1", 0), **more)


TWO = (2, 2)
WITH_CHANNELS = [
    convolution("tiles and a half", (2, 19, 9, 17), (70, 19, 3, 3), pre_padding=(1, 1), post_padding=(1, 1)),
    convolution("with a bias of its own", (1, 24, 7, 7), (40, 24, 1, 1), bias=True),
    convolution("one pixel", (3, 18, 1, 1), (5, 18, 1, 1)),
    convolution("depthwise", (2, 21, 6, 9), (21, 1, 3, 3), groups=21),
    convolution("groups", (2, 32, 9, 10), (32, 16, 3, 3), groups=2, stride_nd=TWO),
    convolution("volume", (1, 3, 4, 5, 6), (9, 3, 2, 2, 2)),
    deconvolution("twice as large", (2, 20, 7, 7), (20, 37, 4, 4), stride_nd=TWO, pre_padding=(1, 1)),
    deconvolution("few maps", (2, 20, 5, 6), (20, 3, 4, 4), stride_nd=TWO, bias=True),
    deconvolution("stride above the window", (1, 9, 4, 4), (9, 12, 2, 2), stride_nd=(3, 3)),
    deconvolution("one pixel", (3, 40, 1, 1), (40, 24, 4, 4)),
    ("FullyConnected@1", Case("fully connected", x=(5, 6, 3, 2), kernel=(70, 36), num_output_channels=70)),
    ("FullyConnected@1", Case("with a bias", x=(130, 40, 1, 1), kernel=(65, 40), bias=(65,), num_output_channels=65)),
    deconvolution("depthwise", (1, 6, 7, 7), (6, 1, 3, 3), groups=6, stride_nd=TWO),
]  # fmt: skip
WITH_COLUMNS = [
    product("larger than a tile", (131, 70), (70, 137)),
    product("odd columns", (37, 64), (64, 51)),
    product("a batch", (2, 3, 33, 40), (2, 3, 40, 66)),
    product("a batch of a", (2, 5, 70), (1, 70, 150)),
    product("a repeated", (1, 35, 24), (4, 24, 33)),
    product("transposed", (40, 30), (50, 40), op0=1, op1=1),
    product("one row", (1, 300), (300, 77)),
    product("a vector on the right", (2, 75, 40), (2, 40), op1=2),
    ("Einsum@1", Case("turned", a=(3, 40, 21), b=(3, 21, 34), equation="bij,bjk->bki")),
]
MAPS = (2, 18, 9, 13)
POINTWISE = [
    ("Activation@1", Case("relu", x=MAPS, type=RELU)),
    ("Unary@1", Case("abs", x=MAPS, op=trt.UnaryOperation.ABS)),
    ("Scale@1", Case("scale", x=MAPS, scale=(18,), shift=(18,), mode=trt.ScaleMode.CHANNEL, channel_axis=1)),
    ("ElementWise@1", Case("sum", a=MAPS, b=MAPS, op=SUM)),
    ("ElementWise@1", Case("repeated", a=(2, 18, 1, 13), b=MAPS, op=SUM)),
    ("ElementWise@1", Case("matrix", a=(37, 70), b=(1, 70), op=SUM)),
    ("Activation@1", Case("one pixel", x=(3, 20, 1, 1), type=RELU)),
    ("Activation@1", Case("volume", x=(1, 3, 4, 5, 7), type=RELU)),
]
ALONG_ANY_AXES = {
    "row": ("x * w",),
    "channel": ("x * g + along(s, 1)", "tanh(x)"),
    "all forms": ("x * w + along(t, 1)", "max(x, r)", "x * sigmoid(x)"),
}


def check(op, case, dtype, epilogues):
    """Every row with every epilogue, against the reference in float64; all rows absorb all of them."""
    lookup = trt.get_plugin_registry()
    arrays, values = case.arrays(lookup, op, dtype)
    layer = make_layer(lookup, op, arrays, values)
    rows = [row for row in rows_of(lookup, layer, DeviceType.GPU)[0] if absorbs(row)]
    assert rows
    yardstick = Yardstick(layer, arrays)
    for name, formulas in epilogues.items():
        behind = Behind(layer, formulas)
        for row in rows:
            assert behind.is_absorbed(row), f"{name}: {row.row.tactic}"
            yardstick.check(run_row(layer, row, arrays, behind=behind)[0], 0, behind)


@pytest.mark.parametrize("dtype", [DataType.FLOAT, *HALVES], ids=lambda dtype: dtype.name)
@pytest.mark.parametrize(("op", "case"), WITH_CHANNELS, ids=lambda given: getattr(given, "name", given))
def test_what_has_channels_computes_every_epilogue(op, case, dtype):
    check(op, case, dtype, ALONG_CHANNELS)


@pytest.mark.parametrize("dtype", [DataType.FLOAT, *HALVES], ids=lambda dtype: dtype.name)
@pytest.mark.parametrize(("op", "case"), WITH_COLUMNS, ids=lambda given: getattr(given, "name", given))
def test_products_compute_what_lies_along_their_columns(op, case, dtype):
    check(op, case, dtype, ALONG_COLUMNS)


@pytest.mark.parametrize("dtype", [DataType.FLOAT, *HALVES], ids=lambda dtype: dtype.name)
@pytest.mark.parametrize(("op", "case"), POINTWISE, ids=lambda given: getattr(given, "name", given))
def test_pointwise_layers_compute_what_follows_in_every_format(op, case, dtype):
    check(op, case, dtype, ALONG_ANY_AXES)


# ---- networks


class Net:
    """A network on one input whose layers are called by what they are."""

    def __init__(self, dims, dtype=trt.float32):
        self.builder, self.network, self.config = new_network()
        self.x = self.network.add_input("x", dtype, dims)
        self.rng = np.random.default_rng(0)
        self.values = self.rng.uniform(-1, 1, dims).astype(trt.nptype(dtype))
        self.nptype = trt.nptype(dtype)

    def named(self, layer, name):
        layer.name, layer.get_output(0).name = name, f"{name}.y"
        return layer.get_output(0)

    def weights(self, *dims):
        return self.rng.uniform(-0.5, 0.5, dims).astype(self.nptype)

    def constant(self, *dims):
        return self.network.add_constant(dims, self.weights(*dims)).get_output(0)

    def act(self, x, name="act", kind=RELU):
        return self.named(self.network.add_activation(x, kind), name)

    def add(self, a, b, name="add"):
        return self.named(self.network.add_elementwise(a, b, SUM), name)

    def product(self, x, columns, name="product"):
        kernel = self.constant(*(1,) * (len(x.shape) - 2), x.shape[-1], columns)
        none = trt.MatrixOperation.NONE
        return self.named(self.network.add_matrix_multiply(x, none, kernel, none), name)

    def conv(self, x, maps, name="conv", size=3):
        layer = self.network.add_convolution_nd(x, maps, (size, size), self.weights(maps, x.shape[1], size, size))
        layer.padding_nd = (size // 2, size // 2)
        return self.named(layer, name)

    def deconv(self, x, maps, name="deconv"):
        layer = self.network.add_deconvolution_nd(x, maps, (4, 4), self.weights(x.shape[1], maps, 4, 4))
        layer.stride_nd, layer.padding_nd = (2, 2), (1, 1)
        return self.named(layer, name)

    def steps_and_result(self, **settings):
        for name, value in settings.items():
            setattr(self.config, name, value)
        plan = self.builder.build_serialized_network(self.network, self.config)
        engine = trt.Runtime(self.builder.logger).deserialize_cuda_engine(plan)
        steps = [s["layer"] for s in read_plan(plan)["report"]["steps"] if not s["inserted_for"]]
        (result,) = engine.create_execution_context().run({"x": self.values}).values()
        return steps, np.asarray(result).astype(np.float32)

    def check(self, y, wanted=None):
        """The steps are these if nothing is timed, and the result is that of the layers by themselves."""
        self.network.mark_output(y)
        steps, fused = self.steps_and_result(builder_optimization_level=0 if wanted else 3)
        assert wanted is None or steps == wanted
        alone, plain = self.steps_and_result(allow_fusion=False)
        assert not any(" + " in name for name in alone)
        unit = 1e-5 if self.nptype == np.float32 else 4e-3
        np.testing.assert_allclose(fused, plain, rtol=unit, atol=unit * np.abs(plain).max())


TYPES = pytest.mark.parametrize("dtype", [trt.float32, trt.float16], ids=lambda dtype: dtype.name)


@TYPES
@pytest.mark.parametrize("is_timed", [False, True])
def test_a_residual_block_is_one_step_for_each_convolution(dtype, is_timed):
    net = Net((2, 32, 14, 14), dtype)
    first = net.act(net.conv(net.x, 64, "conv1"), "relu1")
    y = net.act(net.add(net.conv(first, 32, "conv2", 1), net.x), "relu2")
    net.check(y, None if is_timed else ["conv1 + relu1", "conv2 + add + relu2"])


@TYPES
def test_a_deconvolution_absorbs_what_follows_it(dtype):
    net = Net((2, 24, 9, 7), dtype)
    y = net.act(net.add(net.act(net.deconv(net.x, 16)), net.constant(1, 16, 1, 1)), "tanh", trt.ActivationType.TANH)
    net.check(y, ["deconv + act + add + tanh"])


@TYPES
def test_a_product_absorbs_bias_activation_and_residual(dtype):
    net = Net((3, 50, 48), dtype)
    first = net.add(net.product(net.x, 96, "up"), net.constant(1, 1, 96), "bias1")
    active = net.act(first, "tanh", trt.ActivationType.TANH)
    second = net.add(net.product(active, 48, "down"), net.constant(1, 1, 48), "bias2")
    y = net.add(second, net.x, "residual")
    net.check(y, ["up + bias1 + tanh", "down + bias2 + residual"])


def test_an_operand_along_the_rows_of_a_product_stays():
    net = Net((3, 50, 48))
    net.check(net.add(net.product(net.x, 96), net.constant(1, 50, 1)), ["product", "add"])


def test_large_layers_are_timed_without_bringing_their_tensors_to_the_gpu_for_each_kernel():
    net = Net((16, 32, 128, 128), trt.float16)
    net.check(net.act(net.conv(net.x, 32)))


@TYPES
def test_pointwise_layers_alone_become_one_step(dtype):
    net = Net((2, 18, 9, 13), dtype)
    first = net.add(net.act(net.x, "head"), net.constant(1, 1, 9, 1), "rows")
    net.check(net.act(net.add(first, net.x, "sum"), "tanh", trt.ActivationType.TANH), ["head + rows + sum + tanh"])


def test_results_that_are_not_floats_take_nothing():
    net = Net((2, 18, 9, 13))
    network = net.network
    larger = net.named(network.add_elementwise(net.x, net.constant(1, 18, 1, 1), GREATER), "larger")
    y = net.named(network.add_cast(larger, trt.float32), "cast")
    net.check(net.act(y), ["larger", "cast", "act"])
