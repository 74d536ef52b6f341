"""One step of GPT-2-small's decoder (Radford et al. 2019) with a cache of keys and values, as TorchScript writes it.

Conv1D is Gemm on rows between two views, GELU is its tanh form, the causal mask is cut from a table and applied by
Where, and LayerNorm is spelled out in opset 14.
"""

from __future__ import annotations

import numpy as np
import onnx
from graph import Graph
from onnx import TensorProto

POSITIONS = 1024
HIDDEN = float(np.finfo(np.float32).min)
PAST = 128  # tokens in the cache of the static model


class Step:
    """What the layers share. `total` is the number of positions, a number or a value with one element."""

    def __init__(self, g: Graph, ids: str, batch: int | str, hidden: int, heads: int) -> None:
        self.g, self.ids, self.batch, self.hidden, self.heads = g, ids, batch, hidden, heads
        self.total: int | str = 0

    def rows(self, x: str, features: int, gain: float = 1.0) -> str:
        """Conv1D: x @ w + b on rows."""
        g, fan_in = self.g, self.g.channels[x]
        w, b = g.random(fan_in, features, std=(gain / fan_in) ** 0.5), g.random(features, std=0.1)
        y = g.op("Gemm", g.reshape(x, -1, fan_in), g.weight(w), g.weight(b))
        return g.view(y, g.sized(self.batch, self.ids), 1, features, channels=features)

    def by_head(self, x: str) -> str:
        g = self.g
        y = g.reshape(x, g.sized(self.batch, self.ids), 1, self.heads, self.hidden // self.heads)
        return g.op("Transpose", y, perm=[0, 2, 1, 3])

    def visible(self, scores: str) -> str:
        """Positions up to this one: the last row of the table, as long as the cache."""
        g = self.g
        table = g.weight(np.tril(np.ones((POSITIONS, POSITIONS), bool))[None, None])
        if isinstance(self.total, int):
            row = g.slice(table, self.total - 1, self.total, 2)
        else:
            before = g.op("Sub", self.total, g.constant([1]))
            row = g.op("Slice", table, before, self.total, g.constant([2]), g.constant([1]))
        row = g.slice(row, 0, self.total, 3)
        return g.op("Where", row, scores, g.constant(HIDDEN, np.float32))

    def attention(self, x: str, layer: int, past: tuple[str, str], mask: str) -> str:
        g, size = self.g, self.hidden // self.heads
        parts = g.split(self.rows(x, 3 * self.hidden), [self.hidden] * 3, axis=2)
        query, key, value = map(self.by_head, parts)
        key, value = (g.op("Concat", old, new, axis=-2) for old, new in zip(past, (key, value), strict=True))
        dims = [self.batch, self.heads, "sequence + 1" if isinstance(self.batch, str) else self.total, size]
        g.output(key, f"present.{layer}.key", dims)
        g.output(value, f"present.{layer}.value", dims)
        scores = g.op("MatMul", query, g.op("Transpose", key, perm=[0, 1, 3, 2]))
        scores = g.op("Add", self.visible(g.op("Div", scores, g.constant(size**0.5, np.float32))), mask)
        y = g.op("MatMul", g.op("Softmax", scores, axis=-1), value)
        y = g.reshape(g.op("Transpose", y, perm=[0, 2, 1, 3]), g.sized(self.batch, self.ids), 1, self.hidden)
        g.channels[y] = self.hidden
        return self.rows(y, self.hidden, gain=2.0)

    def layer(self, x: str, index: int, past: tuple[str, str], mask: str) -> str:
        g = self.g
        x = g.op("Add", self.attention(g.layer_norm(x), index, past, mask), x)
        g.channels[x] = self.hidden
        y = self.rows(g.gelu_by_tanh(self.rows(g.layer_norm(x), 4 * self.hidden)), self.hidden)
        return g.op("Add", x, y)


def gpt2_step(
    batch: int | str = 1,
    opset: int = 14,
    layers: int = 12,
    hidden: int = 768,
    heads: int = 12,
    vocabulary: int = 50257,
) -> onnx.ModelProto:
    """The cache is of PAST tokens where the batch is static, else of any number."""
    g = Graph("gpt2_step", opset)
    past, total = (PAST, PAST + 1) if isinstance(batch, int) else ("sequence", "sequence + 1")
    ids, places = (g.input(name, [batch, 1], TensorProto.INT64) for name in ("input_ids", "position_ids"))
    attended = g.input("attention_mask", [batch, total], TensorProto.INT64)
    dims = [batch, heads, past, hidden // heads]
    cache = [
        tuple(g.input(f"past_key_values.{layer}.{side}", dims) for side in ("key", "value")) for layer in range(layers)
    ]
    step = Step(g, ids, batch, hidden, heads)
    step.total = total if isinstance(total, int) else g.extent(attended, 1)
    words, positions = (g.weight(g.random(rows, hidden, std=0.7)) for rows in (vocabulary, POSITIONS))
    x = g.op("Add", g.op("Gather", words, ids), g.op("Gather", positions, places))
    mask = g.op("Cast", g.unsqueeze(g.unsqueeze(attended, 1), 2), to=TensorProto.FLOAT)
    mask = g.op("Mul", g.op("Sub", g.constant(1, np.float32), mask), g.constant(HIDDEN, np.float32))
    g.channels[x] = hidden
    for index, before in enumerate(cache):
        x = step.layer(x, index, before, mask)
    g.output(g.linear(g.layer_norm(x), vocabulary, biased=False), "logits", [batch, 1, vocabulary])
    return g.model()
