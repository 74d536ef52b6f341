"""Determinant."""

from __future__ import annotations

import numpy

from dovetail.core.errors import ShapeError
from dovetail.core.types import FLOATS
from dovetail.plugins import Input, Output, Plugin, require_equal
from dovetail.plugins.onnx import onnx_op


class Determinant(Plugin):
    """y[...] = det(x[..., :, :])

    Inputs    x  [batch..., n, n], rank 2..8, float16 | bfloat16 | float32
    Outputs   y  [batch...], type of x
    Numerics  float64 whatever the type, and an exponent that no product overflows, so that only what is stored rounds;
              nan where an element is nan, and where infinities meet; 0 where elimination meets a column of zeros; 1 for
              n = 0
    Errors    ShapeError below rank 2, or if the matrices are not square
    Source    ONNX Det
    """

    purpose = "Matrices and convolutions"
    x = Input(FLOATS)
    y = Output(like="x")

    def infer(self, x):
        if x.rank < 2:
            raise ShapeError(
                f"{self.label} cannot find the matrices of a tensor with {x.rank} dims",
                facts=[("x", x.dims), ("needed", "[batch..., n, n], rank 2 or more")],
                expected=2,
                got=x.rank,
            )
        require_equal(self.label, ("rows of a matrix", x.dims[x.rank - 2]), ("columns", x.dims[x.rank - 1]))
        return x.like(x.dims[axis] for axis in range(x.rank - 2))

    def reference(self, x):
        with numpy.errstate(invalid="ignore", over="ignore"):
            y = numpy.linalg.det(x if x.dtype.itemsize > 2 else x.astype(numpy.float32))
        return numpy.where(numpy.isnan(x).any((-2, -1)), numpy.nan, y).astype(x.dtype)  # LAPACK may lose a nan

    onnx = (onnx_op("Det", 11),)
