"""Fields of a plugin, with type, default, range and documentation; and second names for them."""

from __future__ import annotations

import typing
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

import numpy

from dovetail.core.contract import REQUIRED, Field, LayerProperty
from dovetail.core.errors import DefinitionError, FieldValueError
from dovetail.core.types import FieldType

Ints = tuple[int, ...]
Floats = tuple[float, ...]
Tensor = numpy.ndarray

MAX_LIST = 8  # default for the most elements of a list: the capacity of Ints and Floats, as which kernels read it


@dataclass(frozen=True)
class FieldDeclaration:
    """The result of `field(...)` in a class body, until the class is complete."""

    default: Any = REQUIRED
    doc: str = ""
    low: float | None = None
    high: float | None = None
    min_length: int = 0
    max_length: int = MAX_LIST


def field(
    default: Any = REQUIRED,
    *,
    doc: str = "",
    low: float | None = None,
    high: float | None = None,
    min_length: int = 0,
    max_length: int = MAX_LIST,
) -> Any:
    """A field of a plugin class; its type is the annotation: `axis: int = field(-1, doc="...")`.

    Args:
        default: used if no value is given; a field without a default is required.
        low, high: inclusive range, of each element if the field is a list.
        min_length, max_length: number of elements of a list; max_length -1 means no limit.
    """
    return FieldDeclaration(default, doc, low, high, min_length, max_length)


def untyped(name: str, owner: str, default: Any, where: str) -> DefinitionError:
    """The error for a field without annotation."""
    value = default.default if isinstance(default, FieldDeclaration) else default
    known = type(value).__name__ if type(value) in (bool, int, float, str) else "float"
    shown = f" = {value!r}" if type(value) in (bool, int, float, str) else ""
    return DefinitionError(
        f"field '{name}' of {owner} has no type",
        facts=[("allowed", _ALLOWED), ("defined at", where)],
        hint=f"Annotate it: {name}: {known}{shown}.",
        field=name,
    )


_ALLOWED = "int, float, bool, str, an IntEnum, Ints, Floats, Tensor"


def make_field(name: str, annotation: Any, declared: Any, where: str = "") -> Field:
    """The record for `name: annotation = declared`; `declared` is a `field(...)`, a plain default or REQUIRED.

    Annotations: int, float, bool, str, an IntEnum, Ints or tuple[int, ...], Floats or tuple[float, ...],
    Tensor.

    Raises:
        DefinitionError: the annotation is not a field type, or the default is not a legal value.
    """
    given = declared if isinstance(declared, FieldDeclaration) else FieldDeclaration(declared)
    wire, extra = _wire_type(name, annotation, where)
    if extra.pop("is_list", False):
        extra.update(min_length=given.min_length, max_length=given.max_length)
    low, high = (None if limit is None else +limit for limit in (given.low, given.high))  # a number of members, too
    made = Field(name, wire, given.default, given.doc, low, high, **extra)
    if made.default is REQUIRED or (made.default is None and wire == FieldType.TENSOR):
        return made
    try:
        return replace(made, default=made.check("the plugin", made.default))
    except FieldValueError as error:
        raise DefinitionError(
            f"field '{name}' cannot have the default {made.default!r}",
            facts=[("rule", str(getattr(error, "expected", error))), ("defined at", where)],
            field=name,
            got=made.default,
        ) from None


def _wire_type(name: str, annotation: Any, where: str) -> tuple[FieldType, dict[str, Any]]:
    plain: dict[Any, tuple[FieldType, dict[str, Any]]] = {
        int: (FieldType.INT64, {}),
        float: (FieldType.FLOAT64, {}),
        bool: (FieldType.INT32, {"is_bool": True}),
        str: (FieldType.CHAR, {"min_length": 0, "max_length": -1}),
        numpy.ndarray: (FieldType.TENSOR, {}),
    }
    if isinstance(annotation, type) and annotation in plain:
        return plain[annotation]
    if isinstance(annotation, type) and issubclass(annotation, IntEnum):
        return FieldType.INT32, {"enum": annotation}
    arguments = typing.get_args(annotation)
    if typing.get_origin(annotation) in (tuple, list) and arguments[:1] in ((int,), (float,)):
        return (FieldType.INT64 if arguments[0] is int else FieldType.FLOAT64), {"is_list": True}
    shown = getattr(annotation, "__name__", None) or str(annotation)
    raise DefinitionError(
        f"field '{name}' cannot have the type {shown}",
        facts=[("allowed", _ALLOWED), ("defined at", where)],
        field=name,
        got=annotation,
    )


# ---- second names: properties of a layer made from its fields


def renamed(name: str) -> LayerProperty:
    """A deprecated name of the field `name`: works, and warns "Use `name` instead."."""
    return LayerProperty(lambda values: values[name], _setter(name), deprecated=name)


def deprecated(target: LayerProperty, name: str) -> LayerProperty:
    """A deprecated name of the property `target`, which is called `name`."""
    return replace(target, deprecated=name)


def bit_mask(name: str, doc: str = "") -> LayerProperty:
    """An axis field as TensorRT's mask with one bit set: `axes = 1 << axis`."""

    def to_axis(values: dict[str, Any], mask: Any) -> None:
        bits = int(mask)
        if bits <= 0 or bits & (bits - 1):
            raise FieldValueError(
                f"a mask for {name} cannot be {bits:#x}",
                facts=[("mask", "exactly one bit, 1 << axis")],
                field=name,
                got=mask,
            )
        values[name] = bits.bit_length() - 1

    return LayerProperty(
        lambda values: 1 << values[name] if values[name] >= 0 else 0, to_axis, doc=doc or f"`1 << {name}`."
    )


def both(first: str, second: str, doc: str = "") -> LayerProperty:
    """One value for two fields: setting it writes both, reading it returns the first."""

    def write(values: dict[str, Any], value: Any) -> None:
        values[first] = values[second] = value

    return LayerProperty(lambda values: values[first], write, doc=doc)


def _setter(name: str) -> Callable[[dict[str, Any], Any], None]:
    def write(values: dict[str, Any], value: Any) -> None:
        values[name] = value

    return write
