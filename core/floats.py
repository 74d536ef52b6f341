"""Operations on float32 and float64 numbers in expressions, for models that compute extents with floats.

Each step is rounded. A float is encoded as an integer, its position among all numbers of its type: 0 is 0.0, 1 is the
smallest number above it, and -x has minus the position of x. So the integer operations compare and negate floats, and
monotone functions stay monotone. Infinities and nan have no position.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from dovetail.core.types import FloatOperation, Rounding

BEYOND = 1 << 64  # with a sign: stands for a result that does not fit into int64

Interval = tuple[int, int]


@dataclass(frozen=True)
class Width:
    """One of the types, and the operations on its numbers."""

    real: Any
    bits: Any
    largest: int  # the position of the largest number
    digits: int  # binary digits: integers up to 2**digits are exact
    of: FloatOperation
    sum: FloatOperation
    sub: FloatOperation
    prod: FloatOperation
    div: FloatOperation
    round: FloatOperation

    @property
    def name(self) -> str:
        """NumPy's name for the type."""
        return str(np.dtype(self.real).name)

    def place_of(self, number: float) -> int:
        """The position of the nearest number; BEYOND, with its sign, if it is not finite."""
        with np.errstate(over="ignore"):
            near = self.real(number)
        if not np.isfinite(near):
            return -BEYOND if near < 0 else BEYOND
        size = int(abs(near).view(self.bits))
        return -size if near < 0 else size

    def number_at(self, place: int) -> Any:
        """The number at a position."""
        number = self.bits(abs(place)).view(self.real)
        return -number if place < 0 else number

    def has(self, place: int) -> bool:
        return abs(place) <= self.largest

    def within(self, places: Interval) -> Interval:
        """An interval limited to positions that exist."""
        low, high = (max(-self.largest, min(self.largest, place)) for place in places)
        return low, high

    def operations(self) -> dict[FloatOperation, Callable[[int, int], int]]:
        return {
            self.of: self._quotient,
            self.sum: self._on_numbers(lambda x, y: x + y),
            self.sub: self._on_numbers(lambda x, y: x - y),
            self.prod: self._on_numbers(lambda x, y: x * y),
            self.div: self._on_numbers(lambda x, y: x / y),
            self.round: self._rounded,
        }

    def _quotient(self, a: int, b: int) -> int:
        top, bottom = np.array([a, b], np.int64).astype(self.real)
        return self.place_of(top / bottom)

    def _rounded(self, a: int, how: int) -> int:
        return _ROUNDINGS[Rounding(how)](float(self.number_at(a))) if self.has(a) else _beyond(a)

    def _on_numbers(self, function: Callable[[Any, Any], Any]) -> Callable[[int, int], int]:
        def apply(a: int, b: int) -> int:
            for place in (a, b):
                if not self.has(place):
                    return _beyond(place)
            with np.errstate(all="ignore"):
                return self.place_of(float(function(self.number_at(a), self.number_at(b))))

        return apply


def _beyond(place: int) -> int:
    return -BEYOND if place < 0 else BEYOND


_ROUNDINGS: dict[Rounding, Callable[[float], int]] = {
    Rounding.TO_ZERO: math.trunc,
    Rounding.DOWN: math.floor,
    Rounding.UP: math.ceil,
    Rounding.TO_EVEN: round,
}

FLOAT32 = Width(
    np.float32,
    np.uint32,
    0x7F7FFFFF,
    24,
    FloatOperation.FLOAT_OF,
    FloatOperation.FLOAT_SUM,
    FloatOperation.FLOAT_SUB,
    FloatOperation.FLOAT_PROD,
    FloatOperation.FLOAT_DIV,
    FloatOperation.FLOAT_ROUND,
)
FLOAT64 = Width(
    np.float64,
    np.uint64,
    0x7FEFFFFFFFFFFFFF,
    53,
    FloatOperation.DOUBLE_OF,
    FloatOperation.DOUBLE_SUM,
    FloatOperation.DOUBLE_SUB,
    FloatOperation.DOUBLE_PROD,
    FloatOperation.DOUBLE_DIV,
    FloatOperation.DOUBLE_ROUND,
)
CONVERSIONS = {
    FloatOperation.DOUBLE_OF_FLOAT: (FLOAT32, FLOAT64),
    FloatOperation.FLOAT_OF_DOUBLE: (FLOAT64, FLOAT32),
}  # from, to


def _converted(given: Width, wanted: Width) -> Callable[[int, int], int]:
    return lambda a, b: wanted.place_of(given.number_at(a)) if given.has(a) else _beyond(a)


OPERATIONS: dict[FloatOperation, Callable[[int, int], int]] = {
    **FLOAT32.operations(),
    **FLOAT64.operations(),
    **{op: _converted(*widths) for op, widths in CONVERSIONS.items()},
}
QUOTIENTS = (FloatOperation.FLOAT_OF, FloatOperation.FLOAT_DIV, FloatOperation.DOUBLE_OF, FloatOperation.DOUBLE_DIV)
ROUNDS = (FloatOperation.FLOAT_ROUND, FloatOperation.DOUBLE_ROUND)


def width_of(op: FloatOperation) -> Width:
    """The type of an operation's operands; for a quotient of integers, the type of its result."""
    return CONVERSIONS[op][0] if op in CONVERSIONS else FLOAT32 if op <= FloatOperation.FLOAT_ROUND else FLOAT64


def result_of(op: FloatOperation) -> Width:
    """The type of an operation's result, if it is a float."""
    return CONVERSIONS[op][1] if op in CONVERSIONS else width_of(op)


def interval(op: FloatOperation, a: Interval, divisors: list[Interval]) -> Interval:
    """The smallest interval that contains the results for the first operand in a, the second in one of `divisors`.

    Rounding keeps the order, so for every operation the ends are at corners.
    """
    width = width_of(op)
    if op in ROUNDS:
        (how,) = divisors
        ends = (how[0], how[0]) if how[0] == how[1] else (Rounding.DOWN, Rounding.UP)
        return tuple(OPERATIONS[op](end, one) for end, one in zip(width.within(a), ends, strict=True))  # type: ignore[return-value]
    if op != width.of:
        a, divisors = width.within(a), [width.within(b) for b in divisors]
    corners = [OPERATIONS[op](x, y) for b in divisors for x, y in product(a, b)]
    return result_of(op).within((min(corners, default=0), max(corners, default=0)))
