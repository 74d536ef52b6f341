"""Single layers, each behind its bias and in front of an activation where networks have one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from graph import EPSILON, Graph


def convolution(
    batch: int | str = 1,
    opset: int = 17,
    fan_in: int = 64,
    channels: int = 64,
    kernel: int = 3,
    size: int = 56,
    stride: int = 1,
    dilation: int = 1,
    depthwise: bool = False,
) -> onnx.ModelProto:
    """Convolution and ReLU."""
    g = Graph("convolution", opset)
    x = g.input("x", [batch, fan_in, size, size])
    groups = fan_in if depthwise else 1
    w = g.random(channels, fan_in // groups, kernel, kernel, std=(2 / (fan_in // groups * kernel**2)) ** 0.5)
    pad = (kernel - 1) * dilation // 2
    attrs = dict(kernel_shape=[kernel] * 2, strides=[stride] * 2, dilations=[dilation] * 2, pads=[pad] * 4)
    y = g.relu(g.op("Conv", x, g.weight(w), g.weight(g.random(channels, std=0.1)), group=groups, **attrs))
    cells = (size - 1) // stride + 1
    g.output(y, "y", [batch, channels, cells, cells])
    return g.model()


def deconvolution(
    batch: int | str = 1,
    opset: int = 17,
    fan_in: int = 256,
    channels: int = 128,
    kernel: int = 4,
    size: int = 16,
) -> onnx.ModelProto:
    """Transposed convolution of stride 2, and ReLU."""
    g = Graph("deconvolution", opset)
    x = g.input("x", [batch, fan_in, size, size])
    y = g.relu(g.deconv(x, channels, kernel, 2, kernel // 2 - 1))
    g.output(y, "y", [batch, channels, 2 * size, 2 * size])
    return g.model()


def gemm(batch: int | str = 1, opset: int = 17, rows: int = 128, k: int = 768, n: int = 768) -> onnx.ModelProto:
    """x @ w + b"""
    g = Graph("gemm", opset)
    x = g.input("x", [batch, rows, k])
    g.channels[x] = k
    g.output(g.linear(x, n), "y", [batch, rows, n])
    return g.model()


def dense(batch: int | str = 1, opset: int = 17, rows: int = 128, k: int = 768, n: int = 768) -> onnx.ModelProto:
    """x @ w^T + b in one node, with `rows` rows."""
    g = Graph("dense", opset)
    x = g.input("x", [rows, k])
    g.channels[x] = k
    g.output(g.gemm(x, n), "y", [rows, n])
    return g.model()


def product(
    batch: int | str = 1, opset: int = 17, heads: int = 12, rows: int = 128, k: int = 64, n: int = 128
) -> onnx.ModelProto:
    """a @ b for each head, both inputs."""
    g = Graph("product", opset)
    a, b = g.input("a", [batch, heads, rows, k]), g.input("b", [batch, heads, k, n])
    g.output(g.op("MatMul", a, b), "y", [batch, heads, rows, n])
    return g.model()


def products(
    batch: int | str = 1, opset: int = 17, heads: int = 12, rows: int = 128, size: int = 64, keys: int | None = None
) -> onnx.ModelProto:
    """softmax(q @ k) @ v for each head; `keys` is the number of keys, that of rows if None."""
    g, keys = Graph("products", opset), keys or rows
    query, value = g.input("query", [batch, heads, rows, size]), g.input("value", [batch, heads, keys, size])
    key = g.input("key", [batch, heads, size, keys])
    scores = g.op("Softmax", g.op("Mul", g.op("MatMul", query, key), g.constant(size**-0.5, np.float32)), axis=-1)
    g.output(g.op("MatMul", scores, value), "y", [batch, heads, rows, size])
    return g.model()


def softmax(batch: int | str = 1, opset: int = 17, dims: Sequence[int] = (12, 128, 128), axis: int = -1):
    g = Graph("softmax", opset)
    x = g.input("x", [batch, *dims])
    g.output(g.op("Softmax", x, axis=axis), "y", [batch, *dims])
    return g.model()


def layer_norm(batch: int | str = 1, opset: int = 17, rows: int = 128, features: int = 768) -> onnx.ModelProto:
    """In opset 17 one node, before that the nodes that it was made of."""
    g = Graph("layer_norm", opset)
    x = g.input("x", [batch, rows, features])
    g.channels[x] = features
    g.output(g.layer_norm(x), "y", [batch, rows, features])
    return g.model()


def rms_norm(batch: int | str = 1, opset: int = 17, rows: int = 128, features: int = 2048) -> onnx.ModelProto:
    """x / sqrt(mean(x^2) + epsilon) * scale, spelled out as exporters do."""
    g = Graph("rms_norm", opset)
    x = g.input("x", [batch, rows, features])
    mean = g.reduce_mean(g.op("Pow", x, g.constant(2, np.float32)), [-1])
    root = g.op("Sqrt", g.op("Add", mean, g.constant(EPSILON, np.float32)))
    y = g.op("Mul", x, g.op("Div", g.constant(1, np.float32), root))
    g.output(g.op("Mul", g.weight(1 + g.random(features, std=0.1)), y), "y", [batch, rows, features])
    return g.model()


def group_norm(
    batch: int | str = 1, opset: int = 17, groups: int | None = 32, channels: int = 320, size: int = 32
) -> onnx.ModelProto:
    """As PyTorch writes it: an instance normalisation of groups between two views. `groups` None: of each channel."""
    g, dims = Graph("group_norm", opset), [batch, channels, size, size]
    x = g.input("x", dims)
    scale, shift = 1 + g.random(channels, 1, 1, std=0.1), g.random(channels, 1, 1, std=0.1)
    if groups is None:
        parameters = g.weight(scale.reshape(-1)), g.weight(shift.reshape(-1))
        y = g.op("InstanceNormalization", x, *parameters, epsilon=EPSILON)
    else:
        ones, zeros = g.weight(np.ones(groups, np.float32)), g.weight(np.zeros(groups, np.float32))
        parts = g.reshape(x, g.sized(batch, x), groups, -1)
        y = g.op("InstanceNormalization", parts, ones, zeros, epsilon=EPSILON)
        y = g.reshape(y, g.sized(batch, x), *dims[1:])
        y = g.op("Add", g.op("Mul", y, g.weight(scale)), g.weight(shift))
    g.output(y, "y", dims)
    return g.model()


def pooling(
    batch: int | str = 1,
    opset: int = 17,
    op: str = "MaxPool",
    channels: int = 64,
    size: int = 112,
    kernel: int = 3,
    stride: int = 2,
) -> onnx.ModelProto:
    """`GlobalAveragePool` has neither kernel nor stride."""
    g = Graph("pooling", opset)
    x = g.input("x", [batch, channels, size, size])
    if op == "GlobalAveragePool":
        y, cells = g.op(op, x), 1
    else:
        pad = (kernel - 1) // 2
        y = g.op(op, x, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[pad] * 4)
        cells = (size + 2 * pad - kernel) // stride + 1
    g.output(y, "y", [batch, channels, cells, cells])
    return g.model()


def resize(batch: int | str = 1, opset: int = 17, mode: str = "nearest", channels: int = 128, size: int = 40):
    """To twice the extents, as PyTorch's upsampling."""
    g = Graph("resize", opset)
    x = g.input("x", [batch, channels, size, size])
    scales = g.constant([1, 1, 2, 2], np.float32)
    how = dict(coordinate_transformation_mode="asymmetric", nearest_mode="floor")
    if mode == "linear":
        how = dict(coordinate_transformation_mode="half_pixel")
    g.output(g.op("Resize", x, "", scales, mode=mode, **how), "y", [batch, channels, 2 * size, 2 * size])
    return g.model()


