"""Contents of small float tensors that follow from extents: how `Range(0, Cast(height) / 8)` gets to be an extent.

Only what float32 computes exactly is followed: whole extents, times and divided by constants of few digits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy

from dovetail.core.contract import MAX_ELEMENTS
from dovetail.core.expr import as_expr, maximum, minimum, select
from dovetail.core.types import DataType

MOST_DIGITS = 256  # an odd factor below this: times an extent below 65536 it is exact in the 24 bits of a float32


class NotFollowed(Exception):  # an answer, not an error
    """The result is not known, or not exact."""


@dataclass(frozen=True)
class Ratio:
    """over / under, the first an expression over extents, the second a positive number."""

    over: Any
    under: int = 1

    def _plain(self) -> bool:
        return self.under & (self.under - 1) == 0

    def _with(self, other: Ratio, function: Any) -> Ratio:
        """Both over one number, which is a power of two: other sums are rounded."""
        if not (self._plain() and other._plain()):
            raise NotFollowed
        under = max(self.under, other.under)
        return Ratio(function(self.over * (under // self.under), other.over * (under // other.under)), under)

    def __add__(self, other: Ratio) -> Ratio:
        return self._with(other, lambda a, b: a + b)

    def __sub__(self, other: Ratio) -> Ratio:
        return self._with(other, lambda a, b: a - b)

    def __mul__(self, other: Ratio) -> Ratio:
        if not (self._plain() and other._plain()):
            raise NotFollowed
        return Ratio(self.over * other.over, self.under * other.under)

    def __neg__(self) -> Ratio:
        return Ratio(-self.over, self.under)

    def __truediv__(self, other: Ratio) -> Ratio:
        """By a constant alone. A quotient that is no dyadic fraction is rounded, but never to another whole number."""
        divisor = as_expr(other.over).value
        if not divisor or not self._plain():
            raise NotFollowed
        sign = -1 if divisor < 0 else 1
        return Ratio(self.over * (sign * other.under), self.under * abs(divisor))

    def greatest(self, other: Ratio) -> Ratio:
        return self._with(other, maximum)

    def least(self, other: Ratio) -> Ratio:
        return self._with(other, minimum)

    def floor(self) -> Any:
        return self.over if self.under == 1 else self.over // self.under

    def ceil(self) -> Any:
        return -(-self).floor()

    def trunc(self) -> Any:
        if self.under == 1:
            return self.over
        return select(as_expr(self.over) >= 0, self.floor(), self.ceil())


def ratios_of(tensor: Any) -> numpy.ndarray | None:
    """The elements of a tensor as an array of Ratio in its dims, None where they are not known."""
    if not tensor.dims.is_constant or tensor.dims.volume.value > MAX_ELEMENTS:
        return None
    if tensor.dtype == DataType.FLOAT and tensor.fractions is None and tensor.constant is not None:
        given = [_constant(value) for value in tensor.constant.reshape(-1).tolist()]
    elif tensor.dtype == DataType.FLOAT:
        given = list(tensor.fractions or [None])
    else:
        given = [Ratio(element) for element in tensor.elements() or ()] or [None]
    if any(ratio is None for ratio in given):
        return None
    array = numpy.empty(len(given), dtype=object)
    array[:] = given
    return array.reshape([dim.value for dim in tensor.dims])


def _constant(value: float) -> Ratio | None:
    if not math.isfinite(value):
        return None
    exact = Fraction(value)
    odd = abs(exact.numerator)
    while odd and odd % 2 == 0:
        odd //= 2
    return Ratio(as_expr(exact.numerator), exact.denominator) if odd < MOST_DIGITS and exact < 2**40 else None


def follow_ratios(output: Any, function: Any, *inputs: Any) -> Any:
    """`output`, a float tensor, with its contents, function(*arrays of Ratio), if those of the inputs are known.

    Where all inputs are constants nothing is followed: what is constant is computed.
    """
    is_open = any(tensor.fractions is not None or tensor.values is not None for tensor in inputs)
    if not is_open or output.dtype != DataType.FLOAT or not output.dims.is_constant:
        return output
    if output.dims.volume.value > MAX_ELEMENTS:
        return output
    arrays = [ratios_of(tensor) for tensor in inputs]
    if any(array is None for array in arrays):
        return output
    try:
        result = numpy.asarray(function(*arrays), dtype=object).reshape(-1)
    except NotFollowed:
        return output
    return replace(output, fractions=tuple(result))
