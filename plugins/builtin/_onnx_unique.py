"""ONNX Unique: equal elements get one number, that of their run in sorted order; the rest follows from the numbers."""

from __future__ import annotations

from math import log2
from typing import Any

import numpy

from dovetail.core.types import FLOATS, DataType
from dovetail.plugins import axis_of
from dovetail.plugins.onnx import (
    MOST_KNOWN,
    Counts,
    applied,
    cast,
    combined,
    extents,
    onnx_op,
    rank_of,
    reduced,
    reshaped,
    sliced,
    transposed,
)

SORTED = (*FLOATS, DataType.INT32, DataType.INT64)  # types that TopK takes
INT64 = DataType.INT64
MOST_SLICES = 1 << 31  # two numbers up to here fit into one int64


def unique(node: Any) -> list[Any]:
    """Values, their first places, which of them each element is, and how many times they are there."""
    x, axis = node[0], node.attr("axis")
    if axis is None:
        x, axis = reshaped(node, x, [extents(node, x).product()]), 0
        keys = x
    else:
        axis = axis_of(axis, rank_of(x), node.op_type)
        keys = _keys(node, x, axis)
    numbers = _numbers(node, reshaped(node, keys, [1, extents(node, keys)]))
    numbers = reshaped(node, numbers, extents(node, keys))
    n = extents(node, keys)
    places = _line(node, n)
    # The first place of each number; n for numbers that there are not.
    firsts = _scattered(node, _line(node, n, start=n, step=0), numbers, places, "MIN")
    if node.attr("sorted", 1):
        chosen = _where(node, combined(node, "LESS", firsts, reshaped(node, n.tensor(), (1,))))
        found = node.add("Gather", [firsts, chosen], axis=0)
    else:  # numbers are the first places themselves, until they are counted
        leaders = node.add("Gather", [firsts, numbers], axis=0)
        is_first = combined(node, "EQUAL", leaders, places)
        found = chosen = _where(node, is_first)
        ranks = node.add("Cumulative", [cast(node, is_first, INT64)], axis=0, op="SUM", exclusive=True)
        numbers, counted = node.add("Gather", [ranks, leaders], axis=0), leaders
    outputs = [node.add("Gather", [x, found], axis=axis), found, numbers, None]
    if node.wants(3):
        counted = numbers if node.attr("sorted", 1) else counted
        zeros, ones = (_line(node, n, start=Counts(node, value), step=0) for value in (0, 1))
        outputs[3] = node.add("Gather", [_scattered(node, zeros, counted, ones, "ADD"), chosen], axis=0)
    return outputs


def _keys(node: Any, x: Any, axis: int) -> Any:
    """[n] integers that are in the order of the n slices along an axis, and equal where these are."""
    dims = extents(node, x).known
    if dims is None or not dims.all():
        raise node.fail(
            "with an axis, all extents must be known when the network is built, and none be 0",
            x=x.symbolic.dims,
            axis=axis,
        )
    n = int(dims[axis])
    if n > MOST_SLICES:
        raise node.fail("with an axis, it is not imported for so many slices", slices=n, most=MOST_SLICES)
    node.reserve(f"comparing {n} slices", layers=12 * _rounds(int(dims.prod()) // n, n))
    order = [*(i for i in range(len(dims)) if i != axis), axis]
    keys = reshaped(node, transposed(node, x, order), [int(dims.prod()) // n, n])
    together = int(62 / log2(max(n, 2)))  # numbers below n, of which one int64 holds so many
    while keys.shape[0] > 1:
        rows = keys.shape[0]
        size = min(together, rows)
        n_groups = -(-rows // size)
        digits = _numbers(node, keys)
        if n_groups * size > rows:
            node.reserve(f"{n_groups * size - rows} rows of {n} zeros", bytes=(n_groups * size - rows) * n * 8)
            digits = node.add("Concatenation", [digits, numpy.zeros((n_groups * size - rows, n), numpy.int64)], axis=0)
        weights = numpy.int64(n) ** numpy.arange(size - 1, -1, -1, dtype=numpy.int64)
        digits = combined(node, "PROD", reshaped(node, digits, [n_groups, size, n]), weights.reshape(1, size, 1))
        keys = reduced(node, "SUM", digits, [1], keep_dims=False)
    return reshaped(node, keys, [n])


def _rounds(rows: int, n: int) -> int:
    """How often rows are joined until one is left."""
    together, rounds = int(62 / log2(max(n, 2))), 0
    while rows > 1:
        rows, rounds = -(-rows // together), rounds + 1
    return rounds


def _numbers(node: Any, x: Any) -> Any:
    """Of each row of a matrix, which of its values each element is, in order from 0 on: int64. nan is one value."""
    x = x if x.dtype in SORTED else cast(node, x, DataType.INT32)
    dims = extents(node, x)
    inputs = [x] if dims[1].known is not None else [x, dims[1].tensor()]
    k = 0 if dims[1].known is None else int(dims[1].known[0])
    layer = node.network.add_plugin("TopK", inputs, {"op": 1, "k": k, "axes": 2})
    values, order = layer.get_output(0), cast(node, layer.get_output(1), INT64)
    before = sliced(node, values, Counts(node, [0, -1]), dims, mode="CLAMP")
    is_new = applied(node, "NOT", combined(node, "EQUAL", values, before))
    if x.dtype in FLOATS:  # nan is not equal to itself, and comes last
        is_nan, was_nan = (applied(node, "ISNAN", tensor) for tensor in (values, before))
        is_new = combined(node, "AND", is_new, applied(node, "NOT", combined(node, "AND", is_nan, was_nan)))
    numbers = node.add("Cumulative", [cast(node, is_new, INT64)], axis=1, op="SUM")
    return node.add("Scatter", [numbers, order, numbers], mode="ELEMENT", axis=1)


def _line(node: Any, n: Counts, start: Any = 0, step: int = 1) -> Any:
    """[n] int64: start, start + step and so on."""
    start = start if isinstance(start, Counts) else Counts(node, start)
    if n.known is not None and start.known is not None and n.known[0] <= MOST_KNOWN:
        return start.known + numpy.arange(n.known[0]) * step
    inputs = [n.tensor(), start.tensor(), numpy.array([step])]
    return node.add("Fill", inputs, operation="LINSPACE", to_type=INT64)


def _scattered(node: Any, x: Any, places: Any, updates: Any, reduction: str) -> Any:
    return node.add("Scatter", [x, places, updates], mode="ELEMENT", axis=0, reduction=reduction)


def _where(node: Any, condition: Any) -> Any:
    """Places of a list that are true."""
    return reshaped(node, node.add("NonZero", [condition], to=int(INT64)), (-1,))


rewrites = (onnx_op("Unique", rewrite=unique),)
