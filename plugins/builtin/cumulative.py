"""Cumulative."""

from __future__ import annotations

import numpy

from dovetail.core.errors import ShapeError
from dovetail.core.named import Named
from dovetail.core.types import FLOATS, DataType
from dovetail.plugins import Input, Output, Plugin, axis_of, field
from dovetail.plugins.onnx import onnx_op

NUMBERS = (*FLOATS, DataType.INT32, DataType.INT64, DataType.INT8, DataType.UINT8)


class CumulativeOperation(Named):
    """What elements are joined by. TensorRT has SUM."""

    SUM = 0
    PROD = 1


class Cumulative(Plugin):
    """y[i] = x[0] + ... + x[i] along an axis; or the product

    Inputs    x  [..., n, ...], rank 1..8, float16 | bfloat16 | float32 | int32 | int64 | int8 | uint8
    Outputs   y  dims and type of x. `exclusive` leaves x[i] itself out, y[0] being 0 for sums and 1 for products;
                 `reverse` begins at the end of the axis
    Numerics  float16 and bfloat16 are joined in float32; integers wrap round
    Errors    ShapeError if x has no such axis
    Source    TensorRT 10 ICumulativeLayer; ONNX CumSum, CumProd
    """

    purpose = "Reductions and sorting"
    x = Input(NUMBERS)
    y = Output(like="x")
    axis: int = field(0, low=-8, high=7, doc="Along which it runs; negative ones count from the end.")
    op: CumulativeOperation = field(CumulativeOperation.SUM, doc="What elements are joined by.")
    exclusive: bool = field(False, doc="Is the element itself left out?")
    reverse: bool = field(False, doc="Does it begin at the end of the axis?")

    def infer(self, x):
        axis_of(self.axis, x.rank, self.label)
        return x.like()

    def reference(self, x):
        join = numpy.cumsum if self.op == CumulativeOperation.SUM else numpy.cumprod
        x = numpy.moveaxis(x, self.axis, 0)
        x = x[::-1] if self.reverse else x
        if self.exclusive:
            first = numpy.full((min(len(x), 1), *x.shape[1:]), int(self.op == CumulativeOperation.PROD), x.dtype)
            x = numpy.concatenate([first, x[:-1]])
        # NumPy's sum is one chain of additions, which in float32 drifts.
        is_float_sum = self.op == CumulativeOperation.SUM and x.dtype.kind not in "biu"
        y = join(x, axis=0, dtype=numpy.float64 if is_float_sum else x.dtype).astype(x.dtype)
        return numpy.moveaxis(y[::-1] if self.reverse else y, 0, self.axis)

    @classmethod
    def add_cumulative(cls, network, input, axis, operation, exclusive, reverse):
        """A Cumulative layer. axis: an int, or a tensor of one whose contents are known."""
        if hasattr(axis, "symbolic"):
            elements = axis.symbolic.elements()
            if elements is None or len(elements) != 1 or elements[0].value is None:
                raise ShapeError(
                    "Cumulative needs to know its axis when the network is built",
                    facts=[("axis", f"{axis.dtype.name} {axis.symbolic.dims}, tensor '{axis.name}'")],
                    hint="Give a constant of one element.",
                    field="axis",
                )
            axis = elements[0].value
        fields = {"axis": axis, "op": operation, "exclusive": exclusive, "reverse": reverse}
        return network.add_plugin(cls.name, [input], fields)

    @staticmethod
    def onnx():
        return (
            onnx_op("CumSum", 11, rewrite=lambda node: cumulative(node, CumulativeOperation.SUM)),
            onnx_op("CumProd", 26, rewrite=lambda node: cumulative(node, CumulativeOperation.PROD)),
        )


# ---- ONNX


def cumulative(node, op):
    """ONNX CumSum and CumProd."""
    axis = node.constant(1)
    if axis is None or axis.size != 1:
        raise node.fail("input 'axis' has to be one number that is known when the network is built")
    exclusive, reverse = (bool(node.attr(name, 0)) for name in ("exclusive", "reverse"))
    return node.add("Cumulative", [node[0]], axis=int(axis.item()), op=op, exclusive=exclusive, reverse=reverse)
