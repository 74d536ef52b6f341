"""The rules by which an expression is folded while it is built.

`(N + 1) - N` is 1, `N*C//N` is C: sums and products have one form, quotients cancel, and what the ranges of
the operands decide is decided. No rule repeats a part of an expression.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dovetail.core import algebra
from dovetail.core.algebra import OPERATIONS, QUOTIENTS, Interval, Poly
from dovetail.core.node import Expr, as_expr, compute, constant, made
from dovetail.core.types import DimensionOperation as Op


def operation(op: Op, a: Any, b: Any) -> Expr:
    """`a op b`, folded as far as it is known.

    Raises:
        ShapeError: a division by the constant zero, a constant beyond int64.
    """
    a, b = as_expr(a), as_expr(b)
    if a.value is not None and b.value is not None:
        return constant(compute(op, a, b, a.value, b.value))
    if op in QUOTIENTS:
        return _divide(op, a, b)
    if op == Op.PROD:
        poly = _product(a, b)
    else:
        poly = algebra.add(a.as_poly(), b.as_poly(), 1 if op == Op.SUM else -1)
    if op in (Op.SUM, Op.SUB, Op.PROD):
        return _node(op, a, b) if poly is None else _from_poly(poly)
    return _compare(op, a, b, None if poly is None else algebra.poly_range(poly, lambda factor: factor.range))


def _factors(e: Expr) -> tuple[int, tuple[Expr, ...]]:
    """(coefficient, monomial) of a product; a sum is its own only factor."""
    poly = e.as_poly()
    if len(poly) == 1:
        ((monomial, c),) = poly.items()
        return c, monomial
    return (0, ()) if not poly else (1, (e,))


def _product(a: Expr, b: Expr) -> Poly | None:
    """A constant is multiplied into a sum; two sums are not, since that would repeat their parts."""
    (x, factors_a), (y, factors_b) = _factors(a), _factors(b)
    if not factors_a:
        return algebra.scale(b.as_poly(), x)
    if not factors_b:
        return algebra.scale(a.as_poly(), y)
    factors = algebra.join(factors_a, factors_b)
    return algebra.scale({factors: 1}, x * y) if len(factors) <= algebra.MAX_TERMS else None


def _from_poly(poly: Poly) -> Expr:
    """The poly's one form: what is added, what is subtracted, the constant."""
    rest = poly.get((), 0)
    total = None
    for monomial, c in sorted(poly.items(), key=lambda term: term[1] < 0):
        if monomial and c > 0:
            total = _monomial(monomial, c) if total is None else _node(Op.SUM, total, _monomial(monomial, c))
        elif monomial:
            if total is None and rest > 0:
                total, rest = constant(rest), 0
            total = _monomial(monomial, c) if total is None else _node(Op.SUB, total, _monomial(monomial, -c))
    if total is None:
        return constant(rest)
    return _node(Op.SUM, total, constant(rest)) if rest else total


def _monomial(factors: Sequence[Expr], c: int) -> Expr:
    total = None if c == 1 else constant(c)
    for factor in factors:
        total = factor if total is None else _node(Op.PROD, total, factor)
    assert total is not None
    return total


def _divide(op: Op, a: Expr, b: Expr) -> Expr:
    if b.value == 0:
        compute(op, a, b, 0, 0)
    c, divisor = _factors(b)
    whole, rest = algebra.quotient(a.as_poly(), c, divisor)
    is_exact = not rest and (a.value is None or b.value is not None)  # 0//N stays: N may be 0
    if is_exact or (b.value is not None and not any(rest)):
        whole[()] = whole.get((), 0) + OPERATIONS[op](rest.get((), 0), c)
        return _from_poly({monomial: k for monomial, k in whole.items() if k})
    if a.op == op and b.value is not None and b.value > 0 and a.b.value is not None and a.b.value > 0:
        both = a.b.value * b.value  # floor(floor(x/m)/n) = floor(x/(m*n)), and so for ceil
        if algebra.fits(both):
            return _divide(op, a.a, constant(both))
    return _node(op, a, b)


def _compare(op: Op, a: Expr, b: Expr, difference: Interval | None) -> Expr:
    low, high = difference or (a.range[0] - b.range[1], a.range[1] - b.range[0])
    if op in (Op.MAX, Op.MIN):
        if low >= 0 or high <= 0:
            return a if (low >= 0) == (op == Op.MAX) else b
        if a.value is not None:
            a, b = b, a
        if a.op == op and a.b.value is not None and b.value is not None:
            return operation(op, a.a, OPERATIONS[op](a.b.value, b.value))
        return _node(op, a, b)
    if op == Op.EQUAL and (low > 0 or high < 0 or low == high):
        return constant(low == high == 0)
    if op == Op.LESS and (high < 0 or low >= 0):
        return constant(high < 0)
    return _node(op, a, b)


def _node(op: Op, a: Expr, b: Expr) -> Expr:
    if op == Op.PROD:
        poly = _product(a, b)
    else:
        poly = algebra.add(a.as_poly(), b.as_poly(), 1 if op == Op.SUM else -1) if op in (Op.SUM, Op.SUB) else None
    return made(
        (op, a.serial, b.serial),
        op=op,
        a=a,
        b=b,
        poly=poly,
        late=a.late | b.late if a.late and b.late else a.late or b.late,
        range=algebra.interval(op, a.range, b.range),
    )


Expr._combine = staticmethod(operation)  # the operators of Expr
