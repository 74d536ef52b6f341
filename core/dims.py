"""Extents of a tensor as plain integers: TensorRT's Dims."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Iterator, Sequence
from functools import total_ordering
from typing import Any, ClassVar

from dovetail.core.errors import DTypeError, ShapeError

MAX_RANK = 8  # DT_MAX_RANK


@total_ordering
class Dims(Sequence[int]):
    """Extents of a tensor, or any list of at most eight integers; -1 is unknown.

    Compares and hashes as the tuple of its extents. Not a tuple itself, so that `"%s" % dims` prints all of them.
    Setting an extent, `dims[0] = 1`, changes the caller's copy only, not the tensor that it came from.
    """

    __slots__ = ("_items",)
    MAX_DIMS: ClassVar[int] = MAX_RANK

    def __init__(self, dims: Iterable[int] = ()) -> None:
        self._items: tuple[int, ...] = dims._items if isinstance(dims, Dims) else _extents(dims)

    @property
    def is_dynamic(self) -> bool:
        """True if an extent is unknown."""
        return any(d < 0 for d in self._items)

    @property
    def volume(self) -> int:
        """Number of elements; -1 if an extent is unknown."""
        return volume(self._items)

    @property
    def nbDims(self) -> int:  # noqa: N802  TensorRT's spelling
        """Number of dims."""
        return len(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[int]:
        return iter(self._items)

    def __getitem__(self, index: Any) -> Any:
        found = self._items[index]
        return Dims(found) if isinstance(index, slice) else found

    def __setitem__(self, index: Any, extent: Any) -> None:
        items = list(self._items)
        items[index] = extent
        if len(items) != len(self._items):
            raise ShapeError(f"{self!r} cannot change its number of dims", expected=len(self._items), got=len(items))
        self._items = _extents(items)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Dims):
            return self._items == other._items
        return isinstance(other, (tuple, list)) and self._items == tuple(other)

    def __lt__(self, other: Iterable[int]) -> bool:
        return self._items < tuple(other)

    def __hash__(self) -> int:
        return hash(self._items)

    def __add__(self, other: Iterable[int]) -> Dims:
        return Dims((*self._items, *other))

    def __radd__(self, other: Iterable[int]) -> Dims:
        return Dims((*other, *self._items))

    def __mul__(self, times: int) -> Dims:
        return Dims(self._items * times)

    def __repr__(self) -> str:
        return repr(self._items)


def _extents(dims: Iterable[int]) -> tuple[int, ...]:
    """Raises DTypeError for items that are not integers, ShapeError if there are too many."""
    try:
        items = tuple(operator.index(d) for d in dims)
    except TypeError:
        raise DTypeError(f"Dims takes integers, got {dims!r}", got=dims) from None
    if len(items) > MAX_RANK:
        raise ShapeError(f"{list(items)} has {len(items)} dims; {MAX_RANK} is the most", expected=MAX_RANK)
    return items


class _FixedDims(Dims):
    """Takes its extents as one sequence or one by one."""

    __slots__ = ()
    _n: ClassVar[int]

    def __init__(self, *dims: Any) -> None:
        items = _extents(dims[0] if len(dims) == 1 else dims)
        if len(items) != self._n:
            name = type(self).__name__
            raise ShapeError(f"{name} takes {self._n} dims, got {list(items)}", expected=self._n, got=len(items))
        super().__init__(items)


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


class DimsCHW(Dims3):
    """Channels, height and width."""

    __slots__ = ()
    c = property(operator.itemgetter(0), doc="Channels.")
    h = property(operator.itemgetter(1), doc="Height.")
    w = property(operator.itemgetter(2), doc="Width.")


class Dims4(_FixedDims):
    """Four extents."""

    __slots__ = ()
    _n = 4


class DimsNCHW(Dims4):
    """Batch, channels, height and width."""

    __slots__ = ()
    n = property(operator.itemgetter(0), doc="Batch.")
    c = property(operator.itemgetter(1), doc="Channels.")
    h = property(operator.itemgetter(2), doc="Height.")
    w = property(operator.itemgetter(3), doc="Width.")


class Permutation(Dims):
    """An order of axes: axis i of the result is axis `order[i]` of the tensor; at most eight. Raises ShapeError."""

    __slots__ = ()

    def __init__(self, order: Iterable[int]) -> None:
        super().__init__(order)
        if sorted(self._items) != list(range(len(self._items))):
            raise ShapeError(
                f"{list(self._items)} is not a permutation",
                hint=f"It must contain each of the axes 0 to {len(self._items) - 1} once.",
                got=list(self._items),
            )


def volume(dims: Iterable[int]) -> int:
    """Number of elements of a tensor with these dims; 1 for a scalar, -1 if an extent is unknown."""
    extents = tuple(dims)
    return -1 if any(d < 0 for d in extents) else math.prod(extents)
