"""Scatter."""

from __future__ import annotations

import numpy

from dovetail.core.errors import DTypeError, ShapeError
from dovetail.core.named import Named
from dovetail.core.types import DataType, nptype
from dovetail.plugins import Input, Output, Plugin, axis_of, field, known_extent, require_equal, require_that
from dovetail.plugins.builtin._indexing import by_element, by_tuple, scattered
from dovetail.plugins.onnx import (
    Counts,
    cast,
    combined,
    extents,
    integers,
    is_given,
    joined,
    onnx_op,
    rank_of,
    reshaped,
    sliced,
)

TYPES = tuple(t for t in DataType if t != DataType.FP8)
INTEGERS = (DataType.INT32, DataType.INT64)
WORDS = "|".join(t.short for t in TYPES)


class ScatterMode(Named):
    """What the indices are for."""

    ELEMENT = 0
    ND = 1


class ScatterReduction(Named):
    """What becomes of an element and its update."""

    NONE = 0
    ADD = 1
    MUL = 2
    MAX = 3
    MIN = 4


UFUNCS = {
    ScatterReduction.NONE: None,
    ScatterReduction.ADD: numpy.add,
    ScatterReduction.MUL: numpy.multiply,
    ScatterReduction.MAX: numpy.maximum,
    ScatterReduction.MIN: numpy.minimum,
}


class Scatter(Plugin):
    """y = x, but for the elements that `indices` name: they are those of `updates`, or combined with them

    Inputs    x        any dims and type
              indices  int32 or int64; negative ones count from the end
              updates  type of x
    Outputs   y        dims and type of x
    Modes     ELEMENT  y[c with indices[c] on `axis`] = updates[c]; indices and updates have the same dims, no larger
                       than x's beside the axis
              ND       y[*indices[j]] = updates[j], for tuples of q indices on their last axis; the dims of updates are
                       indices[:-1] followed by x[q:]
    Numerics  an index beyond [-extent, extent) changes nothing. Of several updates of one element the last in
              row-major order holds on the CPU; on a GPU it may be any of them. With a reduction they are combined with
              the element one after the other, each result rounded to its type: in row-major order on the CPU, in
              any order on a GPU. Integers wrap around; of bools ADD is "or" and MUL "and"; nan stays
    Errors    ShapeError if extents do not match, or `axis` is outside; DTypeError if updates have another type
    Source    TensorRT 8.5 IScatterLayer; indices that are negative and reductions as in ONNX
    """

    purpose = "Indexing and selection"
    x = Input(TYPES)
    indices = Input(INTEGERS)
    updates = Input(TYPES)
    y = Output(like="x")
    mode: ScatterMode = field(ScatterMode.ELEMENT, doc="What the indices are for.")
    axis: int = field(0, low=-8, high=7, doc="Axis that they index, in ELEMENT.")
    reduction: ScatterReduction = field(ScatterReduction.NONE, doc="How updates are combined with what they meet.")

    type_rows = tuple(f"{WORDS} {t.short} {WORDS} -> {WORDS}" for t in INTEGERS)

    def infer(self, x, indices, updates):
        if updates.dtype != x.dtype:
            raise DTypeError(
                f"{self.label} cannot put {updates.dtype.name} into {x.dtype.name}",
                facts=[("x", x.dtype.name), ("updates", updates.dtype.name)],
                hint="Convert one of them with an Identity layer.",
                expected=x.dtype,
                got=updates.dtype,
            )
        wanted = self._by_element(x, indices) if self.mode == ScatterMode.ELEMENT else self._by_tuple(x, indices)
        if len(wanted) != updates.rank:
            raise self._refuse(x, indices, updates, f"updates need {len(wanted)} dims")
        for axis, extent in enumerate(wanted):
            require_equal(
                self.label,
                (f"extent {axis} of the updates, {updates.dims},", updates.dims[axis]),
                ("that which follows from x and indices", extent),
            )
        return x.like()

    def _by_element(self, x, indices):
        axis = axis_of(self.axis, x.rank, self.label)
        if indices.rank != x.rank:
            raise self._refuse(x, indices, None, "x and indices need equal ranks in ELEMENT")
        for i in range(x.rank):
            if i != axis:
                require_that(
                    indices.dims[i] <= x.dims[i],
                    f"{self.label} cannot take {indices.dims[i]} indices on axis {i} of extent {x.dims[i]}",
                    [("x", x.dims), ("indices", indices.dims)],
                    axis=i,
                )
        return list(indices.dims)

    def _by_tuple(self, x, indices):
        if indices.rank < 1:
            raise self._refuse(x, indices, None, "indices need an axis for their tuples")
        n_parts = known_extent(self.label, "last extent of the indices", indices.dims[-1])
        if n_parts > x.rank:
            raise self._refuse(x, indices, None, f"tuples of {n_parts} indices for {x.rank} axes")
        return [*indices.dims[:-1], *x.dims[n_parts:]]

    def _refuse(self, x, indices, updates, rule):
        facts = [("x", x.dims), ("indices", indices.dims), ("rule", rule)]
        if updates is not None:
            facts.insert(2, ("updates", updates.dims))
        return ShapeError(f"{self.label} cannot scatter by these indices", facts=facts)

    def reference(self, x, indices, updates):
        if self.mode == ScatterMode.ELEMENT:
            return scattered(x, *by_element(x.shape, indices, self.axis % x.ndim), updates, UFUNCS[self.reduction])
        return scattered(x, *by_tuple(x.shape, indices, 0), updates, UFUNCS[self.reduction])

    @staticmethod
    def onnx():
        return (
            onnx_op("Scatter", rewrite=scatter),
            onnx_op("ScatterElements", rewrite=scatter),
            onnx_op("ScatterND", rewrite=scatter),
            onnx_op("MaxUnpool", rewrite=max_unpool),
            onnx_op("TensorScatter", 24, rewrite=tensor_scatter),
        )

    @classmethod
    def add(cls, network, data, indices, updates, mode):
        """A Scatter layer; `layer.axis` is 0 until it is set."""
        return network.add_plugin("Scatter", [data, indices, updates], {"mode": mode})


