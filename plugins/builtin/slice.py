"""Slice."""

from __future__ import annotations

import numpy

from dovetail.core.errors import DTypeError, ShapeError
from dovetail.core.expr import select
from dovetail.core.types import DataType, nptype
from dovetail.plugins import Input, Ints, Moved, Output, Plugin, field, require_that
from dovetail.plugins.builtin._sampling import SampleMode
from dovetail.plugins.builtin._values import elements_of, follow
from dovetail.plugins.onnx import (
    Counts,
    axes_given,
    axis_given,
    counts_given,
    extents,
    integers,
    is_given,
    joined,
    onnx_op,
    part,
    rank_of,
    replaced,
    sliced,
    with_rank,
)

TYPES = tuple(t for t in DataType if t != DataType.FP8)
INTEGERS = (DataType.INT32, DataType.INT64)
WORDS = "|".join(t.short for t in TYPES)


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

    purpose = "Shape and order"
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

    enums = {"SliceMode": SampleMode}  # its name before TensorRT 8.5
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

    def moves(self, y, x, starts, sizes, strides, value):
        if starts is not None or strides is not None or any(step != 1 for step in self.stride):
            return None
        cut = [axis for axis in range(x.rank) if self.start[axis] != 0 or not y.dims[axis].same(x.dims[axis])]
        if not cut:
            return Moved()
        first, count, extent = self.start[cut[0]], y.dims[cut[0]].value, x.dims[cut[0]].value
        is_inside = None not in (count, extent) and 0 <= first <= first + count <= extent
        return Moved(cut[0], first) if is_inside and len(cut) == 1 else None

    @staticmethod
    def onnx():
        return (
            onnx_op("Slice", rewrite=slice_),
            onnx_op("Expand", rewrite=expand),
            onnx_op("Split", rewrite=split),
            onnx_op("SplitToSequence", rewrite=split_to_sequence),
            onnx_op("Pad", rewrite=pad),
            onnx_op("Tile", rewrite=tile),
            onnx_op("CenterCropPad", rewrite=center_crop_pad),
        )

    @classmethod
    def add(cls, network, input, start, shape, stride):
        """A Slice layer. set_input 1, 2, 3 give start, shape and stride as tensors, 4 the fill value."""
        fields = {"start": start, "shape": shape, "stride": stride}
        return network.add_plugin("Slice", [input], fields)


def _both(a, b):
    """Do both conditions hold? Known ones are ints or bools."""
    return select(a, b, 0)


def _either(a, b):
    return select(a, 1, b)


# ---- ONNX


TO_THE_END = 2**31 - 1  # ends from here on mean "all that is left", as exporters write it


def slice_(node):
    """ONNX Slice: starts, ends, axes and steps as attributes or inputs; limits are clamped to the axis."""
    x = node[0]
    starts, ends = counts_given(node, 1, "starts"), counts_given(node, 2, "ends")
    axes = axes_given(node, 3, rank_of(x))
    axes = list(range(len(starts))) if axes is None else axes
    steps = numpy.array(integers(node, 4, "steps") or (1,) * len(axes), numpy.int64)
    if not len(starts) == len(ends) == len(axes) == len(steps):
        lengths = {"starts": len(starts), "ends": len(ends), "axes": len(axes), "steps": len(steps)}
        raise node.fail("its lists differ in length", **lengths)
    if not steps.all():
        raise node.fail("a step of 0 goes nowhere", steps=steps.tolist())
    if not axes:
        return x
    dims, is_back = extents(node, x), (steps < 0).astype(numpy.int64)
    last = dims[axes] - is_back
    starts = _from_front(starts, dims[axes]).greatest(0).least(last)
    ends = _from_front(ends, dims[axes]).greatest(-is_back).least(last)
    sizes = ((ends - starts) * numpy.sign(steps)).ceil_div(abs(steps)).greatest(0)
    zeros, ones = Counts(node, [0] * rank_of(x)), Counts(node, [1] * rank_of(x))
    strides = replaced(ones, axes, Counts(node, steps))
    return sliced(node, x, replaced(zeros, axes, starts), replaced(dims, axes, sizes), strides)


def _from_front(limits, dims):
    """Negative limits count from the end of the axis."""
    if limits.known is None:
        is_negative = (limits * -1).greatest(0).least(1)
        return limits + dims * is_negative
    is_far = limits.known >= TO_THE_END
    return dims * (is_far | (limits.known < 0)) + numpy.where(is_far, 0, limits.known)


def expand(node):
    """ONNX Expand: extents of 1 are repeated, on both sides."""
    x, shape = node[0], counts_given(node, 1, "shape")
    rank = max(rank_of(x), len(shape))
    x, shape = with_rank(node, x, rank), joined(node, [[1] * (rank - len(shape)), shape])
    dims = extents(node, x)
    pairs = list(enumerate(zip(dims.each(), shape.each(), strict=True)))
    if any(None not in pair and 1 not in pair and pair[0] != pair[1] for _, pair in pairs):
        raise node.fail("extents are neither equal nor 1", x=node[0].shape, shape=shape.each())
    given = [axis for axis, (extent, _) in pairs if extent == 1]
    open_ = [axis for axis, (extent, wanted) in pairs if extent is None and wanted != 1]
    sizes, strides = replaced(dims, given, shape[given]), replaced(Counts(node, [1] * rank), given, shape[given] * 0)
    if open_:
        a, b = dims[open_], shape[open_]
        sizes = replaced(sizes, open_, a.greatest(b) * a.least(b).least(1))
        strides = replaced(strides, open_, a.least(2) - 1)
    return sliced(node, x, Counts(node, [0] * rank), sizes, strides)


