"""Pointwise operators of ONNX: with NumPy's broadcasting, and with types that the layers do not take."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy

from dovetail.core.types import FLOATS, DataType, nptype
from dovetail.plugins.onnx.arithmetic import cast
from dovetail.plugins.onnx.counts import rank_of
from dovetail.plugins.onnx.layers import with_rank
from dovetail.plugins.onnx.node import OnnxNode

QUESTIONS = ("EQUAL", "GREATER", "LESS", "AND", "OR", "XOR")
ON_BOOLS = ("EQUAL", "AND", "OR", "XOR")
NARROW = (DataType.INT8, DataType.UINT8)
UNSIGNED = {"UINT2": 2, "UINT4": 4, "UINT8": 8, "UINT16": 16, "UINT32": 32}  # bits
SIGNED = {"INT2": 2, "INT4": 4, "INT16": 16}  # represented by int32 in networks


def aligned(node: OnnxNode, *values: Any) -> list[Any]:
    """Tensors and arrays with extents of 1 added in front, so that all have the same number of dims."""
    rank = max(len(value.shape) for value in values)
    return [
        value.reshape((1,) * (rank - value.ndim) + value.shape)
        if isinstance(value, numpy.ndarray)
        else with_rank(node, value, rank)
        for value in values
    ]


def elementwise(node: OnnxNode, op: str, *values: Any) -> Any:
    """Tensors and arrays of one type, combined from left to right by an operation of ElementWise, given by name.

    int8 and uint8 are computed in int32; the low bits of the result are kept.
    """
    first, *others = aligned(node, *(as_tensor(node, value) for value in values))
    dtype = first.dtype
    is_wide = dtype in NARROW or (dtype == DataType.BOOL and op not in ON_BOOLS)
    work = DataType.INT32 if is_wide else dtype
    y = cast(node, first, work)
    for other in others:
        y = node.add("ElementWise", [y, cast(node, other, work)], op=op)
    return y if op in QUESTIONS else cast(node, y, dtype)


def as_tensor(node: OnnxNode, value: Any) -> Any:
    """An array as a constant of the network; a tensor as it is."""
    return node.as_tensor(value) if isinstance(value, numpy.ndarray) else value


def all_inputs(node: OnnxNode) -> Iterable[Any]:
    """All inputs in order, as tensors. Raises `node.fail` if one is absent."""
    return (node[index] for index in range(len(node)))


def unary(node: OnnxNode, op: str, x: Any) -> Any:
    """An operation of Unary, by name; integers are computed in float32 if the operation does not take them."""
    if x.dtype in FLOATS or op == "NOT":
        return node.add("Unary", [x], op=op)
    if op in ("ABS", "NEG", "SIGN"):
        wide = x if x.dtype != DataType.UINT8 else cast(node, x, DataType.INT32)
        return cast(node, node.add("Unary", [wide], op=op), x.dtype)
    return cast(node, node.add("Unary", [cast(node, x, DataType.FLOAT)], op=op), x.dtype)


def scalar(x: Any, value: Any) -> numpy.ndarray:
    """A scalar constant of x's type."""
    return numpy.asarray(value).astype(nptype(x.dtype))


def wrapped(node: OnnxNode, y: Any, type_name: str) -> Any:
    """y reduced to the low bits that the model's type of this name has."""
    if type_name in ("UINT16", "UINT32", "UINT4", "UINT2"):
        return elementwise(node, "BIT_AND", y, scalar(y, 2 ** UNSIGNED[type_name] - 1))
    if type_name in SIGNED:
        above = scalar(y, 32 - SIGNED[type_name])
        return elementwise(node, "SHIFT_RIGHT", elementwise(node, "SHIFT_LEFT", y, above), above)
    return y


def channels(node: OnnxNode, values: Any, rank: int, axis: int) -> Any:
    """A list of values as a tensor of `rank` dims, along `axis`; a single value is broadcast."""
    if isinstance(values, numpy.ndarray):
        return values.reshape([-1 if i == axis else 1 for i in range(rank)])
    if rank_of(values) != 1:
        return with_rank(node, values, rank)
    behind = numpy.arange(1, rank - axis)
    tall = node.add("Unsqueeze", [values, behind]) if behind.size else values
    return with_rank(node, tall, rank)
