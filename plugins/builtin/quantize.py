"""Quantize."""

from __future__ import annotations

import numpy

from dovetail.core.functions import quantized as rounded
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
    is_given,
    onnx_op,
    rank_of,
    stored,
    zero_of_bytes,
)


class Quantize(Plugin):
    """y = round(clip(x / scale, -128, 127)), to the nearest, ties to even

    Inputs    x      any dims, float16 | bfloat16 | float32
              scale  positive; one value, or one per extent of `axis`
              zero_point  optional constant, all 0, as TensorRT 8.5 wants it
    Outputs   y      dims of x, int8
    Numerics  the quotient is taken in float32; nan gives 0
    Units     real = stored * scale; the zero point is 0
    Errors    ShapeError if scale has neither one value nor the extent of `axis`; FieldValueError for another zero point
    Source    TensorRT 8.5 IQuantizeLayer; ONNX QuantizeLinear-13 without a zero point
    """

    purpose = "Types and quantisation"
    x = Input(FLOATS)
    scale = Input(FLOATS, doc="Step between two stored numbers.")
    zero_point = Input(ZERO_POINTS, optional=True, checked=True, doc="What stands for 0: a constant, all 0.")
    y = Output(DataType.INT8)
    axis: int = field(UNSET, low=-1, high=7, doc="Axis of the scales where there are several; -1: there is one.")

    scalar = "round(max(-128, min(127, x / along(scale, axis))))"
    role = "quantize"
    type_rows = ("f32|f16|bf16|f16|bf16 f32|f16|bf16|f32|f32 -> i8|i8|i8|i8|i8",)

    def infer(self, x, scale, zero_point):
        check_scales(self.label, x, scale, self.axis)
        check_zero_point(self.label, zero_point)
        return x.like(dtype=DataType.INT8)

    def reference(self, x, scale, zero_point):
        # In float32 whatever is given: the side of a tie on which a quotient falls is specified.
        steps = x.astype(numpy.float32) / spread(scale, x, self.axis).astype(numpy.float32)
        return rounded(steps)

    @staticmethod
    def onnx():
        return (onnx_op("QuantizeLinear", rewrite=quantized),)

    @classmethod
    def add(cls, network, input, scale):
        """A Quantize layer; set `axis` where the scale has several values."""
        return network.add_plugin("Quantize", [input, scale])


# ---- ONNX


def quantized(node):
    """ONNX QuantizeLinear."""
    x, scale = node[0], node[1]
    type_name = node.type_name(2) if is_given(node, 2) else node.attr_type("output_dtype", "UINT8")
    is_symmetric = has_no_zero_point(node, 2)
    if type_name == "INT8" and is_symmetric and x.dtype != DataType.INT32 and rank_of(scale) < 2:
        wide = x if x.dtype == scale.dtype or scale.dtype == DataType.FLOAT else cast(node, x, scale.dtype)
        return node.add("Quantize", [wide, scale], **axis_of_scales(node))
    if is_affine(node, type_name):
        inputs = [cast(node, x, DataType.FLOAT), cast(node, scale, DataType.FLOAT), zero_of_bytes(node, 2, type_name)]
        return node.add("AffineQuantize", inputs)
    blocks = Blocks(node, cast(node, x, DataType.FLOAT))
    steps = elementwise(node, "DIV", blocks.x, blocks.parameter(cast(node, scale, DataType.FLOAT)))
    zero = None if is_symmetric else blocks.parameter(cast(node, node[2], DataType.FLOAT))
    return blocks.restored(stored(node, steps, zero, type_name, node.attr("saturate", 1)))