def split(node):
    """ONNX Split: into extents that are given, or equal ones of which the last may be smaller."""
    x, n = node[0], node.n_outputs
    axis = axis_given(node, rank_of(x), 0)
    dims = extents(node, x)[axis]
    if node.attr("num_outputs", n) != n:
        raise node.fail("num_outputs is not the number of its outputs", num_outputs=node.attr("num_outputs"), outputs=n)
    sizes = integers(node, 1, "split")
    if sizes is not None:
        if len(sizes) != n or (dims.known is not None and sum(sizes) != dims.known[0]):
            raise node.fail("its parts do not make up the axis", split=sizes, outputs=n, x=f"{x.shape}, axis {axis}")
        starts = numpy.cumsum((0, *sizes)).tolist()
        return [part(node, x, axis, start, size) for start, size in zip(starts, sizes, strict=False)]
    if dims.known is not None and dims.known[0] % n and node.attr("num_outputs") is None:
        raise node.fail(f"an extent of {dims.known[0]} has no {n} equal parts", x=x.shape, axis=axis)
    size = dims.ceil_div(n)
    parts = [part(node, x, axis, size * number, size) for number in range(n - 1)]
    return [*parts, part(node, x, axis, size * (n - 1), dims - size * (n - 1))]


def split_to_sequence(node):
    """ONNX SplitToSequence: as many tensors as the import can tell."""
    x, sizes = node[0], None
    axis = axis_given(node, rank_of(x), 0)
    extent, given = x.shape[axis], node.get(1)
    if given is not None and rank_of(given) == 1:
        sizes = counts_given(node, 1, "split")
        if sizes.known is not None and (sizes.known.min(initial=0) < 0 or sizes.known.sum() != extent >= 0):
            facts = {"split": sizes.known.tolist(), "x": f"{x.shape}, axis {axis}"}
            raise node.fail("its parts do not make up the axis", **facts)
    else:
        (size,) = integers(node, 1, "split") or (1,)
        if extent < 0 or size < 1:
            facts = {"split": size, "x": f"{x.symbolic.dims}, axis {axis}"}
            raise node.fail("equal parts need a size, and an extent known when the network is built", **facts)
        node.reserve(f"a sequence of {-(-extent // size)} parts", layers=-(-extent // size))
        sizes = Counts(node, [min(size, extent - start) for start in range(0, extent, size)])
    node.reserve(f"a sequence of {len(sizes)} parts", layers=len(sizes))
    starts, parts = Counts(node, 0), []
    for number in range(len(sizes)):
        parts.append(part(node, x, axis, starts, sizes[number]))
        starts = starts + sizes[number]
    if given is None and not node.attr("keepdims", 1):
        parts = [node.add("Squeeze", [tensor, numpy.array([axis])]) for tensor in parts]
    return [tuple(parts)]


PAD_MODES = {"constant": "FILL", "reflect": "REFLECT", "edge": "CLAMP", "wrap": "WRAP"}


def pad(node):
    """ONNX Pad: a slice that begins in front of x. Negative pads cut off."""
    x, mode = node[0], node.attr("mode", "constant")
    rank = rank_of(x)
    if mode not in PAD_MODES:
        raise node.fail("it has no such mode", mode=mode, modes=", ".join(PAD_MODES))
    pads, axes = counts_given(node, 1, "pads"), axes_given(node, 3, rank)
    axes = list(range(rank)) if axes is None else axes
    if len(pads) != 2 * len(axes):
        raise node.fail("pads are not two for each axis", pads=len(pads), axes=axes, x=x.shape)
    if not axes:
        return x
    before, after = pads[: len(axes)], pads[len(axes) :]
    dims, zeros = extents(node, x), Counts(node, [0] * rank)
    value = None
    if mode == "constant" and is_given(node, 2):
        value = node[2]
    elif mode == "constant" and node.attr("value", 0):
        value = node.as_tensor(numpy.full((1,), node.attr("value"), nptype(x.dtype)))
    starts, sizes = replaced(zeros, axes, before * -1), replaced(dims, axes, dims[axes] + before + after)
    return sliced(node, x, starts, sizes, mode=PAD_MODES[mode], value=value)


def tile(node):
    """ONNX Tile: x repeated along its axes."""
    x, repeats = node[0], counts_given(node, 1, "repeats")
    if len(repeats) != rank_of(x):
        raise node.fail("repeats are not one for each axis", repeats=len(repeats), x=x.shape)
    if rank_of(x) == 0:
        return x
    return sliced(node, x, Counts(node, [0] * rank_of(x)), extents(node, x) * repeats, mode="WRAP")


def center_crop_pad(node):
    """ONNX CenterCropPad: the middle of an axis, or the axis in the middle of zeros."""
    x, wanted = node[0], counts_given(node, 1, "shape")
    rank = rank_of(x)
    axes = axes_given(node, 2, rank)
    axes = list(range(rank)) if axes is None else axes
    if len(wanted) != len(axes):
        raise node.fail("the shape does not have one extent for each axis", shape=len(wanted), axes=axes)
    dims, zeros = extents(node, x), Counts(node, [0] * rank)
    start = (dims[axes] - wanted).greatest(0) // 2 - (wanted - dims[axes]).greatest(0) // 2
    return sliced(node, x, replaced(zeros, axes, start), replaced(dims, axes, wanted), mode="FILL")
