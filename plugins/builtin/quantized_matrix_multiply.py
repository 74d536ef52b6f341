"""QuantizedMatrixMultiply."""

from __future__ import annotations

import numpy

from dovetail.core.errors import ShapeError
from dovetail.core.types import DataType
from dovetail.plugins import Input, Output, Plugin, Weights, broadcast, field, require_equal
from dovetail.plugins.builtin._quantized_sums import (
    BYTES,
    RESULTS,
    centred_integers,
    check_finish,
    check_zero,
    finish_rows,
    finished,
)


class QuantizedMatrixMultiply(Plugin):
    """y = (a - a_zero) @ (b - b_zero), for all matrices of a batch, in int32; or that times factor

    Inputs    a       [batch..., m, k], int8 | uint8
              b       [batch..., k, n], int8 | uint8
              a_zero  what stands for 0 in a, one value of its type; optional, 0
              b_zero  the same of b; one value, or [n]
              factor  float32, one value or [n], where y is not int32
              bias    [n] or one value, optional: float32, added last, where y is float32; else int32, added to the sums
              y_zero  one value of y's type, optional, where that is int8 or uint8
    Outputs   y       [batch..., m, n], of type `to_type`
    Batch     the dims in front of the matrices: of equal number, per axis equal extents or 1, which is repeated
    Numerics  sums are exact modulo 2**32, then float32. int8 and uint8 are limited to `low` and `high`, and to their
              type, and rounded to the nearest, ties to even; nan gives the lower limit
    Errors    ShapeError if ranks, batches or k do not agree, or an input is missing or has other dims
    Source    ONNX MatMulInteger-10 and QLinearMatMul-21
    """

    purpose = "Matrices and convolutions"
    role = "quantized product"
    a = Input(BYTES, doc="Matrices.")
    b = Input(BYTES, doc="Matrices.")
    a_zero = Input(BYTES, optional=True, doc="What stands for 0 in a.")
    b_zero = Input(BYTES, optional=True, doc="What stands for 0 in b, or in each of its columns.")
    factor = Weights(DataType.FLOAT, optional=True, doc="What one step of the sums is worth in y, or in each column.")
    bias = Weights((DataType.INT32, DataType.FLOAT), optional=True, doc="Added to the sums, or to y in float32.")
    y_zero = Input(BYTES, optional=True, doc="What stands for 0 in y.")
    y = Output(RESULTS)
    to_type: DataType = field(DataType.INT32, doc="Type of y: INT32, FLOAT, INT8 or UINT8.")
    low: int = field(-128, low=-128, high=255, doc="Lower limit of y where it is INT8 or UINT8.")
    high: int = field(255, low=-128, high=255, doc="Upper limit of y where it is INT8 or UINT8.")

    type_rows = finish_rows("i8|u8|i8|u8 i8|i8|u8|u8 i8|u8|i8|u8 i8|i8|u8|u8 {factor} {bias} {y_zero}")

    def infer(self, a, b, a_zero, b_zero, factor, bias, y_zero):
        if a.rank < 2 or a.rank != b.rank:
            raise ShapeError(
                f"{self.label} multiplies matrices of equal rank, got ranks {a.rank} and {b.rank}",
                facts=[("a", a.dims), ("b", b.dims)],
                expected=a.rank,
                got=b.rank,
            )
        batch = broadcast(f"the batch of {self.label}", a.dims[:-2], b.dims[:-2])
        require_equal(
            self.label,
            (f"the summed extent of a, columns of {a.dims}", a.dims[-1]),
            (f"the summed extent of b, rows of {b.dims}", b.dims[-2]),
            hint="The columns of a are multiplied by the rows of b.",
        )
        columns = b.dims[-1]
        check_zero(self, "a_zero", a_zero, None, a.dtype)
        check_zero(self, "b_zero", b_zero, columns, b.dtype)
        check_finish(self, columns, factor, bias, y_zero)
        return a.like((*batch, a.dims[-2], columns), self.to_type)

    def reference(self, a, b, a_zero, b_zero, factor, bias, y_zero):
        # Of whole numbers, in float64 exact: below 2**53.
        left, right = centred_integers(a, a_zero), centred_integers(b, b_zero)
        sums = (left.astype(numpy.float64) @ right.astype(numpy.float64)).astype(numpy.int64)
        return finished(self, sums, factor, bias, y_zero, -1)
