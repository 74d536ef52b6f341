"""Limits of one import; if one is exceeded, the import ends with an error that names the limit and the amount."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from dovetail.machine.budget import Budget
from dovetail.machine.onnx.domains import Key, function_key
from dovetail.machine.onnx.errors import ErrorCode, ModelError
from dovetail.machine.onnx.order import graphs_of

MOST_DEPTH = 64  # of functions that call functions, and of graphs inside graphs
SETTING = "parser.budget"


class BudgetError(ModelError):
    """The import cannot go on."""

    def __init__(self, what: str, reason: str) -> None:
        hint = f"Raise the limit: {SETTING} = Budget(bytes=..., layers=..., seconds=...)."
        super().__init__(ErrorCode.UNSUPPORTED_GRAPH, f"{what} exceeds the budget of the import: {reason}\n  {hint}")


class Limits:
    """How much of its budget an import has used, and how deeply it is nested in functions and graphs."""

    def __init__(self, budget: Budget) -> None:
        self._meter = budget.meter(SETTING)
        self._depth = 0

    def use(self, what: str, bytes: int = 0, layers: int = 0) -> None:
        """Count an amount before it is used. Raises BudgetError."""
        self.check(what, bytes, layers)
        self._meter.count(int(bytes), layers)

    def check(self, what: str, bytes: int = 0, layers: int = 0) -> None:
        """The same without counting it."""
        reason = self._meter.refusal(int(bytes), int(layers))
        if reason:
            raise BudgetError(what, reason)

    def has(self, bytes: int) -> bool:
        """Counts these bytes and returns True if the budget allows them; else False."""
        if self._meter.refusal(int(bytes)):
            return False
        self._meter.count(int(bytes))
        return True

    @contextmanager
    def inside(self, what: str) -> Iterator[None]:
        """One level of functions and graphs. Raises ModelError beyond the deepest."""
        if self._depth >= MOST_DEPTH:
            text = f"{what} is inside {self._depth} functions and graphs; at most {MOST_DEPTH} are followed"
            raise ModelError(ErrorCode.UNSUPPORTED_GRAPH, text)
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1

    def check_functions(self, nodes: Sequence[Any], functions: Mapping[Key, Any]) -> None:
        """Raises ModelError if functions call themselves, BudgetError if they expand to more nodes than allowed."""
        total = _expanded(nodes, functions)
        reason = self._meter.refusal(layers=total)
        if functions and reason:
            raise BudgetError(f"the model, whose functions stand for {total} nodes in all,", reason)


def _expanded(nodes: Sequence[Any], functions: Mapping[Key, Any]) -> int:
    """Number of nodes of a graph with all functions expanded. Raises ModelError for functions without end."""
    sizes: dict[Key, int] = {}
    calls = {key: list(_called(found.node, functions)) for key, found in functions.items()}
    for start in _called(nodes, functions):
        path = [start]
        while path:
            key = path[-1]
            left = [other for other in calls[key] if other not in sizes]
            if not left or key in sizes:
                sizes[key] = _count(functions[key].node) + sum(sizes[other] for other in calls[key])
                path.pop()
                continue
            if left[0] in path:
                told = " -> ".join(f"{k[0]}::{k[1]}" for k in [*path[path.index(left[0]) :], left[0]][:8])
                raise ModelError(ErrorCode.INVALID_GRAPH, f"functions call each other without end: {told}")
            if len(path) >= MOST_DEPTH:
                text = f"functions call functions {len(path)} deep; at most {MOST_DEPTH} are followed"
                raise ModelError(ErrorCode.UNSUPPORTED_GRAPH, text)
            path.append(left[0])
    return _count(nodes) + sum(sizes[key] for key in _called(nodes, functions))


def _inner(nodes: Sequence[Any]) -> Iterator[Any]:
    """The nodes, and those of graphs inside them."""
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        yield node
        for _, graph in graphs_of(node):
            waiting += graph.node


def _called(nodes: Sequence[Any], functions: Mapping[Key, Any]) -> Iterator[Key]:
    return (key for key in map(function_key, _inner(nodes)) if key in functions)


def _count(nodes: Sequence[Any]) -> int:
    return sum(1 for _ in _inner(nodes))
