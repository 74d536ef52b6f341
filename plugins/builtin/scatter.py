"""Scatter."""

from __future__ import annotations

from enum import IntEnum

from dovetail.core.errors import DTypeError, ShapeError
from dovetail.core.types import DataType
from dovetail.plugins import Input, Output, Plugin, axis_of, field, known_extent, require_equal, require_that
from dovetail.plugins.builtin._indexing import by_element, by_tuple, scattered

TYPES = tuple(t for t in DataType if t != DataType.FP8)
INTEGERS = (DataType.INT32, DataType.INT64)
WORDS = "|".join(t.short for t in TYPES)


class ScatterMode(IntEnum):
    """What the indices are for."""

    ELEMENT = 0
    ND = 1


class Scatter(Plugin):
    """y = x, but for the elements that `indices` name, which are those of `updates`

    Inputs    x        any dims and type
              indices  int32 or int64; negative ones count from the end
              updates  type of x
    Outputs   y        dims and type of x
    Modes     ELEMENT  y[c with indices[c] on `axis`] = updates[c]; indices and updates have the same dims, no larger
                       than x's beside the axis
              ND       y[*indices[j]] = updates[j], for tuples of q indices on their last axis; the dims of updates are
                       indices[:-1] followed by x[q:]
    Numerics  an index beyond [-extent, extent) changes nothing. Of several updates of one element the last in
              row-major order holds on the CPU; on a GPU it may be any of them
    Errors    ShapeError if extents do not match, or `axis` is outside; DTypeError if updates have another type
    Source    TensorRT 8.5 IScatterLayer; indices that are negative as in ONNX
    """

    x = Input(TYPES)
    indices = Input(INTEGERS)
    updates = Input(TYPES)
    y = Output(like="x")
    mode: ScatterMode = field(ScatterMode.ELEMENT, doc="What the indices are for.")
    axis: int = field(0, low=-8, high=7, doc="Axis that they index, in ELEMENT.")

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
            return scattered(x, *by_element(x.shape, indices, self.axis % x.ndim), updates)
        return scattered(x, *by_tuple(x.shape, indices, 0), updates)

    @classmethod
    def add(cls, network, data, indices, updates, mode):
        """A Scatter layer; `layer.axis` is 0 until it is set."""
        return network.add_plugin("Scatter", [data, indices, updates], {"mode": mode})
