"""Data types, tensor formats and devices: TensorRT's names and values, from the C interface's tables."""

from __future__ import annotations

import builtins
import importlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from dovetail import _native
from dovetail.core.dims import MAX_RANK, Dims, Dims2, Dims3, Dims4, DimsCHW, DimsHW, DimsNCHW, Permutation, volume
from dovetail.core.errors import DTypeError, FieldValueError, ShapeError
from dovetail.core.named import Member, Named, spelled_like
from dovetail.core.strict import Strict

__all__ = [
    "ALL_TYPES",
    "FLOATS",
    "INTEGERS",
    "MAX_RANK",
    "NUMBERS",
    "DataType",
    "DeviceType",
    "DimensionOperation",
    "Dims",
    "Dims2",
    "Dims3",
    "Dims4",
    "DimsCHW",
    "DimsHW",
    "DimsNCHW",
    "FieldType",
    "FloatOperation",
    "Permutation",
    "Rounding",
    "TensorFormat",
    "TensorIOMode",
    "TensorLocation",
    "TypeOfLayer",
    "Weights",
    "bfloat16",
    "bool",
    "float16",
    "float32",
    "format_mask",
    "formats_in",
    "fp8",
    "from_numpy",
    "int8",
    "int32",
    "int64",
    "nptype",
    "storage_nptype",
    "uint8",
    "volume",
]

_TYPE_FACTS = {value: (bits, dlpack, short, word) for _, value, bits, dlpack, short, word in _native.DATA_TYPES}
_FORMAT_FACTS = {
    value: (lanes, kind, spatial, short) for _, value, lanes, kind, spatial, short in _native.TENSOR_FORMATS
}
_FIELD_BYTES = {value: n_bytes for _, value, n_bytes in _native.FIELD_TYPES}


class TypeOfLayer(Named):
    """Values of `layer.type`: the kind of a layer, or the field `type` that some kinds of layers have.

    In TensorRT, a layer from `network.get_layer(i)` has the first and one from `add_activation` has the second. Here
    both are one object, so the value of the field equals the kind of its layer and no other: ActivationType.RELU equals
    LayerType.ACTIVATION, not LayerType.CONVOLUTION, although both are 0.
    """

    @property
    def _kind(self) -> str:
        name = type(self).__name__.removesuffix("Type").upper()
        return self.name if name == "LAYER" else name

    def __eq__(self, other: object) -> Any:
        if isinstance(other, TypeOfLayer) and type(other) is not type(self):
            return self._kind == other._kind
        return int(self) == other

    def __ne__(self, other: object) -> Any:
        return not self == other

    __hash__ = int.__hash__


class _DataType(Named):
    @property
    def bits(self) -> int:
        return _TYPE_FACTS[self][0]

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return self.bits // 8

    @property
    def dlpack_code(self) -> int:
        return _TYPE_FACTS[self][1]

    @property
    def short(self) -> str:
        """Name in row types: "f32"."""
        return _TYPE_FACTS[self][2]

    @property
    def word(self) -> str:
        """Name in log notation: "Float"."""
        return _TYPE_FACTS[self][3]

    @classmethod
    def _nearest(cls, enum: Any, value: Any) -> str:
        """The member for a numpy type or its name."""
        if isinstance(value, str):
            name = value.lower().rpartition(".")[2]
            return _FROM_NUMPY[name].name if name in _FROM_NUMPY else spelled_like(enum, name)
        try:
            return from_numpy(value).name if isinstance(value, (type, np.dtype)) else ""
        except (DTypeError, TypeError):
            return ""

    @classmethod
    def from_short(cls, text: str) -> DataType:
        """The type that "f32" or "Float" names. Raises DTypeError."""
        return _find(text, _TYPES_BY_NAME, "data type")


