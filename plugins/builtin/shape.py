"""Shape."""

from __future__ import annotations

from dataclasses import replace

import numpy

from dovetail.core.errors import DTypeError
from dovetail.core.types import DataType, nptype
from dovetail.plugins import Input, Output, Plugin, field
from dovetail.plugins.onnx import extents, onnx_op, reshaped

ANY = tuple(DataType)
WORDS = tuple(t.short for t in ANY)
TYPES = (DataType.INT32, DataType.INT64)


class Shape(Plugin):
    """y = the extents of x

    Inputs    x  any dims and type; its elements are not read
    Outputs   y  [rank of x], int32 or what `to` says. Layers that take a shape see extents that are known only at
                 run time through it
    Errors    DTypeError for another type than int32 and int64
    Source    TensorRT 8.5 IShapeLayer, which gives int32; TensorRT 10 gives int64
    """

    purpose = "Shape and order"
    x = Input(ANY)
    y = Output(TYPES)
    to: int = field(int(DataType.INT32), doc="DataType of the output, INT32 or INT64.")

    type_rows = tuple(f"{'|'.join(WORDS)} -> {'|'.join([t.short] * len(WORDS))}" for t in TYPES)

    def infer(self, x):
        if self.to not in TYPES:
            raise DTypeError(
                f"{self.label} cannot give its extents as type {self.to}",
                facts=[("to", "DataType.INT32 or DataType.INT64")],
                expected=TYPES,
                got=self.to,
            )
        return replace(x.like((x.rank,), DataType(self.to)), values=tuple(x.dims))

    def reference(self, x):
        return numpy.array(x.shape, nptype(DataType(self.to)))

    @staticmethod
    def onnx():
        return (onnx_op("Shape", rewrite=shape), onnx_op("Size", rewrite=size))

    @classmethod
    def add(cls, network, input):
        """A Shape layer; `layer.to = trt.int64` gives int64."""
        return network.add_plugin("Shape", [input])


# ---- ONNX


def shape(node):
    """ONNX Shape: the extents from axis start up to end, negative ones counted from the end."""
    dims = extents(node, node[0])
    return dims[node.attr("start", 0) : node.attr("end")].tensor() if len(dims) else dims.tensor()


def size(node):
    """ONNX Size: the number of elements."""
    return reshaped(node, extents(node, node[0]).product().tensor(), ())
