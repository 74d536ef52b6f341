"""ResNet-50 and ResNet-18 (He et al. 2015) with the stride in the 3x3 convolution, as torchvision has it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import onnx
from graph import Graph

EXPANSION = 4


def bottleneck(g: Graph, x: str, width: int, stride: int) -> str:
    """1x1, 3x3 and 1x1 beside a shortcut."""
    channels = width * EXPANSION
    y = g.relu(g.conv(x, width, normalized=True))
    y = g.relu(g.conv(y, width, 3, stride, normalized=True))
    y = g.conv(y, channels, gain=0.25, normalized=True)
    if stride > 1 or g.channels[x] != channels:
        x = g.conv(x, channels, stride=stride, gain=1.0, normalized=True)
    return g.relu(g.op("Add", y, x))


def basic(g: Graph, x: str, channels: int, stride: int) -> str:
    """3x3 and 3x3 beside a shortcut."""
    y = g.relu(g.conv(x, channels, 3, stride, normalized=True))
    y = g.conv(y, channels, 3, gain=0.25, normalized=True)
    if stride > 1 or g.channels[x] != channels:
        x = g.conv(x, channels, stride=stride, gain=1.0, normalized=True)
    return g.relu(g.op("Add", y, x))


def stages(g: Graph, x: str, width: int, blocks: Sequence[int], block: Callable[..., str]) -> list[str]:
    """The result of each stage."""
    x = g.relu(g.conv(x, width, 7, stride=2, normalized=True))
    x = g.op("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    results = []
    for stage, n_blocks in enumerate(blocks):
        for index in range(n_blocks):
            x = block(g, x, width << stage, stride=2 if stage and not index else 1)
        results.append(x)
    return results


def resnet50(
    batch: int | str = 1,
    opset: int = 17,
    folded: bool = True,
    width: int = 64,
    blocks: Sequence[int] = (3, 4, 6, 3),
    size: int = 224,
    classes: int = 1000,
) -> onnx.ModelProto:
    return _classifier("resnet50", batch, opset, folded, width, blocks, bottleneck, size, classes)


def resnet18(
    batch: int | str = 1,
    opset: int = 17,
    folded: bool = True,
    width: int = 64,
    blocks: Sequence[int] = (2, 2, 2, 2),
    size: int = 224,
    classes: int = 1000,
) -> onnx.ModelProto:
    return _classifier("resnet18", batch, opset, folded, width, blocks, basic, size, classes)


def _classifier(name, batch, opset, folded, width, blocks, block, size, classes) -> onnx.ModelProto:
    g = Graph(name, opset, folded=folded)
    x = stages(g, g.input("image", [batch, 3, size, size]), width, blocks, block)[-1]
    x = g.op("Flatten", g.op("GlobalAveragePool", x), axis=1)
    g.output(g.gemm(x, classes), "logits", [batch, classes])
    return g.model()
