"""The functions and operators of scalar formulas, each with its meaning in NumPy."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy

from dovetail.core.types import FLOATS, DataType, nptype


class Function(NamedTuple):
    """A function or an operator of scalar formulas."""

    n_arguments: int
    of: Callable[..., Any]  # NumPy arrays in, an array out


def _is_integer(array: Any) -> bool:
    return numpy.issubdtype(array.dtype, numpy.integer)


def _quotient(a: Any, b: Any) -> Any:
    if not _is_integer(a):
        return a / b
    divisor = numpy.where(b == 0, 1, b)
    cut = (abs(a) // abs(divisor)) * numpy.sign(a) * numpy.sign(divisor)
    return numpy.where(b == 0, 0, cut).astype(a.dtype)


def _floor_quotient(a: Any, b: Any) -> Any:
    if not _is_integer(a):
        return numpy.floor(a / b)
    return numpy.where(b == 0, 0, a // numpy.where(b == 0, 1, b)).astype(a.dtype)


def _power(a: Any, b: Any) -> Any:
    if not _is_integer(a):
        return numpy.power(a, b)
    whole = numpy.power(a, numpy.maximum(b, 0))
    unit = numpy.where(abs(a) == 1, numpy.where((b % 2 == 0) | (a == 1), 1, -1), 0)
    return numpy.where(b < 0, unit, whole).astype(a.dtype)


def _remainder(function: Callable[..., Any]) -> Callable[..., Any]:
    def rest(a: Any, b: Any) -> Any:
        if not _is_integer(a):
            return function(a, b)
        return numpy.where(b == 0, 0, function(a, numpy.where(b == 0, 1, b))).astype(a.dtype)

    return rest


def _shifted_left(a: Any, b: Any) -> Any:
    fits = (b >= 0) & (b < 8 * a.dtype.itemsize)
    return numpy.where(fits, numpy.left_shift(a, numpy.where(fits, b, 0)), 0).astype(a.dtype)


def _shifted_right(a: Any, b: Any) -> Any:
    most = 8 * a.dtype.itemsize - 1
    return numpy.right_shift(a, numpy.where((b >= 0) & (b < most), b, most)).astype(a.dtype)


def _sigmoid(x: Any) -> Any:
    small = numpy.exp(-numpy.abs(x))  # e^-|x| is never above 1, so that nothing overflows
    return numpy.where(x >= 0, 1, small) / (1 + small)


def _softplus(x: Any) -> Any:
    return numpy.maximum(x, 0) + numpy.log1p(numpy.exp(-numpy.abs(x)))


def _erf(x: Any) -> Any:
    return numpy.vectorize(math.erf, otypes=[x.dtype])(x)


def _choose(condition: Any, a: Any, b: Any) -> Any:
    return numpy.where(condition != 0, a, b)


# Floats follow IEEE 754: a nan operand gives nan, also in `min` and `max`, but not in comparisons.
# Integers wrap around. "/" truncates towards zero, "//" floors; division by 0 gives 0, as with "%" and "fmod". A
# negative power is truncated towards zero. A shift by a negative number or by all bits gives 0, or -1 if a negative
# number is shifted right. "%" has the sign of the divisor, "fmod" that of the dividend.
FUNCTIONS: dict[str, Function] = {
    "+": Function(2, numpy.add),
    "-": Function(2, numpy.subtract),
    "*": Function(2, numpy.multiply),
    "/": Function(2, _quotient),
    "//": Function(2, _floor_quotient),
    "%": Function(2, _remainder(numpy.mod)),
    "**": Function(2, _power),
    "&": Function(2, numpy.bitwise_and),
    "|": Function(2, numpy.bitwise_or),
    "^": Function(2, numpy.bitwise_xor),
    "<<": Function(2, _shifted_left),
    ">>": Function(2, _shifted_right),
    "==": Function(2, numpy.equal),
    "!=": Function(2, numpy.not_equal),
    "<": Function(2, numpy.less),
    "<=": Function(2, numpy.less_equal),
    ">": Function(2, numpy.greater),
    ">=": Function(2, numpy.greater_equal),
    "and": Function(2, numpy.logical_and),
    "or": Function(2, numpy.logical_or),
    "not": Function(1, numpy.logical_not),
    "negative": Function(1, numpy.negative),  # written -x
    "if": Function(3, _choose),  # written a if condition else b; the condition comes first
    "min": Function(2, numpy.minimum),
    "max": Function(2, numpy.maximum),
    "fmod": Function(2, _remainder(numpy.fmod)),
    "abs": Function(1, numpy.abs),
    "sign": Function(1, numpy.sign),
    "ceil": Function(1, numpy.ceil),
    "floor": Function(1, numpy.floor),
    "round": Function(1, numpy.rint),  # ties to even
    "sqrt": Function(1, numpy.sqrt),
    "exp": Function(1, numpy.exp),
    "expm1": Function(1, numpy.expm1),
    "log": Function(1, numpy.log),
    "log1p": Function(1, numpy.log1p),
    "sigmoid": Function(1, _sigmoid),
    "softplus": Function(1, _softplus),  # log(1 + exp(x)) without overflow
    "erf": Function(1, _erf),
    "sin": Function(1, numpy.sin),
    "cos": Function(1, numpy.cos),
    "tan": Function(1, numpy.tan),
    "asin": Function(1, numpy.arcsin),
    "acos": Function(1, numpy.arccos),
    "atan": Function(1, numpy.arctan),
    "sinh": Function(1, numpy.sinh),
    "cosh": Function(1, numpy.cosh),
    "tanh": Function(1, numpy.tanh),
    "asinh": Function(1, numpy.arcsinh),
    "acosh": Function(1, numpy.arccosh),
    "atanh": Function(1, numpy.arctanh),
}
NUMBERS = {"inf": math.inf, "nan": math.nan}


def converted(x: Any, to: DataType) -> Any:
    """The elements of x converted to `to` as by Cast; floats keep their width, since storing them rounds."""
    if to in FLOATS:
        return x if x.dtype.kind == "f" else x.astype(numpy.float32)
    if to == DataType.BOOL or x.dtype.kind != "f":
        return x.astype(nptype(to))
    limits = numpy.iinfo(nptype(to))
    whole = numpy.trunc(numpy.nan_to_num(x, nan=0.0, posinf=numpy.inf, neginf=-numpy.inf))
    inside = numpy.where((whole >= limits.min) & (whole < float(limits.max)), whole, 0).astype(nptype(to))
    return numpy.where(whole >= float(limits.max), limits.max, numpy.where(whole < limits.min, limits.min, inside))


def quantized(steps: Any) -> Any:
    """Quotients x / scale as INT8, as Quantize rounds: to the nearest, ties to even; nan gives 0."""
    return numpy.nan_to_num(numpy.rint(numpy.clip(steps, -128, 127))).astype(numpy.int8)
