"""Operations on float32 numbers in expressions: models compute extents with them, each step rounded.

A number is written as its place among all: 0 is 0.0, 1 the least number above it, and that of -x is minus that of x.
So the integer operations compare and negate numbers, and what is monotone stays so. Infinities and nan have no place.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product

import numpy as np

from dovetail.core.types import FloatOperation, Rounding

LARGEST = 0x7F7FFFFF  # the place of the largest number
BEYOND = 1 << 64  # what an operation gives, with a sign, whose result has no place or is no int64

Interval = tuple[int, int]


def place_of(number: float) -> int:
    """The place of the float32 next to a number; BEYOND, with its sign, of what is not finite."""
    with np.errstate(over="ignore"):
        single = np.float32(number)
    if not np.isfinite(single):
        return -BEYOND if single < 0 else BEYOND
    bits = int(single.view(np.uint32))
    return -(bits & 0x7FFFFFFF) if bits >> 31 else bits


def number_at(place: int) -> np.float32:
    """The number at a place."""
    number = np.uint32(abs(place)).view(np.float32)
    return -number if place < 0 else number


def _of(a: int, b: int) -> int:
    top, bottom = np.array([a, b], np.int64).astype(np.float32)
    return place_of(top / bottom)


def _round(a: int, how: int) -> int:
    if abs(a) > LARGEST:
        return -BEYOND if a < 0 else BEYOND
    return _ROUNDINGS[Rounding(how)](float(number_at(a)))


_ROUNDINGS: dict[Rounding, Callable[[float], int]] = {
    Rounding.TO_ZERO: math.trunc,
    Rounding.DOWN: math.floor,
    Rounding.UP: math.ceil,
    Rounding.TO_EVEN: round,
}


def _on_numbers(function: Callable[[np.float32, np.float32], np.float32]) -> Callable[[int, int], int]:
    def apply(a: int, b: int) -> int:
        for place in (a, b):
            if abs(place) > LARGEST:
                return -BEYOND if place < 0 else BEYOND
        with np.errstate(all="ignore"):
            return place_of(float(function(number_at(a), number_at(b))))

    return apply


OPERATIONS: dict[FloatOperation, Callable[[int, int], int]] = {
    FloatOperation.FLOAT_OF: _of,
    FloatOperation.FLOAT_SUM: _on_numbers(lambda x, y: x + y),
    FloatOperation.FLOAT_SUB: _on_numbers(lambda x, y: x - y),
    FloatOperation.FLOAT_PROD: _on_numbers(lambda x, y: x * y),
    FloatOperation.FLOAT_DIV: _on_numbers(lambda x, y: x / y),
    FloatOperation.FLOAT_ROUND: _round,
}
QUOTIENTS = (FloatOperation.FLOAT_OF, FloatOperation.FLOAT_DIV)


def interval(op: FloatOperation, a: Interval, divisors: list[Interval]) -> Interval:
    """The least interval that holds the results for the first operand in a and the second in one of `divisors`.

    Rounding keeps order, so the ends are at corners, whatever the operation.
    """
    if op == FloatOperation.FLOAT_ROUND:
        (how,) = divisors
        ends = (how[0], how[0]) if how[0] == how[1] else (Rounding.DOWN, Rounding.UP)
        return tuple(_round(end, one) for end, one in zip(_within(a), ends, strict=True))  # type: ignore[return-value]
    if op != FloatOperation.FLOAT_OF:
        a, divisors = _within(a), [_within(b) for b in divisors]
    corners = [OPERATIONS[op](x, y) for b in divisors for x, y in product(a, b)]
    return _within((min(corners, default=0), max(corners, default=0)))


def _within(places: Interval) -> Interval:
    low, high = (max(-LARGEST, min(LARGEST, place)) for place in places)
    return low, high
