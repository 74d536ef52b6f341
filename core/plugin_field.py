"""Field values in the form that TensorRT's creators take."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from dovetail.core.errors import DTypeError, FieldValueError
from dovetail.core.strict import Strict
from dovetail.core.types import FieldType, Weights

PluginFieldType = FieldType

_FROM_NUMPY = {
    "float16": FieldType.FLOAT16,
    "float32": FieldType.FLOAT32,
    "float64": FieldType.FLOAT64,
    "int8": FieldType.INT8,
    "int16": FieldType.INT16,
    "int32": FieldType.INT32,
    "int64": FieldType.INT64,
    "bfloat16": FieldType.BF16,
}


class PluginField(Strict):
    """A value with its name and type. Without data, it states that a creator takes such a field.

    Args:
        data: an array, `Weights`, a number, a sequence of numbers, or a str; all but a str are stored as arrays.
        type: if left out, it follows from the data.
    """

    name: str
    data: Any
    type: FieldType

    def __init__(self, name: str = "", data: Any = None, type: FieldType = FieldType.UNKNOWN) -> None:
        self.name = name
        if isinstance(data, Weights):
            data = data.numpy()
        self.data = data if data is None or isinstance(data, (str, bytes)) else np.asarray(data)
        self.type = FieldType(type)
        if self.type == FieldType.UNKNOWN and self.data is not None:
            self.type = _type_of(self.data)

    @property
    def size(self) -> int:
        """Number of elements; characters of a text."""
        if self.data is None:
            return 0
        return self.data.size if isinstance(self.data, np.ndarray) else len(self.data)

    @property
    def value(self) -> Any:
        """The value: a str for CHAR, otherwise an array; None without data."""
        if self.type != FieldType.CHAR or self.data is None or isinstance(self.data, str):
            return self.data
        raw = self.data if isinstance(self.data, bytes) else _bytes_of(self.data)
        try:
            return raw.rstrip(b"\0").decode()
        except UnicodeDecodeError as error:
            reason = [("reason", str(error))]
            raise DTypeError(f"field '{self.name}' is not UTF-8 text", facts=reason) from None

    def __repr__(self) -> str:
        return f"PluginField({self.name!r}, {self.data!r}, {self.type})"


class PluginFieldCollection(list[PluginField], Strict):
    """A list of the fields that a creator takes, or of the values given to it."""

    def __init__(self, fields: Iterable[PluginField] = ()) -> None:
        if isinstance(fields, (str, bytes, type)) or not hasattr(fields, "__iter__"):
            raise DTypeError(
                f"a PluginFieldCollection cannot be made of {fields!r:.200}",
                facts=[("allowed", "a sequence of PluginFields"), ("given", type(fields).__name__)],
                hint="Write PluginFieldCollection([field]) for one.",
                got=fields,
            )
        super().__init__(fields)


def values_by_name(fields: Iterable[PluginField]) -> dict[str, Any]:
    """Values of the fields that have data.

    Raises:
        FieldValueError: a name occurs twice, so that one of its values would be lost.
    """
    given = [field for field in fields if field.data is not None]
    values: dict[str, Any] = {}
    for field in given:
        if field.name in values:
            both = [other for other in given if other.name == field.name]
            raise FieldValueError(
                f"field '{field.name}' is given {len(both)} times in one collection",
                facts=[(f"value {number}", f"{one.value!r:.100}") for number, one in enumerate(both, 1)],
                hint="Keep one of them: a field has one value.",
                field=field.name,
                got=[one.value for one in both],
            )
        values[field.name] = field.value
    return values


def _type_of(data: Any) -> FieldType:
    if isinstance(data, (str, bytes)) or data.dtype.kind in "SU":
        return FieldType.CHAR
    return _FROM_NUMPY.get(data.dtype.name, FieldType.UNKNOWN)


def _bytes_of(array: np.ndarray) -> bytes:
    return str(array.reshape(-1)[0]).encode() if array.dtype.kind == "U" else array.tobytes()
