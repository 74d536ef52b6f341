"""Elements converted to another type: what Identity and Cast have in common."""

from __future__ import annotations

from dataclasses import replace

import numpy

from dovetail.core.expr import as_expr
from dovetail.core.types import FLOATS, DataType, Rounding, nptype
from dovetail.plugins.builtin._fractions import follow_ratios, ratios_of
from dovetail.plugins.builtin._values import follow_each

TYPES = tuple(t for t in DataType if t != DataType.FP8)
WORDS = tuple(t.short for t in TYPES)
TYPE_ROWS = tuple(f"{'|'.join(WORDS)} -> {'|'.join([word] * len(WORDS))}" for word in WORDS)


def converted(x, to):
    """An array with the elements of x as `to`; floats keep their width: what stores them rounds."""
    if to in FLOATS:
        return x if x.dtype.kind == "f" else x.astype(numpy.float32)
    if to == DataType.BOOL or x.dtype.kind != "f":
        return x.astype(nptype(to))
    limits = numpy.iinfo(nptype(to))
    whole = numpy.trunc(numpy.nan_to_num(x, nan=0.0, posinf=numpy.inf, neginf=-numpy.inf))
    inside = numpy.where((whole >= limits.min) & (whole < float(limits.max)), whole, 0).astype(nptype(to))
    return numpy.where(whole >= float(limits.max), limits.max, numpy.where(whole < limits.min, limits.min, inside))


def infer_converted(x, to):
    """A tensor like x of type `to`; contents that are extents are followed to bool, int32, int64 and float32."""
    y = x.like(dtype=to)
    if to == DataType.FLOAT:
        return follow_ratios(y, lambda a: a, x)
    if x.dtype == DataType.FLOAT:
        numbers = ratios_of(x) if x.fractions is not None and to in (DataType.INT32, DataType.INT64) else None
        if numbers is None:
            return y
        return replace(y, values=tuple(as_expr(number.whole(Rounding.TO_ZERO)) for number in numbers.reshape(-1)))
    if to == DataType.BOOL:
        return follow_each(y, lambda element: element != 0, x)
    return follow_each(y, lambda element: element, x) if to in (x.dtype, DataType.INT32, DataType.INT64) else y
