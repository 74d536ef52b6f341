"""Reduce."""

from __future__ import annotations

import operator
from dataclasses import replace
from functools import reduce

import numpy

from dovetail.core.expr import maximum, minimum
from dovetail.core.named import Named
from dovetail.core.types import FLOATS, DataType
from dovetail.plugins import Input, Output, Plugin, field
from dovetail.plugins.builtin._axes import axes_of
from dovetail.plugins.builtin._fractions import NotFollowed, Ratio, exact, follow_ratios
from dovetail.plugins.builtin._values import fitting
from dovetail.plugins.onnx import (
    applied,
    axes_given,
    cast,
    combined,
    in_float,
    lp_norm,
    norm_order,
    onnx_op,
    rank_of,
    reduced,
)

NUMBERS = (*FLOATS, DataType.INT32, DataType.INT64)


class ReduceOperation(Named):
    """What becomes of the elements."""

    SUM = 0
    PROD = 1
    MAX = 2
    MIN = 3
    AVG = 4


ON_EXTENTS = {
    ReduceOperation.SUM: operator.add,
    ReduceOperation.PROD: operator.mul,
    ReduceOperation.MAX: maximum,
    ReduceOperation.MIN: minimum,
}


class Reduce(Plugin):
    """y = sum, product, maximum, minimum or mean of x over `axes`

    Inputs    x  [d0, ..., dn-1], rank 0..8, float16 | bfloat16 | float32 | int32 | int64
    Outputs   y  type of x; the axes have extent 1, or are left out without `keep_dims`
    Numerics  float16 and bfloat16 are reduced in float32, long reductions in blocks. Integers are exact and wrap
              around; their AVG drops the fraction. MAX and MIN give nan where an element is nan.
              Over no elements SUM is 0, PROD 1, MAX the least and MIN the greatest value of the type (-inf, inf),
              AVG nan, of integers 0
    Errors    ShapeError if a bit of `axes` is not an axis of x
    Source    TensorRT 8.5 IReduceLayer; numpy for what is left open there
    """

    purpose = "Reductions and sorting"
    x = Input(NUMBERS)
    y = Output(like="x")
    op: ReduceOperation = field(ReduceOperation.SUM, doc="What becomes of the elements.")
    axes: int = field(doc="Which axes are reduced: bit i is axis i. 0 is none.", low=0, high=255)
    keep_dims: bool = field(False, doc="Keep reduced axes, with extent 1?")

    def infer(self, x):
        axes = axes_of(self.axes, x.rank, self.label)
        kept = [1 if i in axes else dim for i, dim in enumerate(x.dims) if self.keep_dims or i not in axes]
        if x.dtype == DataType.FLOAT and len(axes) == x.rank and x.rank:
            return follow_ratios(x.like(kept), self._of_numbers, x)
        elements = x.elements() if len(axes) == x.rank else None
        if not elements or self.op not in ON_EXTENTS:
            return x.like(kept)
        return replace(x.like(kept), values=(fitting(x.dtype, reduce(ON_EXTENTS[self.op], elements)),))

    def _of_numbers(self, array):
        """What float32 numbers that follow from extents give, in whatever order they are added."""
        numbers = list(array.reshape(-1))
        if not numbers or (self.op == ReduceOperation.AVG and len(numbers) & (len(numbers) - 1)):
            raise NotFollowed
        if self.op in (ReduceOperation.MAX, ReduceOperation.MIN):
            return reduce(
                (lambda a, b: a.greatest(b)) if self.op == ReduceOperation.MAX else (lambda a, b: a.least(b)), numbers
            )
        op = operator.mul if self.op == ReduceOperation.PROD else operator.add
        total = reduce(lambda a, b: exact(op(exact(a), exact(b))), numbers)
        return total / Ratio(len(numbers)) if self.op == ReduceOperation.AVG else total

    def reference(self, x):
        how = {"axis": axes_of(self.axes, x.ndim, self.label), "keepdims": self.keep_dims}
        is_float = x.dtype.kind not in "iu"
        if self.op in (ReduceOperation.MAX, ReduceOperation.MIN):
            least, greatest = (
                (-numpy.inf, numpy.inf) if is_float else (numpy.iinfo(x.dtype).min, numpy.iinfo(x.dtype).max)
            )
            if self.op == ReduceOperation.MAX:
                return numpy.max(x, **how, initial=least)
            return numpy.min(x, **how, initial=greatest)
        dtype = numpy.float64 if is_float else x.dtype  # NumPy sums along outer axes in one chain of additions
        if self.op == ReduceOperation.PROD:
            return numpy.prod(x, **how, dtype=dtype).astype(x.dtype)
        total = numpy.sum(x, **how, dtype=dtype)
        if self.op == ReduceOperation.SUM:
            return total.astype(x.dtype)
        count = x.size // max(total.size, 1)
        if is_float:
            return (total / count if count else numpy.full_like(total, numpy.nan)).astype(x.dtype)
        cut = abs(total) // max(count, 1) * numpy.sign(total)
        return numpy.asarray(cut, x.dtype)

    @staticmethod
    def onnx():
        return (
            *(onnx_op(name, rewrite=plain_reduction) for name in PLAIN),
            onnx_op("ReduceL1", rewrite=composed_reduction),
            onnx_op("ReduceL2", rewrite=composed_reduction),
            onnx_op("ReduceSumSquare", rewrite=composed_reduction),
            onnx_op("ReduceLogSum", rewrite=composed_reduction),
            onnx_op("ReduceLogSumExp", rewrite=composed_reduction),
            onnx_op("GlobalAveragePool", rewrite=global_pool),
            onnx_op("GlobalMaxPool", rewrite=global_pool),
            onnx_op("GlobalLpPool", rewrite=global_pool),
        )

    @classmethod
    def add(cls, network, input, op, axes, keep_dims):
        """A Reduce layer over the axes of a mask, `1 << axis` joined by |."""
        return network.add_plugin("Reduce", [input], {"op": op, "axes": axes, "keep_dims": keep_dims})


