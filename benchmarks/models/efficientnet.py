"""EfficientNet-B0 (Tan and Le 2019): inverted residuals with squeeze and excitation; Swish is Sigmoid and Mul."""

from __future__ import annotations

from collections.abc import Sequence

import onnx
from graph import Graph

# expansion, channels, blocks, stride of the first, kernel
STAGES = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)
SQUEEZE = 4  # the inner layer of an excitation has the block's input channels divided by this


def excite(g: Graph, x: str, inner: int) -> str:
    """x times one factor for each channel, which all the channels' means decide."""
    y = g.swish(g.conv(g.reduce_mean(x, [2, 3]), inner))
    return g.op("Mul", x, g.op("Sigmoid", g.conv(y, g.channels[x], gain=1.0, bias=2.0)))


def mb_conv(g: Graph, x: str, channels: int, expansion: int, stride: int, kernel: int) -> str:
    inner = g.channels[x] * expansion
    y = x if expansion == 1 else g.swish(g.conv(x, inner, gain=1.7, normalized=True))
    y = g.swish(g.conv(y, inner, kernel, stride, groups=inner, normalized=True))
    y = excite(g, y, max(1, g.channels[x] // SQUEEZE))
    is_residual = stride == 1 and g.channels[x] == channels
    y = g.conv(y, channels, gain=0.3 if is_residual else 2.3, normalized=True)
    return g.op("Add", y, x) if is_residual else y


def efficientnet_b0(
    batch: int | str = 1,
    opset: int = 17,
    folded: bool = True,
    stages: Sequence[tuple[int, int, int, int, int]] = STAGES,
    stem: int = 32,
    features: int = 1280,
    size: int = 224,
    classes: int = 1000,
) -> onnx.ModelProto:
    g = Graph("efficientnet_b0", opset, folded=folded)
    x = g.input("image", [batch, 3, size, size])
    x = g.swish(g.conv(x, stem, 3, stride=2, normalized=True))
    for expansion, channels, blocks, stride, kernel in stages:
        for block in range(blocks):
            x = mb_conv(g, x, channels, expansion, 1 if block else stride, kernel)
    x = g.swish(g.conv(x, features, normalized=True))
    x = g.op("Flatten", g.op("GlobalAveragePool", x), axis=1)
    g.output(g.gemm(x, classes), "logits", [batch, classes])
    return g.model()
