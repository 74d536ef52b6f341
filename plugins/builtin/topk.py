"""TopK."""

from __future__ import annotations

import numpy

from dovetail.core.errors import ShapeError
from dovetail.core.named import Named
from dovetail.core.types import FLOATS, DataType, nptype
from dovetail.plugins import Input, Output, Plugin, Weights, field, require_that
from dovetail.plugins.builtin._axes import axes_of
from dovetail.plugins.onnx import (
    Counts,
    applied,
    axis_given,
    cast,
    combined,
    extents,
    onnx_op,
    rank_of,
    replaced,
    reshaped,
    sliced,
)

NUMBERS = (*FLOATS, DataType.INT32, DataType.INT64)


class TopKOperation(Named):
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
    Errors    ShapeError if k is more than the axis has, if `axes` does not have one bit or is not an axis of x, or if
              the contents of `count` are not known when the network is built
    Source    TensorRT 8.5 ITopKLayer; numpy and PyTorch for the order of nan
    """

    purpose = "Reductions and sorting"
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

    @staticmethod
    def onnx():
        return (
            onnx_op("TopK", rewrite=topk),
            onnx_op("ArgMax", rewrite=arg_max),
            onnx_op("ArgMin", rewrite=arg_max),
            onnx_op("Hardmax", rewrite=hardmax),
        )

    @classmethod
    def add_topk(cls, network, input, op, k, axes):
        """A TopK layer along the axis of a mask with one bit. `layer.set_input(1, tensor)` takes the place of k."""
        return network.add_plugin("TopK", [input], {"op": op, "k": k, "axes": axes})


# ---- ONNX


def topk(node):
    """ONNX TopK: k as an attribute or an input."""
    x, k = node[0], node.attr("k", node.constant(1))
    operation = TopKOperation.MAX if node.attr("largest", 1) else TopKOperation.MIN
    axis = axis_given(node, rank_of(x), -1)
    if k is None:
        values, indices = _best(node, x, axis, operation, count=node[1])
    else:
        values, indices = _best(node, x, axis, operation, k=int(numpy.reshape(k, -1)[0]))
    return [cast(node, values, x.dtype), cast(node, indices, DataType.INT64)]


def _best(node, x, axis, operation, k=0, count=None):
    x = x if x.dtype in NUMBERS else cast(node, x, DataType.INT32)
    inputs = [x] if count is None else [x, count]
    layer = node.network.add_plugin("TopK", inputs, {"op": operation, "k": k, "axes": 1 << axis})
    return layer.get_output(0), layer.get_output(1)


def arg_max(node):
    """ONNX ArgMax and ArgMin: the index of the first or the last of the greatest or least."""
    x = node[0]
    axis = axis_given(node, rank_of(x), 0)
    operation = TopKOperation.MAX if node.op_type == "ArgMax" else TopKOperation.MIN
    if operation == TopKOperation.MIN and x.dtype in FLOATS:  # a nan is found before all others, as NumPy has it
        x, operation = applied(node, "NEG", x), TopKOperation.MAX
    dims = extents(node, x)
    if node.attr("select_last_index", 0):
        ones = Counts(node, [1] * len(dims))
        x = sliced(node, x, replaced(ones * 0, [axis], dims[axis] - 1), dims, replaced(ones, [axis], ones[0] * -1))
    indices = cast(node, _best(node, x, axis, operation, k=1)[1], DataType.INT64)
    if node.attr("select_last_index", 0):
        last = reshaped(node, (dims[axis] - 1).tensor(), (1,) * len(dims))
        indices = combined(node, "SUB", last, indices)
    return indices if node.attr("keepdims", 1) else node.add("Squeeze", [indices, numpy.array([axis])])


def hardmax(node):
    """ONNX Hardmax: 1 at the first of the greatest. Below opset 13 the axes from `axis` on are one."""
    x = node[0]
    dims, axis = extents(node, x), axis_given(node, rank_of(x), -1 if node.opset >= 13 else 1)
    if node.opset < 13:
        x, axis = reshaped(node, x, [dims[:axis].product(), dims[axis:].product()]), 1
    indices = node.add("Squeeze", [_best(node, x, axis, TopKOperation.MAX, k=1)[1], numpy.array([axis])])
    off_and_on, depth = numpy.array([0, 1], nptype(x.dtype)), extents(node, x)[axis].tensor()
    y = node.add("OneHot", [indices, off_and_on, depth], axis=axis)
    return y if node.opset >= 13 else reshaped(node, y, dims)
