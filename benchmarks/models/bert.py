"""BERT (Devlin et al. 2018) as PyTorch's exporter writes it: nodes compute the extents of views if they are dynamic."""

from __future__ import annotations

import numpy as np
import onnx
from graph import Graph
from onnx import TensorProto

POSITIONS = 512
HIDDEN = -10000.0  # added to the scores of what the mask hides


class Bert:
    """What the layers share."""

    def __init__(self, g: Graph, batch: int | str, sequence: int | str, hidden: int, heads: int) -> None:
        self.g, self.batch, self.sequence = g, batch, sequence
        self.hidden, self.heads = hidden, heads

    def view(self, x: str, *extents: int) -> str:
        """x with its two first extents kept and these after them."""
        if isinstance(self.batch, int) and isinstance(self.sequence, int):
            return self.g.reshape(x, self.batch, self.sequence, *extents)
        return self.g.reshape(x, self.g.extent(x, 0), self.g.extent(x, 1), *extents)

    def embeddings(self, ids: str, types: str, vocabulary: int, std: float = 0.7) -> str:
        g = self.g
        tables = [g.weight(g.random(rows, self.hidden, std=std)) for rows in (vocabulary, 2, POSITIONS)]
        x = g.op("Add", g.op("Gather", tables[0], ids), g.op("Gather", tables[1], types))
        x = g.op("Add", x, g.op("Gather", tables[2], self.positions(ids)))
        g.channels[x] = self.hidden
        return g.layer_norm(x)

    def positions(self, ids: str) -> str:
        """[[0, 1, ... sequence - 1]], cut from a table"""
        g, table = self.g, np.arange(POSITIONS)[None]
        if isinstance(self.sequence, int):
            return g.constant(table[:, : self.sequence])
        one = g.constant([1])
        return g.op("Slice", g.constant(table), g.constant([0]), g.extent(ids, 1), one, one)

    def mask(self, attended: str) -> str:
        """0 where a position may be attended to, else HIDDEN; dims (batch, 1, 1, sequence)"""
        g = self.g
        x = g.op("Cast", g.unsqueeze(g.unsqueeze(attended, 1), 2), to=TensorProto.FLOAT)
        return g.op("Mul", g.op("Sub", g.constant(1, np.float32), x), g.constant(HIDDEN, np.float32))

    def attention(self, x: str, mask: str) -> str:
        g, size = self.g, self.hidden // self.heads
        query, key, value = (self.view(g.linear(x, self.hidden), self.heads, size) for _ in range(3))
        query, value = (g.op("Transpose", part, perm=[0, 2, 1, 3]) for part in (query, value))
        key = g.op("Transpose", key, perm=[0, 2, 3, 1])
        scores = g.op("Div", g.op("MatMul", query, key), g.constant(size**0.5, np.float32))
        weights = g.op("Softmax", g.op("Add", scores, mask), axis=-1)
        y = g.op("Transpose", g.op("MatMul", weights, value), perm=[0, 2, 1, 3])
        y = self.view(y, self.hidden)
        g.channels[y] = self.hidden
        return g.linear(y, self.hidden)

    def layer(self, x: str, mask: str, inner: int) -> str:
        g = self.g
        x = g.layer_norm(g.op("Add", self.attention(x, mask), x))
        y = g.linear(g.gelu(g.linear(x, inner)), self.hidden, gain=2.0)
        return g.layer_norm(g.op("Add", y, x))


def bert_base(
    batch: int | str = 1,
    opset: int = 17,
    sequence: int | str | None = None,
    layers: int = 12,
    hidden: int = 768,
    heads: int = 12,
    vocabulary: int = 30522,
) -> onnx.ModelProto:
    """`sequence` is 128 where the batch is static, else dynamic. LayerNormalization is one node from opset 17 on."""
    if sequence is None:
        sequence = 128 if isinstance(batch, int) else "sequence"
    g = Graph("bert_base", opset)
    ids, types, attended = (
        g.input(name, [batch, sequence], TensorProto.INT64)
        for name in ("input_ids", "token_type_ids", "attention_mask")
    )
    bert = Bert(g, batch, sequence, hidden, heads)
    x, mask = bert.embeddings(ids, types, vocabulary), bert.mask(attended)
    for _ in range(layers):
        x = bert.layer(x, mask, inner=4 * hidden)
    g.output(x, "last_hidden_state", [batch, sequence, hidden])
    first = g.op("Gather", x, g.constant(0), axis=1)
    g.output(g.op("Tanh", g.gemm(first, hidden)), "pooler_output", [batch, hidden])
    return g.model()
