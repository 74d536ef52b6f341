"""Unsqueeze."""

from __future__ import annotations

import numpy

from dovetail.core.types import DataType
from dovetail.plugins import Input, Moved, Output, Plugin
from dovetail.plugins.builtin._given_axes import axes_of, axes_tensor
from dovetail.plugins.builtin._values import follow
from dovetail.plugins.onnx import integers, onnx_op

TYPES = tuple(t for t in DataType if t != DataType.FP8)


class Unsqueeze(Plugin):
    """y = x with new axes of extent 1, which are `axes` of y

    Inputs    x     any dims and type
              axes  [n], int32 or int64, constant; negative ones count from the end of y
    Outputs   y     type of x
    Errors    ShapeError if an axis is outside y or named twice, is not known, or y has more than 8 dims
    Source    TensorRT 10 IUnsqueezeLayer
    """

    purpose = "Shape and order"
    role = "unsqueeze"
    x = Input(TYPES)
    axes = Input((DataType.INT32, DataType.INT64), shape=True, doc="Axes of the output that are new.")
    y = Output(like="x")

    def infer(self, x, axes):
        new = axes_of(self.label, axes, x.rank + len(axes.elements() or ()))
        dims = list(x.dims)
        for axis in new:
            dims.insert(axis, 1)
        return follow(x.like(dims), lambda a: a.reshape(-1), x)

    def reference(self, x, axes):
        return numpy.expand_dims(x, tuple(int(axis) for axis in axes))

    def moves(self, y, x, axes):
        return Moved()

    @staticmethod
    def onnx():
        return (onnx_op("Unsqueeze", rewrite=unsqueeze),)

    @classmethod
    def add(cls, network, input, axes):
        """An Unsqueeze layer. `axes` is a tensor, or a list of integers."""
        return network.add_plugin("Unsqueeze", [input, axes_tensor(network, axes)])


# ---- ONNX


def unsqueeze(node):
    """ONNX Unsqueeze: axes of the result from an attribute or an input."""
    axes = integers(node, 1, "axes")
    if axes is None:
        raise node.fail("it says no axes")
    return node.add("Unsqueeze", [node[0], numpy.array(axes, numpy.int64)])
