"""Extents of a tensor as plain integers: TensorRT's Dims."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable
from typing import Any, ClassVar

from dovetail.core.errors import DTypeError, ShapeError

MAX_RANK = 8  # DT_MAX_RANK


class Dims(tuple):
    """Extents of a tensor, or any list of at most eight integers; -1 is unknown."""

    __slots__ = ()
    MAX_DIMS: ClassVar[int] = MAX_RANK

    def __new__(cls, dims: Iterable[int] = ()) -> Dims:
        try:
            items = tuple(operator.index(d) for d in dims)
        except TypeError:
            raise DTypeError(f"Dims takes integers, got {dims!r}", got=dims) from None
        if len(items) > MAX_RANK:
            raise ShapeError(f"{list(items)} has {len(items)} dims; {MAX_RANK} is the most", expected=MAX_RANK)
        return super().__new__(cls, items)

    @property
    def is_dynamic(self) -> bool:
        """Is an extent unknown?"""
        return any(d < 0 for d in self)

    @property
    def volume(self) -> int:
        """Number of elements; -1 if an extent is unknown."""
        return volume(self)

    def __getitem__(self, index: Any) -> Any:
        found = super().__getitem__(index)
        return Dims(found) if isinstance(index, slice) else found

    def __repr__(self) -> str:
        return f"({', '.join(map(str, self))}{',' * (len(self) == 1)})"


class _FixedDims(Dims):
    """Takes its extents as one sequence or one by one."""

    __slots__ = ()
    _n: ClassVar[int]

    def __new__(cls, *dims: Any) -> Dims:
        items = dims[0] if len(dims) == 1 else dims
        if len(items) != cls._n:
            raise ShapeError(f"{cls.__name__} takes {cls._n} dims, got {list(items)}", expected=cls._n, got=len(items))
        return super().__new__(cls, items)


class Dims2(_FixedDims):
    """Two extents."""

    __slots__ = ()
    _n = 2


class DimsHW(Dims2):
    """Height and width."""

    __slots__ = ()
    h = property(operator.itemgetter(0), doc="Height.")
    w = property(operator.itemgetter(1), doc="Width.")


class Dims3(_FixedDims):
    """Three extents."""

    __slots__ = ()
    _n = 3


class Dims4(_FixedDims):
    """Four extents."""

    __slots__ = ()
    _n = 4


class Permutation(tuple):
    """An order of axes: axis i of the result is axis `order[i]` of the tensor; at most eight. Raises ShapeError."""

    __slots__ = ()

    def __new__(cls, order: Iterable[int]) -> Permutation:
        axes = Dims(order)
        if sorted(axes) != list(range(len(axes))):
            raise ShapeError(
                f"{list(axes)} is no permutation",
                hint=f"Each of the axes 0 to {len(axes) - 1} stands in it once.",
                got=list(axes),
            )
        return super().__new__(cls, axes)


def volume(dims: Iterable[int]) -> int:
    """Number of elements of a tensor with these dims; 1 for a scalar, -1 if an extent is unknown."""
    extents = tuple(dims)
    return -1 if any(d < 0 for d in extents) else math.prod(extents)
