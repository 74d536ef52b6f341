"""Tensor descriptions for planning: dims, type, format, scale; addresses of elements; packing in plain numpy.

Address rule, for every format: a tensor is made of vectors of `lanes` elements, split along the channel axis.
With coord' the coordinates of the vector (c // lanes on the channel axis), the element lies at
    (sum of coord' * stride) * lanes + c % lanes
and `Half(60,1:8,12,3)` shows the strides, counted in vectors, with `:8` on the channel axis.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np

from dovetail import _native
from dovetail.core.errors import DTypeError, FormatError, ShapeError
from dovetail.core.functions import converted, quantized
from dovetail.core.types import FLOATS, DataType, Dims, TensorFormat, nptype, storage_nptype, volume

CONSTANT_FLAG = 1  # DT_TENSOR_CONSTANT
Desc = TypeVar("Desc", bound="TensorDesc")


@dataclass(frozen=True)
class TensorDesc:
    """Dims, type, format and scale of a tensor; -1 is an unknown extent. Also TensorRT's PluginTensorDesc.

    Units: `scale` real = stored * scale for INT8, -1 where there is none. `data` is a constant's contents, in
    `format`. Raises ShapeError if there are too few dims for the format, FormatError if it is a DLA's.
    """

    dims: Dims
    dtype: DataType
    format: TensorFormat = TensorFormat.LINEAR
    scale: float = -1.0
    data: Any = field(default=None, compare=False, repr=False)
    flags: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "dims", Dims(self.dims))
        if type(self.dtype) is not DataType:
            object.__setattr__(self, "dtype", DataType(self.dtype))
        if type(self.format) is not TensorFormat:
            object.__setattr__(self, "format", TensorFormat(self.format))
        object.__setattr__(self, "scale", float(self.scale))
        _channel_axis(self.dims, self.format)
        if self.data is not None:
            object.__setattr__(self, "data", np.ascontiguousarray(self.data))
            object.__setattr__(self, "flags", self.flags | CONSTANT_FLAG)

    @property
    def type(self) -> DataType:
        """TensorRT's name for `dtype`."""
        return self.dtype

    @property
    def min(self) -> Dims:
        """The dims, since this tensor has no range; the same for `opt` and `max`."""
        return self.dims

    opt = max = min

    @property
    def is_dynamic(self) -> bool:
        return self.dims.is_dynamic

    @property
    def volume(self) -> int:
        """Elements, padding not counted; -1 if unknown."""
        return volume(self.dims)

    def laid_out(self: Desc, dtype: DataType, format_: TensorFormat, data: Any) -> Desc:
        """The same tensor in another type and format. `data` is the contents there, or None.

        A build makes thousands of them: nothing but the format is checked, since nothing else changes.
        """
        _channel_axis(self.dims, format_)
        made = object.__new__(type(self))
        data = None if data is None else np.ascontiguousarray(data)
        vars(made).update(vars(self), dtype=dtype, format=format_, data=data)
        return made

    def with_dims(self, dims: Iterable[int]) -> TensorDesc:
        """The same tensor with other dims."""
        return replace(self, dims=Dims(dims))

    def with_data(self, data: Any) -> TensorDesc:
        """The same tensor as a constant with these contents, in its format."""
        return replace(self, data=data)

    @property
    def strides(self) -> tuple[int, ...]:
        """In vectors, per axis of `dims`; -1 where it depends on an unknown extent."""
        return _strides(self.dims, self.format)

    @property
    def allocated_size(self) -> int:
        """Bytes, padding included. Raises ShapeError if an extent is unknown."""
        n_vectors = volume(vector_dims(self.dims, self.format))
        if n_vectors < 0:
            raise ShapeError(f"a tensor of dims {self.dims} has no size yet: -1 is unknown", got=self.dims)
        return n_vectors * self.format.lanes * self.dtype.itemsize

    def offset(self, coords: Sequence[int]) -> int:
        """Offset of an element, in elements from the start.

        Raises:
            ShapeError: coordinates outside the tensor, or a needed extent is unknown.
        """
        if len(coords) != len(self.dims) or not all(0 <= c < d for c, d in zip(coords, self.dims, strict=True)):
            raise ShapeError(
                f"{tuple(coords)} is not an element of {self.dims}",
                facts=[("allowed", ", ".join(f"0..{d - 1}" for d in self.dims))],
                got=tuple(coords),
                expected=self.dims,
            )
        return self.notation.offset(coords)

    @property
    def notation(self) -> Notation:
        axis = _channel_axis(self.dims, self.format) if self.format.lanes > 1 else None
        return Notation(self.dtype, self.strides, self.format.lanes, axis)

    def __str__(self) -> str:
        return str(self.notation)


