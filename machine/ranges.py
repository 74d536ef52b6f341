"""The ranges of a model's dynamic inputs for `dovetail.load`, widened when calls have other extents."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dovetail.core.errors import BindingError, DefinitionError
from dovetail.machine.config import IOptimizationProfile

Values = tuple[int, ...]  # extents of an input, or the contents of a shape input


@dataclass(frozen=True)
class Range:
    """(min, opt, max) of one input, for each extent or each element."""

    low: Values
    likely: Values
    high: Values

    @classmethod
    def of(cls, values: Iterable[int]) -> Range:
        only = tuple(int(value) for value in values)
        return cls(only, only, only)

    @classmethod
    def given(cls, name: str, value: Any) -> Range:
        """From `shapes=`: a shape, or three.

        Raises:
            DefinitionError: neither of them.
        """
        sides = tuple(value) if isinstance(value, (tuple, list)) else (value,)
        if len(sides) == 3 and all(isinstance(side, Sequence) for side in sides):
            return cls(*(tuple(int(extent) for extent in side) for side in sides))
        if not all(hasattr(extent, "__index__") for extent in sides):
            raise DefinitionError(
                f"shapes cannot give input '{name}' {value!r}",
                hint=f'Give a shape, "{name}": (1, 3, 224, 224), or the smallest, likeliest and largest: '
                f'"{name}": ((1, 3, 224, 224), (8, 3, 224, 224), (16, 3, 224, 224)).',
                got=value,
            )
        return cls.of(sides)

    def covers(self, other: Range) -> bool:
        return (
            len(self.low) == len(other.low)
            and all(mine <= theirs for mine, theirs in zip(self.low, other.low, strict=True))
            and all(mine >= theirs for mine, theirs in zip(self.high, other.high, strict=True))
        )

    def widened(self, other: Range, with_room: bool) -> Range:
        """A range that covers both. With room, a bound that must move is doubled or halved, so that it seldom must."""
        low, high = [], []
        for mine, theirs in zip(self.low, other.low, strict=True):
            low.append(mine if mine <= theirs else max(min(theirs, 1), theirs // 2) if with_room else theirs)
        for mine, theirs in zip(self.high, other.high, strict=True):
            high.append(mine if mine >= theirs else 2 * theirs if with_room else theirs)
        return Range(tuple(low), other.likely, tuple(high))

    def __str__(self) -> str:
        extents = zip(self.low, self.high, strict=True)
        return "[" + ", ".join(str(low) if low == high else f"{low}..{high}" for low, high in extents) + "]"


@dataclass(frozen=True)
class DynamicInput:
    """An input of a model whose extents, or contents as extents, are known only in a call."""

    name: str
    dims: Values  # -1 where an extent is not known
    is_shape: bool  # its contents decide extents

    def seen(self, array: Any) -> Range:
        """The extents or contents that a call gives.

        Raises:
            BindingError: another rank, or another extent than the model's fixed one.
        """
        shape = tuple(np.shape(array) if not hasattr(array, "shape") else array.shape)
        fits = len(shape) == len(self.dims) and all(a in (-1, b) for a, b in zip(self.dims, shape, strict=True))
        if not fits:
            needed = ", ".join("any" if extent < 0 else str(extent) for extent in self.dims)
            raise BindingError(
                f"input '{self.name}' cannot have the shape {list(shape)}",
                facts=[("needed", f"[{needed}]")],
                expected=self.dims,
                got=shape,
            )
        return Range.of(np.asarray(array).reshape(-1) if self.is_shape else shape)


Ranges = dict[str, Range]  # by input


def given_ranges(
    shapes: Mapping[str, Any] | None, inputs: Sequence[DynamicInput], dims: Mapping[str, Values]
) -> Ranges:
    """Ranges of `shapes=`, by input.

    Args:
        dims: of all inputs, including the dynamic ones.

    Raises:
        DefinitionError: `shapes` is not a mapping, an input does not exist, a value is neither a shape nor three, or
            the model does not leave the extent open.
    """
    if not isinstance(shapes, Mapping | None):
        raise DefinitionError(
            f"shapes cannot be a {type(shapes).__name__}",
            facts=[("inputs", ", ".join(dims))],
            hint='Give shapes by input: shapes={"x": (1, 3, 224, 224)}.',
            got=shapes,
        )
    names = list(dims)
    dynamic = {one.name: one for one in inputs}
    ranges = {}
    for name, value in (shapes or {}).items():
        if name not in dims:
            near = difflib.get_close_matches(str(name), names, n=1)
            raise DefinitionError(
                f"shapes names an input '{name}', which the model does not have",
                facts=[("inputs", ", ".join(names))],
                hint=f"Did you mean '{near[0]}'?" if near else "",
                got=name,
            )
        given = Range.given(name, value)
        is_shape = name in dynamic and dynamic[name].is_shape
        for side in () if is_shape else (given.low, given.likely, given.high):
            if len(side) != len(dims[name]) or any(a not in (-1, b) for a, b in zip(dims[name], side, strict=True)):
                needed = ", ".join("any" if extent < 0 else str(extent) for extent in dims[name])
                raise DefinitionError(
                    f"shapes gives input '{name}' {list(side)}, which the model does not take",
                    facts=[("needed", f"[{needed}]")],
                    expected=dims[name],
                    got=side,
                )
        if name in dynamic:
            ranges[name] = given
    return ranges


def covering(ranges: Ranges, seen: Ranges) -> bool:
    return all(name in ranges and ranges[name].covers(one) for name, one in seen.items())


def widened(ranges: Ranges, seen: Ranges, with_room: bool) -> Ranges:
    """Ranges that cover both; an input that had none gets what was seen."""
    return {name: ranges[name].widened(one, with_room) if name in ranges else one for name, one in seen.items()}


def text_of(ranges: Ranges) -> str:
    return ", ".join(f"{name} {one}" for name, one in ranges.items())


def profile_of(ranges: Ranges, inputs: Sequence[DynamicInput]) -> IOptimizationProfile:
    """The optimization profile with these ranges. Raises ShapeError if one of them is out of order."""
    profile = IOptimizationProfile()
    for one in inputs:
        values = ranges[one.name]
        set_range = profile.set_shape_input if one.is_shape else profile.set_shape
        set_range(one.name, values.low, values.likely, values.high)
    return profile
