"""DynamicQuantize."""

from __future__ import annotations

import numpy

from dovetail.core.types import DataType
from dovetail.plugins import Input, Output, Plugin
from dovetail.plugins.onnx import cast, onnx_op


class DynamicQuantize(Plugin):
    """scale = (max(x, 0) - min(x, 0)) / 255; zero = round(-min(x, 0) / scale); y = round(x / scale) + zero

    Inputs    x      any dims, float32
    Outputs   y      dims of x, uint8
              scale  one value without dims, float32
              zero   one value without dims, uint8
    Numerics  float32, rounded to the nearest, ties to even, and limited to 0 and 255; scale is 1 where all x are 0
    Source    ONNX DynamicQuantizeLinear-11
    """

    purpose = "Types and quantisation"
    x = Input(DataType.FLOAT)
    y = Output(DataType.UINT8)
    scale = Output(DataType.FLOAT)
    zero = Output(DataType.UINT8)

    def infer(self, x):
        return x.like(dtype=DataType.UINT8), x.like((), DataType.FLOAT), x.like((), DataType.UINT8)

    def reference(self, x):
        x = x.astype(numpy.float32)
        low, high = numpy.float32(x.min(initial=0)), numpy.float32(x.max(initial=0))
        scale = (high - low) / numpy.float32(255) if high > low else numpy.float32(1)
        zero = numpy.clip(numpy.rint(-low / scale), 0, 255)
        y = numpy.clip(numpy.rint(x / scale) + zero, 0, 255)
        return y.astype(numpy.uint8), numpy.float32(scale), zero.astype(numpy.uint8)

    @staticmethod
    def onnx():
        return (onnx_op("DynamicQuantizeLinear", 11, rewrite=dynamic_quantize_linear),)


# ---- ONNX


def dynamic_quantize_linear(node):
    """ONNX DynamicQuantizeLinear."""
    layer = node.network.add_plugin("DynamicQuantize", [cast(node, node[0], DataType.FLOAT)])
    return [layer.get_output(index) for index in range(3)]