@dataclass(frozen=True)
class DynamicTensorDesc(TensorDesc):
    """A tensor over a profile's range; `dims` has -1 where they are unknown. Also DynamicPluginTensorDesc.

    If min, opt or max are left out, they are `dims`, so a tensor with known dims needs none of them.
    """

    min: Dims = ()  # type: ignore[assignment]
    opt: Dims = ()  # type: ignore[assignment]
    max: Dims = ()  # type: ignore[assignment]

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("min", "opt", "max"):
            dims = Dims(getattr(self, name)) or self.dims
            if len(dims) != len(self.dims):
                raise ShapeError(
                    f"{name} {dims} does not belong to dims {self.dims}",
                    facts=[(name, f"{len(dims)} dims"), ("tensor", f"{len(self.dims)} dims")],
                    expected=len(self.dims),
                    got=len(dims),
                )
            object.__setattr__(self, name, self.dims if dims == self.dims else dims)  # native code reads these once

    @property
    def desc(self) -> TensorDesc:
        """The description without the range, as in TensorRT."""
        return TensorDesc(self.dims, self.dtype, self.format, self.scale, self.data, self.flags)

    def with_dims(self, dims: Iterable[int]) -> DynamicTensorDesc:
        """The same tensor with these dims and without a range."""
        return replace(self, dims=Dims(dims), min=Dims(), opt=Dims(), max=Dims())


PluginTensorDesc = TensorDesc
DynamicPluginTensorDesc = DynamicTensorDesc


@dataclass(frozen=True)
class Notation:
    """The parts of `Half(60,1:8,12,3)`: type, strides in vectors, lanes, the axis that is split into vectors."""

    dtype: DataType
    strides: tuple[int, ...]  # -1: unknown, written as ?
    lanes: int = 1
    axis: int | None = None

    def offset(self, coords: Sequence[int]) -> int:
        """Elements from the start to the element at `coords`."""
        total, lane = 0, 0
        for axis, (c, stride) in enumerate(zip(coords, self.strides, strict=True)):
            if axis == self.axis:
                c, lane = divmod(c, self.lanes)
            if stride < 0 and c:
                raise ShapeError(f"element {tuple(coords)} of {self} cannot be found: axis {axis} has no known stride")
            total += c * stride
        return total * self.lanes + lane

    def __str__(self) -> str:
        parts = ["?" if stride < 0 else str(stride) for stride in self.strides]
        if self.axis is not None:
            parts[self.axis] += f":{self.lanes}"
        return f"{self.dtype.word}({','.join(parts)})"


_NOTATION = re.compile(r"(?P<word>\w+)\((?P<strides>[\d:,?\s]*)\)")


def parse_notation(text: str) -> Notation:
    """The inverse of `str(desc)`. Raises DTypeError for an unknown type word, else ShapeError."""
    match = _NOTATION.fullmatch(text.strip())
    parts = [part.strip() for part in match["strides"].split(",")] if match and match["strides"].strip() else []
    if not match or not all(re.fullmatch(r"(\d+|\?)(:\d+)?", part) for part in parts) or text.count(":") > 1:
        raise ShapeError(f"'{text}' is not a layout", facts=[("wanted", "something like Half(60,1:8,12,3)")], got=text)
    split = [part.partition(":") for part in parts]
    axis = next((i for i, (_, colon, _) in enumerate(split) if colon), None)
    return Notation(
        DataType.from_short(match["word"]),
        tuple(-1 if stride == "?" else int(stride) for stride, _, _ in split),
        1 if axis is None else int(split[axis][2]),
        axis,
    )


# ---- layout


def allocated_bytes(desc: TensorDesc) -> int:
    """Bytes that a tensor takes, padding included. Raises ShapeError if an extent is unknown."""
    return desc.allocated_size


def _channel_axis(dims: Sequence[int], format: TensorFormat) -> int | None:
    if not format.is_supported:
        raise FormatError(
            f"no tensor can have format {format.name}",
            facts=[(format.name, "known by name only")],
            hint=f"Take one of {' '.join(f.name for f in TensorFormat if f.is_supported)}.",
            got=format,
        )
    return format.channel_axis(len(dims))


