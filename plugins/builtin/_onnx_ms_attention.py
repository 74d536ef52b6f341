"""com.microsoft attention whose keys are masked by index or mask: Attention, QAttention, MultiHeadAttention."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy

from dovetail.core.types import nptype
from dovetail.plugins.builtin._onnx_ms import microsoft
from dovetail.plugins.builtin._onnx_ms_products import scaled_product
from dovetail.plugins.builtin._onnx_ms_quantized import one_scale
from dovetail.plugins.onnx import ELEMENT_TYPES, Counts, absent, added, extents, joined, part, rank_of, sliced


class Keys:
    """Queries, keys and values of one node, each [batch, length, heads * size] or [batch, heads, length, size]."""

    def __init__(self, node: Any, q: Any, k: Any, v: Any, past_k: Any = None, past_v: Any = None) -> None:
        self.node, self.q, self.k, self.v, self.past_k, self.past_v = node, q, k, v, past_k, past_v
        self.heads = node.attr("num_heads")
        self.queries = extents(node, q)[1 if rank_of(q) == 3 else 2]
        self.batch = extents(node, q)[0]
        self.past = Counts(node, [0]) if past_k is None else extents(node, past_k)[2]
        self.total = self.past + extents(node, k)[1 if rank_of(k) == 3 else 2]

    def scale(self) -> float:
        """The attribute, unless it is absent or 0; else 1 / sqrt(size of a head)."""
        given = self.node.attr("scale", 0.0)
        if given:
            return given
        extent = self.q.shape[-1]
        size = extent if rank_of(self.q) == 4 else extent // self.heads
        if extent < 0:
            raise self.node.fail("the size of a head has to be known", query=self.q.symbolic.dims)
        if size < 1:
            raise self.node.fail("the heads have no values", query=self.q.symbolic.dims, num_heads=self.heads)
        return 1 / sqrt(size)

    def attend(self, mask: Any) -> Any:
        """[batch, queries, heads * size], for queries of three dims."""
        return self.node.add(
            "Attention",
            [self.q, self.k, self.v, mask, self.past_k, self.past_v],
            causal=bool(self.node.attr("unidirectional", 0)),
            scale=self.scale(),
            num_heads=self.heads if rank_of(self.q) == 3 else 0,
            num_kv_heads=self.heads,
        )

    def present(self) -> list[Any]:
        """Keys and values, [batch, heads, total, size]."""
        node, made = self.node, []
        for past, x in ((self.past_k, self.k), (self.past_v, self.v)):
            tall = in_heads(node, x, self.heads)
            made.append(tall if past is None else node.onnx("Concat", [past, tall], axis=2))
        return made

    def mask(self, index: int, bias: Any) -> Any:
        """What is added to scores, of the queries' type: `mask_filter_value` for keys that do not count, and bias."""
        mask = self.node.value(index)
        if mask is None:
            return bias
        counts = self._counts(self.node[index])
        dtype = nptype(self.q.dtype)
        value = max(self.node.attr("mask_filter_value", -10000.0), float(numpy.finfo(dtype).min))
        amount = self.node.onnx("Where", [counts, numpy.zeros((), dtype), numpy.asarray(value, dtype)])
        return added(self.node, amount, bias)

    def _counts(self, mask: Any) -> Any:
        """Which keys count, bool [batch, 1, 1 or queries, total], from any of the forms that a mask has."""
        node, rank = self.node, rank_of(mask)
        if rank == 1:
            return self._within(mask)
        if rank == 4:  # of all positions up to a limit: the rows of these queries, the columns of all keys
            dims = extents(node, mask)
            starts = joined(node, [[0, 0], self.past, [0]])
            mask = sliced(node, mask, starts, joined(node, [dims[:2], self.queries, self.total]))
        counts = node.onnx("Greater", [mask, numpy.zeros((), nptype(mask.dtype))])
        axes = {2: [1, 2], 3: [1], 4: []}.get(rank)
        if axes is None:
            raise node.fail("its mask has neither one, two, three nor four dims", mask=mask.symbolic.dims)
        return node.onnx("Unsqueeze", [counts, numpy.array(axes)]) if axes else counts

    def _within(self, mask: Any) -> Any:
        """From a list of ends, [batch], or of ends and then beginnings, [2 batch]."""
        node, place = self.node, steps(self.node, self.total)
        length, batch = mask.symbolic.dims[0], self.q.symbolic.dims[0]
        if length.value is not None and batch.value is not None and length.value not in (batch.value, 2 * batch.value):
            facts = {"mask": length.value, "batch": batch.value}
            raise node.fail("a mask of one dim has one end for each of the batch, or ends and beginnings", **facts)
        is_twice = length.value == 2 * batch.value if None not in (length.value, batch.value) else False
        ends = part(node, mask, 0, 0, self.batch) if is_twice else mask
        counts = node.onnx("Less", [place, self._column(ends)])
        if not is_twice:
            return counts
        starts = self._column(part(node, mask, 0, self.batch, self.batch))
        return node.onnx("And", [counts, node.onnx("GreaterOrEqual", [place, starts])])

    def _column(self, values: Any) -> Any:
        """[batch, 1, 1, 1] in int64."""
        values = self.node.onnx("Cast", [values], to=ELEMENT_TYPES["INT64"])
        return self.node.onnx("Unsqueeze", [values, numpy.array([1, 2, 3])])


