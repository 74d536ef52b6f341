"""ParametricReLU."""

from __future__ import annotations

import numpy

from dovetail.core.errors import DTypeError, ShapeError
from dovetail.core.types import FLOATS
from dovetail.plugins import Input, Output, Plugin, require_that
from dovetail.plugins.onnx import aligned, channels, elementwise, onnx_op, rank_of, scalar


class ParametricReLU(Plugin):
    """y = x if x >= 0 else slopes * x

    Inputs    x       [d0, ..., dn-1], float16 | bfloat16 | float32
              slopes  of equal rank and type, per axis the extent of x, or 1, which is repeated
    Outputs   y       dims and type of x
    Numerics  float32 whatever the type; nan gives nan
    Errors    ShapeError if slopes do not fit x; DTypeError if its type is another
    Source    TensorRT 8.5 IParametricReLULayer
    """

    purpose = "Element by element"
    x = Input(FLOATS)
    slopes = Input(FLOATS, doc="Factor of the negative elements.")
    y = Output(like="x")

    scalar = "x if x >= 0 else slopes * x"
    type_rows = ("f32|f16|bf16 f32|f16|bf16 -> f32|f16|bf16",)

    def infer(self, x, slopes):
        if x.dtype != slopes.dtype:
            raise DTypeError(
                f"{self.label} cannot scale {x.dtype.name} by slopes of {slopes.dtype.name}",
                facts=[("x", x.dtype.name), ("slopes", slopes.dtype.name), ("rule", "both of one type")],
                hint="Convert one of them with a Cast layer.",
                expected=x.dtype,
                got=slopes.dtype,
            )
        if x.rank != slopes.rank:
            raise ShapeError(
                f"{self.label} cannot repeat slopes of rank {slopes.rank} over x of rank {x.rank}",
                facts=[("x", x.dims), ("slopes", slopes.dims), ("rule", "equal rank")],
                hint="Put extents of 1 in front of the slopes, with a Shuffle layer.",
                expected=x.rank,
                got=slopes.rank,
            )
        for axis, (extent, slope) in enumerate(zip(x.dims, slopes.dims, strict=True)):
            if slope.same(1) or slope.same(extent):
                continue
            require_that(
                (slope == 1) + (slope == extent) > 0,
                f"{self.label} cannot repeat {slope} slopes over {extent} elements on axis {axis}",
                [("axis", axis), ("x", x.dims), ("slopes", slopes.dims), ("rule", "the extent of x, or 1")],
                axis=axis,
            )
        return x.like()

    def reference(self, x, slopes):
        return numpy.where(x >= 0, x, x * slopes)

    @staticmethod
    def onnx():
        return (onnx_op("PRelu", rewrite=prelu),)

    @classmethod
    def add_parametric_relu(cls, network, input, slopes):
        """A ParametricReLU layer."""
        return network.add_plugin("ParametricReLU", [input, slopes])


# ---- ONNX


def prelu(node):
    """ONNX PRelu; of integers by choosing."""
    x, slopes = node[0], node[1]
    if rank_of(slopes) == 1 and slopes.shape[0] not in (1, x.shape[-1]):  # one a channel, as older opsets have it
        slopes = channels(node, slopes, rank_of(x), 1)
    x, slopes = aligned(node, x, slopes)
    if x.dtype in FLOATS:
        return node.add("ParametricReLU", [x, slopes])
    is_negative = elementwise(node, "LESS", x, scalar(x, 0))
    return node.add("Select", [is_negative, elementwise(node, "PROD", x, slopes), x])