def vector_dims(dims: Sequence[int], format: TensorFormat) -> Dims:
    """Extents counted in vectors: the channels divided by the lanes and rounded up. -1 stays -1."""
    extents = list(dims)
    axis = _channel_axis(dims, format)
    if axis is not None and extents[axis] >= 0:
        extents[axis] = -(-extents[axis] // format.lanes)
    return Dims(extents)


def _strides(dims: Sequence[int], format: TensorFormat) -> tuple[int, ...]:
    extents = vector_dims(dims, format)
    axis = _channel_axis(dims, format)
    order = list(range(len(extents)))  # outermost first
    if axis is not None and format.kind == 2:
        order.append(order.pop(axis))
    strides = [0] * len(extents)
    stride = 1
    for i in reversed(order):
        strides[i] = stride
        stride = -1 if stride < 0 or extents[i] < 0 else stride * extents[i]
    return tuple(strides)


# ---- packing and conversion: the reference for every reformat


def as_type(array: np.ndarray, dtype: DataType, to: DataType, scale: float = -1.0) -> np.ndarray:
    """The elements of a tensor of type `dtype` as one of type `to` stores them: converted as Cast converts.

    Args:
        scale: of the side that is INT8, whose other side is a float: real = stored * scale; not positive: none.
    """
    if dtype == to:
        return array
    if scale > 0 and DataType.INT8 in (dtype, to):
        wide, step = array.astype(np.float32), np.float32(scale)
        return quantized(wide / step) if to == DataType.INT8 else (wide * step).astype(nptype(to))
    wide = array.astype(np.float32) if dtype in FLOATS else array
    with np.errstate(over="ignore", invalid="ignore"):  # what is too large for a float becomes infinite
        return converted(wide, to).astype(nptype(to))  # type: ignore[no-any-return]


def stored_as(
    array: np.ndarray, dtype: DataType, to: DataType, format: TensorFormat, scale: float = -1.0
) -> np.ndarray:
    """The elements of a tensor of type `dtype` as they lie in another type and format; row by row they keep dims."""
    made = as_type(array, dtype, to, scale)
    return made if format == TensorFormat.LINEAR else pack(made, format)


def pack(array: Any, format: TensorFormat) -> np.ndarray:
    """The elements in `format`, as a flat array of the same numpy type. Padding lanes are 0."""
    x, format = np.asarray(array), TensorFormat(format)
    axis = _channel_axis(x.shape, format)
    if axis is None:
        return x.flatten()
    blocks, lanes = vector_dims(x.shape, format)[axis], format.lanes
    padding = [(0, 0)] * x.ndim
    padding[axis] = (0, blocks * lanes - x.shape[axis])
    padded = np.pad(x, padding)
    split = padded.reshape(*x.shape[:axis], blocks, lanes, *x.shape[axis + 1 :])
    moved = [axis + 1] if format.kind == 1 else [axis, axis + 1]
    return np.moveaxis(split, moved, range(-len(moved), 0)).flatten()


def unpack(buffer: Any, dims: Sequence[int], dtype: DataType, format: TensorFormat) -> np.ndarray:
    """The inverse of `pack`: an array of these dims out of a flat buffer; padding is dropped.

    BF16 and FP8 are returned as uint16 and uint8 if ml_dtypes is not installed.

    Raises:
        ShapeError: the buffer has another size.
    """
    dtype, format = DataType(dtype), TensorFormat(format)
    flat = np.frombuffer(np.ascontiguousarray(buffer) if isinstance(buffer, np.ndarray) else buffer, np.uint8)
    extents = vector_dims(dims, format)
    if flat.size != volume(extents) * format.lanes * dtype.itemsize:
        desc = TensorDesc(Dims(dims), dtype, format)
        raise ShapeError(
            f"a buffer of {flat.size} bytes cannot hold {desc.dims} as {desc}",
            facts=[("needed", f"{desc.allocated_size} bytes"), ("given", f"{flat.size} bytes")],
            expected=desc.allocated_size,
            got=flat.size,
        )
    flat = flat.view(_array_type(dtype))
    axis = _channel_axis(extents, format)
    if axis is None:
        return flat.reshape(tuple(extents)).copy()
    lanes = format.lanes
    before, blocks, after = extents[:axis], extents[axis], extents[axis + 1 :]
    if format.kind == 1:
        split = np.moveaxis(flat.reshape(*before, blocks, *after, lanes), -1, axis + 1)
    else:
        split = np.moveaxis(flat.reshape(*before, *after, blocks, lanes), [-2, -1], [axis, axis + 1])
    whole = split.reshape(*before, blocks * lanes, *after)
    return whole[(slice(None),) * axis + (slice(dims[axis]),)].copy()


def _array_type(dtype: DataType) -> np.dtype:
    try:
        return nptype(dtype)
    except DTypeError:
        return storage_nptype(dtype)


if hasattr(_native, "set_desc_factory"):
    _native.set_desc_factory(TensorDesc, DynamicTensorDesc)
