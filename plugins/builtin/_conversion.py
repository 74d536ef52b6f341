"""Conversion of elements to another type, for Identity and Cast."""

from __future__ import annotations

from dataclasses import replace

from dovetail.core.expr import as_expr
from dovetail.core.floats import FLOAT32, FLOAT64
from dovetail.core.types import DataType, Rounding
from dovetail.plugins.builtin._fractions import follow_converted, ratios_of
from dovetail.plugins.builtin._values import fitting, follow_each

TYPES = tuple(t for t in DataType if t != DataType.FP8)
WORDS = tuple(t.short for t in TYPES)
TYPE_ROWS = tuple(f"{'|'.join(WORDS)} -> {'|'.join([word] * len(WORDS))}" for word in WORDS)


def infer_converted(x, to, in_float64=False):
    """A tensor like x of type `to`; contents that are extents are followed to bool, int32, int64 and float32.

    Args:
        in_float64: `to` is FLOAT, and what extents are computed with are float64 numbers.
    """
    y = x.like(dtype=to)
    if to == DataType.FLOAT:
        return follow_converted(y, x, FLOAT64 if in_float64 else FLOAT32)
    if x.dtype == DataType.FLOAT:
        numbers = ratios_of(x) if x.fractions is not None and to in (DataType.INT32, DataType.INT64) else None
        if numbers is None:
            return y
        whole = [number.whole(Rounding.TO_ZERO) for number in numbers.reshape(-1)]
        return replace(y, values=tuple(fitting(to, as_expr(number)) for number in whole))
    if to == DataType.BOOL:
        return follow_each(y, lambda element: element != 0, x)
    return follow_each(y, lambda element: element, x) if to in (x.dtype, DataType.INT32, DataType.INT64) else y