class _TensorFormat(Named):
    @property
    def lanes(self) -> int:
        """Channels stored together; the channel extent is padded up to a multiple of it."""
        return _FORMAT_FACTS[self][0]

    @property
    def kind(self) -> int:
        """0 row-major, 1 channels blocked, 2 channels last, 3 a name only."""
        return _FORMAT_FACTS[self][1]

    @property
    def spatial(self) -> int:
        """Number of dims after the channel axis."""
        return _FORMAT_FACTS[self][2]

    @property
    def short(self) -> str:
        """Name in row formats: "chw32"."""
        return _FORMAT_FACTS[self][3]

    @property
    def is_supported(self) -> builtins.bool:
        """False for formats of DLA, which have a name and a value only."""
        return self.kind != 3

    @property
    def mask(self) -> int:
        """The bit of this format in `ITensor.allowed_formats`."""
        return 1 << int(self)

    @property
    def least_rank(self) -> int:
        """The smallest number of dims of a tensor in this format."""
        return 0 if self.kind == 0 else self.spatial + 1

    def channel_axis(self, rank: int) -> int | None:
        """The axis that is split into vectors or comes last; None if there is none.

        Raises:
            ShapeError: the rank is too small for the format.
        """
        if rank < self.least_rank:
            raise ShapeError(
                f"{self.name} cannot be the format of a tensor of {rank} dims",
                facts=[
                    ("format", f"{self.name} needs {self.least_rank} dims or more"),
                    ("tensor", f"has {rank}"),
                ],
                format=self,
                expected=self.least_rank,
                got=rank,
            )
        return None if self.kind == 0 or not self.is_supported else rank - self.spatial - 1

    @classmethod
    def from_short(cls, text: str) -> TensorFormat:
        """The format that "chw32" names. Raises DTypeError."""
        return _find(text, _FORMATS_BY_NAME, "tensor format")


class _FieldType(Named):
    @property
    def n_bytes(self) -> int:
        """Bytes of one element; 0 for a tensor."""
        return _FIELD_BYTES[self]


def _find(text: str, table: dict[str, Member], noun: str) -> Member:
    if text not in table:
        raise DTypeError(
            f"'{text}' is not the name of a {noun}",
            facts=[("known", " ".join(table))],
            got=text,
            expected=[*table],
        )
    return table[text]


def _pairs(table: Iterable[tuple[Any, ...]]) -> list[tuple[str, int]]:
    return [(row[0], row[1]) for row in table]


if TYPE_CHECKING:  # their members, which a type checker cannot see below; generated
    from dovetail.core._tables import (
        DataType,
        DimensionOperation,
        FieldType,
        FloatOperation,
        Rounding,
        TensorFormat,
    )
else:
    DataType = _DataType("DataType", _pairs(_native.DATA_TYPES), module=__name__)
    TensorFormat = _TensorFormat("TensorFormat", _pairs(_native.TENSOR_FORMATS), module=__name__)
    FieldType = _FieldType("FieldType", _pairs(_native.FIELD_TYPES), module=__name__)
    DimensionOperation = Named("DimensionOperation", _pairs(_native.DIM_OPERATIONS), module=__name__)
    FloatOperation = Named("FloatOperation", _pairs(_native.FLOAT_OPERATIONS), module=__name__)  # see core.floats
    Rounding = Named("Rounding", _pairs(_native.ROUNDINGS), module=__name__)  # how FLOAT_ROUND makes an integer
_TYPES_BY_NAME = {name: t for t in DataType for name in (t.short, t.word)}
_FORMATS_BY_NAME = {f.short: f for f in TensorFormat}

FLOATS = (DataType.FLOAT, DataType.HALF, DataType.BF16)
INTEGERS = (DataType.INT8, DataType.UINT8, DataType.INT32, DataType.INT64)
NUMBERS = FLOATS + INTEGERS
ALL_TYPES = tuple(DataType)


class DeviceType(Named):
    """Where a layer runs. GPU and DLA have TensorRT's values; CPU exists only here."""

    GPU = 0
    DLA = 1
    CPU = 2

    @property
    def dlpack_code(self) -> int:
        """The number of the device in DLPack and the C interface."""
        if self not in _DLPACK_DEVICES:
            raise FieldValueError(f"{self} is known by name only: nothing runs there", got=self)
        return _DLPACK_DEVICES[self]


_DLPACK_DEVICES = {DeviceType.CPU: 1, DeviceType.GPU: 2}


