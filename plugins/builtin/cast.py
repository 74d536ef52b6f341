"""Cast."""

from __future__ import annotations

from dovetail.core.functions import converted
from dovetail.core.types import DataType
from dovetail.plugins import Input, Output, Plugin, field
from dovetail.plugins.builtin._conversion import TYPE_ROWS, TYPES, infer_converted
from dovetail.plugins.onnx import converted_to, onnx_op


class Cast(Plugin):
    """y = x, converted to `to_type`

    Inputs    x  any dims and type but FP8
    Outputs   y  dims of x; of type `to_type`, any but FP8
    Numerics  float to integer cuts off the fraction; what does not fit becomes the nearest limit, nan
              becomes 0. A wider integer keeps its low bits. To bool: is it not 0? To a float: rounds to
              nearest even.
    Errors    DTypeError for FP8
    Source    TensorRT 8.6 ICastLayer; Identity converts in the same way
    """

    purpose = "Types and quantisation"
    x = Input(TYPES)
    y = Output(TYPES)
    to_type: DataType = field(doc="Type of the output.")
    in_float64: bool = field(False, doc="Does y stand for float64 numbers where extents are computed with it?")

    scalar = "x"
    type_rows = TYPE_ROWS

    def infer(self, x):
        return infer_converted(x, self.to_type, self.in_float64)

    def reference(self, x):
        return converted(x, self.to_type)

    @staticmethod
    def onnx():
        return (onnx_op("Cast", rewrite=cast), onnx_op("CastLike", rewrite=cast_like))

    @classmethod
    def add(cls, network, input, to_type):
        """A Cast layer; `layer.to_type` can be set later."""
        return network.add_plugin("Cast", [input], {"to_type": to_type})


# ---- ONNX


def cast(node):
    """ONNX Cast."""
    return converted_to(node, node[0], node.attr_type("to"), node.attr("saturate", 1))


def cast_like(node):
    """ONNX CastLike."""
    return converted_to(node, node[0], node.type_name(1), node.attr("saturate", 1))
