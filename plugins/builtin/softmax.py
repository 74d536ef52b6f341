"""SoftMax."""

from __future__ import annotations

import numpy

from dovetail.core.arguments import shape_of
from dovetail.core.errors import ShapeError
from dovetail.core.types import FLOATS
from dovetail.plugins import Input, Output, Plugin, field
from dovetail.plugins.builtin._axes import axes_of
from dovetail.plugins.onnx import applied, axis_given, cast, combined, in_float, mask_of, onnx_op, rank_of, reduced


class SoftMax(Plugin):
    """y = exp(x - max(x)) / sum(exp(x - max(x))), max and sum taken over `axes`

    Inputs    x  [d0, ..., dn-1], rank 1..8, float16 | bfloat16 | float32
    Outputs   y  dims and type of x
    Numerics  float32 whatever the type; a nan, an inf, or nothing but -inf among the elements gives nan
    Errors    ShapeError if x is a scalar, or a bit of `axes` is not an axis of it
    Source    TensorRT 8.5 ISoftMaxLayer, whose mask has one bit, by default that of axis max(0, rank - 3); several
              bits are normalised together
    """

    purpose = "Normalisation"
    x = Input(FLOATS)
    y = Output(like="x")
    axes: int = field(0, doc="Which axes add up to 1: bit i is axis i. 0 is axis max(0, rank - 3).", low=0, high=255)

    def _axes(self, rank):
        if rank == 0:
            raise ShapeError(
                f"{self.label} cannot work on a scalar", facts=[("x", "rank 0"), ("needed", "rank 1 or more")], got=0
            )
        return axes_of(self.axes or 1 << max(0, rank - 3), rank, self.label)

    def infer(self, x):
        self._axes(x.rank)
        return x.like()

    def reference(self, x):
        axes = self._axes(x.ndim)
        e = numpy.exp(x - numpy.max(x, axis=axes, keepdims=True, initial=-numpy.inf))
        return e / numpy.sum(e, axis=axes, keepdims=True)

    @staticmethod
    def onnx():
        return (onnx_op("Softmax", rewrite=softmax), onnx_op("LogSoftmax", rewrite=log_softmax))

    @classmethod
    def add_softmax(cls, network, input):
        """A SoftMax layer over axis max(0, rank - 3); `layer.axes = 1 << axis` says otherwise."""
        rank = len(shape_of("the input of add_softmax", input))
        return network.add_plugin("SoftMax", [input], {"axes": 1 << max(0, rank - 3)})


# ---- ONNX


def _onnx_axes(node):
    """The axes that add up to 1: one from opset 13 on, before that all from `axis` on."""
    rank = rank_of(node[0])
    if node.opset >= 13:
        return [axis_given(node, rank, -1)]
    return range(axis_given(node, rank, 1), rank)


def softmax(node):
    """ONNX Softmax."""
    return node.add("SoftMax", [node[0]], axes=mask_of(_onnx_axes(node)))


def log_softmax(node):
    """ONNX LogSoftmax: x - max(x) - log(sum(exp(x - max(x)))), which loses nothing where the softmax is 0."""
    x, axes = in_float(node, node[0]), _onnx_axes(node)
    centered = combined(node, "SUB", x, reduced(node, "MAX", x, axes))
    total = reduced(node, "SUM", applied(node, "EXP", centered), axes)
    return cast(node, combined(node, "SUB", centered, applied(node, "LOG", total)), node[0].dtype)
