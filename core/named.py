"""Enumerations that print as their names; the error for a wrong value names the nearest member."""

from __future__ import annotations

import difflib
from enum import Enum, IntEnum
from typing import Any, TypeVar

from dovetail.core.errors import DefinitionError, DTypeError, FieldValueError

Member = TypeVar("Member", bound=IntEnum)


class Named(IntEnum):
    """An IntEnum that prints as `DataType.FLOAT` on every version of Python; `int(member)` is its value.

    `DataType(value)` raises DTypeError if value is not an integer, FieldValueError if no member has that value.
    """

    __str__ = Enum.__str__

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    @classmethod
    def _missing_(cls, value: object) -> Any:
        article = "an" if cls.__name__[0] in "AEIO" else "a"
        raise no_member(f"{article} {cls.__name__}", cls, value)


def no_member(what: str, enum: type[IntEnum], value: Any) -> DefinitionError:
    """The error for a `value` that is neither a member of `enum` nor the value of one; `what` is its subject."""
    members = enum.__members__
    is_integer = isinstance(value, int)
    raised: type[DefinitionError] = FieldValueError if is_integer else DTypeError
    nearest = getattr(enum, "_nearest", spelled_like)(enum, value)
    names = [name for name, item in members.items() if item.name == name]
    return raised(
        f"{what} cannot be {value!r:.200}",
        facts=[("allowed", f"{', '.join(names)} of trt.{enum.__qualname__}")],
        hint=f"Write trt.{enum.__qualname__}.{nearest}." if nearest else "",
        expected=names,
        got=value,
    )


def member_of(enum: type[Member], value: Any, what: str) -> Member:
    """`enum(value)`. Raises DTypeError or FieldValueError; `what` is the subject of the message."""
    try:
        return enum(value)
    except ValueError:
        raise no_member(what, enum, value) from None


def spelled_like(enum: type[IntEnum], value: Any) -> str:
    """The name of the member nearest to a text such as "fp16" or "BuilderFlag.FP16"; "" if none is similar."""
    if not isinstance(value, str):
        return ""
    names = {name.lower(): name for name in enum.__members__}
    close = difflib.get_close_matches(value.rpartition(".")[2].lower()[:200], names, n=1)
    return names[close[0]] if close else ""
