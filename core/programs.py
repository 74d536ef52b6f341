"""The programs of a plan: what computes all its extents, each shared part once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dovetail import _native
from dovetail.core.errors import ShapeError
from dovetail.core.expr_text import OPERATION, PROGRAM, leaf_words, operands_first
from dovetail.core.node import Expr

# Of one program; a longer or deeper one is cut, and its parts become programs of their own.
_LONGEST = min(512, _native.MAX_PROGRAM_LENGTH)
_DEEPEST = _native.MAX_PROGRAM_DEPTH


class Programs:
    """Programs for these expressions and their shared parts, in an order in which each looks up earlier ones only.

    Args:
        roots: the expressions that are asked for.
        sizes: numbers of the extents that only kernels tell.

    Raises:
        ShapeError: an expression holds a size without a number, or all of them are longer than a plan may have it.
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
        for node in order:
            self._write(node)
            if node in wanted or (node.op is not None and uses[node] > 1):
                self._store(node)
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

    def _write(self, node: Expr) -> None:
        if node.op is None:
            self._words[node], self._depth[node] = leaf_words(node, self._sizes), 1
            return
        a, b = node.a, node.b
        for side in sorted((a, b), key=lambda side: -len(self._words[side])):
            if self._need(a, b) > _DEEPEST or len(self._words[a]) + len(self._words[b]) >= _LONGEST:
                self._store(side)
        self._depth[node] = self._need(a, b)
        self._words[node] = [*self._words[a], *self._words[b], OPERATION + node.op]

    def _need(self, a: Expr, b: Expr) -> int:
        return max(self._depth[a], self._depth[b] + 1)

    def _store(self, node: Expr) -> None:
        """Make it a program, if it is none yet; from here on it is looked up."""
        if node not in self._index:
            self._index[node] = len(self.programs)
            self.programs.append(self._words[node])
        if node.op is not None:
            self._words[node], self._depth[node] = [PROGRAM, self._index[node]], 1


def _count_uses(order: list[Expr]) -> dict[Expr, int]:
    uses = dict.fromkeys(order, 0)
    for node in order:
        for operand in (node.a, node.b) if node.op is not None else ():
            uses[operand] += 1
    return uses
