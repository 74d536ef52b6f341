"""ViT-tiny (Dosovitskiy et al. 2020, DeiT's sizes) as PyTorch's exporter by torch.export writes it: Gelu is one node,
the heads are unbound by Split and Squeeze, and attention has the root of its scale on both sides."""

from __future__ import annotations

import numpy as np
import onnx
from graph import Graph


def attention(g: Graph, x: str, batch: int | str, tokens: int, heads: int) -> str:
    hidden = g.channels[x]
    size = hidden // heads
    qkv = g.reshape(g.linear(x, 3 * hidden), g.sized(batch, x), tokens, 3, heads, size)
    parts = g.op("Split", g.op("Transpose", qkv, perm=[2, 0, 3, 1, 4]), n_outputs=3, axis=0, num_outputs=3)
    query, key, value = (g.op("Squeeze", part, g.constant([0])) for part in parts)
    root = g.constant(size**-0.25, np.float32)
    key = g.op("Mul", g.op("Transpose", key, perm=[0, 1, 3, 2]), root)
    weights = g.op("Softmax", g.op("MatMul", g.op("Mul", query, root), key), axis=-1)
    y = g.op("Transpose", g.op("MatMul", weights, value), perm=[0, 2, 1, 3])
    return g.linear(g.view(y, g.sized(batch, x), tokens, hidden, channels=hidden), hidden, gain=2.0)


def block(g: Graph, x: str, batch: int | str, tokens: int, heads: int) -> str:
    hidden = g.channels[x]
    x = g.op("Add", x, attention(g, g.layer_norm(x), batch, tokens, heads))
    y = g.op("Gelu", g.linear(g.layer_norm(x), 4 * hidden), approximate="none")
    return g.op("Add", x, g.linear(y, hidden))


def vit_tiny(
    batch: int | str = 1,
    opset: int = 20,
    hidden: int = 192,
    layers: int = 12,
    heads: int = 3,
    patch: int = 16,
    size: int = 224,
    classes: int = 1000,
) -> onnx.ModelProto:
    g = Graph("vit_tiny", opset)
    x = g.input("image", [batch, 3, size, size])
    cells, first = (size // patch) ** 2, g.sized(batch, x)
    x = g.conv(x, hidden, patch, patch, pad=0, gain=1.0)
    x = g.transpose(g.reshape(x, first, hidden, cells), 0, 2, 1, channels=hidden)
    start = g.weight(g.random(1, 1, hidden))
    shape = [first, 1, hidden]
    if not isinstance(first, int):
        shape = g.op("Concat", first, g.constant([1]), g.constant([hidden]), axis=0)
    start = g.op("Expand", start, shape if isinstance(shape, str) else g.constant(shape))
    x = g.op("Add", g.op("Concat", start, x, axis=1), g.weight(g.random(1, cells + 1, hidden, std=0.5)))
    g.channels[x] = hidden
    for _ in range(layers):
        x = block(g, x, batch, cells + 1, heads)
    x = g.op("Gather", g.layer_norm(x), g.constant(0), axis=1)
    g.channels[x] = hidden
    g.output(g.gemm(x, classes), "logits", [batch, classes])
    return g.model()
