"""Data-dependent counts as extents, as in `x[mask] = 0` or a range up to `mask.sum()`.

A count becomes an extent when the layers before it have run. An upper bound of it is needed for that.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy

from dovetail.core.types import DataType
from dovetail.plugins.onnx.arithmetic import applied, cast, combined
from dovetail.plugins.onnx.node import OnnxNode

MOVING = ("Shuffle", "Unsqueeze", "Squeeze", "Gather", "Identity")  # elements are those of the first input
INTEGERS = (DataType.BOOL, DataType.INT32, DataType.INT64, DataType.UINT8, DataType.INT8)
DEEPEST = 32  # most layers that are examined


def as_extents(node: OnnxNode, tensor: Any) -> Any:
    """A list of integers as a tensor whose contents may be extents; or `tensor` itself if nothing is to be done."""
    if tensor.symbolic.elements() is not None:
        return tensor
    op, inputs, _ = node.source(tensor)
    if op == "Concatenation":
        parts = [as_extents(node, part) for part in inputs]
        if all(new is old for new, old in zip(parts, inputs, strict=True)):
            return tensor
        return node.add("Concatenation", [cast(node, part, tensor.dtype) for part in parts], axis=0)
    most = _most(node, tensor, DEEPEST)
    if most is None or len(tensor.shape) != 1 or tensor.shape[0] < 1:
        return tensor
    counts = [_counted(node, _element(node, tensor, index), most) for index in range(tensor.shape[0])]
    joined = counts[0] if len(counts) == 1 else node.add("Concatenation", counts, axis=0)
    return cast(node, joined, tensor.dtype)


def _element(node: OnnxNode, tensor: Any, index: int) -> Any:
    return tensor if tensor.shape[0] == 1 else node.add("Gather", [tensor, numpy.array([index])], axis=0)


def _counted(node: OnnxNode, count: Any, most: Any) -> Any:
    """[1] int64: how many of 0, 1, 2 ... up to `most` are below a count [1]: the size that a NonZero layer writes."""
    line = {"operation": "LINSPACE", "to_type": DataType.INT64}
    numbers = node.add("Fill", [most, numpy.zeros((), numpy.int64), numpy.ones(1, numpy.int64)], **line)
    below = combined(node, "LESS", numbers, cast(node, count, DataType.INT64))
    found = node.network.add_plugin("NonZero", [below], {"to": int(DataType.INT64)}).get_output(1)
    return node.add("Shuffle", [found], reshape_dims=(1,))


def _most(node: OnnxNode, tensor: Any, depth: int) -> Any:
    """[1] int64, known: an upper bound for |element| of an integer or bool tensor; None if there is none."""
    known = node.contents(tensor)
    if known is not None:
        return numpy.array([max((abs(int(value)) for value in known.reshape(-1)), default=0)], numpy.int64)
    if tensor.dtype == DataType.BOOL:
        return numpy.ones(1, numpy.int64)
    elements = tensor.symbolic.elements()
    if elements is not None and len(elements) == 1:
        return applied(node, "ABS", cast(node, node.add("Shuffle", [tensor], reshape_dims=(1,)), DataType.INT64))
    if depth == 0:
        return None
    op, inputs, fields = node.source(tensor)
    how = _how(op, inputs, fields)
    below = [_most(node, source, depth - 1) for source in inputs[how.first : how.last]] if how else []
    if how is None or not below or any(value is None for value in below):
        return None
    result = below[0]
    for other in below[1:]:
        result = _pair(node, how.op, result, other)
    if how.times_elements:
        volume = node.add("Reduce", [node.add("Shape", [inputs[0]], to=int(DataType.INT64))], op="PROD", axes=1)
        result = _pair(node, "PROD", result, node.add("Shuffle", [volume], reshape_dims=(1,)))
    return result


class How(NamedTuple):
    """How the bound of a layer's output follows from those of its inputs `first` to `last`."""

    first: int
    last: int
    op: str = "MAX"
    times_elements: bool = False


def _how(op: str, inputs: list[Any], fields: dict[str, Any]) -> How | None:
    if None in inputs[:1] or not inputs:
        return None
    if op == "ElementWise":
        known = {"SUM": "SUM", "SUB": "SUM", "PROD": "PROD", "MAX": "MAX", "MIN": "MAX"}
        return How(0, 2, known[fields["op"].name]) if fields["op"].name in known else None
    if op in ("Reduce", "Cumulative"):
        name = fields["op"].name
        is_sum, is_kept = name == "SUM", op == "Reduce" and name in ("MAX", "MIN")
        return How(0, 1, times_elements=is_sum) if is_sum or is_kept else None
    if op == "Cast":
        return How(0, 1) if inputs[0].dtype in INTEGERS else None
    if op == "Slice":
        return How(0, 1) if len(inputs) < 5 else None  # the last is what it fills with
    if op == "Select":
        return How(1, 3)
    return How(0, len(inputs)) if op == "Concatenation" else How(0, 1) if op in MOVING else None


def _pair(node: OnnxNode, op: str, a: Any, b: Any) -> Any:
    known_a, known_b = node.contents(a), node.contents(b)
    if known_a is not None and known_b is not None:
        return {"SUM": numpy.add, "PROD": numpy.multiply, "MAX": numpy.maximum}[op](known_a, known_b)
    return combined(node, op, *(value if hasattr(value, "symbolic") else node.as_tensor(value) for value in (a, b)))
