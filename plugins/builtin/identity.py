"""Identity."""

from __future__ import annotations

import numpy

from dovetail.core.types import FLOATS, DataType, nptype
from dovetail.plugins import Input, Output, Plugin, field, onnx_op

SAME = -1
TYPES = tuple(t for t in DataType if t != DataType.FP8)
WORDS = tuple(t.short for t in TYPES)


class Identity(Plugin):
    """y = x, converted to the type that is asked for

    Inputs    x  any dims and type but FP8
    Outputs   y  dims of x; its type, or that of `to`
    Numerics  float to integer cuts off the fraction; what does not fit becomes the nearest limit, nan
              becomes 0. A wider integer keeps its low bits. To bool: is it not 0? To a float: rounds to
              nearest even.
    Source    TensorRT 8.5 IIdentityLayer, where `layer.set_output_type(0, type)` converts
    """

    x = Input(TYPES)
    y = Output(TYPES)
    to: int = field(SAME, low=SAME, high=max(DataType), doc="DataType of the output; -1 keeps that of x.")

    role = "identity"
    scalar = "x"
    type_rows = tuple(f"{'|'.join(WORDS)} -> {'|'.join([word] * len(WORDS))}" for word in WORDS)

    def infer(self, x):
        return x.like(dtype=x.dtype if self.to == SAME else DataType(self.to))

    def reference(self, x):
        if self.to == SAME:
            return x
        to = DataType(self.to)
        if to in FLOATS:
            return x if x.dtype.kind == "f" else x.astype(numpy.float32)  # rounded where it is stored
        if to == DataType.BOOL or x.dtype.kind != "f":
            return x.astype(nptype(to))
        limits = numpy.iinfo(nptype(to))
        whole = numpy.trunc(numpy.nan_to_num(x, nan=0.0, posinf=numpy.inf, neginf=-numpy.inf))
        inside = numpy.where((whole >= limits.min) & (whole < float(limits.max)), whole, 0).astype(nptype(to))
        return numpy.where(whole >= float(limits.max), limits.max, numpy.where(whole < limits.min, limits.min, inside))

    onnx = (onnx_op("Identity"), onnx_op("Dropout", rewrite=lambda node: node[0]))

    @classmethod
    def add(cls, network, input):
        """An Identity layer; `layer.set_output_type(0, trt.float16)` makes it convert."""
        return network.add_plugin("Identity", [input])
