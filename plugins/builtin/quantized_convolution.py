"""QuantizedConvolution."""

from __future__ import annotations

import numpy

from dovetail.core.errors import DTypeError
from dovetail.core.types import DataType
from dovetail.plugins import Input, Output, Weights, field, require_equal
from dovetail.plugins.builtin._convolved import convolved, extents_of
from dovetail.plugins.builtin._convolving import Convolving
from dovetail.plugins.builtin._quantized_sums import (
    BYTES,
    LIMITS,
    RESULTS,
    centred_integers,
    check_finish,
    check_finite,
    check_limits,
    check_vector,
    check_zero,
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
              kernel_zero  what stands for 0 in kernel, int8, one value or [K]; optional, 0
              addend  dims and type of y, optional, where that is int8 or uint8
    Outputs   y       [..., K, spatial], of type `to_type`
    Numerics  cells outside x are x_zero; sums are exact modulo 2**32, then float32. int8 and uint8 are limited to `low`
              and `high`, and to their type, and rounded to the nearest, ties to even; nan gives the lower limit
    Addition  with an addend y is round((that - y_zero) * by_own + (addend - addend_zero) * by_addend) + sum_zero, in
              float32, limited to `sum_low` and `sum_high` and to its type: what QuantizedAddition makes of both
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
    kernel_zero = Input(DataType.INT8, optional=True, doc="What stands for 0 in kernel, or in that of each map.")
    addend = Input(BYTES, optional=True, doc="Added to the result.")
    y = Output(RESULTS, doc="[batch..., num_output_maps, spatial...]")
    to_type: DataType = field(DataType.INT32, doc="Type of y: INT32, FLOAT, INT8 or UINT8.")
    low: int = field(-128, low=-128, high=255, doc="Lower limit of y where it is INT8 or UINT8.")
    high: int = field(255, low=-128, high=255, doc="Upper limit of y where it is INT8 or UINT8.")

    by_own: float = field(1.0, doc="What one step of y without the addend is worth in steps of the sum.")
    by_addend: float = field(1.0, doc="What one step of the addend is worth in steps of the sum.")
    addend_zero: int = field(0, low=-128, high=255, doc="What stands for 0 in the addend.")
    sum_zero: int = field(0, low=-128, high=255, doc="What stands for 0 in the sum.")
    sum_low: int = field(-128, low=-128, high=255, doc="Lower limit of the sum.")
    sum_high: int = field(255, low=-128, high=255, doc="Upper limit of the sum.")

    type_rows = finish_rows("i8|u8 i8|i8 {bias} i8|u8 {factor} {y_zero} i8|i8 {y_zero}")

    def kernel_dims(self, channels):
        return (self.num_output_maps, channels // self.num_groups, *self.kernel_size_nd)

    def weight_dims(self, x, kernel, bias, x_zero=None, factor=None, y_zero=None, kernel_zero=None, addend=None):
        return super().weight_dims(x, kernel, bias)

    def infer(self, x, kernel, bias, x_zero, factor, y_zero, kernel_zero, addend):
        self.check_weights(x, kernel, bias)
        check_zero(self, "x_zero", x_zero, None, x.dtype)
        check_vector(self, "kernel_zero", kernel_zero, self.num_output_maps)
        check_finish(self, self.num_output_maps, factor, bias, y_zero)
        y = self.output(x, [extent for extent, _ in extents_of(self, x.dims)]).like(dtype=self.to_type)
        if addend is not None:
            self._check_addend(addend, y)
        return y

    def _check_addend(self, addend, y):
        check_finite(self, "by_own", "by_addend")
        check_limits(self, "sum_low", "sum_high")
        if addend.dtype != self.to_type:
            raise DTypeError(
                f"{self.label} adds tensors of the result's type, int8 or uint8",
                facts=[("addend", addend.dtype.name), ("to_type", self.to_type.name)],
                expected=self.to_type,
                got=addend.dtype,
            )
        require_equal(self.label, ("rank of the result", y.rank), ("rank of addend", addend.rank))
        for axis, (of_y, of_addend) in enumerate(zip(y.dims, addend.dims, strict=True)):
            require_equal(self.label, (f"axis {axis} of the result", of_y), (f"axis {axis} of addend", of_addend))

    def reference(self, x, kernel, bias, x_zero, factor, y_zero, kernel_zero, addend):
        # Of whole numbers, in float64 exact: below 2**53.
        cells = centred_integers(x, x_zero).astype(numpy.float64)
        weights = kernel.astype(numpy.int64)
        if kernel_zero is not None:
            weights = weights - kernel_zero.astype(numpy.int64).reshape(-1, *(1,) * (kernel.ndim - 1))
        sums = convolved(self, cells, weights.astype(numpy.float64)).astype(numpy.int64)
        y = finished(self, sums, factor, bias, y_zero, -self.spatial - 1)
        if addend is None:
            return y
        low, high = LIMITS[self.to_type]
        own = y.astype(numpy.float64) - (0 if y_zero is None else int(y_zero.reshape(-1)[0]))
        total = own * self.by_own + (addend.astype(numpy.float64) - self.addend_zero) * self.by_addend
        limits = max(low, self.sum_low), min(high, self.sum_high)
        return numpy.clip(numpy.rint(total) + self.sum_zero, *limits).astype(y.dtype)