def transpose(
    batch: int | str = 1, opset: int = 17, dims: Sequence[int] = (128, 12, 64), perm: Sequence[int] = (0, 2, 1, 3)
) -> onnx.ModelProto:
    """`dims` are those behind the batch, which stays where it is."""
    g = Graph("transpose", opset)
    x = g.input("x", [batch, *dims])
    g.output(g.transpose(x, *perm), "y", [batch, *(dims[axis - 1] for axis in perm[1:])])
    return g.model()


def shuffle(batch: int | str = 1, opset: int = 17, channels: int = 116, size: int = 28) -> onnx.ModelProto:
    """ShuffleNet's: the channels of two groups by turns."""
    g, dims = Graph("shuffle", opset), [batch, channels, size, size]
    x = g.input("x", dims)
    parts = g.reshape(x, g.sized(batch, x), 2, channels // 2, size, size)
    y = g.reshape(g.transpose(parts, 0, 2, 1, 3, 4), g.sized(batch, x), *dims[1:])
    g.output(y, "y", dims)
    return g.model()


def pointwise(batch: int | str = 1, opset: int = 17, kind: str = "gelu", dims: Sequence[int] = (128, 3072)):
    """`gelu`, `gelu_by_tanh`, `swish` of x; `add_relu` of two inputs; `scale`: x times a number for each channel."""
    g = Graph(kind, opset)
    x = g.input("x", [batch, *dims])
    if kind == "add_relu":
        y = g.relu(g.op("Add", x, g.input("z", [batch, *dims])))
    elif kind == "scale":
        y = g.op("Mul", x, g.input("z", [batch, dims[0], 1, 1]))
    else:
        y = getattr(g, kind)(x)
    g.output(y, "y", [batch, *dims])
    return g.model()


def recurrent(
    batch: int | str = 1, opset: int = 17, kind: str = "LSTM", length: int = 64, fan_in: int = 256, units: int = 256
) -> onnx.ModelProto:
    """LSTM or GRU (as PyTorch's, with the reset gate behind the product), in one direction; time is the first axis."""
    g, gates = Graph(kind, opset), {"LSTM": 4, "GRU": 3}[kind]
    x = g.input("x", [length, batch, fan_in])
    w = g.weight(g.random(1, gates * units, fan_in, std=fan_in**-0.5))
    r = g.weight(g.random(1, gates * units, units, std=units**-0.5))
    b = g.weight(g.random(1, 2 * gates * units, std=0.1))
    more = dict(linear_before_reset=1) if kind == "GRU" else {}
    y = g.op(kind, x, w, r, b, n_outputs=gates - 1, hidden_size=units, **more)[0]  # [T, 1, N, units]
    g.output(g.op("Squeeze", y, g.constant([1])), "y", [length, batch, units])
    return g.model()
