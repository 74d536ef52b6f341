"""Quantised numbers in rewrites of ONNX nodes: real = (stored - zero point) * scale."""

from __future__ import annotations

from typing import Any

import numpy

from dovetail.core.types import DataType
from dovetail.plugins.onnx.arithmetic import applied, cast
from dovetail.plugins.onnx.conversion import LIMITS, converted_to
from dovetail.plugins.onnx.counts import extents, joined, rank_of
from dovetail.plugins.onnx.inputs import is_given
from dovetail.plugins.onnx.layers import reshaped, with_rank
from dovetail.plugins.onnx.node import OnnxNode
from dovetail.plugins.onnx.pointwise import channels, elementwise
from dovetail.plugins.shapes import axis_of


def has_no_zero_point(node: OnnxNode, index: int) -> bool:
    """True if the zero point is absent or known to be 0."""
    if not is_given(node, index):
        return True
    known = node.constant(index)
    return known is not None and not numpy.any(known)


BYTES = ("INT8", "UINT8")  # the model's types that networks have as they are, and that kernels multiply


def is_affine(node: OnnxNode, type_name: str) -> bool:
    """True if stored numbers of this type have one scale, input 1, and one zero point, input 2, for the tensor."""
    one_zero = not is_given(node, 2) or is_single(node[2])
    return type_name in BYTES and rank_of(node[1]) < 2 and is_single(node[1]) and one_zero


def zero_of_bytes(node: OnnxNode, index: int, type_name: str) -> Any:
    """The zero point in that input, 0 of this type where it is absent."""
    return node[index] if is_given(node, index) else node.as_tensor(numpy.zeros((), type_name.lower()))


def factor_of(node: OnnxNode, scales: tuple[int, int, int]) -> Any:
    """What one step of a product is worth in y: scales of both factors over that of the result, [n] or one value."""
    a, b, y = (reshaped(node, cast(node, node[index], DataType.FLOAT), [[-1]]) for index in scales)
    return elementwise(node, "DIV", elementwise(node, "PROD", a, b), y)


def bytes_product(
    node: OnnxNode, a: int, b: int, zeros: tuple[int, int], *more: Any, to_type: DataType = DataType.INT32
) -> Any | None:
    """QuantizedMatrixMultiply of two inputs with zero points, and `more` behind these; None if it is another product.

    That has matrices of 8 bits, one zero point for a, and one for b or for each of its columns.
    """
    ranks = [rank_of(node[index]) for index in (a, b)]
    has_types = all(node.type_name(index) in BYTES for index in (a, b))
    a_zero, b_zero = (node[index] if is_given(node, index) else None for index in zeros)
    has_zeros = (a_zero is None or is_single(a_zero)) and (b_zero is None or is_single(b_zero) or rank_of(b_zero) == 1)
    if not has_types or not has_zeros or min(ranks) < 2:
        return None
    left, right = (with_rank(node, node[index], max(ranks)) for index in (a, b))
    a_zero, b_zero = (None if has_no_zero_point(node, index) else node[index] for index in zeros)
    return node.add("QuantizedMatrixMultiply", [left, right, a_zero, b_zero, *more], to_type=to_type)


def centred(node: OnnxNode, x: Any, zero: int, axis: int = 0) -> Any:
    """Integers minus the zero point in input `zero`, which has one value or one for each extent of an axis; int32."""
    x = cast(node, x, DataType.INT32)
    if has_no_zero_point(node, zero):
        return x
    return elementwise(node, "SUB", x, channels(node, cast(node, node[zero], DataType.INT32), rank_of(x), axis))


def stored(node: OnnxNode, steps: Any, zero: Any, type_name: str, saturate: int = 1) -> Any:
    """float32 numbers, in units of the scale, as the model's type of this name: rounded, plus zero point, limited."""
    if type_name not in LIMITS:
        return converted_to(node, steps, type_name, saturate)
    low, high = LIMITS[type_name]
    y = applied(node, "ROUND", steps)
    if zero is not None:
        y = elementwise(node, "SUM", y, zero)
    y = node.add("Activation", [y], type="CLIP", alpha=float(low), beta=float(high))
    return cast(node, y, node.carrier(type_name))


def is_single(scale: Any) -> bool:
    """True if there is one value for the whole tensor, so that no axis is needed."""
    return all(extent == 1 for extent in scale.shape)


class Blocks:
    """x and its parameters, reshaped so that they can be combined element by element.

    A parameter has one value, one for each extent of `axis`, or one for each block along that axis.
    """

    def __init__(self, node: OnnxNode, x: Any) -> None:
        self.node, self.dims = node, extents(node, x)
        self.block = node.attr("block_size", 0) if rank_of(node[1]) > 1 else 0
        self.rank = rank_of(x)
        self.axis = 0 if is_single(node[1]) else axis_of(node.attr("axis", 1), self.rank, node.op_type)
        self.x = x
        if self.block:
            length, n_blocks = x.shape[self.axis], node[1].shape[self.axis]
            if length != n_blocks * self.block:
                facts = {"extent": length, "blocks": n_blocks, "block_size": self.block}
                raise node.fail("blocks must be whole, and their number known", **facts)
            before, behind = self.dims[: self.axis], self.dims[self.axis + 1 :]
            self.x = reshaped(node, x, joined(node, [before, [n_blocks, self.block], behind]))

    def parameter(self, value: Any) -> Any:
        if self.block:
            return self.node.add("Unsqueeze", [value, numpy.array([self.axis + 1])])
        if rank_of(value) > 1 or is_single(value):
            return reshaped(self.node, value, [[1] * self.rank])
        return channels(self.node, value, self.rank, self.axis)

    def restored(self, y: Any) -> Any:
        return reshaped(self.node, y, self.dims) if self.block else y


def axis_of_scales(node: OnnxNode) -> dict[str, int]:
    """The field `axis` of a Quantize or Dequantize layer for input 1, the scales; empty if there is one value.

    Raises:
        ShapeError: the attribute axis is not an axis of input 0.
    """
    if is_single(node[1]):
        return {}
    return {"axis": axis_of(node.attr("axis", 1), rank_of(node[0]), node.op_type)}


def requantized(node: OnnxNode, sums: Any, scales: tuple[Any, Any, Any], zero: int, axis: int) -> Any:
    """Sums of products, converted to the type of the zero point in input `zero`.

    Scales are those of both factors and of the result; `axis` is that of scales that have several values.
    """
    a, b, y = (cast(node, node[index], DataType.FLOAT) for index in scales)
    rank = rank_of(sums)
    factor = elementwise(
        node,
        "DIV",
        elementwise(node, "PROD", channels(node, a, rank, axis), channels(node, b, rank, axis)),
        channels(node, y, rank, axis),
    )
    steps = elementwise(node, "PROD", cast(node, sums, DataType.FLOAT), factor)
    offset = (
        None if has_no_zero_point(node, zero) else channels(node, cast(node, node[zero], DataType.FLOAT), rank, axis)
    )
    return stored(node, steps, offset, node.type_name(zero))
