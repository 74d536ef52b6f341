"""AffineQuantize."""

from __future__ import annotations

import numpy

from dovetail.core.types import DataType
from dovetail.plugins import Input, Output, Plugin
from dovetail.plugins.builtin._quantized_sums import BYTES, LIMITS, check_vector


class AffineQuantize(Plugin):
    """y = round(x / scale) + zero, limited to the type of zero

    Inputs    x      any dims, float32
              scale  one value, float32
              zero   one value, int8 | uint8: what stands for 0 in y
    Outputs   y      dims of x, type of zero
    Numerics  the quotient is taken in float32 and rounded to the nearest, ties to even; nan gives the lower limit
    Errors    ShapeError if scale or zero has more than one value
    Source    ONNX QuantizeLinear-10
    """

    purpose = "Types and quantisation"
    role = "affine quantize"
    x = Input(DataType.FLOAT)
    scale = Input(DataType.FLOAT, doc="Step between two stored numbers.")
    zero = Input(BYTES, doc="What stands for 0.")
    y = Output(like="zero")

    def infer(self, x, scale, zero):
        check_vector(self, "scale", scale, None)
        check_vector(self, "zero", zero, None)
        return x.like(dtype=zero.dtype)

    def reference(self, x, scale, zero):
        low, high = LIMITS[DataType.INT8 if zero.dtype == numpy.int8 else DataType.UINT8]
        steps = x.astype(numpy.float32) / scale.astype(numpy.float32).reshape(())
        stored = numpy.rint(numpy.nan_to_num(steps, nan=-numpy.inf)) + numpy.float32(zero.reshape(()))
        return numpy.clip(stored, low, high).astype(zero.dtype)
