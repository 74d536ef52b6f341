"""LRN: local response normalisation."""

from __future__ import annotations

import numpy

from dovetail.core.contract import LayerProperty
from dovetail.core.errors import FieldValueError, ShapeError
from dovetail.core.types import FLOATS
from dovetail.plugins import Input, Output, Plugin, field
from dovetail.plugins.onnx import extents, onnx_op, rank_of, reshaped


def _set_window(values, window):
    values["window"] = window


class LRN(Plugin):
    """y[c] = x[c] / (k + alpha / window * sum over |c' - c| <= window / 2 of x[c']^2) ^ beta

    Inputs    x  [batch..., C, H, W], rank 3..8, float16 | bfloat16 | float32
    Outputs   y  dims and type of x
    Numerics  float32 whatever the type; channels outside x count as 0, and alpha is divided by the whole window there
              too; a negative base with a fractional beta gives nan
    Errors    ShapeError below rank 3; FieldValueError for an even window
    Source    TensorRT 8.5 ILRNLayer. It leaves open whether alpha is divided by the window: here it is, as ONNX
              LRN-13 and Caffe do
    """

    purpose = "Normalisation"
    x = Input(FLOATS)
    y = Output(like="x")
    window: int = field(doc="Number of channels that are added up, odd.", low=1, high=15)
    alpha: float = field(doc="Factor of their squares; divided by the window.", low=-1e20, high=1e20)
    beta: float = field(doc="Exponent.", low=0.01, high=1e5)
    k: float = field(doc="Added to the squares.", low=1e-5, high=1e10)

    window_size = LayerProperty(lambda values: values["window"], _set_window, doc="TensorRT's name for `window`.")

    def infer(self, x):
        if self.window % 2 == 0:
            raise FieldValueError(
                f"{self.label} cannot have a window of {self.window} channels",
                facts=[("window", self.window), ("rule", "odd, 1..15")],
                field="window",
                got=self.window,
            )
        if x.rank < 3:
            raise ShapeError(
                f"{self.label} cannot find the channels of a tensor with {x.rank} dims",
                facts=[("x", x.dims), ("needed", "[batch..., channels, height, width], rank 3 or more")],
                expected=3,
                got=x.rank,
            )
        return x.like()

    def reference(self, x):
        half, axis = self.window // 2, x.ndim - 3
        around = [(half, half) if i == axis else (0, 0) for i in range(x.ndim)]
        squares = numpy.pad(x * x, around)
        sums = sum(squares.take(range(j, j + x.shape[axis]), axis) for j in range(self.window))
        return (x / (self.k + self.alpha / self.window * sums) ** self.beta).astype(x.dtype)

    @staticmethod
    def onnx():
        return (onnx_op("LRN", rewrite=lrn),)

    @classmethod
    def add(cls, network, input, window, alpha, beta, k):
        """An LRN layer over `window` channels, which are the third axis from the end."""
        return network.add_plugin("LRN", [input], {"window": window, "alpha": alpha, "beta": beta, "k": k})


# ---- ONNX


def lrn(node):
    """ONNX LRN: channels are axis 1; all behind them is one plane here."""
    x = node[0]
    names = {"alpha": 1e-4, "beta": 0.75, "bias": 1.0}
    alpha, beta, k = (float(node.attr(name, default)) for name, default in names.items())
    fields = {"window": node.attr("size"), "alpha": alpha, "beta": beta, "k": k}
    if rank_of(x) == 4:
        return node.add("LRN", [x], **fields)
    dims = extents(node, x)
    y = node.add("LRN", [reshaped(node, x, [dims[:2], dims[2:].product(), 1])], **fields)
    return reshaped(node, y, dims)
