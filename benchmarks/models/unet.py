"""U-Net (Ronneberger et al. 2015), padded: down by pooling, up by deconvolutions, joined by Concat on each level."""

from __future__ import annotations

import onnx
from graph import Graph


def double_conv(g: Graph, x: str, channels: int) -> str:
    for _ in range(2):
        x = g.relu(g.conv(x, channels, 3, normalized=True))
    return x


def unet(
    batch: int | str = 1,
    opset: int = 17,
    folded: bool = True,
    width: int = 32,
    levels: int = 5,
    size: int = 256,
    classes: int = 2,
) -> onnx.ModelProto:
    g = Graph("unet", opset, folded=folded)
    x = double_conv(g, g.input("image", [batch, 3, size, size]), width)
    skipped = []
    for level in range(1, levels):
        skipped.append(x)
        x = double_conv(g, g.op("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2]), width << level)
    for level in reversed(range(levels - 1)):
        up = g.deconv(x, width << level, kernel=2, stride=2, gain=1.0)
        x = double_conv(g, g.concat([skipped[level], up]), width << level)
    mask = g.op("Sigmoid", g.conv(x, classes, gain=1.0))
    g.output(mask, "mask", [batch, classes, size, size])
    return g.model()
