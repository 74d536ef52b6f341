"""com.microsoft GroupQueryAttention: attention with a cache of keys.

Element b of the batch has n[b] = max(seqlens_k[b] + 1 - queries, 0) keys in the cache. New ones are put behind them,
query i is at position n[b] + i, and keys behind a query do not count.
"""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy

from dovetail.core.types import nptype
from dovetail.plugins.builtin._onnx_ms import microsoft
from dovetail.plugins.builtin._onnx_ms_attention import in_heads, split_last, steps
from dovetail.plugins.builtin._onnx_ms_rotary import angles, turned
from dovetail.plugins.onnx import ELEMENT_TYPES, Counts, absent, added, extents, joined, rank_of, replaced, sliced

RANKS = (("query", 3), ("key", 3), ("value", 3), ("past_key", 4), ("past_value", 4))


class Grouped:
    """Query, key and value of one node as [batch, heads, length, size], and how far each element's cache is filled."""

    def __init__(self, node: Any) -> None:
        self.node = node
        self.heads, self.kv_heads = node.attr("num_heads"), node.attr("kv_num_heads")
        ranks = [(name, node.get(i), n) for i, (name, n) in enumerate(RANKS) if node.get(i) is not None]
        for name, tensor, rank in ranks:
            if rank_of(tensor) != rank:
                raise node.fail(f"its {name} has not {rank} dims", **{name: tensor.symbolic.dims})
        self.q, self.k, self.v = self._split()
        self.length = extents(node, self.q)[2]
        self.past = [node.get(3), node.get(4)]
        ends = node.onnx("Cast", [node.onnx("Reshape", [node[5], numpy.array([-1])])], to=ELEMENT_TYPES["INT64"])
        filled = node.onnx("Add", [ends, _dims(Counts(node, [1]) - self.length)])
        self.filled = node.onnx("Max", [filled, numpy.zeros((), numpy.int64)], opset=13)
        self.lengths = node.onnx("Add", [self.filled, _dims(self.length)])

    def _split(self) -> tuple[Any, Any, Any]:
        node, heads = self.node, self.heads + 2 * self.kv_heads
        q, k, v = node[0], node.get(1), node.get(2)
        if (k is None) != (v is None):
            raise node.fail("key and value are there together, or the query holds all three")
        if k is None:
            if q.shape[2] < 0 or q.shape[2] % heads:
                raise node.fail("its query cannot be split into heads", query=q.symbolic.dims, heads=heads)
            size = q.shape[2] // heads
            q, k, v = split_last(node, q, [size * n for n in (self.heads, self.kv_heads, self.kv_heads)], "query")
        return in_heads(node, q, self.heads), in_heads(node, k, self.kv_heads), in_heads(node, v, self.kv_heads)

    def normalise(self) -> None:
        """The size of each head by its root mean square, where there are weights for it."""
        node, weights = self.node, (self.node.value(14), self.node.value(15))
        if (weights[0] is None) != (weights[1] is None):
            raise node.fail("q_norm_weight and k_norm_weight are there together or not at all")
        if weights[0] is None:
            return
        common = node.attr("qk_norm_epsilon", 1e-6)
        epsilons = [node.attr(f"{name}_norm_epsilon", common) for name in "qk"]
        self.q, self.k = (
            node.onnx("RMSNormalization", [x, weight], opset=23, axis=-1, epsilon=epsilon)
            for x, weight, epsilon in zip((self.q, self.k), weights, epsilons, strict=True)
        )

    def positions(self) -> Any:
        """[batch, length]: those given, or those that the caches say."""
        node = self.node
        if node.value(9) is not None:
            return node.value(9)
        column = node.onnx("Unsqueeze", [self.filled, numpy.array([1])])
        return node.onnx("Add", [column, steps(node, self.length)])

    def rotate(self) -> None:
        node = self.node
        if not node.attr("do_rotary", 0):
            return
        caches = node.value(7), node.value(8)
        if any(cache is None or rank_of(cache) != 2 for cache in caches):
            raise node.fail("do_rotary needs cos_cache and sin_cache, [positions, values]")
        cos, sin = angles(node, caches, self.positions(), 1)
        width, interleaved = 2 * caches[0].shape[1], bool(node.attr("rotary_interleaved", 0))
        self.q, self.k = (turned(node, x, cos, sin, width, interleaved) for x in (self.q, self.k))

    def present(self) -> tuple[Any, Any]:
        """Keys and values with the new ones behind those of the cache, [batch, heads, total, size].

        The total is that of the cache, or total_sequence_length where that is more; what is behind an element's last
        key is as it was, or 0.
        """
        node, made = self.node, []
        if (self.past[0] is None) != (self.past[1] is None):
            raise node.fail("past_key and past_value are there together or not at all")
        if self.past[0] is None:
            return self.k, self.v
        known = node.constant(6)
        if known is None:
            number = node.onnx("Reshape", [node[6], numpy.array([1])])
            known = node.onnx("Cast", [number], to=ELEMENT_TYPES["INT64"])
        total = Counts(node, known).greatest(extents(node, self.past[0])[2])
        for past, new in zip(self.past, (self.k, self.v), strict=True):
            dims = replaced(extents(node, past), [2], total)
            tall = sliced(node, past, Counts(node, [0] * 4), dims, mode="FILL")
            made.append(node.onnx("TensorScatter", [tall, new, self.filled], opset=24, axis=2))
        return made[0], made[1]

    # ---- attention
    def attend(self, k: Any, v: Any) -> Any:
        """[batch, length, heads * size]."""
        node, mask, window = self.node, self.node.value(10), self.node.attr("local_window_size", -1)
        size = self.q.shape[3]
        lengths, sink = self.lengths, self._sink()
        if sink is not None:
            k, v, mask = self._with_sink(k, v, mask, sink, window)
            lengths, window = node.onnx("Add", [lengths, numpy.ones((), numpy.int64)]), -1
        y = node.add(
            "Attention",
            [self.q, k, v, mask, None, None, lengths],
            causal=bool(node.attr("causal", 1)),
            scale=node.attr("scale", 0.0) or 1 / sqrt(size),
            softcap=node.attr("softcap", 0.0),
            left_window=window - 1 if window > 0 else -1,
        )
        flat = node.onnx("Transpose", [y], perm=[0, 2, 1, 3])
        return node.onnx("Reshape", [flat, numpy.array([0, 0, self.heads * v.shape[3]])])

    def _sink(self) -> Any:
        """What the exponent of a further score is that takes part in each softmax: one a head, or 0; None for none."""
        given = self.node.value(11)
        if given is not None:
            return self.node.onnx("Reshape", [given, numpy.array([1, self.heads, 1, 1])])
        if self.node.attr("smooth_softmax", -1) > 0:
            return numpy.zeros((1, self.heads, 1, 1), nptype(self.q.dtype))
        return None

    def _with_sink(self, k: Any, v: Any, mask: Any, sink: Any, window: int) -> tuple[Any, Any, Any]:
        """A key of zeros in front of the others, whose value is 0 and whose score is the sink."""
        node, dtype = self.node, nptype(self.q.dtype)
        total = extents(node, k)[2]
        if mask is None:
            mask = node.onnx("Expand", [numpy.zeros((1, 1, 1, 1), dtype), _dims(joined(node, [[1, 1, 1], total]))])
        if window > 0:
            place = node.onnx("Unsqueeze", [self.filled, numpy.array([1, 2, 3])])
            rows = node.onnx("Add", [place, node.onnx("Unsqueeze", [steps(node, self.length), numpy.array([1])])])
            is_near = node.onnx("Greater", [steps(node, total), node.onnx("Sub", [rows, numpy.int64(window)])])
            far = node.onnx("Where", [is_near, numpy.zeros((), dtype), numpy.full((), -numpy.inf, dtype)])
            mask = added(node, mask, far)
        mask = added(node, mask, numpy.zeros((1, self.heads, 1, 1), dtype))
        dims = extents(node, mask)
        first = node.onnx("Expand", [sink, _dims(joined(node, [dims[:3], [1]]))])
        mask = node.onnx("Concat", [first, mask], axis=3)
        longer = [sliced_in_front(node, x) for x in (k, v)]
        return longer[0], longer[1], mask


