"""Arithmetic used by `expr`: its operations on numbers and on intervals, and polynomials in expressions.

A polynomial is a dict from monomial to coefficient; a monomial is a tuple of factors in order of creation,
and the empty monomial is the constant term. Factors are compared by identity, which is enough because equal
expressions are one object.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from itertools import product
from typing import Any

from dovetail.core import floats
from dovetail.core.types import DimensionOperation as Operation
from dovetail.core.types import FloatOperation

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
MAX_TERMS = 12  # beyond this an expression is left as it was written
MAX_EXPANDED = 64  # most terms of a product that is multiplied out to compare two expressions

Interval = tuple[int, int]
Poly = dict[tuple[Any, ...], int]


def ceil_quotient(a: int, b: int) -> int:
    return -(-a // b)


OPERATIONS: dict[Operation | FloatOperation, Callable[[int, int], int]] = {
    Operation.SUM: lambda a, b: a + b,
    Operation.PROD: lambda a, b: a * b,
    Operation.MAX: max,
    Operation.MIN: min,
    Operation.SUB: lambda a, b: a - b,
    Operation.EQUAL: lambda a, b: int(a == b),
    Operation.LESS: lambda a, b: int(a < b),
    Operation.FLOOR_DIV: lambda a, b: a // b,
    Operation.CEIL_DIV: ceil_quotient,
}
OPERATIONS.update((op, function) for op, function in floats.OPERATIONS.items())
QUOTIENTS = (Operation.FLOOR_DIV, Operation.CEIL_DIV)
DIVISIONS = (*QUOTIENTS, *floats.QUOTIENTS)  # by zero they are an error


def fits(value: int) -> bool:
    return INT64_MIN <= value <= INT64_MAX


# ---- intervals


def interval(op: Operation | FloatOperation, a: Interval, b: Interval) -> Interval:
    """The smallest interval that contains `x op y` for all x in a and y in b; a divisor y is not zero.

    Limited to int64: a larger result is an error when evaluated, not a value.
    """
    divisors = _without_zero(b) if op in DIVISIONS else [b]
    if isinstance(op, FloatOperation):
        low, high = floats.interval(op, a, divisors)
        return _cut(low), _cut(high)
    if op in (Operation.EQUAL, Operation.LESS):
        return _comparison(op, a, b)
    if op == Operation.SUB:
        corners = [a[0] - b[1], a[1] - b[0]]
    elif op == Operation.PROD or op in QUOTIENTS:
        corners = [OPERATIONS[op](x, y) for part in divisors for x, y in product(a, part)]
    else:
        corners = [OPERATIONS[op](a[0], b[0]), OPERATIONS[op](a[1], b[1])]
    return _cut(min(corners, default=0)), _cut(max(corners, default=0))


def _comparison(op: Operation, a: Interval, b: Interval) -> Interval:
    if op == Operation.LESS:
        return int(a[1] < b[0]), int(a[0] < b[1])
    return int(a[0] == a[1] == b[0] == b[1]), int(a[0] <= b[1] and b[0] <= a[1])


def _without_zero(b: Interval) -> list[Interval]:
    below, above = (b[0], min(b[1], -1)), (max(b[0], 1), b[1])
    return [part for part in (below, above) if part[0] <= part[1]]


def _cut(value: int) -> int:
    return max(INT64_MIN, min(INT64_MAX, value))


# ---- polynomials


def add(p: Poly, q: Poly, sign: int) -> Poly | None:
    """p + sign * q, or None if it has too many terms."""
    total = dict(p)
    for monomial, c in q.items():
        total[monomial] = total.get(monomial, 0) + sign * c
    total = {monomial: c for monomial, c in total.items() if c}
    return total if _is_small(total) else None


def scale(p: Poly, factor: int) -> Poly | None:
    scaled = {monomial: c * factor for monomial, c in p.items() if factor}
    return scaled if _is_small(scaled) else None


def _is_small(p: Poly) -> bool:
    return len(p) <= MAX_TERMS and all(abs(c) <= INT64_MAX for c in p.values())


def join(x: Sequence[Any], y: Sequence[Any]) -> tuple[Any, ...]:
    """The product of two monomials."""
    return tuple(sorted((*x, *y), key=lambda factor: factor.serial))


def quotient(p: Poly, c: int, divisor: Sequence[Any]) -> tuple[Poly, Poly]:
    """(q, rest) with p = q * c * divisor + rest; each term is divided without remainder or goes to the rest."""
    q: Poly = {}
    rest: Poly = {}
    for monomial, coefficient in p.items():
        left = _without(monomial, divisor)
        if left is None or coefficient % c:
            rest[monomial] = coefficient
        else:
            q[left] = coefficient // c
    return q, rest


def _without(monomial: Sequence[Any], divisor: Sequence[Any]) -> tuple[Any, ...] | None:
    """The factors that remain when those of `divisor` are removed, or None if one of them is missing."""
    left = list(monomial)
    for factor in divisor:
        at = next((i for i, candidate in enumerate(left) if candidate is factor), None)
        if at is None:
            return None
        del left[at]
    return tuple(left)


def common_factors(p: Poly) -> tuple[int, tuple[Any, ...]]:
    """(coefficient, monomial): the largest that divides every term."""
    monomials = iter(p)
    common = list(next(monomials))
    for monomial in monomials:
        left = list(monomial)
        common = [factor for factor in common if _take(left, factor)]
    return math.gcd(*p.values()), tuple(common)


def _take(factors: list[Any], wanted: Any) -> bool:
    """Remove one factor; False if it is missing."""
    at = next((i for i, factor in enumerate(factors) if factor is wanted), None)
    if at is not None:
        del factors[at]
    return at is not None


def exact_quotient(p: Poly, divisor: Poly) -> Poly | None:
    """q with p = q * divisor, or None if there is none: long division by the leading terms."""
    rest, q = dict(p), Poly()
    lead = max(divisor, key=_degree)
    for _ in range(MAX_TERMS):
        if not rest:
            return q
        monomial = max(rest, key=_degree)
        left = _without(monomial, lead)
        if left is None or rest[monomial] % divisor[lead]:
            return None
        c = q[left] = rest[monomial] // divisor[lead]
        for other, k in divisor.items():
            monomial = join(left, other)
            rest[monomial] = rest.get(monomial, 0) - c * k
            if not rest[monomial]:
                del rest[monomial]
    return None


def _degree(monomial: Sequence[Any]) -> list[int]:
    """Sorts monomials by their power of the newest factor, then of the next one, and so on."""
    return sorted((factor.serial for factor in monomial), reverse=True)


def multiplied_out(p: Poly) -> Poly | None:
    """The same with factors that are sums multiplied out; None if the result has too many terms."""
    total: Poly = {}
    for monomial, c in p.items():
        terms: Poly = {(): c}
        for factor in monomial:
            parts = factor.as_poly()
            terms = _times(terms, parts)
            if len(terms) > MAX_EXPANDED:
                return None
        for m, k in terms.items():
            total[m] = total.get(m, 0) + k
    return {m: k for m, k in total.items() if k}


def _times(p: Poly, q: Poly) -> Poly:
    total: Poly = {}
    for (m, a), (n, b) in product(p.items(), q.items()):
        monomial = join(m, n)
        total[monomial] = total.get(monomial, 0) + a * b
    return total


def poly_range(p: Mapping[tuple[Any, ...], Any], range_of: Callable[[Any], Interval]) -> tuple[Any, Any]:
    """Bounds of a polynomial from those of its factors; coefficients may be fractions."""
    low = high = 0
    for monomial, c in p.items():
        part = (1, 1)
        for factor in monomial:
            corners = [x * y for x, y in product(part, range_of(factor))]
            part = (min(corners), max(corners))
        low += min(c * part[0], c * part[1])
        high += max(c * part[0], c * part[1])
    return low, high


# ---- bounds of a whole expression

_MAX_CASES = 4  # conditions that are tried both ways
_MAX_ROUNDS = 3  # nesting of quotients that are replaced


def bounds(order: Sequence[Any], leaf_range: Callable[[Any], Interval]) -> Interval:
    """Bounds of the last term of `order`, in which operands come before the terms that use them.

    Conditions used more than once are tried both ways (the two sides of a select exclude each other), and
    quotients by a constant are replaced where terms might cancel (`N - 2*(N//2)` is 0 or 1).
    """
    found = _pass(order, leaf_range, {})
    uses: dict[Any, int] = {}
    for term in order:
        for operand in (term.a, term.b) if term.op is not None else ():
            uses[operand] = uses.get(operand, 0) + 1
    open_conditions = [
        term
        for term in order
        if term.op in (Operation.EQUAL, Operation.LESS) and uses.get(term, 0) > 1 and found[term] == (0, 1)
    ][:_MAX_CASES]
    last = order[-1]
    if not open_conditions:
        return found[last]
    cases = [
        _pass(order, leaf_range, {term: (v, v) for term, v in zip(open_conditions, values, strict=True)})[last]
        for values in product((0, 1), repeat=len(open_conditions))
    ]
    return min(low for low, _ in cases), max(high for _, high in cases)


def _pass(
    order: Sequence[Any], leaf_range: Callable[[Any], Interval], assumed: Mapping[Any, Interval]
) -> dict[Any, Interval]:
    found: dict[Any, Interval] = {}
    for term in order:
        found[term] = assumed[term] if term in assumed else bound_term(term, leaf_range, found)
    return found


def bound_term(term: Any, leaf_range: Callable[[Any], Interval], found: Mapping[Any, Interval]) -> Interval:
    """Bounds of a term, from those of its operands."""
    if term.op is None:
        return leaf_range(term)
    plain = interval(term.op, found[term.a], found[term.b])
    return _open_quotients(term, plain, found) if term.op in (Operation.SUM, Operation.SUB) else plain


def _open_quotients(term: Any, plain: Interval, found: Mapping[Any, Interval]) -> Interval:
    """u//k is (u - s)/k with s in 0..k-1, and ceil(u/k) is (u + s)/k: substituted, so that terms cancel."""
    poly: dict[tuple[Any, ...], Fraction] = {m: Fraction(c) for m, c in (term.poly or {}).items()}
    slack_low = slack_high = Fraction(0)
    low, high = plain
    for _ in range(_MAX_ROUNDS):
        quotients = [m for m in poly if len(m) == 1 and m[0].op in QUOTIENTS and (m[0].b.value or 0) > 0]
        if not quotients or len(poly) < 2:
            break
        for monomial in quotients:
            quotient, c = monomial[0], poly.pop(monomial)
            k = quotient.b.value
            for inner, inner_c in quotient.a.as_poly().items():
                poly[inner] = poly.get(inner, Fraction(0)) + c * inner_c / k
            most = c * (1 - k if quotient.op == Operation.FLOOR_DIV else k - 1) / k
            slack_low, slack_high = slack_low + min(most, 0), slack_high + max(most, 0)
        poly = {m: c for m, c in poly.items() if c}
        opened = poly_range(poly, lambda factor: found[factor])
        low = max(low, math.ceil(opened[0] + slack_low))
        high = min(high, math.floor(opened[1] + slack_high))
    return low, high
