"""ONNX Attention as the fused layer, and what its further outputs take besides."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy

from dovetail.core.types import DataType, nptype
from dovetail.plugins import onnx_op

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


onnx_attention = onnx_op("Attention", since=23, rewrite=attention)
