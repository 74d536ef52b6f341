"""TopK."""

from __future__ import annotations

from enum import IntEnum

import numpy

from dovetail.core.errors import ShapeError
from dovetail.core.types import FLOATS, DataType
from dovetail.plugins import Input, Output, Plugin, Weights, field, require_that
from dovetail.plugins.builtin._axes import axes_of

NUMBERS = (*FLOATS, DataType.INT32, DataType.INT64)


class TopKOperation(IntEnum):
    """Which elements come first."""

    MAX = 0
    MIN = 1


class TopK(Plugin):
    """The k greatest or least elements of x along an axis, in order, and their indices

    Inputs    x        [d0, ..., dn-1], rank 1..8, float16 | bfloat16 | float32 | int32 | int64
              count    one element, int32 | int64, which follows from constants and extents; takes the place of `k`
    Outputs   values   dims of x, with extent k on the axis; type of x
              indices  the same dims, int32
    Numerics  of equal elements the one with the lower index comes first; -0 and 0 are equal. nan counts as greater
              than all numbers: it comes first in MAX and last in MIN
    Errors    ShapeError if k is more than the axis has, if `axes` has not one bit or is no axis of x, or if the
              contents of `count` are not known when the network is built
    Source    TensorRT 8.5 ITopKLayer; numpy and PyTorch for the order of nan
    """

    x = Input(NUMBERS)
    count = Weights((DataType.INT32, DataType.INT64), optional=True, doc="How many; takes the place of `k`.")
    values = Output(like="x")
    indices = Output(DataType.INT32)
    op: TopKOperation = field(TopKOperation.MAX, doc="Which elements come first.")
    k: int = field(0, doc="How many elements.", low=0)
    axes: int = field(doc="The axis, as a mask with one bit: 1 << axis.", low=1, high=255)

    type_rows = tuple(f"f32|f16|bf16|i32|i64 {k} -> f32|f16|bf16|i32|i64 i32" for k in ("i32", "i64"))

    def _axis(self, rank):
        axes = axes_of(self.axes, rank, self.label)
        if len(axes) != 1:
            raise ShapeError(
                f"{self.label} cannot work along {len(axes)} axes",
                facts=[("axes", f"{self.axes:#b}"), ("rule", "one bit, 1 << axis")],
                expected=1,
                got=len(axes),
            )
        return axes[0]

    def infer(self, x, count):
        axis, k = self._axis(x.rank), self.k
        if count is not None:
            elements = count.elements()
            if elements is None or len(elements) != 1:
                raise ShapeError(
                    f"{self.label} does not know its input 'count' when it is built",
                    facts=[("count", f"{count.dims}, tensor '{count.name}'"), ("rule", "one element")],
                    hint="It must follow from constants and extents: a Constant, or Shape and arithmetic on it.",
                )
            k = elements[0]
        require_that(
            (k >= 0) * (k <= x.dims[axis]),
            f"{self.label} cannot take {k} of {x.dims[axis]} elements",
            [("k", k), (f"axis {axis} of x", x.dims[axis])],
            expected=str(x.dims[axis]),
            got=str(k),
        )
        dims = (*x.dims[:axis], k, *x.dims[axis + 1 :])
        return x.like(dims), x.like(dims, DataType.INT32)

    def reference(self, x, count):
        axis = self._axis(x.ndim)
        k = self.k if count is None else int(count.reshape(-1)[0])
        if self.op == TopKOperation.MIN:
            order = numpy.argsort(x, axis, kind="stable")  # nan last
        elif x.dtype.kind == "i":
            order = numpy.argsort(~x, axis, kind="stable")  # ~x = -x - 1, without overflow
        else:
            is_nan = numpy.isnan(x)
            order = numpy.lexsort((-numpy.where(is_nan, 0, x), ~is_nan), axis=axis)
        indices = order.take(range(k), axis)
        return numpy.take_along_axis(x, indices, axis), indices.astype(numpy.int32)

    @classmethod
    def add_topk(cls, network, input, op, k, axes):
        """A TopK layer along the axis of a mask with one bit. `layer.set_input(1, tensor)` takes the place of k."""
        return network.add_plugin("TopK", [input], {"op": op, "k": k, "axes": axes})
