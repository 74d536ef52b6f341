"""Layers that move elements in rewrites of ONNX nodes: dims, axes and parts, with known or unknown extents."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy

from dovetail.core.types import DataType
from dovetail.plugins.onnx.counts import MOST_KNOWN, Counts, extents, joined, rank_of, replaced
from dovetail.plugins.onnx.node import OnnxNode


def off_diagonal(node: OnnxNode, dims: Counts) -> Any:
    """column - row of a matrix with these two extents: an array if they are known and small, else a tensor."""
    if dims.known is not None and math.prod(dims.known.tolist()) <= MOST_KNOWN:
        rows, columns = (numpy.arange(extent) for extent in dims.known)
        return columns - rows[:, None]
    steps = {"alphas": numpy.zeros((), numpy.int64), "betas": numpy.array([-1, 1])}
    return node.add("Fill", [dims.tensor(), *steps.values()], operation="LINSPACE", to_type=DataType.INT64)


def reshaped(node: OnnxNode, x: Any, dims: Any) -> Any:
    """x with other dims, given by Counts or a list of numbers and Counts."""
    dims = dims if isinstance(dims, Counts) else joined(node, dims)
    if dims.known is not None:
        return node.add("Shuffle", [x], reshape_dims=tuple(dims.known.tolist()), zero_is_placeholder=False)
    elements = dims.each()
    others = [element for element in elements if element is not None]
    if len(others) == len(elements) - 1 and min(others, default=1) > 0:  # -1 needs no computation
        plain = tuple(-1 if element is None else element for element in elements)
        return node.add("Shuffle", [x], reshape_dims=plain, zero_is_placeholder=False)
    return node.add("Shuffle", [x, dims.value], zero_is_placeholder=False)


def with_extent(node: OnnxNode, x: Any, axis: int, extent: int, rule: str) -> Any:
    """x with a known extent for an unknown one; `rule` is the error if they turn out to differ at run time."""
    if x.shape[axis] >= 0 or extent < 0:
        return x
    dims = extents(node, x)
    same = node.add("ElementWise", [dims[axis].tensor(), Counts(node, [extent]).tensor()], op="EQUAL")
    node.network.add_plugin("Assertion", [same], {"message": rule})
    return reshaped(node, x, replaced(dims, [axis], Counts(node, [extent])))


def transposed(node: OnnxNode, x: Any, order: Sequence[int]) -> Any:
    """Axis i of the result is axis order[i] of x."""
    return x if list(order) == list(range(rank_of(x))) else node.add("Shuffle", [x], first_transpose=tuple(order))


def with_rank(node: OnnxNode, x: Any, rank: int) -> Any:
    """x with extents of 1 in front. A constant is viewed with new dims, since a layer would copy its data."""
    missing = rank - rank_of(x)
    if missing <= 0:
        return x
    known = x if isinstance(x, numpy.ndarray) else x.symbolic.constant
    if known is not x and x.symbolic.fractions is not None:  # more digits than the array has
        known = None
    if known is not None:
        dims = (1,) * missing + known.shape
        return node.network.add_constant(dims, known.reshape(dims)).get_output(0)
    return node.add("Unsqueeze", [x, numpy.arange(missing)])


def sliced(
    node: OnnxNode, x: Any, starts: Counts, sizes: Counts, strides: Any = None, mode: str = "DEFAULT", value: Any = None
) -> Any:
    """A Slice of x; known values become fields. With mode FILL, elements outside are `value`."""
    strides = Counts(node, [1] * rank_of(x)) if strides is None else strides
    fields: dict[str, Any] = {"mode": mode}
    inputs: list[Any] = [x]
    for name, counts in (("start", starts), ("shape", sizes), ("stride", strides)):
        if counts.known is not None:
            fields[name] = tuple(counts.known.tolist())
        inputs.append(None if counts.known is not None else counts.value)
    inputs.append(value)
    while inputs[-1] is None:
        inputs.pop()
    return node.add("Slice", inputs, **fields)


def part(node: OnnxNode, x: Any, axis: int, start: Any, size: Any) -> Any:
    """Elements from start to start + size of one axis; both are numbers or Counts of one."""
    dims, zeros = extents(node, x), Counts(node, [0] * rank_of(x))
    as_counts = [value if isinstance(value, Counts) else Counts(node, value) for value in (start, size)]
    return sliced(node, x, replaced(zeros, [axis], as_counts[0]), replaced(dims, [axis], as_counts[1]))