class TensorIOMode(Named):
    """The role of a named tensor in an engine."""

    NONE = 0
    INPUT = 1
    OUTPUT = 2


class TensorLocation(Named):
    """The memory that holds a tensor's contents."""

    DEVICE = 0
    HOST = 1


_NUMPY_NAMES = {
    DataType.FLOAT: "float32",
    DataType.HALF: "float16",
    DataType.INT8: "int8",
    DataType.INT32: "int32",
    DataType.BOOL: "bool",
    DataType.UINT8: "uint8",
    DataType.INT64: "int64",
    DataType.BF16: "bfloat16",
    DataType.FP8: "float8_e4m3fn",
}
_FROM_NUMPY = {name: dtype for dtype, name in _NUMPY_NAMES.items()}


def nptype(dtype: DataType) -> np.dtype:
    """The numpy type of the same values.

    Raises:
        DTypeError: BF16 and FP8 come from ml_dtypes, which is not installed.
    """
    name = _NUMPY_NAMES[DataType(dtype)]
    if dtype not in (DataType.BF16, DataType.FP8):
        return np.dtype(name)
    try:
        found: np.dtype = np.dtype(getattr(importlib.import_module("ml_dtypes"), name))
        return found
    except ImportError:
        raise DTypeError(
            f"numpy has no {name}", hint="The package ml_dtypes adds it: pip install ml_dtypes", got=dtype
        ) from None


def storage_nptype(dtype: DataType) -> np.dtype:
    """The numpy type that holds the same bits without any package: uint16 for BF16, uint8 for FP8."""
    if dtype in (DataType.BF16, DataType.FP8):
        return np.dtype(f"uint{DataType(dtype).bits}")
    return nptype(dtype)


def from_numpy(dtype: Any) -> DataType:
    """The data type of a numpy dtype, scalar type or its name.

    Raises:
        DTypeError: there is none, as for float64.
    """
    is_name = isinstance(dtype, str) and dtype in _FROM_NUMPY  # bfloat16, even where numpy does not know it
    name = dtype if is_name else np.dtype(dtype).name
    if name not in _FROM_NUMPY:
        hint = "Convert it: array.astype(numpy.float32)" if name == "float64" else ""
        raise DTypeError(
            f"numpy's {name} has no data type here",
            facts=[("known", " ".join(_FROM_NUMPY))],
            hint=hint,
            got=name,
        )
    return _FROM_NUMPY[name]


def format_mask(*formats: TensorFormat) -> int:
    """`1 << int(format)` of each, together: what `ITensor.allowed_formats` takes."""
    mask = 0
    for item in formats:
        mask |= TensorFormat(item).mask
    return mask


def formats_in(mask: int) -> tuple[TensorFormat, ...]:
    """The formats of a mask, by value; the inverse of `format_mask`."""
    return tuple(item for item in TensorFormat if mask & item.mask)


class Weights(Strict):
    """A view of an array, `Weights(array)`; or empty, `Weights()` and `Weights(DataType.HALF)`.

    Nothing is copied unless the array is not contiguous.
    """

    dtype: DataType

    def __init__(self, a: Any = DataType.FLOAT) -> None:
        if isinstance(a, DataType):
            self.dtype, self._array = a, np.empty(0, storage_nptype(a))
        else:
            self._array = np.asarray(a, order="C")
            self.dtype = from_numpy(self._array.dtype)

    @property
    def size(self) -> int:
        """Number of elements."""
        return self._array.size

    @property
    def nbytes(self) -> int:
        return self._array.nbytes

    def numpy(self) -> np.ndarray:
        """The array itself, in its own shape."""
        return self._array

    def __len__(self) -> int:
        return self.size

    def __repr__(self) -> str:
        return f"Weights({self.dtype}, size={self.size})"


# TensorRT's short names. Last, because one of them hides a built-in.
float32, float16, bfloat16, fp8 = DataType.FLOAT, DataType.HALF, DataType.BF16, DataType.FP8
int8, uint8, int32, int64 = DataType.INT8, DataType.UINT8, DataType.INT32, DataType.INT64
bool = DataType.BOOL