# ---- ONNX


def scatter(node):
    """ONNX Scatter, ScatterElements and ScatterND."""
    reduction = node.attr("reduction", "none").upper()
    if reduction not in ScatterReduction.__members__:
        raise node.fail("it has no such reduction", reduction=reduction.lower())
    mode = ScatterMode.ND if node.op_type == "ScatterND" else ScatterMode.ELEMENT
    return node.add("Scatter", [node[0], node[1], node[2]], mode=mode, axis=node.attr("axis", 0), reduction=reduction)


def max_unpool(node):
    """ONNX MaxUnpool: elements put back where MaxPool found them, zeros elsewhere."""
    x, indices, n = node[0], node[1], len(node.attr("kernel_shape"))
    kernel, strides = node.attr("kernel_shape"), node.attr("strides", (1,) * n)
    pads, dims = node.attr("pads", (0,) * (2 * n)), tuple(x.shape)
    if -1 in dims or len(dims) != n + 2:
        raise node.fail("its dims must be known, and be those of the window and two more", x=x.shape, window=kernel)
    plane = [(dims[i + 2] - 1) * strides[i] - pads[i] - pads[n + i] + kernel[i] for i in range(n)]
    whole = Counts(node, [*dims[:2], *plane])
    zeros = numpy.zeros(whole.product().known, nptype(x.dtype))
    flat = [reshaped(node, tensor, (-1,)) for tensor in (indices, x)]
    y = reshaped(node, node.add("Scatter", [zeros, *flat], mode=ScatterMode.ELEMENT, axis=0), whole)
    wanted = integers(node, 2, "output_shape")
    if wanted is None or wanted == tuple(whole.known.tolist()):
        return y
    return sliced(node, y, whole * 0, Counts(node, wanted), mode="FILL")


def tensor_scatter(node):
    """ONNX TensorScatter: for each sample of the batch, updates from its own index on; circular ones go round."""
    cache, update, mode = node[0], node[1], node.attr("mode", "linear")
    rank = rank_of(cache)
    axis = axis_of(node.attr("axis", -2), rank, node.op_type)
    if mode not in ("linear", "circular") or axis == 0 or rank_of(update) != rank:
        facts = {"mode": mode, "axis": axis, "past_cache": cache.shape, "update": update.shape}
        raise node.fail("it needs mode linear or circular, an axis behind the batch and equal ranks", **facts)
    for place, (extent, new) in enumerate(zip(cache.shape, update.shape, strict=True)):
        if -1 not in (extent, new) and (new > extent if place == axis else new != extent):
            facts = {"axis": axis, "past_cache": cache.shape, "update": update.shape}
            raise node.fail(
                f"axis {place} of the update does not fit the cache; it may be shorter along one axis", **facts
            )
    if is_given(node, 2) and (rank_of(node[2]) != 1 or node[2].shape[0] not in (cache.shape[0], -1)):
        facts = {"write_indices": node[2].shape, "past_cache": cache.shape}
        raise node.fail("write_indices are not one for each sample of the batch", **facts)
    dims, front = extents(node, cache), extents(node, update)[: axis + 1]
    columns = []  # of the tuples: the coordinates that updates have, but for the axis
    for place in range(axis + 1):
        steps = (numpy.arange(axis + 2) == place).astype(numpy.int64)
        inputs = [joined(node, [front, 1]).tensor(), numpy.zeros((), numpy.int64), steps]
        columns.append(node.add("Fill", inputs, operation="LINSPACE", to_type=DataType.INT64))
    if is_given(node, 2):
        begins = reshaped(node, cast(node, node[2], DataType.INT64), [dims[0], [1] * (axis + 1)])
        columns[-1] = combined(node, "SUM", columns[-1], begins)
    if mode == "circular":
        most = reshaped(node, dims[axis].tensor(), (1,) * (axis + 2))
        columns[-1] = combined(node, "MOD", columns[-1], most)
    places = node.add("Concatenation", columns, axis=axis + 1)
    return node.add("Scatter", [cache, places, update], mode=ScatterMode.ND)
