"""The rules by which an expression is folded while it is built.

`(N + 1) - N` is 1, `N*C//N` is C: sums and products have one form, quotients cancel, and comparisons that follow from
the ranges of the operands become constants. No rule repeats a part of an expression.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from dovetail.core import algebra, floats
from dovetail.core.algebra import OPERATIONS, QUOTIENTS, Interval, Poly
from dovetail.core.operators import computes
from dovetail.core.term import Expr, as_expr, compute, constant, made
from dovetail.core.types import DimensionOperation as Operation
from dovetail.core.types import FloatOperation


@computes
def operation(op: Operation | FloatOperation, a: Any, b: Any) -> Expr:
    """`a op b`, folded as far as possible.

    Raises:
        ShapeError: a division by the constant zero, a constant beyond int64.
    """
    a, b = as_expr(a), as_expr(b)
    if a.value is not None and b.value is not None:
        return constant(compute(op, a, b, a.value, b.value))
    if isinstance(op, FloatOperation):  # rounded: nothing cancels
        if op in floats.QUOTIENTS and b.value == 0:
            compute(op, a, b, 0, 0)
        if op in floats.ROUNDS and a.op == floats.width_of(op).of and a.b.value == 1 and a.a.op == op:
            return as_expr(a.a)  # the number was rounded to an integer before
        return _term(op, a, b)
    if op in QUOTIENTS:
        return _divide(op, a, b)
    if op == Operation.PROD:
        poly = _product(a, b)
    else:
        poly = algebra.add(a.as_poly(), b.as_poly(), 1 if op == Operation.SUM else -1)
    if op in (Operation.SUM, Operation.SUB, Operation.PROD):
        return _term(op, a, b) if poly is None else _from_poly(poly)
    return _compare(op, a, b, None if poly is None else algebra.poly_range(poly, lambda factor: factor.range))


def _factors(e: Expr) -> tuple[int, tuple[Expr, ...]]:
    """(coefficient, monomial) of a product; of a sum, the common factor of its terms and the sum of the rest."""
    poly = e.as_poly()
    if len(poly) == 1:
        ((monomial, c),) = poly.items()
        return c, monomial
    if not poly:
        return 0, ()
    c, common = algebra.common_factors(poly)
    if c == 1 and not common:
        return 1, (e,)
    whole, _ = algebra.quotient(poly, c, common)
    return c, algebra.join(common, (_from_poly(whole),))


def _product(a: Expr, b: Expr) -> Poly | None:
    """A constant is multiplied into a sum; two sums are not, since that would repeat their parts."""
    (x, factors_a), (y, factors_b) = _factors(a), _factors(b)
    if not factors_a:
        return algebra.scale(b.as_poly(), x)
    if not factors_b:
        return algebra.scale(a.as_poly(), y)
    factors = _absorb(algebra.join(factors_a, factors_b))
    return algebra.scale({factors: 1}, x * y) if len(factors) <= algebra.MAX_TERMS else None


def _absorb(factors: tuple[Expr, ...]) -> tuple[Expr, ...]:
    """x * min(x, 1) and max(x, 1) * min(x, 1) are x, unless x is negative; they occur where an extent may be 0."""
    for flag in factors:
        if flag.op != Operation.MIN or flag.b.value != 1 or flag.a.range[0] < 0:
            continue
        others = [factor for factor in factors if factor is not flag]
        c, own = _factors(flag.a)
        if c == 1 and algebra.quotient({tuple(others): 1}, 1, own)[0]:
            return _absorb(tuple(others))
        at_least = next((f for f in others if f.op == Operation.MAX and f.b.value == 1 and f.a is flag.a), None)
        if c == 1 and at_least is not None:
            others.remove(at_least)
            return _absorb(algebra.join(others, own))
    return factors


def _from_poly(poly: Poly) -> Expr:
    """The polynomial in its canonical form: terms that are added, terms that are subtracted, the constant."""
    rest = poly.get((), 0)
    total = None
    for monomial, c in sorted(poly.items(), key=lambda term: term[1] < 0):
        if monomial and c > 0:
            total = _monomial(monomial, c) if total is None else _term(Operation.SUM, total, _monomial(monomial, c))
        elif monomial:
            if total is None and rest > 0:
                total, rest = constant(rest), 0
            total = _monomial(monomial, c) if total is None else _term(Operation.SUB, total, _monomial(monomial, -c))
    if total is None:
        return constant(rest)
    return _term(Operation.SUM, total, constant(rest)) if rest else total


def _monomial(factors: Sequence[Expr], c: int) -> Expr:
    total = None if c == 1 else constant(c)
    for factor in factors:
        total = factor if total is None else _term(Operation.PROD, total, factor)
    assert total is not None
    return total


def _divide(op: Operation, a: Expr, b: Expr) -> Expr:
    if b.value == 0:
        compute(op, a, b, 0, 0)
    if a.value is None:
        a, b = _cancel(a, b)
    if b.value is not None:
        whole, rest = algebra.quotient(a.as_poly(), b.value, ())
        if not any(rest):
            whole[()] = whole.get((), 0) + OPERATIONS[op](rest.get((), 0), b.value)
            return _from_poly({monomial: k for monomial, k in whole.items() if k})
    if a.op == op and b.value is not None and b.value > 0 and a.b.value is not None and a.b.value > 0:
        both = a.b.value * b.value  # floor(floor(x/m)/n) = floor(x/(m*n)), and so for ceil
        if algebra.fits(both):
            return _divide(op, a.a, constant(both))
    return _term(op, a, b)


def _cancel(a: Expr, b: Expr) -> tuple[Expr, Expr]:
    """Numerator and denominator without common factors; sums are divided as polynomials."""
    (x, above), (y, below) = _factors(a), _factors(b)
    divisor = math.gcd(x, y)
    left: list[Expr] = []
    kept = list(above)
    for factor in below:
        at = next((i for i, other in enumerate(kept) if _quotient_of(other, factor) is not None), None)
        if at is None:
            left.append(factor)
        else:
            found = _quotient_of(kept.pop(at), factor)
            assert found is not None
            c, more = _factors(found)
            x, kept = x * c, [*kept, *more]
    if divisor == 1 and len(left) == len(below):
        return a, b
    divisor = math.gcd(x, y)
    return _times(x // divisor, kept), _times(y // divisor, left)


def _quotient_of(factor: Expr, divisor: Expr) -> Expr | None:
    """factor / divisor, if there is no remainder; a single unknown is divided by itself only."""
    if factor is divisor:
        return constant(1)
    poly, by = factor.as_poly(), divisor.as_poly()
    if len(by) < 2 or len(poly) < 2:
        return None
    found = algebra.exact_quotient(poly, by)
    return None if found is None else _from_poly(found)


def _times(c: int, factors: Sequence[Expr]) -> Expr:
    total = constant(1)
    for factor in factors:
        total = operation(Operation.PROD, total, factor)
    return operation(Operation.PROD, constant(c), total)


_DUAL = {Operation.MAX: Operation.MIN, Operation.MIN: Operation.MAX}
_LOOKED_AT = 8  # most operands of nested maxima or minima that are compared


def _operands(op: Operation, e: Expr) -> list[Expr]:
    """The operands of a maximum of maxima, or a minimum of minima; for another expression, itself."""
    found: list[Expr] = []
    stack = [e]
    while stack and len(found) < _LOOKED_AT:
        term = stack.pop()
        if term.op == op:
            stack += [term.b, term.a]
        else:
            found.append(term)
    return found + stack


def _extreme(op: Operation, a: Expr, b: Expr) -> Expr | None:
    """max(a, max(a, c)) is max(a, c), and max(a, min(a, c)) is a; None if no such rule applies."""
    for x, y in ((a, b), (b, a)):
        inside = _operands(op, y)
        if all(any(item is other for other in inside) for item in _operands(op, x)):
            return y
        if any(item is x for item in _operands(_DUAL[op], y)):
            return x
    return None


def _compare(op: Operation, a: Expr, b: Expr, difference: Interval | None) -> Expr:
    low, high = difference or (a.range[0] - b.range[1], a.range[1] - b.range[0])
    if op in (Operation.MAX, Operation.MIN):
        if low >= 0 or high <= 0:
            return a if (low >= 0) == (op == Operation.MAX) else b
        if a.value is not None:
            a, b = b, a
        if a.op == op and a.b.value is not None and b.value is not None:
            return operation(op, a.a, OPERATIONS[op](a.b.value, b.value))
        found = _extreme(op, a, b)
        return _term(op, a, b) if found is None else found
    if op == Operation.EQUAL and (low > 0 or high < 0 or low == high):
        return constant(low == high == 0)
    if op == Operation.EQUAL and _is_zero(a, b):
        return constant(1)
    if op == Operation.LESS and (high < 0 or low >= 0):
        return constant(high < 0)
    return _term(op, a, b)


def _is_zero(a: Expr, b: Expr) -> bool:
    """True if a - b is zero when products of sums are multiplied out."""
    difference = algebra.add(a.as_poly(), b.as_poly(), -1)
    return difference is not None and algebra.multiplied_out(difference) == {}


def _term(op: Operation | FloatOperation, a: Expr, b: Expr) -> Expr:
    if op == Operation.PROD:
        poly = _product(a, b)
    else:
        poly = (
            algebra.add(a.as_poly(), b.as_poly(), 1 if op == Operation.SUM else -1)
            if op in (Operation.SUM, Operation.SUB)
            else None
        )
    return made(
        (op, a.serial, b.serial),
        op=op,
        a=a,
        b=b,
        poly=poly,
        late=a.late | b.late if a.late and b.late else a.late or b.late,
        range=algebra.interval(op, a.range, b.range),
    )
