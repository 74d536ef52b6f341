"""A tagger of words: two bidirectional LSTMs and a layer for the tags, as tf2onnx writes Keras layers."""

from __future__ import annotations

import onnx
from graph import Graph
from onnx import TensorProto


def bidirectional(g: Graph, x: str, batch: int | str, length: int | str, tokens: str, units: int) -> str:
    """Keras' Bidirectional(LSTM): time goes first and back, the directions are joined."""
    fan_in = g.channels[x]
    weights = g.random(2, 4 * units, fan_in, std=fan_in**-0.5)
    recurrent = g.random(2, 4 * units, units, std=units**-0.5)
    bias = g.random(2, 8 * units, std=0.1)
    x = g.op("Transpose", x, perm=[1, 0, 2])
    inputs = [x, *map(g.weight, (weights, recurrent, bias))]
    y = g.op("LSTM", *inputs, n_outputs=3, hidden_size=units, direction="bidirectional")[0]  # [T, 2, N, units]
    y = g.op("Transpose", y, perm=[2, 0, 1, 3])
    length = length if isinstance(length, int) else g.extent(tokens, 1)
    return g.view(y, g.sized(batch, tokens), length, 2 * units, channels=2 * units)


def lstm_tagger(
    batch: int | str = 1,
    opset: int = 15,
    sequence: int | str | None = None,
    units: int = 256,
    embedding: int = 256,
    vocabulary: int = 20000,
    tags: int = 50,
) -> onnx.ModelProto:
    """`sequence` is 64 where the batch is static, else dynamic."""
    if sequence is None:
        sequence = 64 if isinstance(batch, int) else "sequence"
    g = Graph("lstm_tagger", opset)
    tokens = g.input("tokens", [batch, sequence], TensorProto.INT32)
    x = g.op("Gather", g.weight(g.random(vocabulary, embedding)), tokens, axis=0)
    g.channels[x] = embedding
    for _ in range(2):
        x = bidirectional(g, x, batch, sequence, tokens, units)
    w, b = g.random(2 * units, tags, std=4 * units**-0.5), g.random(tags, std=0.1)
    rows = g.op("MatMul", g.reshape(x, -1, 2 * units), g.weight(w))
    length = sequence if isinstance(sequence, int) else g.extent(tokens, 1)
    y = g.op("Add", g.reshape(rows, g.sized(batch, tokens), length, tags), g.weight(b))
    g.output(g.op("Softmax", y, axis=-1), "probabilities", [batch, sequence, tags])
    return g.model()