# ---- ONNX


def _onnx_axes(node):
    axes = axes_given(node, 1, rank_of(node[0]))
    if not axes and not (node.attr("noop_with_empty_axes", 0)):
        axes = range(rank_of(node[0]))
    return list(axes or ()), bool(node.attr("keepdims", 1))


PLAIN = {"ReduceSum": "SUM", "ReduceProd": "PROD", "ReduceMax": "MAX", "ReduceMin": "MIN", "ReduceMean": "AVG"}
LIMITS = {DataType.BOOL: (0, 1), DataType.INT8: (-128, 127), DataType.UINT8: (0, 255)}


def plain_reduction(node):
    """ONNX ReduceSum, ReduceProd, ReduceMax, ReduceMin, ReduceMean."""
    x = node[0]
    if x.dtype in NUMBERS:
        return reduced(node, PLAIN[node.op_type], x, *_onnx_axes(node))
    y = reduced(node, PLAIN[node.op_type], cast(node, x, DataType.INT32), *_onnx_axes(node))
    least, greatest = LIMITS[x.dtype]  # which are the maximum and minimum of nothing
    return cast(node, combined(node, "MIN", combined(node, "MAX", y, least), greatest), x.dtype)


def composed_reduction(node):
    """ONNX ReduceL1, ReduceL2, ReduceSumSquare, ReduceLogSum, ReduceLogSumExp: in float32, L1 and squares exactly."""
    axes, keep_dims = _onnx_axes(node)
    x = node[0]
    if node.op_type in ("ReduceL2", "ReduceLogSum", "ReduceLogSumExp"):
        x = cast(node, x, DataType.FLOAT)
    else:
        x = in_float(node, x)
    if node.op_type == "ReduceLogSumExp":
        most = reduced(node, "MAX", x, axes)
        limit = float(numpy.finfo(numpy.float32).max)  # inf - inf would be nan; what is left of an inf is inf
        most = combined(node, "MIN", combined(node, "MAX", most, -limit), limit)
        total = reduced(node, "SUM", applied(node, "EXP", combined(node, "SUB", x, most)), axes)
        y = combined(node, "SUM", applied(node, "LOG", total), most)
        y = y if keep_dims or not axes else node.add("Squeeze", [y, numpy.array(axes)])
    elif node.op_type == "ReduceLogSum":
        y = applied(node, "LOG", reduced(node, "SUM", x, axes, keep_dims))
    elif node.op_type == "ReduceSumSquare":
        y = reduced(node, "SUM", combined(node, "PROD", x, x), axes, keep_dims)
    else:
        y = lp_norm(node, x, axes, 1 if node.op_type == "ReduceL1" else 2, keep_dims)
    return cast(node, y, node[0].dtype)


def global_pool(node):
    """ONNX GlobalAveragePool, GlobalMaxPool, GlobalLpPool: all behind the channels becomes one."""
    x = node[0]
    axes = range(2, rank_of(x))
    if node.op_type == "GlobalLpPool":
        return lp_norm(node, x, axes, norm_order(node))
    return reduced(node, "MAX" if node.op_type == "GlobalMaxPool" else "AVG", x, axes)
