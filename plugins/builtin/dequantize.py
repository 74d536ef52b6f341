"""Dequantize."""

from __future__ import annotations

from dovetail.core.types import FLOATS, DataType
from dovetail.plugins import Input, Output, Plugin, field
from dovetail.plugins.builtin._scales import UNSET, ZERO_POINTS, check_scales, check_zero_point, spread
from dovetail.plugins.onnx import (
    Blocks,
    axis_of_scales,
    cast,
    elementwise,
    has_no_zero_point,
    is_affine,
    onnx_op,
    rank_of,
    zero_of_bytes,
)


class Dequantize(Plugin):
    """y = x * scale

    Inputs    x      any dims, int8
              scale  positive; one value, or one per extent of `axis`
              zero_point  optional constant, all 0, as TensorRT 8.5 wants it
    Outputs   y      dims of x, type of scale
    Numerics  the product is taken in float32
    Units     real = stored * scale; the zero point is 0
    Errors    ShapeError if scale has neither one value nor the extent of `axis`; FieldValueError for another zero point
    Source    TensorRT 8.5 IDequantizeLayer; ONNX DequantizeLinear-13 without a zero point
    """

    purpose = "Types and quantisation"
    x = Input(DataType.INT8)
    scale = Input(FLOATS, doc="Step between two stored numbers.")
    zero_point = Input(ZERO_POINTS, optional=True, checked=True, doc="What stands for 0: a constant, all 0.")
    y = Output(FLOATS)
    axis: int = field(UNSET, low=-1, high=7, doc="Axis of the scales where there are several; -1: there is one.")

    scalar = "x * along(scale, axis)"
    role = "dequantize"
    type_rows = ("i8|i8|i8|i8|i8 f32|f16|bf16|f32|f32 -> f32|f16|bf16|f16|bf16",)

    def infer(self, x, scale, zero_point):
        check_scales(self.label, x, scale, self.axis)
        check_zero_point(self.label, zero_point)
        return x.like(dtype=scale.dtype)

    def reference(self, x, scale, zero_point):
        return x.astype(scale.dtype) * spread(scale, x, self.axis)

    @staticmethod
    def onnx():
        return (onnx_op("DequantizeLinear", rewrite=dequantized),)

    @classmethod
    def add(cls, network, input, scale):
        """A Dequantize layer; set `axis` where the scale has several values."""
        return network.add_plugin("Dequantize", [input, scale])


# ---- ONNX


def dequantized(node):
    """ONNX DequantizeLinear."""
    x, scale = node[0], node[1]
    is_symmetric = has_no_zero_point(node, 2)
    if x.dtype == DataType.INT8 and is_symmetric and rank_of(scale) < 2:
        y = node.add("Dequantize", [x, scale], **axis_of_scales(node))
    elif is_affine(node, node.type_name(0)):
        zero = zero_of_bytes(node, 2, node.type_name(0))
        y = node.add("AffineDequantize", [x, cast(node, scale, DataType.FLOAT), zero])
    else:
        blocks = Blocks(node, x)
        steps = blocks.x
        if not is_symmetric:
            work = DataType.FLOAT if x.dtype == DataType.FLOAT else DataType.INT32
            zero = blocks.parameter(cast(node, node[2], work))
            steps = elementwise(node, "SUB", cast(node, steps, work), zero)
        steps = cast(node, steps, DataType.FLOAT)
        real = elementwise(node, "PROD", steps, blocks.parameter(cast(node, scale, DataType.FLOAT)))
        y = blocks.restored(real)
    return cast(node, y, node.carrier(node.attr_type("output_dtype", node.type_name(1))))
