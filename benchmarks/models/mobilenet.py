"""MobileNetV2 (Sandler et al. 2018): depthwise convolutions between narrow ends, ReLU6 as Clip."""

from __future__ import annotations

from collections.abc import Sequence

import onnx
from graph import Graph

# expansion, channels, blocks, stride of the first
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def inverted_residual(g: Graph, x: str, channels: int, expansion: int, stride: int) -> str:
    inner = g.channels[x] * expansion
    y = x if expansion == 1 else g.relu6(g.conv(x, inner, normalized=True))
    y = g.relu6(g.conv(y, inner, 3, stride, groups=inner, normalized=True))
    is_residual = stride == 1 and g.channels[x] == channels
    y = g.conv(y, channels, gain=0.25 if is_residual else 1.0, normalized=True)
    return g.op("Add", x, y) if is_residual else y


def mobilenetv2(
    batch: int | str = 1,
    opset: int = 17,
    folded: bool = True,
    stages: Sequence[tuple[int, int, int, int]] = STAGES,
    stem: int = 32,
    features: int = 1280,
    size: int = 224,
    classes: int = 1000,
) -> onnx.ModelProto:
    g = Graph("mobilenetv2", opset, folded=folded)
    x = g.input("image", [batch, 3, size, size])
    x = g.relu6(g.conv(x, stem, 3, stride=2, normalized=True))
    for expansion, channels, blocks, stride in stages:
        for block in range(blocks):
            x = inverted_residual(g, x, channels, expansion, 1 if block else stride)
    x = g.relu6(g.conv(x, features, normalized=True))
    x = g.op("Flatten", g.op("GlobalAveragePool", x), axis=1)
    g.output(g.gemm(x, classes), "logits", [batch, classes])
    return g.model()
