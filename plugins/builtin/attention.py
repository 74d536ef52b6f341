"""Attention."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy

from dovetail.core.errors import ShapeError
from dovetail.core.expr import as_expr
from dovetail.core.named import Named
from dovetail.core.types import FLOATS, DataType, nptype
from dovetail.plugins import Input, Output, Plugin, Weights, all_equal, field, known_extent, require_that
from dovetail.plugins.onnx import onnx_op


class AttentionNormalizationOp(Named):
    """What becomes of the scores of a query: nothing, or their softmax."""

    NONE = 0
    SOFTMAX = 1


class Attention(Plugin):
    """y = softmax(cap(scale * query key^T) + mask) value, for each head

    Inputs    query  [batch, heads, queries, size], or [batch, queries, heads * size] with num_heads
              key    [batch, kv heads, keys, size], or [batch, keys, kv heads * size] with num_kv_heads
              value  [batch, kv heads, keys, value size], or [batch, keys, kv heads * value size]
              mask   [batch, heads, queries, masked keys] or less dims, extents of 1 repeated but for the last: bool,
                     true where a key counts, or of the type of query and added; keys beyond it do not count
              past_key, past_value  [batch, kv heads, past, size], [batch, kv heads, past, value size]: keys in front
              lengths  [batch], how many keys each element of the batch has; those behind do not count
    Outputs   y  [batch, heads, queries, value size], or [batch, queries, heads * value size] with num_heads
    Heads     of query are a multiple of those of key; neighbours share a head of key and value
    Positions query i is at p = i + past, at i + lengths - queries where there are lengths alone, else at i. With causal
              keys behind p do not count, nor those further than left_window in front or right_window behind
    Cap       softcap * tanh(v / softcap), where softcap is not 0
    Numerics  float32 whatever the type, block by block: scores are never stored. Where no key counts, y is 0. Without
              normalization scores of keys that do not count are 0
    Errors    ShapeError if dims or heads do not agree
    Source    TensorRT 10 IAttention; ONNX Attention-25
    """

    purpose = "Matrices and convolutions"
    query = Input(FLOATS, doc="What is asked for.")
    key = Input(FLOATS, like="query", doc="What query is compared with.")
    value = Input(FLOATS, like="query", doc="What is summed.")
    mask = Weights((*FLOATS, DataType.BOOL), optional=True, doc="Which keys count, or what is added to scores.")
    past_key = Input(FLOATS, like="query", optional=True, doc="Keys in front of `key`.")
    past_value = Input(FLOATS, like="query", optional=True, doc="Their values.")
    lengths = Input(DataType.INT64, optional=True, doc="How many keys count.")
    y = Output(like="query")

    norm_op: AttentionNormalizationOp = field(AttentionNormalizationOp.SOFTMAX, doc="What becomes of the scores.")
    causal: bool = field(False, doc="Do keys behind a query not count?")
    scale: float = field(1.0, doc="Factor of the scores.")
    softcap: float = field(0.0, doc="Scores stay within -softcap..softcap; 0 means no limit.", low=0)
    left_window: int = field(-1, doc="How far before a query keys count; -1 means no limit.", low=-1, high=2**31 - 1)
    right_window: int = field(-1, doc="How far after it; -1 means no limit.", low=-1, high=2**31 - 1)
    num_heads: int = field(0, doc="Heads of a query of three dims; 0 if it has four.", low=0, high=2**31 - 1)
    num_kv_heads: int = field(0, doc="Heads of key and value where they have three dims.", low=0, high=2**31 - 1)

    type_rows = tuple(f"{x} {x} {x} {mask} {x} {x} i64 -> {x}" for x in ("f32", "f16", "bf16") for mask in (x, "b8"))

    def _view(self, name, tensor, heads):
        """[batch, heads, length, size] of a tensor of three or four dims."""
        if tensor.rank == 4:
            return tuple(tensor.dims)
        if tensor.rank != 3 or not heads:
            raise ShapeError(
                f"{self.label} cannot use {name} of {tensor.rank} dims and {heads} heads",
                facts=[(name, tensor.dims), ("needed", "four dims, or three and a number of heads")],
                hint="Set num_heads and num_kv_heads.",
                got=tensor.rank,
            )
        batch, length, size = tensor.dims
        require_that(
            as_expr(size) % heads == 0,
            f"{self.label} cannot split the {size} values of {name} into {heads} heads",
            [(name, tensor.dims), ("heads", heads)],
        )
        return batch, heads, length, as_expr(size) // heads

    def _expect(self, name, tensor, wanted):
        require_that(
            tensor.rank == len(wanted) and all_equal(tensor.dims, wanted),
            f"{self.label} cannot use {name} of {tensor.dims}",
            [(name, tensor.dims), ("needed", f"[{', '.join(map(str, wanted))}]")],
            got=str(tensor.dims),
        )

    def infer(self, query, key, value, mask, past_key, past_value, lengths):
        batch, heads, queries, size = self._view("query", query, self.num_heads)
        kv_batch, kv_heads, keys, key_size = self._view("key", key, self.num_kv_heads)
        v_batch, v_heads, v_keys, v_size = self._view("value", value, self.num_kv_heads)
        require_that(
            all_equal((kv_batch, key_size, v_batch, v_heads, v_keys), (batch, size, batch, kv_heads, keys)),
            f"{self.label} cannot join query {query.dims}, key {key.dims} and value {value.dims}",
            [("query", query.dims), ("key", key.dims), ("value", value.dims)],
            hint="Batch and size of query and key, and batch, heads and number of keys and values are equal.",
        )
        known = [known_extent(self.label, "number of heads", n) for n in (heads, kv_heads)]
        require_that(
            known[1] > 0 and known[0] % known[1] == 0,
            f"{self.label} cannot share {known[1]} heads of key among {known[0]} of query",
            [("query", query.dims), ("key", key.dims)],
            hint="Heads of query are a multiple of those of key.",
        )
        total = as_expr(keys)
        if past_key is not None:
            past = past_key.dims[2] if past_key.rank == 4 else 0
            self._expect("past_key", past_key, (batch, kv_heads, past, size))
            total = total + past
        if (past_key is None) != (past_value is None):
            raise ShapeError(f"{self.label} needs past_key and past_value, or none of them")
        if past_value is not None:
            self._expect("past_value", past_value, (batch, kv_heads, past, v_size))
        if lengths is not None:
            self._expect("lengths", lengths, (batch,))
        if mask is not None:
            self._check_mask(mask, (batch, heads, queries, total))
        dims = (batch, heads, queries, v_size) if query.rank == 4 else (batch, queries, heads * as_expr(v_size))
        return query.like(dims)

    def _check_mask(self, mask, scores):
        if not 1 <= mask.rank <= 4:
            raise ShapeError(f"{self.label} cannot use a mask of {mask.rank} dims", facts=[("mask", mask.dims)])
        wanted = scores[4 - mask.rank :]
        for axis, (extent, limit) in enumerate(zip(mask.dims, wanted, strict=True)):
            is_last = axis == mask.rank - 1
            require_that(
                as_expr(extent) <= limit if is_last else (as_expr(extent) == 1) + (as_expr(extent) == limit) > 0,
                f"{self.label} cannot spread a mask of {mask.dims} over [{', '.join(map(str, scores))}]",
                [("axis", axis), ("extents", f"{extent} and {limit}")],
                axis=axis,
            )

    def reference(self, query, key, value, mask, past_key, past_value, lengths):
        def split(x, heads):
            return x if x.ndim == 4 else x.reshape(*x.shape[:2], heads, -1).swapaxes(1, 2)

        q, k, v = split(query, self.num_heads), split(key, self.num_kv_heads), split(value, self.num_kv_heads)
        past = 0 if past_key is None else past_key.shape[2]
        if past_key is not None:
            k, v = numpy.concatenate([past_key, k], 2), numpy.concatenate([past_value, v], 2)
        (batch, heads, queries, _), keys = q.shape, k.shape[2]
        k, v = (numpy.repeat(x, heads // x.shape[1], axis=1) for x in (k, v))
        scores = (q * self.scale) @ k.swapaxes(-1, -2)
        if self.softcap > 0:
            scores = numpy.tanh(scores / self.softcap) * self.softcap
        column = numpy.arange(keys)
        position = numpy.arange(queries)[:, None] + past
        counts = numpy.ones((batch, 1, 1, keys), bool)
        if lengths is not None:
            ends = numpy.clip(lengths, 0, keys).reshape(-1, 1, 1, 1)
            counts = column < ends
            position = position if past_key is not None else position + ends - queries
        if self.causal:
            counts = counts & (column <= position)
        if self.left_window >= 0:
            counts = counts & (column >= position - self.left_window)
        if self.right_window >= 0:
            counts = counts & (column <= position + self.right_window)
        if mask is not None:
            behind = [(0, 0)] * (mask.ndim - 1) + [(0, keys - mask.shape[-1])]
            if mask.dtype == bool:
                counts = counts & numpy.pad(mask, behind)
            else:
                mask = numpy.pad(mask, behind, constant_values=-numpy.inf).astype(scores.dtype)
                counts = counts & (mask > -numpy.inf)
                scores = scores + numpy.where(mask > -numpy.inf, mask, 0)
        if self.norm_op == AttentionNormalizationOp.SOFTMAX:
            scores = numpy.where(counts, scores, -numpy.inf)
            largest = scores.max(axis=-1, keepdims=True, initial=-numpy.inf)
            scores = numpy.exp(scores - numpy.where(largest == -numpy.inf, 0, largest))
            total = scores.sum(axis=-1, keepdims=True)
            scores = scores / numpy.where(total == 0, 1, total)
        else:
            scores = numpy.where(counts, scores, 0)
        y = (scores.astype(query.dtype) @ v).astype(query.dtype)
        return y if query.ndim == 4 else y.swapaxes(1, 2).reshape(batch, queries, -1)

    @staticmethod
    def onnx():
        return (onnx_op("Attention", since=23, rewrite=attention),)

    @classmethod
    def add(cls, network, query, key, value, norm_op, causal):
        """An Attention layer; `layer.mask = tensor` says which keys count. Scores are not scaled, so scale query."""
        return network.add_plugin("Attention", [query, key, value], {"norm_op": norm_op, "causal": causal})


# ---- ONNX


RAW, CAPPED, BIASED, NORMALIZED = range(4)  # qk_matmul_output_mode


def split(node: Any, x: Any, heads: int) -> Any:
    """[batch, heads, length, size], whichever rank x has."""
    if x.symbolic.rank == 4:
        return x
    size = x.symbolic.dims[2].value
    if size is None or size % heads:
        raise node.fail("values cannot be split into heads", values=x.symbolic.dims[2], heads=heads)
    return node.add("Shuffle", [x], reshape_dims=(0, 0, heads, size // heads), second_transpose=(0, 2, 1, 3))


def joined(node: Any, past: Any, x: Any) -> Any:
    return node.add("Identity", [x]) if past is None else node.add("Concatenation", [past, x], axis=2)


class Scores:
    """The scores themselves: the layer's output where the values are the columns of a unit matrix."""

    def __init__(self, node: Any, inputs: list[Any], fields: dict[str, Any]) -> None:
        self.node, self.inputs, self.fields = node, inputs, fields
        self.heads = fields["num_heads"] or inputs[0].symbolic.dims[1].value
        key, past = split(node, inputs[1], fields["num_kv_heads"]), inputs[4]
        self.past = 0 if past is None else past.symbolic.dims[2].value
        batch, kv_heads, keys, _ = (dim.value for dim in key.symbolic.dims)
        if None in (batch, kv_heads, keys, self.past, self.heads):
            raise node.fail("qk_matmul_output needs extents that are known when the network is built")
        unit = numpy.eye(self.past + keys, dtype=nptype(inputs[0].dtype))
        self.unit = numpy.broadcast_to(unit, (batch, kv_heads, *unit.shape))

    def attend(self, mask: Any, lengths: Any, **fields: Any) -> Any:
        query, key, _, _, past, _, _ = self.inputs
        in_past = None if past is None else self.unit[:, :, : self.past]
        scores = self.node.add(
            "Attention",
            [query, key, self.unit[:, :, self.past :], mask, past, in_past, lengths],
            **{**self.fields, **fields},
        )
        return split(self.node, scores, self.heads)

    def plain(self, softcap: float) -> Any:
        """Before anything is masked."""
        free = {"causal": False, "left_window": -1, "right_window": -1, "norm_op": "NONE"}
        return self.attend(None, None, softcap=softcap, **free)

    def bias(self, scores: Any) -> Any:
        """The scores with what masks add to them."""
        node, mask, fields = self.node, self.inputs[3], self.fields
        queries, keys = (dim.value for dim in scores.symbolic.dims[2:])
        if self.inputs[6] is not None or queries is None:
            raise node.fail("scores with bias (qk_matmul_output_mode 2) need known extents and no nonpad_kv_seqlen")
        distance = numpy.arange(keys) - numpy.arange(queries)[:, None] - self.past
        left, right = fields["left_window"], fields["right_window"]
        counts = (distance <= 0) | (not fields["causal"])
        counts &= (distance >= -left) | (left < 0)
        counts &= (distance <= right) | (right < 0)
        dtype = nptype(scores.dtype)
        if not counts.all():
            scores = self.add(scores, numpy.where(counts, 0, -numpy.inf).astype(dtype)[None, None])
        if mask is None:
            return scores
        dims = [dim.value for dim in mask.symbolic.dims]
        if None in dims or dims[-1] != keys:
            raise node.fail("scores with bias need a mask of known extents that is as long as the keys", mask=dims)
        mask = node.add("Shuffle", [mask], reshape_dims=(1,) * (4 - len(dims)) + tuple(dims))
        if mask.dtype == DataType.BOOL:
            zero, never = (numpy.full((1, 1, 1, 1), value, dtype) for value in (0, -numpy.inf))
            mask = node.add("Select", [mask, zero, never])
        return self.add(scores, mask)

    def add(self, a: Any, b: Any) -> Any:
        return self.node.add("ElementWise", [a, b], op="SUM")

    def output(self, mode: int) -> Any:
        """The output of qk_matmul_output_mode."""
        if mode == NORMALIZED:
            return self.attend(self.inputs[3], self.inputs[6])
        scores = self.plain(0.0 if mode == RAW else self.fields["softcap"])
        return self.bias(scores) if mode == BIASED else scores


