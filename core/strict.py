"""The base of public classes, which refuses attributes that do not exist."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

from dovetail.core.errors import NotAvailable, UnknownAttribute

Self = TypeVar("Self", bound="Strict")


class Strict:
    """Refuses an attribute that the class neither defines nor declares, naming the nearest one.

    Attributes of instances are declared by annotations in the class body. Classes that users derive may have any
    attributes. `with` works on every object, and does nothing: memory is freed with the last reference, as in
    TensorRT 8.5.
    """

    _absent: ClassVar[Mapping[str, str]] = {}  # names that TensorRT has and this class does not: what to use instead
    _is_ours: ClassVar[bool] = True
    _declared: ClassVar[frozenset[str]] = frozenset()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._is_ours = cls.__module__.startswith("dovetail.")
        cls._declared = frozenset(vars(cls).get("__annotations__", ())).union(
            *(getattr(base, "_declared", ()) for base in cls.__bases__)
        )

    def __setattr__(self, name: str, value: Any) -> None:
        cls = type(self)
        if name in cls._declared or name[0] == "_" or not cls._is_ours or hasattr(cls, name):
            object.__setattr__(self, name, value)
            return
        raise unknown_attribute(self, name)

    def __getattr__(self, name: str) -> Any:  # called only if nothing else is found
        if name[0] == "_":
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")
        raise unknown_attribute(self, name)

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Does nothing: the object can be used until its last reference is gone."""


def unknown_attribute(owner: Strict, name: str) -> UnknownAttribute:
    """The error for an attribute that `owner` does not have; it names the nearest attribute."""
    cls = type(owner)
    if name in cls._absent:
        return NotAvailable(
            f"{cls.__name__}.{name} is not in this version of dovetail", hint=cls._absent[name], field=name, got=name
        )
    public = sorted({n for n in dir(cls) if not n.startswith("_")} | cls._declared)
    near = difflib.get_close_matches(name, public, n=1, cutoff=0.6)
    return UnknownAttribute(
        f"{cls.__name__} has no attribute '{name}'",
        hint=f"Did you mean '{near[0]}'?" if near else f"What it has: dir(dovetail.{cls.__name__}).",
        expected=near[0] if near else "",
        field=name,
        got=name,
    )
