"""ByteTable."""

from __future__ import annotations

import numpy

from dovetail.plugins import Input, Output, Plugin, require_equal
from dovetail.plugins.builtin._quantized_sums import BYTES

ENTRIES = 256


class ByteTable(Plugin):
    """y = table[x]: any function of integers of 8 bits

    Inputs    x      any dims, int8 | uint8
              table  [256], int8 | uint8: the results, first that of the byte 0; of int8, -1 is the byte 255
    Outputs   y      dims of x, type of table
    Errors    ShapeError if table has not 256 entries
    Source    ONNX QuantizeLinear of functions of what DequantizeLinear gives; com.microsoft QLinearSigmoid-1
    """

    purpose = "Types and quantisation"
    role = "byte table"
    x = Input(BYTES)
    table = Input(BYTES, doc="A result for each byte.")
    y = Output(like="table")

    type_rows = ("i8|i8|u8|u8 i8|u8|i8|u8 -> i8|u8|i8|u8",)

    def infer(self, x, table):
        require_equal(self.label, ("rank of table", table.rank), ("rank of a list", 1))
        require_equal(self.label, ("entries of table", table.dims[0]), ("values of a byte", ENTRIES))
        return x.like(dtype=table.dtype)

    def reference(self, x, table):
        return table[x.astype(numpy.uint8)] if x.dtype != numpy.int8 else table[x.view(numpy.uint8)]
