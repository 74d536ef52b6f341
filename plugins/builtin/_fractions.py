"""Contents of small float tensors that follow from extents, so that `Cast(Floor(Cast(height) * 0.7))` is an extent.

Where the type of the numbers computes exactly, as whole extents times and divided by constants of few digits, a number
is a `Ratio` of integer expressions, in which factors cancel; that it was exact is required where it becomes an integer.
Any other is a `Rounded`, whose steps are rounded as those of the model: in float32, or in float64, which networks have
no tensors of, but models compute extents in.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy

from dovetail.core.contract import MAX_ELEMENTS
from dovetail.core.errors import ShapeError
from dovetail.core.expr import as_expr, maximum, minimum, operation, require, select
from dovetail.core.floats import FLOAT32, FLOAT64, Width
from dovetail.core.types import DataType, FloatOperation, Rounding

MOST_DIGITS = 256  # an odd factor below this: times an extent below 65536 it is exact in the 24 bits of a float32


class NotFollowed(Exception):  # control flow, not an error
    """The result is not known."""


class Number:
    """A number that follows from extents. Operators return further numbers, or raise NotFollowed.

    `width` is its type, `place` what it is with its steps rounded: an expression, see `dovetail.core.floats`.
    """

    width: Width
    place: Any

    def text(self) -> str:
        """Its text in messages: that of its whole part, which shows what it is made of."""
        return str(self._exact(Rounding.TO_ZERO))

    def whole(self, how: Rounding) -> Any:
        """The integer that it is rounded to, an expression."""
        return operation(self.width.round, self.place, how)

    def rounded(self, how: Rounding) -> Ratio:
        """The same as a float."""
        return Ratio(self.whole(how), 1, self.width)

    def converted(self, width: Width) -> Number:
        """As Cast converts it."""
        return self if width is self.width else Rounded(_converted(self.place, width), width)

    def __add__(self, other: Number) -> Number:
        return self._combined("sum", other)

    def __sub__(self, other: Number) -> Number:
        return self._combined("sub", other)

    def __mul__(self, other: Number) -> Number:
        return self._combined("prod", other)

    def __truediv__(self, other: Number) -> Number:
        return self._combined("div", other)

    def __neg__(self) -> Number:
        return Rounded(-self.place, self.width)

    def greatest(self, other: Number) -> Number:
        a, b = _paired(self, other)
        return a._with(b, maximum, maximum) or Rounded(maximum(a.place, b.place), a.width)

    def least(self, other: Number) -> Number:
        a, b = _paired(self, other)
        return a._with(b, minimum, minimum) or Rounded(minimum(a.place, b.place), a.width)

    def is_less(self, other: Number) -> Any:
        """1 if it is below the other, else 0: an expression."""
        return self._compared(other, lambda x, y: as_expr(x) < y)

    def equals(self, other: Number) -> Any:
        return self._compared(other, lambda x, y: as_expr(x) == y)

    def chosen(self, other: Number, condition: Any) -> Number:
        """This one where the condition is not 0, else the other."""
        a, b = _paired(self, other)

        def of_places(one: Any, another: Any) -> Any:
            # Not by select, whose bounds add up: sums of places are far away. What is not chosen is below all numbers.
            is_chosen, most = as_expr(condition) != 0, a.width.largest
            switch = is_chosen * most - (1 - is_chosen) * most
            chosen = maximum(minimum(one, switch), minimum(another, -switch))
            return maximum(chosen, minimum(one, another))

        found = a._with(b, lambda one, another: select(condition, one, another), of_places)
        return found or Rounded(of_places(a.place, b.place), a.width)

    def _combined(self, name: str, other: Number) -> Number:
        a, b = _paired(self, other)
        return Rounded(operation(getattr(a.width, name), a.place, b.place), a.width)

    def _compared(self, other: Number, function: Any) -> Any:
        a, b = _paired(self, other)
        of_places = function(a.place, b.place)
        found = a._with(b, function, lambda one, another: 0)
        return of_places if found is None else _required(found.over, of_places, a.width)

    def _exact(self, how: Rounding) -> Any:
        """The integer that it is rounded to if no step before was rounded."""
        return operation(self.width.round, self.place, how)

    def _with(self, other: Number, function: Any, of_places: Any) -> Ratio | None:
        """What an operation makes of both; None where it is not exact."""
        return None


@dataclass(frozen=True)
class Rounded(Number):
    """The number at a place, which is an expression."""

    place: Any
    width: Width
    quotient: tuple[Any, Any] | None = None  # of integers, where it is one but for rounding


@dataclass(frozen=True)
class Ratio(Number):
    """over / under, the first an expression over extents, the second a positive number."""

    over: Any
    under: int = 1
    width: Width = FLOAT32
    steps: Any = None  # its place, where it is not a quotient of integers in the model too

    @property
    def place(self) -> Any:  # type: ignore[override]
        return operation(self.width.of, self.over, self.under) if self.steps is None else self.steps

    def _is_plain(self) -> bool:
        """Is it a dyadic fraction? Any other is rounded, though never to another whole number."""
        return self.under & (self.under - 1) == 0

    def _is_exact_with(self, other: Number) -> bool:
        return isinstance(other, Ratio) and self._is_plain() and other._is_plain()

    def _with(self, other: Number, function: Any, of_places: Any) -> Ratio | None:
        if not (isinstance(other, Ratio) and self._is_exact_with(other)):
            return None
        under = max(self.under, other.under)
        over = function(self.over * (under // self.under), other.over * (under // other.under))
        return _ratio(over, under, self.width, of_places(self.place, other.place))

    def _by_operation(self, name: str, other: Number, function: Any) -> Number | None:
        a, b = _paired(self, other)
        return a._with(b, function, lambda x, y: operation(getattr(a.width, name), x, y))

    def __add__(self, other: Number) -> Number:
        return self._by_operation("sum", other, lambda a, b: a + b) or super().__add__(other)

    def __sub__(self, other: Number) -> Number:
        return self._by_operation("sub", other, lambda a, b: a - b) or super().__sub__(other)

    def __mul__(self, other: Number) -> Number:
        a, b = _paired(self, other)
        rounded = super().__mul__(other)
        if not a._is_exact_with(b):
            return rounded
        over = as_expr(a.over * b.over)
        factors = [_odd(c) for monomial, c in over.as_poly().items() if monomial]
        if max(factors, default=0) >= MOST_DIGITS:
            return rounded
        return _ratio(over, a.under * b.under, a.width, rounded.place) or rounded

    def __neg__(self) -> Number:
        return Ratio(-self.over, self.under, self.width, None if self.steps is None else -self.steps)

    def __truediv__(self, other: Number) -> Number:
        a, b = _paired(self, other)
        if isinstance(b, Ratio) and as_expr(b.over).value == 0:
            raise NotFollowed
        rounded = super().__truediv__(other)
        if not a._is_exact_with(b):
            return rounded
        over, divisor = as_expr(a.over), as_expr(b.over)
        if divisor.value is None:
            return _quotient(over * b.under, divisor * a.under, a.width, rounded.place)
        sign = -1 if divisor.value < 0 else 1
        over, under = over * (sign * b.under), a.under * abs(divisor.value)
        return _ratio(over, under, a.width, rounded.place) or rounded

    def whole(self, how: Rounding) -> Any:
        exact, rounded = self._exact(how), super().whole(how)
        is_small = self.steps is None and _is_within(as_expr(self.over).range, self.width)
        return exact if is_small else _required(exact, rounded, self.width)

    def rounded(self, how: Rounding) -> Ratio:
        if self.steps is None and self.under == 1:
            return self
        return Ratio(self._exact(how), 1, self.width, operation(self.width.of, super().whole(how), 1))

    def converted(self, width: Width) -> Number:
        if width is self.width:
            return self
        return Ratio(self.over, self.under, width, _converted(self.place, width))

    def _exact(self, how: Rounding) -> Any:
        if self.under == 1:
            return self.over
        down, up = self.over // self.under, -(-self.over // self.under)
        if how == Rounding.TO_ZERO:
            return select(as_expr(self.over) >= 0, down, up)
        if how == Rounding.TO_EVEN:
            return super()._exact(how)
        return down if how == Rounding.DOWN else up


def _ratio(over: Any, under: int, width: Width, place: Any) -> Ratio | None:
    """over / under, whose steps give `place`; None of constants that these round."""
    over, place = as_expr(over), as_expr(place)
    if over.value is not None and place.value is not None:
        if Fraction(over.value, under) != Fraction(float(width.number_at(place.value))):
            return None
        return Ratio(over, under, width)
    return Ratio(over, under, width, place)


def _quotient(a: Any, b: Any, width: Width, place: Any) -> Number:
    """a / b of integers. If one is a constant multiple of the other, for all extents, the result is a number."""
    times, parts = a // b, 0 if a.value == 0 else b // a
    if as_expr(times).value and a.same(b * times):
        return Ratio(times, 1, width, place)
    if as_expr(parts).value and b.same(a * parts):
        return Ratio(as_expr(1), as_expr(parts).value, width, place)
    return Rounded(place, width, (a, b))


def _paired(a: Number, b: Number) -> tuple[Any, Any]:
    """Both in one type: a constant of few digits is of any type, others that differ are not combined in models."""
    if a.width is b.width:
        return a, b
    for one, width in ((a, b.width), (b, a.width)):
        if isinstance(one, Ratio) and one.steps is None and as_expr(one.over).value is not None and one._is_plain():
            same = replace(one, width=width)
            return (same, b) if one is a else (a, same)
    raise NotFollowed


def _converted(place: Any, width: Width) -> Any:
    op = FloatOperation.DOUBLE_OF_FLOAT if width is FLOAT64 else FloatOperation.FLOAT_OF_DOUBLE
    return operation(op, place, 0)


def _is_within(values: tuple[int, int], width: Width) -> bool:
    return -(2**width.digits) <= values[0] and values[1] <= 2**width.digits


def _required(exact: Any, rounded: Any, width: Width) -> Any:
    """An integer that the model computes as `rounded`: `exact`, which folds, with the requirement that both are equal.

    What follows from elements of inputs is `rounded`: a requirement would make shapes of them, whether or not they
    decide extents.
    """
    exact, rounded = as_expr(exact), as_expr(rounded)
    if exact.same(rounded):
        return exact
    if exact.late or rounded.late:
        return rounded
    text = f"the model computes {exact} in {width.name}, whose {width.digits} binary digits do not hold it"
    require(exact == rounded, text)
    return exact


def quotient_of(number: Number) -> tuple[Any, Any] | None:
    """(a, b) of a number that is the quotient of two integers, expressions, but for rounding; None of any other."""
    if isinstance(number, Ratio):
        return as_expr(number.over), as_expr(number.under)
    return number.quotient if isinstance(number, Rounded) else None


def ratios_of(tensor: Any, width: Width = FLOAT32) -> numpy.ndarray | None:
    """The elements of a tensor as an array of Number in its dims, None where they are not known.

    Args:
        width: what integers are converted to.
    """
    if not tensor.dims.is_constant or tensor.dims.volume.value > MAX_ELEMENTS:
        return None
    if tensor.dtype == DataType.FLOAT and tensor.fractions is None and tensor.constant is not None:
        given = [constant(value) for value in tensor.constant.reshape(-1).tolist()]
    elif tensor.dtype == DataType.FLOAT:
        given = list(tensor.fractions or [None])
    else:
        given = [Ratio(element, 1, width) for element in tensor.elements() or ()] or [None]
    if any(number is None for number in given):
        return None
    array = numpy.empty(len(given), dtype=object)
    array[:] = given
    return array.reshape([dim.value for dim in tensor.dims])


def constant(value: float, width: Width = FLOAT32) -> Number | None:
    """A known number, None where it is not finite."""
    if not math.isfinite(value):
        return None
    exact = Fraction(value)
    if _odd(exact.numerator) < MOST_DIGITS and abs(exact) < 2**40 and exact.denominator < 2**40:
        return Ratio(as_expr(exact.numerator), exact.denominator, width)
    return Rounded(as_expr(width.place_of(value)), width)


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


def follow_converted(output: Any, x: Any, width: Width) -> Any:
    """`output`, a float tensor, with the contents of x converted to numbers of a type, if they are known.

    Constants are converted to float64 too: no layer computes with their digits.
    """
    is_open = x.fractions is not None or x.values is not None or (width is FLOAT64 and x.constant is not None)
    numbers = ratios_of(x, width) if is_open else None
    if numbers is None:
        return output
    return replace(output, fractions=tuple(number.converted(width) for number in numbers.reshape(-1)))
