"""AffineDequantize."""

from __future__ import annotations

import numpy

from dovetail.core.types import DataType
from dovetail.plugins import Input, Output, Plugin
from dovetail.plugins.builtin._quantized_sums import BYTES, check_vector


class AffineDequantize(Plugin):
    """y = (x - zero) * scale

    Inputs    x      any dims, int8 | uint8
              scale  one value, float32
              zero   one value of x's type: what stands for 0
    Outputs   y      dims of x, float32
    Numerics  the difference is exact, the product is taken in float32
    Errors    ShapeError if scale or zero has more than one value
    Source    ONNX DequantizeLinear-10
    """

    purpose = "Types and quantisation"
    role = "affine dequantize"
    x = Input(BYTES)
    scale = Input(DataType.FLOAT, doc="Step between two stored numbers.")
    zero = Input(BYTES, doc="What stands for 0.")
    y = Output(DataType.FLOAT)

    type_rows = ("i8|u8 f32|f32 i8|u8 -> f32|f32",)

    def infer(self, x, scale, zero):
        check_vector(self, "scale", scale, None)
        check_vector(self, "zero", zero, None)
        return x.like(dtype=DataType.FLOAT)

    def reference(self, x, scale, zero):
        steps = x.astype(numpy.int32) - zero.astype(numpy.int32).reshape(())
        return steps.astype(numpy.float32) * scale.astype(numpy.float32).reshape(())
