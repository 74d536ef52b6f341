"""Single layers, each behind its bias and in front of an activation where networks have one."""

from __future__ import annotations

import numpy as np
import onnx
from graph import Graph


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


def products(
    batch: int | str = 1, opset: int = 17, heads: int = 12, rows: int = 128, size: int = 64
) -> onnx.ModelProto:
    """softmax(q @ k) @ v for each head."""
    g = Graph("products", opset)
    dims = [batch, heads, rows, size]
    query, value = g.input("query", dims), g.input("value", dims)
    key = g.input("key", [batch, heads, size, rows])
    scores = g.op("Softmax", g.op("Mul", g.op("MatMul", query, key), g.constant(size**-0.5, np.float32)), axis=-1)
    g.output(g.op("MatMul", scores, value), "y", dims)
    return g.model()
