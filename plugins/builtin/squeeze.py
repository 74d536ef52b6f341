"""Squeeze."""

from __future__ import annotations

import numpy

from dovetail.core.types import DataType
from dovetail.plugins import Input, Moved, Output, Plugin, require_that
from dovetail.plugins.builtin._given_axes import axes_of, axes_tensor
from dovetail.plugins.builtin._values import follow
from dovetail.plugins.onnx import axes_given, onnx_op, rank_of

TYPES = tuple(t for t in DataType if t != DataType.FP8)


class Squeeze(Plugin):
    """y = x without `axes`, whose extents are 1

    Inputs    x     any dims and type
              axes  [n], int32 or int64, constant; negative ones count from the end
    Outputs   y     type of x
    Errors    ShapeError if an extent is not 1, an axis is outside x or named twice, or is not known
    Source    TensorRT 10 ISqueezeLayer
    """

    purpose = "Shape and order"
    x = Input(TYPES)
    axes = Input((DataType.INT32, DataType.INT64), shape=True, doc="Axes that are dropped.")
    y = Output(like="x")

    def infer(self, x, axes):
        dropped = axes_of(self.label, axes, x.rank)
        for axis in dropped:
            require_that(
                x.dims[axis] == 1,
                f"{self.label} cannot drop axis {axis} of {x.dims}: its extent is {x.dims[axis]}, not 1",
                [("axis", axis), ("dims", x.dims)],
                axis=axis,
            )
        y = x.like(d for axis, d in enumerate(x.dims) if axis not in dropped)
        return follow(y, lambda a: a.reshape(-1), x)

    def reference(self, x, axes):
        return numpy.squeeze(x, tuple(int(axis) for axis in axes))

    def moves(self, y, x, axes):
        return Moved()

    @staticmethod
    def onnx():
        return (onnx_op("Squeeze", rewrite=squeeze),)

    @classmethod
    def add(cls, network, input, axes):
        """A Squeeze layer. `axes` is a tensor, or a list of integers."""
        return network.add_plugin("Squeeze", [input, axes_tensor(network, axes)])


# ---- ONNX


def squeeze(node):
    """ONNX Squeeze: axes from an attribute or an input, or all that are known to have extent 1."""
    x = node[0]
    axes = axes_given(node, 1, rank_of(x))
    if axes is None:
        # An extent that is not known yet is none of them: models that mean a batch of 1 say so.
        axes = [axis for axis, extent in enumerate(x.shape) if extent == 1]
    return node.add("Squeeze", [x, numpy.array(axes, numpy.int64)])
