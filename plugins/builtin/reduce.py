"""Reduce."""

from __future__ import annotations

import operator
from dataclasses import replace
from enum import IntEnum
from functools import reduce

import numpy

from dovetail.core.expr import maximum, minimum
from dovetail.core.types import FLOATS, DataType
from dovetail.plugins import Input, Output, Plugin, field
from dovetail.plugins.builtin._axes import axes_of

NUMBERS = (*FLOATS, DataType.INT32, DataType.INT64)


class ReduceOperation(IntEnum):
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
    Errors    ShapeError if a bit of `axes` is no axis of x
    Source    TensorRT 8.5 IReduceLayer; numpy for what is left open there
    """

    x = Input(NUMBERS)
    y = Output(like="x")
    op: ReduceOperation = field(ReduceOperation.SUM, doc="What becomes of the elements.")
    axes: int = field(doc="Which axes are reduced: bit i is axis i. 0 is none.", low=0, high=255)
    keep_dims: bool = field(False, doc="Keep reduced axes, with extent 1?")

    def infer(self, x):
        axes = axes_of(self.axes, x.rank, self.label)
        kept = [1 if i in axes else dim for i, dim in enumerate(x.dims) if self.keep_dims or i not in axes]
        elements = x.elements() if len(axes) == x.rank else None
        if not elements or self.op not in ON_EXTENTS:
            return x.like(kept)
        return replace(x.like(kept), values=(reduce(ON_EXTENTS[self.op], elements),))

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
        dtype = numpy.promote_types(x.dtype, numpy.float32) if is_float else x.dtype
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

    @classmethod
    def add(cls, network, input, op, axes, keep_dims):
        """A Reduce layer over the axes of a mask, `1 << axis` joined by |."""
        return network.add_plugin("Reduce", [input], {"op": op, "axes": axes, "keep_dims": keep_dims})
