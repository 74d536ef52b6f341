"""QuantizedAddition."""

from __future__ import annotations

import numpy

from dovetail.core.types import DataType, nptype
from dovetail.plugins import Input, Output, Plugin, field, require_equal
from dovetail.plugins.builtin._quantized_sums import BYTES, LIMITS, check_finite, check_limits


class QuantizedAddition(Plugin):
    """y = round((a - a_zero) * a_factor + (b - b_zero) * b_factor) + y_zero, limited

    Inputs    a  any dims, int8 | uint8
              b  dims of a, int8 | uint8
    Outputs   y  dims of a, of type `to_type`
    Numerics  float32, rounded to the nearest, ties to even, and limited to `low` and `high` and to the type of y. Sums
              that are within rounding of the middle of two steps may become either
    Errors    ShapeError if a and b have other dims; FieldValueError if a factor is not finite, or `low` is above `high`
    Source    the additions of networks with ONNX QuantizeLinear and DequantizeLinear
    """

    purpose = "Types and quantisation"
    role = "quantized addition"
    a = Input(BYTES)
    b = Input(BYTES)
    y = Output(BYTES)
    a_zero: int = field(0, low=-128, high=255, doc="What stands for 0 in a.")
    b_zero: int = field(0, low=-128, high=255, doc="What stands for 0 in b.")
    y_zero: int = field(0, low=-128, high=255, doc="What stands for 0 in y.")
    a_factor: float = field(doc="What one step of a is worth in steps of y.")
    b_factor: float = field(doc="What one step of b is worth in steps of y.")
    to_type: DataType = field(DataType.UINT8, doc="Type of y: INT8 or UINT8.")
    low: int = field(-128, low=-128, high=255, doc="Lower limit of y.")
    high: int = field(255, low=-128, high=255, doc="Upper limit of y.")

    def infer(self, a, b):
        check_limits(self)
        check_finite(self, "a_factor", "b_factor")
        require_equal(self.label, ("rank of a", a.rank), ("rank of b", b.rank))
        for axis, (of_a, of_b) in enumerate(zip(a.dims, b.dims, strict=True)):
            require_equal(self.label, (f"axis {axis} of a", of_a), (f"axis {axis} of b", of_b))
        return a.like(dtype=self.to_type)

    def reference(self, a, b):
        low, high = (f(x, y) for f, x, y in zip((max, min), LIMITS[self.to_type], (self.low, self.high), strict=True))
        real = (a.astype(numpy.float64) - self.a_zero) * self.a_factor
        real += (b.astype(numpy.float64) - self.b_zero) * self.b_factor
        return numpy.clip(numpy.rint(real) + self.y_zero, low, high).astype(nptype(self.to_type))