def steps(node: Any, count: Counts) -> Any:
    """0, 1, 2 ... in int64: an array where the count is known, else a tensor."""
    if count.known is not None:
        return numpy.arange(int(count.known[0]))
    limit = node.onnx("Squeeze", [count.tensor()])
    return node.onnx("Range", [numpy.zeros((), numpy.int64), limit, numpy.ones((), numpy.int64)])


def in_heads(node: Any, x: Any, heads: int) -> Any:
    """[batch, heads, length, size], of three dims or four."""
    if rank_of(x) == 4:
        return x
    if x.shape[2] < 0 or x.shape[2] % heads:
        raise node.fail("values cannot be split into heads", values=x.symbolic.dims[2], heads=heads)
    tall = node.onnx("Reshape", [x, numpy.array([0, 0, heads, x.shape[2] // heads])])
    return node.onnx("Transpose", [tall], perm=[0, 2, 1, 3])


def split_last(node: Any, x: Any, sizes: list[int], name: str) -> list[Any]:
    """Parts of the last axis, of these extents."""
    if x.shape[-1] != sum(sizes):
        raise node.fail(f"its {name} cannot be split", extent=x.symbolic.dims[-1], into=sizes)
    return list(node.onnx("Split", [x, numpy.array(sizes)], n_outputs=len(sizes), opset=13, axis=rank_of(x) - 1))


# ---- Attention, QAttention


def attention(node: Any) -> list[Any]:
    """input, weights, bias, mask_index, past, attention_bias."""
    absent(node, 6, why="keys and values are not kept in a shared buffer")
    qkv = added(node, node.onnx("MatMul", [node.value(0), node.value(1)]), node.value(2))
    return _with_past(node, qkv, mask=3, past=node.value(4), bias=node.value(5))


def q_attention(node: Any) -> list[Any]:
    """input, weight, bias, their scales, mask_index, their zero points, past."""
    one_scale(node, 3, 6)
    x, w, bias, x_scale, w_scale, x_zero, w_zero = (node.value(index) for index in (0, 1, 2, 3, 4, 6, 7))
    qkv = scaled_product(node, x, w, (x_scale, w_scale), (x_zero, w_zero), bias)
    return _with_past(node, qkv, mask=5, past=node.value(8), bias=None)


def _with_past(node: Any, qkv: Any, mask: int, past: Any, bias: Any) -> list[Any]:
    """`past` and what is made of it are [2, batch, heads, length, size]: keys, then values."""
    sizes = list(node.attr("qkv_hidden_sizes", ()))
    if not sizes:
        if qkv.shape[-1] < 0 or qkv.shape[-1] % 3:
            raise node.fail("its weights are not three of one width", columns=qkv.symbolic.dims[-1])
        sizes = [qkv.shape[-1] // 3] * 3
    q, k, v = split_last(node, qkv, sizes, "weights")
    former = [None, None]
    if past is not None:
        former = [node.onnx("Gather", [past, numpy.array(which)], axis=0) for which in (0, 1)]
    keys = Keys(node, q, k, v, *former)
    results = [keys.attend(keys.mask(mask, bias))]
    if node.wants(1):
        both = [node.onnx("Unsqueeze", [x, numpy.array([0])]) for x in keys.present()]
        results.append(node.onnx("Concat", both, axis=0))
    return results


# ---- MultiHeadAttention


def multi_head_attention(node: Any) -> list[Any]:
    """query, key, value, bias, key_padding_mask, attention_bias, past_key, past_value."""
    absent(node, 8, 9, why="keys and values are not kept in a shared buffer")
    q, k, v = _three(node)
    past_k, past_v = node.value(6), node.value(7)
    if (past_k is None) != (past_v is None):
        raise node.fail("past_key and past_value are there together or not at all")
    keys = Keys(node, q, k, v, past_k, past_v)
    results = [keys.attend(keys.mask(4, node.value(5)))]
    return results + (keys.present() if node.wants(1) or node.wants(2) else [])


def _three(node: Any) -> tuple[Any, Any, Any]:
    """Query, key and value out of the forms in which they may be packed, with their bias; the query of three dims."""
    q, k, v, bias = node[0], node.get(1), node.get(2), node.value(3)
    if rank_of(q) == 5:
        absent(node, 1, 2, why="the query is packed, [batch, length, num_heads, 3, size]")
        q, k, v = (_picked(node, q, 3, which) for which in range(3))
    elif k is None:
        raise node.fail("its key is missing, and the query is not packed", query=q.symbolic.dims)
    elif rank_of(k) == 5:
        absent(node, 2, why="the key is packed, [batch, length, num_heads, 2, size]")
        k, v = (_picked(node, k, 2, which) for which in range(2))
    elif v is None:
        raise node.fail("its value is missing, and the key is not packed", key=k.symbolic.dims)
    if (rank_of(q), rank_of(k)) not in ((3, 3), (3, 4)) or rank_of(v) != rank_of(k):
        facts = {"query": q.symbolic.dims, "key": k.symbolic.dims, "value": v.symbolic.dims}
        raise node.fail("its query, key and value have other numbers of dims", **facts)
    if bias is None:
        return q, k, v
    sizes = [x.shape[-1] if rank_of(x) == 3 else x.shape[1] * x.shape[-1] for x in (q, k, v)]
    biases = split_last(node, node[3], sizes, "bias")
    if rank_of(k) == 4:  # projected before, with their bias
        return added(node, q, biases[0]), k, v
    return tuple(added(node, x, b) for x, b in zip((q, k, v), biases, strict=True))


def _picked(node: Any, packed: Any, n: int, which: int) -> Any:
    """One of the n of [batch, length, heads, n, size], as [batch, length, heads * size]."""
    heads, count, size = packed.shape[2:]
    if count != n or heads != node.attr("num_heads") or size < 0:
        facts = {"wanted": f"[batch, length, {node.attr('num_heads')}, {n}, size]", "got": packed.symbolic.dims}
        raise node.fail("its packed input has other dims", **facts)
    one = node.onnx("Gather", [packed, numpy.array(which)], axis=3)
    return node.onnx("Reshape", [one, numpy.array([0, 0, heads * size])])


SHARED = {"do_rotary": 0, "past_present_share_buffer": 0}
COMMON = "mask_filter_value scale unidirectional"

rewrites = (
    microsoft(
        "Attention",
        attention,
        (2, 7),
        f"{COMMON} qkv_hidden_sizes",
        only={**SHARED, "rotary_embedding_dim": 0},
        outputs=2,
        needs="num_heads",
    ),
    microsoft("QAttention", q_attention, (5, 9), COMMON, only=SHARED, outputs=2, needs="num_heads"),
    microsoft("MultiHeadAttention", multi_head_attention, (1, 10), COMMON, outputs=3, needs="num_heads"),
)