def _dims(counts: Counts) -> Any:
    """An array or tensor of the network."""
    return counts.known if counts.known is not None else counts.tensor()


def sliced_in_front(node: Any, x: Any) -> Any:
    """[batch, heads, length, size] with a row of zeros in front."""
    dims = extents(node, x)
    return sliced(node, x, Counts(node, [0, 0, -1, 0]), replaced(dims, [2], dims[2] + 1), mode="FILL")


def group_query_attention(node: Any) -> list[Any]:
    """query, key, value, past_key, past_value, seqlens_k, total_sequence_length, caches, positions, bias, sinks, ..."""
    absent(node, 12, 13, why="quantised keys and values are not imported")
    absent(node, 16, why="chunks of queries that are padded are not imported")
    grouped = Grouped(node)
    grouped.normalise()
    grouped.rotate()
    k, v = grouped.present()
    return [grouped.attend(k, v), k, v]


rewrites = (
    microsoft(
        "GroupQueryAttention",
        group_query_attention,
        (7, 17),
        "causal do_rotary k_norm_epsilon local_window_size q_norm_epsilon qk_norm_epsilon rotary_interleaved scale "
        "smooth_softmax softcap",
        only={
            "k_quant_type": "NONE",
            "kv_cache_bit_width": 0,
            "qk_output": 0,
            "sliding_window_cache": 0,
            "v_quant_type": "NONE",
        },
        outputs=3,
        needs="num_heads kv_num_heads",
        optional=range(1, 5),
    ),
)
