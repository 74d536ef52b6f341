"""Gather."""

from __future__ import annotations

import numpy

from dovetail.core.errors import ShapeError
from dovetail.core.named import Named
from dovetail.core.types import DataType
from dovetail.plugins import (
    Input,
    Output,
    PaddingMode,
    Plugin,
    axis_of,
    field,
    known_extent,
    require_equal,
    require_that,
)
from dovetail.plugins.builtin._indexing import by_axis, by_element, by_tuple, gathered
from dovetail.plugins.builtin._values import contents, follow
from dovetail.plugins.onnx import (
    Window,
    axis_given,
    extents,
    gathered_cells,
    integers,
    onnx_op,
    overlaid,
    rank_of,
    reduced,
    reshaped,
    with_rank,
)

TYPES = tuple(t for t in DataType if t != DataType.FP8)
INTEGERS = (DataType.INT32, DataType.INT64)
WORDS = "|".join(t.short for t in TYPES)


class GatherMode(Named):
    """What the indices are for."""

    DEFAULT = 0
    ELEMENT = 1
    ND = 2


class Gather(Plugin):
    """y = the elements of x that `indices` name

    Inputs    x        any dims and type
              indices  int32 or int64; negative ones count from the end
    Outputs   y        type of x. With n = num_elementwise_dims, a = axis, and | between lists of extents:
    Modes     DEFAULT  x[:a] | indices[n:] | x[a+1:]; y[b, i, j, k] = x[b, i, indices[b, j], k], b being the first n
                       axes, which x and indices share
              ELEMENT  dims of indices; y[c] = x[c with indices[c] on axis a]
              ND       indices[:-1] | x[n+q:] for tuples of q indices on their last axis; y[b, j] = x[b, *indices[b, j]]
    Numerics  an index beyond [-extent, extent) gives 0
    Errors    ShapeError if extents do not match, or an axis is outside
    Source    TensorRT 8.5 IGatherLayer; indices that are negative as in ONNX
    """

    purpose = "Indexing and selection"
    x = Input(TYPES)
    indices = Input(INTEGERS)
    y = Output(like="x")
    mode: GatherMode = field(GatherMode.DEFAULT, doc="What the indices are for.")
    axis: int = field(0, low=-8, high=7, doc="Axis that they index, in DEFAULT and ELEMENT.")
    num_elementwise_dims: int = field(0, low=0, high=7, doc="Leading axes that x and indices share, in DEFAULT and ND.")

    type_rows = tuple(f"{WORDS} {t.short} -> {WORDS}" for t in INTEGERS)

    def infer(self, x, indices):
        y = x.like(self._dims(x, indices))
        known = contents(indices)
        if known is None or any(index.value is None for index in known.flat):
            return y
        plain = numpy.array([index.value for index in known.flat], numpy.int64).reshape(known.shape)
        return follow(y, lambda a: self.reference(a, plain), x)

    def _dims(self, x, indices):
        shared = self.num_elementwise_dims
        if self.mode == GatherMode.ELEMENT:
            return self._dims_by_element(x, indices)
        if shared > min(x.rank, indices.rank - (self.mode == GatherMode.ND)):
            raise self._refuse(x, indices, f"they cannot share {shared} axes", "num_elementwise_dims")
        for axis in range(shared):
            require_equal(
                self.label,
                (f"extent {axis} of x, {x.dims},", x.dims[axis]),
                (f"that of the indices, {indices.dims},", indices.dims[axis]),
            )
        if self.mode == GatherMode.DEFAULT:
            axis = axis_of(self.axis, x.rank, self.label)
            if axis < shared:
                raise self._refuse(x, indices, f"axis {axis} is among the {shared} that they share", "axis")
            return [*x.dims[:axis], *indices.dims[shared:], *x.dims[axis + 1 :]]
        n_parts = known_extent(self.label, "last extent of the indices", indices.dims[-1])
        if shared + n_parts > x.rank:
            raise self._refuse(x, indices, f"tuples of {n_parts} indices behind {shared} shared axes", "indices")
        return [*indices.dims[:-1], *x.dims[shared + n_parts :]]

    def _dims_by_element(self, x, indices):
        axis = axis_of(self.axis, x.rank, self.label)
        if indices.rank != x.rank:
            raise self._refuse(x, indices, "their ranks must be equal in ELEMENT", "indices")
        for i in range(x.rank):
            if i != axis:
                require_that(
                    indices.dims[i] <= x.dims[i],
                    f"{self.label} cannot take {indices.dims[i]} indices on axis {i} of extent {x.dims[i]}",
                    [("x", x.dims), ("indices", indices.dims)],
                    axis=i,
                )
        return indices.dims

    def _refuse(self, x, indices, rule, name):
        facts = [("x", x.dims), ("indices", indices.dims), ("rule", rule)]
        return ShapeError(f"{self.label} cannot gather by these indices", facts=facts, field=name)

    def reference(self, x, indices):
        if self.mode == GatherMode.ELEMENT:
            return gathered(x, *by_element(x.shape, indices, self.axis % x.ndim))
        if self.mode == GatherMode.DEFAULT:
            return gathered(x, *by_axis(x.shape, indices, self.axis % x.ndim, self.num_elementwise_dims))
        return gathered(x, *by_tuple(x.shape, indices, self.num_elementwise_dims))

    @staticmethod
    def onnx():
        return (
            onnx_op("Gather", attrs={"mode": GatherMode.DEFAULT}),
            onnx_op("GatherElements", attrs={"mode": GatherMode.ELEMENT}),
            onnx_op("GatherND", attrs={"mode": GatherMode.ND}, renamed={"batch_dims": "num_elementwise_dims"}),
            onnx_op("Compress", rewrite=compress),
            onnx_op("Col2Im", rewrite=col2im),
            onnx_op("ArrayFeatureExtractor", domain="ai.onnx.ml", rewrite=array_feature_extractor),
        )

    @classmethod
    def add_gather(cls, network, input, indices, axis):
        """A Gather layer along `axis`."""
        return network.add_plugin("Gather", [input, indices], {"axis": axis})

    @classmethod
    def add_gather_v2(cls, network, input, indices, mode):
        """A Gather layer; `layer.axis` and `layer.num_elementwise_dims` are 0 until they are set."""
        return network.add_plugin("Gather", [input, indices], {"mode": mode})


