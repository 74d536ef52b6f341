"""SoftMax."""

from __future__ import annotations

import numpy

from dovetail.core.errors import ShapeError
from dovetail.core.types import FLOATS
from dovetail.plugins import Input, Output, Plugin, field
from dovetail.plugins.builtin._axes import axes_of


class SoftMax(Plugin):
    """y = exp(x - max(x)) / sum(exp(x - max(x))), max and sum taken over `axes`

    Inputs    x  [d0, ..., dn-1], rank 1..8, float16 | bfloat16 | float32
    Outputs   y  dims and type of x
    Numerics  float32 whatever the type; a nan, an inf, or nothing but -inf among the elements gives nan
    Errors    ShapeError if x is a scalar, or a bit of `axes` is no axis of it
    Source    TensorRT 8.5 ISoftMaxLayer, whose mask has one bit, by default that of axis max(0, rank - 3); several
              bits are normalised together
    """

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

    @classmethod
    def add_softmax(cls, network, input):
        """A SoftMax layer over axis max(0, rank - 3); `layer.axes = 1 << axis` says otherwise."""
        return network.add_plugin("SoftMax", [input], {"axes": 1 << max(0, len(input.shape) - 3)})
