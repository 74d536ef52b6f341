"""Pooling."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from functools import reduce
from itertools import product
from typing import NamedTuple

import numpy

from dovetail.core.arguments import extents as window_extents
from dovetail.core.errors import DTypeError, ShapeError
from dovetail.core.types import FLOATS, DataType, TypeOfLayer, nptype
from dovetail.plugins import (
    Input,
    Ints,
    Output,
    PaddingMode,
    Plugin,
    both,
    deprecated,
    dilated,
    field,
    renamed,
    require_that,
)
from dovetail.plugins.builtin._batch import front_dims_hint
from dovetail.plugins.onnx import (
    Counts,
    applied,
    cast,
    combined,
    extents,
    gathered_cells,
    in_float,
    joined,
    known_plane,
    norm_order,
    onnx_op,
    reduced,
    reshaped,
    sliced,
    window_of,
)
from dovetail.plugins.padding import pooling_extent

TYPES = (*FLOATS, DataType.INT8, DataType.UINT8)

LIMITS = {"int8": (-128, 127), "uint8": (0, 255)}


class PoolingType(TypeOfLayer):
    """What a window becomes."""

    MAX = 0
    AVERAGE = 1
    MAX_AVERAGE_BLEND = 2


class Axis(NamedTuple):
    """The window along one axis: `before` and `after` are the padding that it sees."""

    window: int
    stride: int
    before: int
    after: int
    size: int
    extent: int

    def counts(self, excludes_padding: bool) -> numpy.ndarray:
        """Cells of each window that count: those of the input, or of the padded input. At least 1."""
        first = numpy.arange(self.extent) * self.stride - self.before
        low, high = (0, self.size) if excludes_padding else (-self.before, self.size + self.after)
        return numpy.maximum(numpy.minimum(first + self.window, high) - numpy.maximum(first, low), 1)


class Pooling(Plugin):
    """y[p] = max or average of x over the window at p * stride - padding, or a blend of both

    Inputs    x  [batch..., channels, spatial...], two or three spatial dims, float16 | bfloat16 | float32 | int8 |
              uint8
    Outputs   y  [batch..., channels, spatial...], type of x; float32 where int8 with a scale is dequantised
    Numerics  AVERAGE is sum / n, cells outside x being 0; n is the number of cells of the window inside x, or
              inside the padded x. MAX sees -inf outside x. MAX_AVERAGE_BLEND is (1 - b) * max + b * average.
              Sums are float32, of long windows in blocks; a nan in the window gives nan. A window that has no cell
              gives -inf and 0.
              int8 keeps its scale: averages are rounded to nearest, ties to even. uint8 has maxima only.
              Cells behind the padding, which windows of the ROUND_UP modes reach, never count.
    Errors    DTypeError if x is uint8 and the type is not MAX; ShapeError if an output extent would be below 1,
              or a CAFFE mode pads by the window or more
    Source    TensorRT 8.5 IPoolingLayer; Caffe's pooling layer for what the ROUND_UP modes count
    """

    purpose = "Windows and sampling"
    x = Input(TYPES, quantized=True, doc="[batch..., channels, spatial...]")
    y = Output(TYPES, quantized=True, doc="[batch..., channels, spatial...]")

    type: PoolingType = field(PoolingType.MAX, doc="What a window becomes.")
    window_size_nd: Ints = field(doc="Extents of the window, 2 or 3.", low=1, min_length=2, max_length=3)
    stride_nd: Ints = field((), doc="Step per axis; () is 1 everywhere.", low=1, max_length=3)
    pre_padding: Ints = field((), doc="Padding in front per axis; () is 0 everywhere.", low=0, max_length=3)
    post_padding: Ints = field((), doc="Padding behind per axis; () is 0 everywhere.", low=0, max_length=3)
    padding_mode: PaddingMode = field(
        PaddingMode.EXPLICIT_ROUND_DOWN,
        doc="How padding and rounding decide extents; SAME modes choose the padding.",
    )
    blend_factor: float = field(0.0, doc="Share of the average in MAX_AVERAGE_BLEND.")
    average_count_excludes_padding: bool = field(True, doc="Divide by the cells inside x, not inside the padded x?")

    padding_nd = both("pre_padding", "post_padding", doc="The same padding in front and behind.")
    window_size = renamed("window_size_nd")
    stride = renamed("stride_nd")
    padding = deprecated(padding_nd, "padding_nd")

    type_rows = ("f32|f16|bf16|i8|u8 -> f32|f16|bf16|i8|u8",)

    def axes(self, dims) -> Iterator[Axis]:
        """The window along each spatial axis of x. Raises ShapeError if a list is not as long as the window."""
        n = len(self.window_size_nd)
        if len(dims) < n + 1:
            raise ShapeError(
                f"{self.label} cannot move a window of {n} dims over a tensor of {len(dims)}",
                facts=[
                    ("x", f"{dims}, rank {len(dims)}"),
                    ("needed", f"[channels, spatial...], rank {n + 1} or more"),
                ],
                hint=front_dims_hint(dims, n),
                expected=n + 1,
                got=len(dims),
            )
        lists = [self.window_size_nd]
        for name, default in (("stride_nd", 1), ("pre_padding", 0), ("post_padding", 0)):
            values = getattr(self, name) or (default,) * n
            if len(values) != n:
                raise ShapeError(
                    f"{self.label} has {n} spatial dims, but {name} = {values}",
                    facts=[("window_size_nd", f"{n} values, {self.window_size_nd}"), (name, f"{len(values)} values")],
                    expected=n,
                    got=len(values),
                )
            lists.append(values)
        for window, stride, before, after, size in zip(*lists, dims[-n:], strict=True):
            extent, front, behind = pooling_extent(self.padding_mode, size, window, stride, before, after)
            yield Axis(window, stride, front, behind, size, extent)

    def infer(self, x):
        if x.dtype == DataType.UINT8 and self.type != PoolingType.MAX:
            raise DTypeError(
                f"{self.label} finds maxima of uint8, not {self.type.name}",
                facts=[("x", x.dtype.name), ("type", self.type.name)],
                hint="Convert x to float32 first.",
                got=x.dtype,
            )
        axes = list(self.axes(x.dims))
        is_caffe = self.padding_mode in (PaddingMode.CAFFE_ROUND_DOWN, PaddingMode.CAFFE_ROUND_UP)
        for number, axis in enumerate(axes):
            if is_caffe and axis.before >= axis.window:
                raise ShapeError(
                    f"{self.label} cannot pad by {axis.before} in front of a window of {axis.window}",
                    facts=[("spatial axis", number), ("padding", axis.before), ("window", axis.window)],
                    hint=f"{self.padding_mode.name} needs padding smaller than the window.",
                    expected=axis.window - 1,
                    got=axis.before,
                )
            require_that(
                axis.extent >= 0 if self.padding_mode.is_same else axis.extent > 0,
                f"{self.label} has an output extent of {axis.extent} on spatial axis {number}",
                [
                    ("input", f"{axis.size}, padded by {axis.before} in front and {axis.after} behind"),
                    ("window", axis.window),
                    ("stride", axis.stride),
                ],
                hint="Pad more, or use a smaller window.",
                got=str(axis.extent),
            )
        return x.like((*x.dims[: -len(axes)], *(axis.extent for axis in axes)))

    def reference(self, x):
        axes = list(self.axes(x.shape))
        limits = LIMITS.get(x.dtype.name)
        wide = x if limits is None else x.astype(numpy.float32)
        # Windows may reach beyond the padding behind: room for the last one.
        room = [
            (a.before, max(0, (a.extent - 1) * a.stride + a.window - a.size - a.before) if a.extent else 0)
            for a in axes
        ]
        room = [(0, 0)] * (x.ndim - len(axes)) + room
        low, zero = (numpy.pad(wide, room, constant_values=value) for value in (-numpy.inf, 0))
        dims = (*x.shape[: -len(axes)], *(a.extent for a in axes))
        most, total = numpy.full(dims, -numpy.inf, wide.dtype), numpy.zeros(dims, wide.dtype)
        for place in product(*(range(a.window) for a in axes)):
            at = [
                slice(r, r + (a.extent - 1) * a.stride + 1, a.stride) if a.extent else slice(0)
                for r, a in zip(place, axes, strict=True)
            ]
            most = numpy.maximum(most, low[(..., *at)])
            total = total + zero[(..., *at)]
        counts = (a.counts(self.average_count_excludes_padding) for a in axes)
        average = total / reduce(numpy.multiply.outer, counts).astype(wide.dtype)
        b = self.blend_factor
        if self.type == PoolingType.MAX_AVERAGE_BLEND:
            y = (1 - b) * most + b * average
        else:
            y = most if self.type == PoolingType.MAX else average
        return y if limits is None else numpy.clip(numpy.rint(y), *limits).astype(x.dtype)

    @staticmethod
    def onnx():
        return (
            onnx_op("MaxPool", rewrite=max_pool),
            onnx_op("AveragePool", rewrite=average_pool),
            onnx_op("LpPool", rewrite=lp_pool),
        )

    @classmethod
    def add_pooling_nd(cls, network, input, type, window_size):
        """A Pooling layer, its other fields spelled out so that they can be read before they are set."""
        window = window_extents("the window_size of a Pooling layer", window_size)
        none = (0,) * len(window)
        fields = {
            "type": type,
            "window_size_nd": window,
            "stride_nd": (1,) * len(window),
            "pre_padding": none,
            "post_padding": none,
        }
        return network.add_plugin(cls.name, [input], fields, version=cls.version)

    @classmethod
    def add_pooling(cls, network, input, type, window_size):
        """The older name of add_pooling_nd."""
        warnings.warn("Use add_pooling_nd instead.", DeprecationWarning, stacklevel=3)
        return cls.add_pooling_nd(network, input, type, window_size)


# ---- ONNX


MOST_CELLS = 64  # of a window that becomes a slice for each


def max_pool(node):
    """ONNX MaxPool: the layer, or where it cannot (dilations, indices), windows that are gathered."""
    x, window = node[0], window_of(node)
    if window.is_dense and not node.wants(1):
        return _pooled(node, x, window, PoolingType.MAX)
    if -1 in x.shape[2:] and not node.wants(1) and window.volume <= MOST_CELLS:
        return _greatest(node, x, window)
    sizes = known_plane(node, x)
    places, _ = window.places(node, sizes)
    wide = x if x.dtype in FLOATS else cast(node, x, DataType.INT32)
    lowest = -numpy.inf if x.dtype in FLOATS else numpy.iinfo(numpy.int32).min
    cells = gathered_cells(node, wide, places, lowest)
    best = node.network.add_plugin("TopK", [cells], {"op": 0, "k": 1, "axes": 1 << 3})  # the greatest
    dims = joined(node, [extents(node, x)[:2], window.output(sizes)[0]])
    results = [cast(node, reshaped(node, best.get_output(0), dims), x.dtype)]
    if node.wants(1):
        if node.attr("storage_order", 0):  # the number of a cell counts along the columns
            grid = numpy.arange(numpy.prod(sizes)).reshape(*sizes[:-2], sizes[-1], sizes[-2]).swapaxes(-1, -2)
            places = numpy.where(places < 0, -1, grid.reshape(-1)[places])
        results.append(reshaped(node, _numbers(node, x, places, best.get_output(1)), dims))
    return results


def _greatest(node, x, window):
    """The maxima of dilated windows over extents that are not known: of one slice of x for each cell of the window."""
    dims, strides = extents(node, x), numpy.array(window.strides)
    covered = numpy.array([dilated(k, d) for k, d in zip(window.kernel, window.dilations, strict=True)])
    before = Counts(node, list(window.before))
    if window.mode.is_same:
        out = dims[2:].ceil_div(strides)
        total = ((out - 1) * list(strides) + list(covered) - dims[2:]).greatest(0)
        before = total // 2 if window.mode == PaddingMode.SAME_UPPER else total - total // 2
    else:
        room = dims[2:] + list(numpy.array(window.before) + window.after - covered)
        rounds_up = window.mode == PaddingMode.CAFFE_ROUND_UP
        out = (room.ceil_div(strides) if rounds_up else room // list(strides)) + 1
        out = out.least((dims[2:] + before).ceil_div(strides)) if rounds_up else out
    sizes = joined(node, [dims[:2], out])
    wide = x if x.dtype in FLOATS else cast(node, x, DataType.INT32)
    dtype = nptype(wide.dtype)
    lowest = numpy.full((1,), -numpy.inf if wide.dtype in FLOATS else numpy.iinfo(dtype).min, dtype)
    y = None
    for cell in product(*map(range, window.kernel)):
        starts = Counts(node, [c * d for c, d in zip(cell, window.dilations, strict=True)]) - before
        starts = joined(node, [[0, 0], starts])
        steps = Counts(node, [1, 1, *window.strides])
        part = sliced(node, wide, starts, sizes, steps, mode="FILL", value=node.as_tensor(lowest))
        y = part if y is None else combined(node, "MAX", y, part)
    return cast(node, y, x.dtype)


def _numbers(node, x, places, chosen):
    """The numbers of cells in the whole of x: those of window after window, of which `chosen` names one each."""
    n = extents(node, x)
    if n.known is None:
        raise node.fail("for its indices, the dims must be known when the network is built", x=x.symbolic.dims)
    first = numpy.arange(len(places))[:, None] * places.shape[1]
    at = combined(node, "SUM", cast(node, chosen, DataType.INT64), node.as_tensor(first[None, None]))
    in_plane = node.add("Gather", [places.reshape(-1), at], axis=0)
    batch, channels = n.known[:2]
    planes = numpy.arange(batch * channels).reshape(batch, channels, 1, 1) * numpy.prod(n.known[2:])
    return combined(node, "SUM", in_plane, node.as_tensor(planes))


def average_pool(node):
    """ONNX AveragePool."""
    x, window = node[0], window_of(node)
    excludes = not node.attr("count_include_pad", 0)
    if window.is_dense:
        return _pooled(node, x, window, PoolingType.AVERAGE, average_count_excludes_padding=excludes)
    sizes = known_plane(node, x)
    places, counted = window.places(node, sizes)
    counts = numpy.maximum((places >= 0 if excludes else counted).sum(1), 1)
    total = reduced(node, "SUM", gathered_cells(node, in_float(node, x), places, 0), [3], keep_dims=False)
    y = combined(node, "DIV", total, node.as_tensor(counts.astype(numpy.float32)[None, None]))
    dims = joined(node, [extents(node, x)[:2], window.output(sizes)[0]])
    return cast(node, reshaped(node, y, dims), x.dtype)


def lp_pool(node):
    """ONNX LpPool: (sum of |x|^p over the window)^(1/p)."""
    x, window, p = node[0], window_of(node), norm_order(node)
    powers = combined(node, "POW", applied(node, "ABS", in_float(node, x)), p)
    if -1 in x.shape[2:]:
        return cast(node, combined(node, "POW", _sums(node, powers, window), 1 / p), x.dtype)
    sizes = known_plane(node, x)
    total = reduced(node, "SUM", gathered_cells(node, powers, window.places(node, sizes)[0], 0), [3], keep_dims=False)
    dims = joined(node, [extents(node, x)[:2], window.output(sizes)[0]])
    return cast(node, reshaped(node, combined(node, "POW", total, 1 / p), dims), x.dtype)


def _sums(node, x, window):
    """The sums of the windows of x, whose extents are not known: averages times cells, or a product with ones."""
    padded = window
    if window.mode == PaddingMode.CAFFE_ROUND_UP:  # so that all windows are inside of what is padded
        after = tuple(a + stride - 1 for a, stride in zip(window.after, window.strides, strict=True))
        padded = replace(window, after=after, mode=PaddingMode.EXPLICIT_ROUND_DOWN)
    dims, spatial = extents(node, x), len(window.kernel)
    if window.is_dense:
        average = _pooled(node, x, padded, PoolingType.AVERAGE, average_count_excludes_padding=False)
        y = combined(node, "PROD", average, float(window.volume))
    else:
        ones = numpy.ones((1, 1, *window.kernel), numpy.float32)
        fields = {"stride_nd": padded.strides, "dilation_nd": padded.dilations, "padding_mode": padded.mode}
        fields |= {"pre_padding": padded.before, "post_padding": padded.after, "kernel_size_nd": window.kernel}
        plane = reshaped(node, x, joined(node, [dims[:2].product(), [1], dims[2:]]))
        if spatial == 1:
            plane, ones = node.add("Unsqueeze", [plane, numpy.array([3])]), ones[..., None]
            one = {"kernel_size_nd": 1, "stride_nd": 1, "dilation_nd": 1, "pre_padding": 0, "post_padding": 0}
            fields |= {name: (*fields[name], value) for name, value in one.items()}
        sums = node.add("Convolution", [plane, ones], num_output_maps=1, **fields)
        sums = node.add("Squeeze", [sums, numpy.array([3])]) if spatial == 1 else sums
        y = reshaped(node, sums, joined(node, [dims[:2], extents(node, sums)[2:]]))
    covered = [dilated(k, d) for k, d in zip(window.kernel, window.dilations, strict=True)]
    if padded is window or all(s + a <= c for s, a, c in zip(window.strides, window.after, covered, strict=True)):
        return y
    # The last window may begin behind the plane: then there is none.
    begun = (dims[2:] + list(window.before)).ceil_div(numpy.array(window.strides)).least(extents(node, y)[2:])
    return sliced(node, y, Counts(node, [0] * (2 + spatial)), joined(node, [dims[:2], begun]))


def _pooled(node, x, window, type, **fields):
    """A Pooling layer; a window in one dim gets another in front of it, as in convolutions."""
    one = len(window.kernel) == 1
    if len(window.kernel) > 3:
        raise node.fail("windows have one, two or three dims", window=window.kernel)
    lists = {
        "window_size_nd": (1,) * one + window.kernel,
        "stride_nd": (1,) * one + window.strides,
        "pre_padding": (0,) * one + window.before,
        "post_padding": (0,) * one + window.after,
    }
    y = cast(node, x, DataType.FLOAT) if x.dtype not in FLOATS else x
    y = node.add("Unsqueeze", [y, numpy.array([2])]) if one else y
    y = node.add("Pooling", [y], type=type, padding_mode=window.mode, **lists, **fields)
    y = node.add("Squeeze", [y, numpy.array([2])]) if one else y
    return cast(node, y, x.dtype)
