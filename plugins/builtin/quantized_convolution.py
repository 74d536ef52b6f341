"""QuantizedConvolution."""

from __future__ import annotations

import numpy

from dovetail.core.types import DataType
from dovetail.plugins import Input, Output, Weights, field
from dovetail.plugins.builtin._convolved import convolved, extents_of
from dovetail.plugins.builtin._convolving import Convolving
from dovetail.plugins.builtin._quantized_sums import (
    BYTES,
    RESULTS,
    centred_integers,
    check_finish,
    check_vector,
    finish_rows,
    finished,
)


class QuantizedConvolution(Convolving):
    """y[k, p] = bias[k] + sum over c, r of (x[c, p * stride + r * dilation - padding] - x_zero) * kernel[k, c, r], in
    int32; or that times factor

    Inputs    x       [..., C, spatial], two or three spatial dims, int8 | uint8
              kernel  [K, C / groups, window], int8; not flipped
              bias    [K], optional: float32, added last, where y is float32; else int32, added to the sums
              x_zero  what stands for 0 in x, one value of its type; optional, 0
              factor  float32, one value or [K], where y is not int32
              y_zero  one value of y's type, optional, where that is int8 or uint8
    Outputs   y       [..., K, spatial], of type `to_type`
    Numerics  cells outside x are x_zero; sums are exact modulo 2**32, then float32. int8 and uint8 are limited to `low`
              and `high`, and to their type, and rounded to the nearest, ties to even; nan gives the lower limit
    Errors    ShapeError if channels, groups and weights disagree, an output extent would be below 1, or an input is
              missing or has other dims
    Source    ONNX ConvInteger-10 and QLinearConv-10
    """

    purpose = "Matrices and convolutions"
    role = "quantized convolution"
    x = Input(BYTES, doc="[batch..., channels, spatial...]")
    kernel = Weights(DataType.INT8, doc="The kernel.")
    bias = Weights((DataType.INT32, DataType.FLOAT), optional=True, doc="[num_output_maps].")
    x_zero = Input(BYTES, optional=True, doc="What stands for 0 in x.")
    factor = Weights(DataType.FLOAT, optional=True, doc="What one step of the sums is worth in y, or in each map.")
    y_zero = Input(BYTES, optional=True, doc="What stands for 0 in y.")
    y = Output(RESULTS, doc="[batch..., num_output_maps, spatial...]")
    to_type: DataType = field(DataType.INT32, doc="Type of y: INT32, FLOAT, INT8 or UINT8.")
    low: int = field(-128, low=-128, high=255, doc="Lower limit of y where it is INT8 or UINT8.")
    high: int = field(255, low=-128, high=255, doc="Upper limit of y where it is INT8 or UINT8.")

    type_rows = finish_rows("i8|u8 i8|i8 {bias} i8|u8 {factor} {y_zero}")

    def kernel_dims(self, channels):
        return (self.num_output_maps, channels // self.num_groups, *self.kernel_size_nd)

    def weight_dims(self, x, kernel, bias, x_zero=None, factor=None, y_zero=None):
        return super().weight_dims(x, kernel, bias)

    def infer(self, x, kernel, bias, x_zero, factor, y_zero):
        self.check_weights(x, kernel, bias)
        check_vector(self, "x_zero", x_zero, None)
        check_finish(self, self.num_output_maps, factor, bias, y_zero)
        y = self.output(x, [extent for extent, _ in extents_of(self, x.dims)])
        return y.like(dtype=self.to_type)

    def reference(self, x, kernel, bias, x_zero, factor, y_zero):
        # Of whole numbers, in float64 exact: below 2**53.
        cells = centred_integers(x, x_zero).astype(numpy.float64)
        sums = convolved(self, cells, kernel.astype(numpy.float64)).astype(numpy.int64)
        return finished(self, sums, factor, bias, y_zero, -self.spatial - 1)
