"""com.microsoft RotaryEmbedding: pairs of values turned by an angle that depends on the position."""

from __future__ import annotations

from typing import Any

import numpy

from dovetail.plugins.builtin._onnx_ms import microsoft
from dovetail.plugins.builtin._onnx_ms_attention import steps
from dovetail.plugins.onnx import ELEMENT_TYPES, extents, rank_of


def cut(node: Any, x: Any, start: int, stop: int, step: int = 1) -> Any:
    """start:stop:step of the last axis."""
    places = [numpy.array([value]) for value in (start, stop, -1, step)]
    return node.onnx("Slice", [x, *places])


def turned(node: Any, x: Any, cos: Any, sin: Any, width: int, interleaved: bool) -> Any:
    """x with the first `width` of its last axis turned; cos and sin have width / 2 there, and spread over x."""
    size, half = x.shape[-1], width // 2
    if size < width or size < 0:
        raise node.fail("heads are narrower than what is turned", size=x.symbolic.dims[-1], turned=width)
    ends = ((0, width, 2), (1, width, 2)) if interleaved else ((0, half, 1), (half, width, 1))
    first, second = (cut(node, x, *end) for end in ends)
    parts = [
        node.onnx(op, [node.onnx("Mul", [first, a]), node.onnx("Mul", [second, b])])
        for op, a, b in (("Sub", cos, sin), ("Add", sin, cos))
    ]
    if interleaved:
        tall = [node.onnx("Unsqueeze", [part, numpy.array([-1])]) for part in parts]
        shape = numpy.array([0] * (rank_of(x) - 1) + [width])
        parts = [node.onnx("Reshape", [node.onnx("Concat", tall, axis=-1), shape])]
    if size > width:
        parts.append(cut(node, x, width, size))
    return parts[0] if len(parts) == 1 else node.onnx("Concat", parts, axis=-1)


def angles(node: Any, caches: tuple[Any, Any], positions: Any, axis: int) -> list[Any]:
    """Rows of both caches at the positions, [batch, length, width / 2] with one axis more for the heads."""
    rows = [node.onnx("Gather", [cache, positions], axis=0) for cache in caches]
    return [node.onnx("Unsqueeze", [row, numpy.array([axis])]) for row in rows]


def rotary_embedding(node: Any) -> Any:
    """input, position_ids, cos_cache, sin_cache."""
    x, positions, caches = node[0], node[1], (node.value(2), node.value(3))
    heads, rank = node.attr("num_heads", 0), rank_of(x)
    if rank_of(caches[0]) != 2 or rank_of(caches[1]) != 2:
        raise node.fail("its caches are not [positions, values]", cos_cache=tuple(caches[0].shape))
    width = node.attr("rotary_embedding_dim", 0) or 2 * caches[0].shape[1]
    if rank not in (3, 4) or width <= 0 or width % 2 or 2 * caches[0].shape[1] != width:
        facts = {"input": x.symbolic.dims, "cos_cache": tuple(caches[0].shape), "rotary_embedding_dim": width}
        raise node.fail("its input and caches do not fit", **facts)
    axis = 2 if rank == 3 else 1  # that of the heads
    if rank_of(positions) == 1:  # one number: where the first of the sequence is
        count = extents(node, x)[1 if rank == 3 else 2]
        first = node.onnx("Cast", [positions], to=ELEMENT_TYPES["INT64"])
        positions = node.onnx("Unsqueeze", [node.onnx("Add", [first, steps(node, count)]), numpy.array([0])])
    cos, sin = angles(node, caches, positions, axis)
    if rank == 3:
        hidden = x.shape[2]
        if node.attr("rotary_embedding_dim", 0) and not heads:
            raise node.fail("rotary_embedding_dim needs num_heads", rotary_embedding_dim=width)
        heads = heads or hidden // width
        if hidden <= 0 or not heads or hidden % heads:
            raise node.fail("its input cannot be split into heads", input=x.symbolic.dims, num_heads=heads)
        x = node.onnx("Reshape", [x, numpy.array([0, 0, heads, hidden // heads])])
    y = turned(node, x, cos, sin, width, bool(node.attr("interleaved", 0)))
    return y if rank == 4 else node.onnx("Reshape", [y, numpy.array([0, 0, hidden])])


rewrites = (
    microsoft(
        "RotaryEmbedding",
        rotary_embedding,
        (4, 4),
        "interleaved num_heads rotary_embedding_dim",
        only={"is_packed_batching": 0, "scale": 1.0},
    ),
)
