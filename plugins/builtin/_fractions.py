"""Contents of small float tensors that follow from extents: how `Cast(Floor(Cast(height) * 0.7))` gets to be an extent.

Where float32 computes exactly, as whole extents times and divided by constants of few digits, a number is a `Ratio` of
integer expressions, in which factors cancel. Any other is a `Single`, whose steps are rounded as those of the model.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy

from dovetail.core.contract import MAX_ELEMENTS
from dovetail.core.errors import ShapeError
from dovetail.core.expr import as_expr, maximum, minimum, operation, select
from dovetail.core.floats import LARGEST, place_of
from dovetail.core.types import DataType, FloatOperation, Rounding

MOST_DIGITS = 256  # an odd factor below this: times an extent below 65536 it is exact in the 24 bits of a float32


class NotFollowed(Exception):  # an answer, not an error
    """The result is not known."""


class Number:
    """A float32 number that follows from extents. Operators give further ones; raises NotFollowed where none is."""

    def single(self) -> Single:
        """The same with its steps rounded."""
        raise NotImplementedError

    def text(self) -> str:
        """As people read it: by its whole part, which tells what it is made of."""
        return str(self.whole(Rounding.TO_ZERO))

    def whole(self, how: Rounding) -> Any:
        """The integer that it is rounded to, an expression."""
        return operation(FloatOperation.FLOAT_ROUND, self.single().place, how)

    def rounded(self, how: Rounding) -> Ratio:
        """The same as a float."""
        return Ratio(self.whole(how))

    def __add__(self, other: Number) -> Number:
        return self._combined(FloatOperation.FLOAT_SUM, other)

    def __sub__(self, other: Number) -> Number:
        return self._combined(FloatOperation.FLOAT_SUB, other)

    def __mul__(self, other: Number) -> Number:
        return self._combined(FloatOperation.FLOAT_PROD, other)

    def __truediv__(self, other: Number) -> Number:
        return self._combined(FloatOperation.FLOAT_DIV, other)

    def __neg__(self) -> Number:
        return Single(-self.single().place)

    def greatest(self, other: Number) -> Number:
        return Single(maximum(self.single().place, other.single().place))

    def least(self, other: Number) -> Number:
        return Single(minimum(self.single().place, other.single().place))

    def is_less(self, other: Number) -> Any:
        """1 if it is below the other, else 0: an expression."""
        return as_expr(self.single().place) < other.single().place

    def equals(self, other: Number) -> Any:
        return as_expr(self.single().place) == other.single().place

    def chosen(self, other: Number, condition: Any) -> Number:
        """This one where the condition is not 0, else the other."""
        # Not by select, whose bounds add up: sums of places are far away. What is not chosen is below all numbers.
        one, another = self.single().place, other.single().place
        switch = 2 * LARGEST * (as_expr(condition) != 0) - LARGEST
        chosen = maximum(minimum(one, switch), minimum(another, -switch))
        return Single(maximum(chosen, minimum(one, another)))

    def _combined(self, op: FloatOperation, other: Number) -> Number:
        return Single(operation(op, self.single().place, other.single().place))


@dataclass(frozen=True)
class Single(Number):
    """The number at a place, which is an expression; see `dovetail.core.floats`."""

    place: Any

    def single(self) -> Single:
        return self


@dataclass(frozen=True)
class Ratio(Number):
    """over / under, the first an expression over extents, the second a positive number."""

    over: Any
    under: int = 1

    def single(self) -> Single:
        return Single(operation(FloatOperation.FLOAT_OF, self.over, self.under))

    def _is_plain(self) -> bool:
        """Is it a dyadic fraction? Any other is rounded, though never to another whole number."""
        return self.under & (self.under - 1) == 0

    def _with(self, other: Number, function: Any) -> Ratio | None:
        """Both over one number, which is a power of two; None where that is not exact."""
        if not (isinstance(other, Ratio) and self._is_plain() and other._is_plain()):
            return None
        under = max(self.under, other.under)
        return Ratio(function(self.over * (under // self.under), other.over * (under // other.under)), under)

    def __add__(self, other: Number) -> Number:
        return self._with(other, lambda a, b: a + b) or super().__add__(other)

    def __sub__(self, other: Number) -> Number:
        return self._with(other, lambda a, b: a - b) or super().__sub__(other)

    def __mul__(self, other: Number) -> Number:
        if not (isinstance(other, Ratio) and self._is_plain() and other._is_plain()):
            return super().__mul__(other)
        over = as_expr(self.over * other.over)
        factors = [_odd(c) for monomial, c in over.as_poly().items() if monomial]
        return (
            Ratio(over, self.under * other.under) if max(factors, default=0) < MOST_DIGITS else super().__mul__(other)
        )

    def __neg__(self) -> Number:
        return Ratio(-self.over, self.under)

    def __truediv__(self, other: Number) -> Number:
        if not (isinstance(other, Ratio) and self._is_plain() and other._is_plain()):
            return super().__truediv__(other)
        over, divisor = as_expr(self.over), as_expr(other.over)
        if divisor.value == 0:
            raise NotFollowed
        if divisor.value is None:
            return self._quotient(over * other.under, divisor * self.under)
        sign = -1 if divisor.value < 0 else 1
        return Ratio(over * (sign * other.under), self.under * abs(divisor.value))

    def _quotient(self, a: Any, b: Any) -> Number:
        """a / b of integers. Where the one is so many times the other, whatever the extents, it is a number."""
        times, parts = a // b, 0 if a.value == 0 else b // a
        if as_expr(times).value and a.same(b * times):
            return Ratio(times)
        if as_expr(parts).value and b.same(a * parts):
            return Ratio(as_expr(1), as_expr(parts).value)
        return Single(operation(FloatOperation.FLOAT_OF, a, b))

    def greatest(self, other: Number) -> Number:
        return self._with(other, maximum) or super().greatest(other)

    def least(self, other: Number) -> Number:
        return self._with(other, minimum) or super().least(other)

    def is_less(self, other: Number) -> Any:
        found = self._with(other, lambda a, b: as_expr(a) < b)
        return super().is_less(other) if found is None else found.over

    def equals(self, other: Number) -> Any:
        found = self._with(other, lambda a, b: as_expr(a) == b)
        return super().equals(other) if found is None else found.over

    def chosen(self, other: Number, condition: Any) -> Number:
        return self._with(other, lambda a, b: select(condition, a, b)) or super().chosen(other, condition)

    def whole(self, how: Rounding) -> Any:
        if self.under == 1:
            return self.over
        down, up = self.over // self.under, -(-self.over // self.under)
        if how == Rounding.TO_ZERO:
            return select(as_expr(self.over) >= 0, down, up)
        if how == Rounding.TO_EVEN:
            return super().whole(how)
        return down if how == Rounding.DOWN else up


def quotient_of(number: Number) -> tuple[Any, Any] | None:
    """(a, b) of a number that is float32(a) / float32(b), expressions; None of any other."""
    if isinstance(number, Ratio):
        return as_expr(number.over), as_expr(number.under)
    place = number.single().place
    return (place.a, place.b) if place.op == FloatOperation.FLOAT_OF else None


def ratios_of(tensor: Any) -> numpy.ndarray | None:
    """The elements of a tensor as an array of Number in its dims, None where they are not known."""
    if not tensor.dims.is_constant or tensor.dims.volume.value > MAX_ELEMENTS:
        return None
    if tensor.dtype == DataType.FLOAT and tensor.fractions is None and tensor.constant is not None:
        given = [constant(value) for value in tensor.constant.reshape(-1).tolist()]
    elif tensor.dtype == DataType.FLOAT:
        given = list(tensor.fractions or [None])
    else:
        given = [Ratio(element) for element in tensor.elements() or ()] or [None]
    if any(number is None for number in given):
        return None
    array = numpy.empty(len(given), dtype=object)
    array[:] = given
    return array.reshape([dim.value for dim in tensor.dims])


def constant(value: float) -> Number | None:
    """A known number, None where it is not finite."""
    if not math.isfinite(value):
        return None
    exact = Fraction(value)
    if _odd(exact.numerator) < MOST_DIGITS and abs(exact) < 2**40 and exact.denominator < 2**40:
        return Ratio(as_expr(exact.numerator), exact.denominator)
    return Single(as_expr(place_of(value)))


def _odd(factor: int) -> int:
    """Its digits: what is left of it without powers of two."""
    return abs(factor) // (factor & -factor) if factor else 0


def exact(total: Number) -> Ratio:
    """A sum or product whose order does not matter. Raises NotFollowed where it is rounded."""
    if not isinstance(total, Ratio):
        raise NotFollowed
    return total


def follow_answers(output: Any, function: Any, *inputs: Any) -> Any:
    """`output`, bool, with its contents, function(*numbers of float tensors), a Ratio of 0 or 1, if they are known."""
    if not output.dims.is_constant or output.dims.volume.value > MAX_ELEMENTS:
        return output
    arrays = [ratios_of(tensor) for tensor in inputs]
    if all(tensor.fractions is None for tensor in inputs) or any(array is None for array in arrays):
        return output
    try:
        answers = numpy.asarray(numpy.frompyfunc(function, len(arrays), 1)(*arrays), dtype=object).reshape(-1)
    except (NotFollowed, ShapeError):
        return output
    return replace(output, values=tuple(as_expr(answer.over) for answer in answers))


def follow_ratios(output: Any, function: Any, *inputs: Any) -> Any:
    """`output`, a float tensor, with its contents, function(*arrays of Number), if those of the inputs are known.

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
    except (NotFollowed, ShapeError):  # of constants: a division by 0, or what is not finite
        return output
    return replace(output, fractions=tuple(result))