def attention(node: Any) -> list[Any]:
    """ONNX Attention: y, and present_key, present_value and qk_matmul_output where they are asked for."""
    inputs = [node[0], node[1], node[2], *(node.get(index) for index in range(3, 7))]
    is_three = inputs[0].symbolic.rank == 3
    heads, kv_heads = node.attr("q_num_heads", 0), node.attr("kv_num_heads", 0)
    if is_three and not (heads and kv_heads):
        raise node.fail("inputs of three dims need q_num_heads and kv_num_heads")
    values = inputs[0].symbolic.dims[-1].value
    size = values // heads if is_three and values else values
    if not size and node.attr("scale") is None:
        raise node.fail("the size of a head has to be known", query=inputs[0].symbolic.dims)
    mask = inputs[3]
    if mask is not None and mask.dtype not in (DataType.BOOL, inputs[0].dtype):
        raise node.fail("attn_mask is neither bool nor of the type of Q", attn_mask=mask.dtype.name)
    fields = {
        "causal": bool(node.attr("is_causal", 0)),
        "scale": node.attr("scale") if node.attr("scale") is not None else 1 / sqrt(size),
        "softcap": node.attr("softcap", 0.0),
        "left_window": node.attr("left_window_size", -1),
        "right_window": node.attr("right_window_size", -1),
        "num_heads": heads if is_three else 0,
        "num_kv_heads": kv_heads if is_three else 0,
    }
    outputs = [node.add("Attention", inputs, **fields), None, None, None]
    for index, past in ((1, 4), (2, 5)):
        if node.wants(index):
            outputs[index] = joined(node, inputs[past], split(node, inputs[index], kv_heads))
    if node.wants(3):
        outputs[3] = Scores(node, inputs, fields).output(node.attr("qk_matmul_output_mode", 0))
    return outputs
