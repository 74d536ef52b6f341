"""Settings of public objects: checked when they are set; those without effect cause a warning."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from enum import IntEnum
from typing import Any

from dovetail.core.errors import FieldValueError
from dovetail.core.named import member_of

Check = Callable[[str, Any], Any]  # (name for messages, value) -> the value to keep; raises FieldValueError


class Setting:
    """An attribute with a default and a check.

    Args:
        why: only for settings that are accepted for TensorRT's scripts and have no effect: says why, and what to use.
            A value other than the default is warned about: at once if the object has a logger, else by the build.
    """

    def __init__(self, default: Any, check: Check | None = None, why: str = "") -> None:
        self.default, self.check, self.why = default, check, why
        self.__doc__ = f"{default!r} unless it is set." + (f" Has no effect: {why}" if why else "")

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, owner: Any, cls: type) -> Any:
        return self if owner is None else owner.__dict__.get(self.name, self.default)

    def __set__(self, owner: Any, value: Any) -> None:
        if self.check is not None:
            value = self.check(f"{type(owner).__name__}.{self.name}", value)
        owner.__dict__[self.name] = value
        if self.is_changed(owner) and hasattr(owner, "_warn"):
            owner._warn(without_effect(owner, self.name, value, self.why))

    def is_changed(self, owner: Any) -> bool:
        """Was it set to something that has no effect, other than the default? Of values of any type."""
        value = getattr(owner, self.name)
        if not self.why or value is self.default:
            return False
        try:
            return bool(value != self.default)
        except ValueError:  # an array answers for each element
            return True


def without_effect(owner: Any, name: str, value: Any, why: str) -> str:
    """The sentence for a setting without effect."""
    shown = str(value) if isinstance(value, IntEnum) else repr(value)
    return f"{type(owner).__name__}.{name} = {shown} has no effect in this version: {why}"


def settings_without_effect(owner: Any) -> Iterator[str]:
    """A sentence for each setting of `owner` that was set and has no effect."""
    for name, setting in _without_effect(type(owner)):
        if setting.is_changed(owner):
            yield without_effect(owner, name, getattr(owner, name), setting.why)


@functools.cache  # a build asks for each tensor
def _without_effect(cls: type) -> list[tuple[str, Setting]]:
    """The settings of a class that have no effect."""
    found = (item for base in cls.__mro__ for item in vars(base).items())
    return [(name, setting) for name, setting in found if isinstance(setting, Setting) and setting.why]


def integer(low: int, high: int | None = None) -> Check:
    """An integer from `low` to `high`."""

    def check(what: str, value: Any) -> int:
        bounds = f"{low}..{'' if high is None else high}"
        is_integer = hasattr(value, "__index__") and not isinstance(value, bool)
        if not is_integer or value < low or (high is not None and value > high):
            raise FieldValueError(
                f"{what} cannot be {value!r}", facts=[("allowed", f"an integer, {bounds}")], expected=bounds, got=value
            )
        return value.__index__()

    return check


def yes_or_no(what: str, value: Any) -> bool:
    """True or False, or 1 or 0."""
    if not isinstance(value, (bool, int)) or value not in (0, 1):
        raise FieldValueError(f"{what} cannot be {value!r}", facts=[("allowed", "True or False")], got=value)
    return bool(value)


def bits(enum: type[IntEnum]) -> Check:
    """A mask of members, `1 << int(member)` each."""

    def check(what: str, value: Any) -> int:
        known = sum(1 << int(item) for item in enum)
        is_integer = hasattr(value, "__index__") and not isinstance(value, bool)
        if not is_integer or value.__index__() & ~known:
            one = next(iter(enum))
            raise FieldValueError(
                f"{what} cannot be {value!r:.200}",
                facts=[("allowed", ", ".join(f"1 << {int(item)} {item.name}" for item in enum))],
                hint=f"Combine bits with |, such as 1 << int(trt.{one}).",
                expected=known,
                got=value,
            )
        return value.__index__()

    return check


def member(enum: type[IntEnum]) -> Check:
    """A member of `enum`, or its value."""

    def check(what: str, value: Any) -> IntEnum:
        return member_of(enum, value, what)

    return check
