"""Values and ranges of many expressions for the same extents of the inputs; shared parts are computed once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dovetail.core import algebra
from dovetail.core.algebra import Interval
from dovetail.core.expr_text import operands_first
from dovetail.core.term import Expr, compute

MOST_TERMS = 300  # of an expression that is bounded by cases, since that visits all its terms many times


class Values:
    """Values of expressions for one set of extents, contents and sizes; see `Expr.evaluate`."""

    def __init__(
        self,
        inputs: Sequence[Sequence[int]],
        contents: Sequence[Sequence[int] | None] = (),
        sizes: Mapping[Expr, int] | None = None,
    ) -> None:
        self._inputs, self._contents, self._sizes = inputs, contents, sizes
        self._known: dict[Expr, int] = {}

    def of(self, expr: Expr) -> int:
        """Raises ShapeError as `Expr.evaluate` does."""
        known = self._known
        for term in operands_first([expr], known):
            if term.op is not None:
                known[term] = compute(term.op, term.a, term.b, known[term.a], known[term.b])
            elif term.is_size_tensor and term not in (self._sizes or ()):
                assert term.leaf is not None and term.leaf.upper is not None
                known[term] = max(0, self.of(term.leaf.upper))
            else:
                known[term] = term._leaf_value(self._inputs, self._contents, self._sizes)
        return known[expr]


class Ranges:
    """Bounds of expressions while extents and contents vary; see `Expr.bounds`."""

    def __init__(
        self, ranges: Sequence[Sequence[Interval | int]], contents: Sequence[Sequence[Interval] | None] = ()
    ) -> None:
        self._ranges, self._contents = ranges, contents
        self._plain: dict[Expr, Interval] = {}
        self._found: dict[Expr, Interval] = {}

    def of(self, expr: Expr) -> Interval:
        """(lowest, highest). Always valid, not always tight: a very long expression is bounded part by part."""
        if expr not in self._found:
            for term in operands_first([expr], self._plain):
                self._plain[term] = algebra.bound_term(term, self._leaf, self._plain)
            parts = operands_first([expr], at_most=MOST_TERMS)
            self._found[expr] = self._plain[expr] if parts is None else algebra.bounds(parts, self._leaf)
        return self._found[expr]

    def _leaf(self, leaf: Expr) -> Any:
        if leaf.leaf is not None and leaf.leaf.upper is not None:
            return 0, max(0, self.of(leaf.leaf.upper)[1])
        return leaf.leaf_range(self._ranges, self._contents)