# ---- ONNX


def compress(node):
    """ONNX Compress: the elements at the true places of a condition, as many as there are when it has run."""
    x, condition = node[0], node.constant(1)
    if condition is not None:
        places = numpy.flatnonzero(condition)
    else:
        places = reshaped(node, node.add("NonZero", [node[1]], to=int(DataType.INT64)), (-1,))
    if node.attr("axis") is None:
        return node.add("Gather", [reshaped(node, x, [extents(node, x).product()]), places], axis=0)
    return node.add("Gather", [x, places], axis=axis_given(node, rank_of(x), 0))


def array_feature_extractor(node):
    """ONNX ArrayFeatureExtractor: columns by their numbers; a list is one row."""
    x, indices = node[0], node[1]
    y = node.add("Gather", [x, reshaped(node, indices, [extents(node, indices).product()])], axis=rank_of(x) - 1)
    return with_rank(node, y, 2)


def col2im(node):
    """ONNX Col2Im: each element of the image is the sum of the cells that lie on it."""
    x, image, block = node[0], integers(node, 1, "image_shape"), integers(node, 2, "block_shape")
    if image is None or block is None or rank_of(x) != 3:
        raise node.fail("it needs image_shape, block_shape and an input of 3 dims", x=x.shape)
    n = len(image)
    pads = tuple(node.attr("pads", (0,) * (2 * n)))
    strides, dilations = (tuple(node.attr(name, (1,) * n)) for name in ("strides", "dilations"))
    window = Window(block, strides, dilations, pads[:n], pads[n:], PaddingMode.EXPLICIT_ROUND_DOWN)
    dims = extents(node, x)
    cells = reshaped(node, x, [dims[0], dims[1] // window.volume, dims[2] * window.volume])
    y = reduced(node, "SUM", gathered_cells(node, cells, overlaid(node, window, image), 0), [3], keep_dims=False)
    return reshaped(node, y, [dims[0], dims[1] // window.volume, image])
