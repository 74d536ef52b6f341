"""NonZero."""

from __future__ import annotations

import numpy

from dovetail.core.contract import SymbolicTensor
from dovetail.core.errors import DTypeError
from dovetail.core.expr import DimsExprs
from dovetail.core.types import DataType, nptype
from dovetail.plugins import Input, Output, Plugin, field
from dovetail.plugins.onnx import onnx_op

TYPES = tuple(t for t in DataType if t != DataType.FP8)
WORDS = "|".join(t.short for t in TYPES)
INDICES = (DataType.INT32, DataType.INT64)


def _each(word):
    return "|".join([word] * len(TYPES))


class NonZero(Plugin):
    """y[:, k] = the coordinates of the k-th element of x that is not zero

    Inputs    x      any dims, any type but FP8
    Outputs   y      [rank of x, count], row-major order; int32 or what `to` says
              count  no dims, the type of y: how many there are. It is known when the layer has run, and at most the
                     number of elements of x
    Numerics  -0 is zero, nan is not
    Errors    DTypeError for another type than int32 and int64
    Source    TensorRT 8.5 INonZeroLayer, which gives int32 and has y alone; ONNX NonZero gives int64
    """

    purpose = "Indexing and selection"
    x = Input(TYPES)
    y = Output(INDICES)
    count = Output(INDICES, size=True, doc="Extent of y's second axis.")
    to: int = field(int(DataType.INT32), doc="DataType of the outputs, INT32 or INT64.")

    type_rows = tuple(f"{WORDS} -> {_each(t.short)} {_each(t.short)}" for t in INDICES)

    def infer(self, x):
        if self.to not in INDICES:
            raise DTypeError(
                f"{self.label} cannot give coordinates as type {self.to}",
                facts=[("to", "DataType.INT32 or DataType.INT64")],
                expected=INDICES,
                got=self.to,
            )
        volume, dtype = x.dims.volume, DataType(self.to)
        count = self.declare_size("count", opt=(volume + 1) // 2, upper=volume)
        return SymbolicTensor(DimsExprs((x.rank, count)), dtype), SymbolicTensor(DimsExprs(()), dtype, values=(count,))

    def reference(self, x):
        dtype = nptype(DataType(self.to))
        found = numpy.flatnonzero(x)
        y = numpy.stack(numpy.unravel_index(found, x.shape)) if x.ndim else numpy.empty((0, found.size))
        return y.astype(dtype), numpy.array(found.size, dtype)

    onnx = (onnx_op("NonZero", rewrite=lambda node: node.add("NonZero", [node[0]], to=int(DataType.INT64))),)

    @classmethod
    def add(cls, network, input):
        """A NonZero layer; `layer.to = trt.int64` gives int64."""
        return network.add_plugin("NonZero", [input])
