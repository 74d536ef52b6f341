"""A speech encoder like Conformer (Gulati et al. 2020), as the exporter by torch.export writes it.

Convolutions that take every fourth frame, and blocks of half a feed-forward layer, self-attention with relative
positions, a convolution of depth 1 over time with a gate before it, and another half feed-forward layer.
"""

from __future__ import annotations

import numpy as np
import onnx
from graph import Graph


def feed_forward(g: Graph, x: str) -> str:
    """x + y / 2"""
    hidden = g.channels[x]
    y = g.linear(g.swish(g.linear(g.layer_norm(x), 4 * hidden)), hidden, gain=2.0)
    return g.op("Add", x, g.op("Mul", y, g.constant(0.5, np.float32)))


def by_distance(g: Graph, scores: str, batch: int | str, heads: int, frames: int, x: str) -> str:
    """[.., frames, 2 frames - 1] by distance to [.., frames, frames] by position: a padded view, cut."""
    pads = g.constant([0, 0, 0, 1, 0, 0, 0, 0])
    y = g.reshape(g.op("Pad", scores, pads, g.constant(0, np.float32)), g.sized(batch, x), heads, 2 * frames, frames)
    y = g.reshape(g.slice(y, 1, 2 * frames, 2), g.sized(batch, x), heads, frames, 2 * frames - 1)
    return g.slice(y, 0, frames, 3)


def attention(g: Graph, x: str, batch: int | str, frames: int, heads: int, distances: str) -> str:
    hidden = g.channels[x]
    size, y = hidden // heads, g.layer_norm(x)
    query, key, value = (g.reshape(g.linear(y, hidden), g.sized(batch, x), frames, heads, size) for _ in range(3))
    key, value = g.op("Transpose", key, perm=[0, 2, 3, 1]), g.op("Transpose", value, perm=[0, 2, 1, 3])
    places = g.reshape(g.linear(distances, hidden, biased=False), 1, 2 * frames - 1, heads, size)
    places = g.op("Transpose", places, perm=[0, 2, 3, 1])
    by_content, by_place = (
        g.op("Transpose", g.op("Add", query, g.weight(g.random(heads, size, std=0.1))), perm=[0, 2, 1, 3])
        for _ in range(2)
    )
    scores = by_distance(g, g.op("MatMul", by_place, places), batch, heads, frames, x)
    scores = g.op("Add", g.op("MatMul", by_content, key), scores)
    weights = g.op("Softmax", g.op("Div", scores, g.constant(size**0.5, np.float32)), axis=-1)
    y = g.op("Transpose", g.op("MatMul", weights, value), perm=[0, 2, 1, 3])
    y = g.linear(g.view(y, g.sized(batch, x), frames, hidden, channels=hidden), hidden, gain=2.0)
    return g.op("Add", x, y)


def convolution(g: Graph, x: str, kernel: int) -> str:
    hidden = g.channels[x]
    y = g.transpose(g.layer_norm(x), 0, 2, 1, channels=hidden)
    value, gate = g.split(g.conv(y, 2 * hidden, gain=1.0, rank=1), [hidden, hidden], axis=1)
    y = g.op("Mul", value, g.op("Sigmoid", gate))
    g.channels[y] = hidden
    y = g.swish(g.conv(y, hidden, kernel, groups=hidden, normalized=True, rank=1))
    return g.op("Add", x, g.transpose(g.conv(y, hidden, gain=1.0, rank=1), 0, 2, 1))


def conformer(
    batch: int | str = 1,
    opset: int = 18,
    folded: bool = True,
    frames: int = 400,
    bands: int = 80,
    hidden: int = 256,
    heads: int = 4,
    layers: int = 12,
    kernel: int = 31,
) -> onnx.ModelProto:
    g = Graph("conformer", opset, folded=folded)
    sounds = g.input("features", [batch, frames, bands])
    x = g.unsqueeze(sounds, 1)
    g.channels[x] = 1
    for _ in range(2):
        x = g.relu(g.conv(x, hidden, 3, stride=2))
    frames, bands = frames // 4, bands // 4
    x = g.view(g.op("Transpose", x, perm=[0, 2, 1, 3]), g.sized(batch, sounds), frames, hidden * bands)
    g.channels[x] = hidden * bands
    x = g.linear(x, hidden)
    distances = g.weight(g.random(1, 2 * frames - 1, hidden))
    g.channels[distances] = hidden
    for _ in range(layers):
        x = attention(g, feed_forward(g, x), batch, frames, heads, distances)
        x = g.layer_norm(feed_forward(g, convolution(g, x, kernel)))
    g.output(x, "encoded", [batch, frames, hidden])
    return g.model()
