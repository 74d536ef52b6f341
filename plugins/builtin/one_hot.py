"""OneHot."""

from __future__ import annotations

import numpy

from dovetail.core.errors import ShapeError
from dovetail.core.expr import DimsExprs
from dovetail.core.types import DataType
from dovetail.plugins import Input, Output, Plugin, axis_of, field, require_equal, require_that
from dovetail.plugins.onnx import cast, onnx_op

INDICES = (DataType.INT32, DataType.INT64)
TYPES = tuple(t for t in DataType if t != DataType.FP8)
WORDS = "|".join(t.short for t in TYPES)


def _each(word):
    return "|".join([word] * len(TYPES))


class OneHot(Plugin):
    """y = on where the place on the new axis is the index, else off

    Inputs    indices  int32 | int64, rank 0..7
              values   [2]: off and on, any type but FP8
              depth    one element, int32 | int64: extent of the new axis
    Outputs   y        dims of indices with `depth` put in at `axis`; type of values
    Numerics  an index in [-depth, -1] counts from the end; one outside of [-depth, depth - 1] is on nowhere
    Errors    ShapeError if values are not two, depth is not one, negative or not known when the network is
              built, or the axis is outside of y
    Source    TensorRT 8.5 IOneHotLayer; indices outside as ONNX OneHot has them
    """

    purpose = "Indexing and selection"
    indices = Input(INDICES, doc="Where on the new axis y is on.")
    values = Input(TYPES, doc="Off and on.")
    depth = Input(INDICES, shape=True, doc="Extent of the new axis.")
    y = Output(like="values")
    axis: int = field(-1, low=-8, high=7, doc="Where the new axis is in y; negative counts from the end.")

    type_rows = tuple(f"{_each(i)} {WORDS} {_each(d)} -> {WORDS}" for i in ("i32", "i64") for d in ("i32", "i64"))

    def infer(self, indices, values, depth):
        elements = depth.elements()
        if elements is None or len(elements) != 1:
            raise ShapeError(
                f"{self.label} cannot tell the contents of its input 'depth' while the network is built",
                facts=[("depth", f"{depth.dtype.name} {depth.dims}, tensor '{depth.name}'"), ("rule", "one element")],
                hint="It must follow from constants and extents: Constant, Shape, and layers that compute on integers.",
                field="depth",
            )
        extent = elements[0]
        require_that(
            extent >= 0,
            f"{self.label} cannot give a new axis {extent} elements",
            [("depth", extent), ("rule", "0 or more")],
            expected=0,
        )
        if values.rank != 1:
            raise ShapeError(
                f"{self.label} cannot take values with {values.rank} dims",
                facts=[("values", values.dims), ("rule", "1 dim: off and on")],
                expected=1,
                got=values.rank,
            )
        require_equal(self.label, ("off and on", 2), ("values", values.dims.volume))
        axis = axis_of(self.axis, indices.rank + 1, self.label)
        return values.like(DimsExprs([*indices.dims[:axis], extent, *indices.dims[axis:]]))

    def reference(self, indices, values, depth):
        depth = int(depth.reshape(-1)[0])
        axis = self.axis % (indices.ndim + 1)
        places = numpy.arange(depth).reshape([-1] + [1] * (indices.ndim - axis))
        wanted = numpy.expand_dims(indices, axis)
        return numpy.where((wanted == places) | (wanted + depth == places), values[1], values[0])

    @staticmethod
    def onnx():
        return (onnx_op("OneHot", rewrite=one_hot),)

    @classmethod
    def add_one_hot(cls, network, indices, values, depth, axis):
        """A OneHot layer. values: off and on; depth: the extent of the new axis."""
        return network.add_plugin("OneHot", [indices, values, depth], {"axis": axis})


# ---- ONNX


def one_hot(node):
    """ONNX OneHot: indices and depth of any type; values are off and on."""
    indices, depth = node[0], node.constant(1)
    indices = indices if indices.dtype in INDICES else cast(node, indices, DataType.INT64)
    depth = cast(node, node[1], DataType.INT64) if depth is None else depth.astype(numpy.int64)
    return node.add("OneHot", [indices, node[2], depth], axis=node.attr("axis", -1))
