"""Swin-tiny (Liu et al. 2021) as TorchScript writes it: windows by Reshape and Transpose, shifts by Concat."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from graph import Graph

HIDDEN = -100.0  # added to the scores of pairs that are not neighbours in the picture
END = np.iinfo(np.int64).max  # how exporters write an open end


def rolled(g: Graph, x: str, shift: int) -> str:
    """torch.roll by -shift on both axes of the picture."""
    for axis in (1, 2):
        x = g.op("Concat", g.slice(x, shift, END, axis), g.slice(x, 0, shift, axis), axis=axis)
    return x


def mask(cells: int, window: int, shift: int) -> np.ndarray:
    """[1, windows, 1, window^2, window^2]: 0 between cells that were neighbours before the shift, else HIDDEN."""
    region = np.zeros(cells, int)
    region[-window:-shift], region[-shift:] = 1, 2
    parts = cells // window
    ids = (region[:, None] * 3 + region).reshape(parts, window, parts, window).transpose(0, 2, 1, 3)
    ids = ids.reshape(parts**2, window**2)
    return np.where(ids[:, None] == ids[:, :, None], 0, HIDDEN).astype(np.float32)[None, :, None]


def attention(g: Graph, x: str, batch: int | str, heads: int, window: int, hidden: np.ndarray | None) -> str:
    """Within each window; x has dims [batch * windows, window^2, channels]."""
    channels, area = g.channels[x], window**2
    size = channels // heads
    qkv = g.op("Transpose", g.reshape(g.linear(x, 3 * channels), -1, area, 3, heads, size), perm=[2, 0, 3, 1, 4])
    query, key, value = (g.op("Gather", qkv, g.constant(part), axis=0) for part in range(3))
    query = g.op("Mul", query, g.constant(size**-0.5, np.float32))
    scores = g.op("MatMul", query, g.op("Transpose", key, perm=[0, 1, 3, 2]))
    scores = g.op("Add", scores, g.weight(g.random(1, heads, area, area, std=0.5)))
    if hidden is not None:
        apart = g.reshape(scores, -1, hidden.shape[1], heads, area, area)
        scores = g.reshape(g.op("Add", apart, g.weight(hidden)), -1, heads, area, area)
    y = g.op("MatMul", g.op("Softmax", scores, axis=-1), value)
    y = g.view(g.op("Transpose", y, perm=[0, 2, 1, 3]), -1, area, channels, channels=channels)
    return g.linear(y, channels, gain=2.0)


def windowed(g: Graph, x: str, batch: int | str, cells: int, heads: int, window: int, shift: int) -> str:
    """Attention on [batch, cells, cells, channels]."""
    channels, parts = g.channels[x], cells // window
    y = rolled(g, x, shift) if shift else x
    y = g.reshape(y, g.sized(batch, x), parts, window, parts, window, channels)
    y = g.op("Transpose", y, perm=[0, 1, 3, 2, 4, 5])
    y = g.view(y, -1, window**2, channels, channels=channels)
    y = attention(g, y, batch, heads, window, mask(cells, window, shift) if shift else None)
    y = g.reshape(y, g.sized(batch, x), parts, parts, window, window, channels)
    y = g.reshape(g.op("Transpose", y, perm=[0, 1, 3, 2, 4, 5]), g.sized(batch, x), cells, cells, channels)
    return rolled(g, y, cells - shift) if shift else y


def block(g: Graph, x: str, batch: int | str, cells: int, heads: int, window: int, shift: int) -> str:
    channels = g.channels[x]
    x = g.op("Add", x, windowed(g, g.layer_norm(x), batch, cells, heads, window, shift))
    g.channels[x] = channels
    return g.op("Add", x, g.linear(g.gelu(g.linear(g.layer_norm(x), 4 * channels)), channels))


def merged(g: Graph, x: str) -> str:
    """Half the cells on both axes, twice the channels."""
    channels = g.channels[x]
    parts = [g.slice(g.slice(x, row, END, 1, 2), column, END, 2, 2) for column in (0, 1) for row in (0, 1)]
    y = g.concat(parts, axis=-1)
    g.channels[y] = 4 * channels
    return g.linear(g.layer_norm(y), 2 * channels, biased=False)


def swin_tiny(
    batch: int | str = 1,
    opset: int = 17,
    depths: Sequence[int] = (2, 2, 6, 2),
    heads: Sequence[int] = (3, 6, 12, 24),
    width: int = 96,
    window: int = 7,
    size: int = 224,
    classes: int = 1000,
) -> onnx.ModelProto:
    g = Graph("swin_tiny", opset)
    x = g.conv(g.input("image", [batch, 3, size, size]), width, 4, 4, pad=0, gain=1.0)
    x, cells = g.layer_norm(g.transpose(x, 0, 2, 3, 1, channels=width)), size // 4
    for stage, depth in enumerate(depths):
        if stage:
            x, cells = merged(g, x), cells // 2
        for index in range(depth):
            shift = window // 2 if index % 2 and cells > window else 0
            x = block(g, x, batch, cells, heads[stage], window, shift)
    channels = g.channels[x]
    x = g.transpose(g.layer_norm(x), 0, 3, 1, 2, channels=channels)
    x = g.op("Flatten", g.op("GlobalAveragePool", x), axis=1)
    g.output(g.gemm(x, classes), "logits", [batch, classes])
    return g.model()
