"""Slice."""

from __future__ import annotations

from enum import IntEnum

import numpy

from dovetail.core.errors import DTypeError, ShapeError
from dovetail.core.expr import select
from dovetail.core.types import DataType
from dovetail.plugins import Input, Ints, Output, Plugin, field, require_that
from dovetail.plugins.builtin._values import elements_of, follow

TYPES = tuple(t for t in DataType if t != DataType.FP8)
INTEGERS = (DataType.INT32, DataType.INT64)
WORDS = "|".join(t.short for t in TYPES)


class SampleMode(IntEnum):
    """What is read beyond the edges."""

    STRICT_BOUNDS = 0  # nothing: it is an error
    DEFAULT = 0
    WRAP = 1
    CLAMP = 2
    FILL = 3
    REFLECT = 4


SliceMode = SampleMode  # its name before TensorRT 8.5


class Slice(Plugin):
    """y[c] = x[start + c * stride] on each axis, for 0 <= c < shape

    Inputs    x                       any dims and type
              starts, sizes, strides  optional, [rank of x], all int32 or all int64: in place of the fields `start`,
                                      `shape` and `stride`; contents follow from constants and extents
              value                   optional, one element of x's type, for FILL; 0 if absent
    Outputs   y                       dims are `shape`; type of x
    Modes     STRICT_BOUNDS  indices beyond x are an error
              WRAP           x is repeated
              CLAMP          the nearest element
              FILL           the fill value
              REFLECT        x is mirrored at its edges, which are not repeated
    Errors    ShapeError if a number of values is not the rank, a size is negative, or an index is beyond x in
              STRICT_BOUNDS; where extents are unknown, when they are bound
    Source    TensorRT 8.5 ISliceLayer
    """

    x = Input(TYPES)
    starts = Input(INTEGERS, optional=True, doc="In place of `start`.")
    sizes = Input(INTEGERS, optional=True, shape=True, doc="In place of `shape`.")
    strides = Input(INTEGERS, optional=True, doc="In place of `stride`.")
    value = Input(TYPES, optional=True, doc="What FILL fills with.")
    y = Output(like="x")
    start: Ints = field((), doc="First index on each axis.")
    shape: Ints = field((), low=0, doc="Extents of the output.")
    stride: Ints = field((), doc="Distance of the indices on each axis; may be negative.")
    mode: SampleMode = field(SampleMode.STRICT_BOUNDS, doc="What is read beyond the edges.")

    type_rows = tuple(" ".join([WORDS, *["|".join([t.short] * len(TYPES))] * 3, WORDS, "->", WORDS]) for t in INTEGERS)

    def infer(self, x, starts, sizes, strides, value):
        self._check_types(x, starts, sizes, strides, value)
        start = self._values("start", self.start, "starts", starts, x)
        size = self._values("shape", self.shape, "sizes", sizes, x)
        stride = self._values("stride", self.stride, "strides", strides, x)
        for axis in range(x.rank):
            self._check_axis(axis, x.dims[axis], start[axis], size[axis], stride[axis])
        y = x.like(size)
        known = [getattr(v, "value", v) for v in (*start, *stride)]
        if None in known or (self.mode == SampleMode.FILL and value is not None):
            return y
        extents = [d.value for d in y.dims]
        return follow(y, lambda a: self._taken(a, known[: x.rank], extents, known[x.rank :], 0), x)

    def _check_types(self, x, starts, sizes, strides, value):
        given = {t.dtype for t in (starts, sizes, strides) if t is not None}
        if len(given) > 1 or (value is not None and value.dtype != x.dtype):
            raise DTypeError(
                f"{self.label} cannot take inputs of these types",
                facts=[
                    ("starts, sizes, strides", ", ".join(t.name for t in sorted(given)) + "; rule: one type"),
                    (
                        "value",
                        f"{value.dtype.name}; rule: that of x, {x.dtype.name}" if value is not None else "absent",
                    ),
                ],
                hint="Convert with an Identity layer.",
            )
        if value is not None and value.dims.volume.value != 1:
            raise ShapeError(
                f"{self.label} fills with one element", facts=[("value", value.dims)], expected=1, got=str(value.dims)
            )

    def _values(self, name, given, port, tensor, x):
        values = list(given) if tensor is None else elements_of(self.label, port, tensor)
        if len(values) != x.rank:
            raise ShapeError(
                f"{self.label} has {len(values)} values of {name} for a tensor with {x.rank} dims",
                facts=[(name, f"[{', '.join(map(str, values))}]"), ("x", x.dims)],
                hint=f"Set layer.{name}, or give a tensor.",
                field=name,
                expected=x.rank,
                got=len(values),
            )
        return values

    def _check_axis(self, axis, extent, start, size, stride):
        facts = [("axis", f"{axis}, extent {extent}"), ("start, shape, stride", f"{start}, {size}, {stride}")]
        require_that(size >= 0, f"{self.label} cannot take {size} elements of axis {axis}", facts, axis=axis)
        if self.mode == SampleMode.FILL:
            return
        is_right = extent > 0
        rule = f"{self.label} cannot read axis {axis}, which has no elements"
        if self.mode == SampleMode.STRICT_BOUNDS:
            last = start + (size - 1) * stride
            is_right = _both(_both(start >= 0, start < extent), _both(last >= 0, last < extent))
            rule = f"{self.label} reads beyond the bounds of axis {axis}, 0 up to {extent}: from {start} to {last}"
        hint = "Another mode says what lies beyond the bounds: WRAP, CLAMP, FILL or REFLECT."
        require_that(_either(size == 0, is_right), rule, facts, hint, axis=axis)

    def reference(self, x, starts, sizes, strides, value):
        start = self.start if starts is None else [int(v) for v in starts]
        size = self.shape if sizes is None else [int(v) for v in sizes]
        stride = self.stride if strides is None else [int(v) for v in strides]
        return self._taken(x, start, size, stride, 0 if value is None else value.reshape(())[()])

    def _taken(self, x, start, size, stride, value):
        outside = numpy.zeros(tuple(size), bool)
        for axis in range(x.ndim):
            n = x.shape[axis]
            index = start[axis] + numpy.arange(size[axis]) * stride[axis]
            if self.mode == SampleMode.FILL:
                beyond = (index < 0) | (index >= n)
                outside |= beyond.reshape([-1 if i == axis else 1 for i in range(x.ndim)])
            x = (
                numpy.take(x, self._inside(index, n), axis)
                if n
                else numpy.zeros([len(index) if i == axis else extent for i, extent in enumerate(x.shape)], x.dtype)
            )
        if self.mode != SampleMode.FILL:
            return x
        filled = x.copy()
        filled[outside] = value
        return filled

    def _inside(self, index, n):
        if self.mode == SampleMode.WRAP:
            return index % n
        if self.mode == SampleMode.REFLECT and n > 1:
            index = index % (2 * n - 2)
            return numpy.where(index < n, index, 2 * n - 2 - index)
        return numpy.clip(index, 0, n - 1)

    @classmethod
    def add(cls, network, input, start, shape, stride):
        """A Slice layer. set_input 1, 2, 3 give start, shape and stride as tensors, 4 the fill value."""
        fields = {"start": tuple(start), "shape": tuple(shape), "stride": tuple(stride)}
        return network.add_plugin("Slice", [input], fields)


def _both(a, b):
    """Do both conditions hold? Known ones are ints or bools."""
    return select(a, b, 0)


def _either(a, b):
    return select(a, 1, b)
