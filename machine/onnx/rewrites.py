"""Which layer or rewrite imports an ONNX operator: the `onnx_op` rows of all plugins."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

from dovetail.core.contract import OpSpec
from dovetail.machine.onnx.domains import MAIN

HOOK = "dovetail_onnx_rewrites"


class Rewrites:
    """Rows of the registered ops, each with its op, then the rewrites of `dovetail_onnx_rewrites`, without one.

    Args:
        warn: is told, in one line, what is wrong with a plugin whose rewrites are left out.
    """

    def __init__(self, lookup: Any, warn: Callable[[str], None]) -> None:
        self._rows: dict[tuple[str, str], list[tuple[OpSpec | None, Any]]] = defaultdict(list)
        for spec in lookup.specs():
            for row in spec.onnx:
                self._rows[row.domain, row.op_type].append((spec, row))
        for plugin, rows in lookup.collect(HOOK):
            try:
                for row in _checked(rows):
                    self._rows[row.domain, row.op_type].append((None, row))
            except Exception as error:
                warn(f"plugin {plugin} failed in {HOOK}: {type(error).__name__}: {error}; its rewrites are left out")

    def find(self, domain: str, op_type: str, opset: int) -> tuple[OpSpec | None, Any] | None:
        """(op or None, row) that imports an operator, None if there is none."""
        domain = "" if domain in MAIN else domain
        found = self._rows.get((domain, op_type), ())
        return next((pair for pair in found if pair[1].takes(domain, op_type, opset)), None)

    def named(self, op_type: str) -> Iterator[Any]:
        """All rows of operators of this name, of whatever domain and opset."""
        for (_, name), pairs in self._rows.items():
            if name == op_type:
                yield from (row for _, row in pairs)


def _checked(rows: Any) -> list[Any]:
    """What a plugin gave, whole. Raises what is wrong with it."""
    if isinstance(rows, BaseException):
        raise rows
    rows = list(rows)
    for row in rows:
        if not hasattr(row, "takes"):
            raise TypeError(f"{row!r} is not a row; make rows with onnx_op(...)")
        if row.rewrite is None:
            raise TypeError(f"the row of {row.op_type} has no rewrite, and belongs to no op that could take its place")
    return rows
