"""ConvNeXt-tiny (Liu et al. 2022) as TorchScript exports torchvision's: LayerNorm and Linear between permutations."""

from __future__ import annotations

from collections.abc import Sequence

import onnx
from graph import Graph


def norm_over_channels(g: Graph, x: str) -> str:
    """LayerNorm2d: the channels go last and back."""
    channels = g.channels[x]
    y = g.layer_norm(g.transpose(x, 0, 2, 3, 1, channels=channels))
    return g.transpose(y, 0, 3, 1, 2, channels=channels)


def block(g: Graph, x: str) -> str:
    channels = g.channels[x]
    y = g.conv(x, channels, 7, groups=channels, gain=1.0)
    y = g.layer_norm(g.transpose(y, 0, 2, 3, 1, channels=channels))
    y = g.linear(g.gelu(g.linear(y, 4 * channels)), channels, gain=2.0)
    y = g.transpose(y, 0, 3, 1, 2, channels=channels)
    scale = g.weight(0.4 + g.random(channels, 1, 1, std=0.1))
    return g.op("Add", g.op("Mul", scale, y), x)


def convnext_tiny(
    batch: int | str = 1,
    opset: int = 17,
    depths: Sequence[int] = (3, 3, 9, 3),
    width: int = 96,
    size: int = 224,
    classes: int = 1000,
) -> onnx.ModelProto:
    g = Graph("convnext_tiny", opset)
    x = g.conv(g.input("image", [batch, 3, size, size]), width, 4, 4, pad=0, gain=1.0)
    x = norm_over_channels(g, x)
    for stage, depth in enumerate(depths):
        if stage:
            x = g.conv(norm_over_channels(g, x), width << stage, 2, 2, pad=0, gain=1.0)
        for _ in range(depth):
            x = block(g, x)
            g.channels[x] = width << stage
    x = norm_over_channels(g, g.op("GlobalAveragePool", x))
    g.output(g.gemm(g.op("Flatten", x, axis=1), classes), "logits", [batch, classes])
    return g.model()
