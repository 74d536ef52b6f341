"""The programs of a plan, which compute all its extents and each shared part once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dovetail import _native
from dovetail.core.errors import ShapeError
from dovetail.core.expr_text import OPERATION, PROGRAM, leaf_words, operands_first
from dovetail.core.term import Expr

# Limits of one program; a longer or deeper one is split, and its parts become separate programs.
_LONGEST = min(512, _native.MAX_PROGRAM_LENGTH)
_DEEPEST = _native.MAX_PROGRAM_DEPTH


class Programs:
    """Programs for these expressions and their shared parts, ordered so that each one reads only earlier ones.

    Args:
        roots: the expressions to compute.
        sizes: numbers of the data-dependent extents.

    Raises:
        ShapeError: an expression contains a size without a number, or the programs are longer than a plan allows.
    """

    def __init__(self, roots: Iterable[Expr], sizes: Mapping[Expr, int] | None = None) -> None:
        self.programs: list[list[int]] = []
        self._sizes = sizes or {}
        self._index: dict[Expr, int] = {}
        self._words: dict[Expr, list[int]] = {}  # how an operand is written
        self._depth: dict[Expr, int] = {}  # of the stack that it needs
        roots = list(dict.fromkeys(roots))
        order = operands_first(roots)
        uses = _count_uses(order)
        wanted = set(roots)
        for term in order:
            self._write(term)
            if term in wanted or (term.op is not None and uses[term] > 1):
                self._store(term)
        n_words = sum(map(len, self.programs))
        if n_words > _native.MAX_PROGRAM_WORDS:
            raise ShapeError(
                f"the extents of this network take {n_words} words of programs",
                facts=[("at most", _native.MAX_PROGRAM_WORDS), ("programs", len(self.programs))],
                hint="Give extents as inputs of their own where they are computed from many others.",
                got=n_words,
                expected=_native.MAX_PROGRAM_WORDS,
            )

    def index(self, expr: Expr) -> int:
        """The number of the program that computes one of the roots."""
        return self._index[expr]

    def _write(self, term: Expr) -> None:
        if term.op is None:
            self._words[term], self._depth[term] = leaf_words(term, self._sizes), 1
            return
        a, b = term.a, term.b
        for side in sorted((a, b), key=lambda side: -len(self._words[side])):
            if self._need(a, b) > _DEEPEST or len(self._words[a]) + len(self._words[b]) >= _LONGEST:
                self._store(side)
        self._depth[term] = self._need(a, b)
        self._words[term] = [*self._words[a], *self._words[b], OPERATION + term.op]

    def _need(self, a: Expr, b: Expr) -> int:
        return max(self._depth[a], self._depth[b] + 1)

    def _store(self, term: Expr) -> None:
        """Make it a separate program if it is not yet one; other programs then read its result."""
        if term not in self._index:
            self._index[term] = len(self.programs)
            self.programs.append(self._words[term])
        if term.op is not None:
            self._words[term], self._depth[term] = [PROGRAM, self._index[term]], 1


def _count_uses(order: list[Expr]) -> dict[Expr, int]:
    uses = dict.fromkeys(order, 0)
    for term in order:
        for operand in (term.a, term.b) if term.op is not None else ():
            uses[operand] += 1
    return uses
