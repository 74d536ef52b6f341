"""Reformat."""

from __future__ import annotations

from itertools import product

from dovetail.core.errors import DTypeError
from dovetail.core.functions import converted
from dovetail.core.types import DataType
from dovetail.plugins import Input, Output, Plugin, field

SAME = -1
# What the reference takes: it sees no scale, so that INT8 stays what it is.
_OTHERS = [one.short for one in DataType if one not in (DataType.INT8, DataType.FP8)]
_PAIRS = [*product(_OTHERS, repeat=2), ("i8", "i8")]


class Reformat(Plugin):
    """y = x, with its elements in the order of another tensor format, and converted to the type that is asked for

    Inputs    x  any dims, type and format
    Outputs   y  dims of x; its type, or that of `to`; its own format
    Numerics  with the type of x, bits are copied. Another type is converted to as Cast does. INT8 with a scale stands
              for stored * scale: it is converted from floats as Quantize does, and to floats as Dequantize does; no
              kernel takes it to or from other types, or to another scale. Padding lanes are not read, and written as 0
    Errors    DTypeError for FP8 to or from another type
    """

    purpose = "Shape and order"
    x = Input()
    y = Output()
    to: int = field(SAME, low=SAME, high=max(DataType), doc="DataType of the output; -1 keeps that of x.")

    role = "reformat"
    scalar = "x"
    type_rows = (" -> ".join("|".join(side) for side in zip(*_PAIRS, strict=True)),)

    def infer(self, x):
        to = x.dtype if self.to == SAME else DataType(self.to)
        if to != x.dtype and DataType.FP8 in (to, x.dtype):
            raise DTypeError(f"{self.label} cannot convert {x.dtype.name} to {to.name}", got=x.dtype, expected=to)
        return x.like(dtype=to)

    def reference(self, x):
        return x if self.to == SAME else converted(x, DataType(self.to))
