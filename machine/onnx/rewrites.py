"""Which op or rewrite imports an ONNX operator: the `onnx_op` entries of all plugins."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

from dovetail.core.contract import OpSpec
from dovetail.machine.onnx.domains import MAIN

HOOK = "dovetail_onnx_rewrites"


class Rewrites:
    """The rewrites of the registered ops, each with its op, then those of `dovetail_onnx_rewrites`, which have none.

    Args:
        warn: called with one line for each plugin whose rewrites are ignored, which says why.
    """

    def __init__(self, lookup: Any, warn: Callable[[str], None]) -> None:
        self._by_operator: dict[tuple[str, str], list[tuple[OpSpec | None, Any]]] = defaultdict(list)
        for spec in lookup.specs():
            for rewrite in spec.onnx:
                self._by_operator[rewrite.domain, rewrite.op_type].append((spec, rewrite))
        for plugin, answer in lookup.collect(HOOK):
            try:
                for rewrite in _checked(answer):
                    self._by_operator[rewrite.domain, rewrite.op_type].append((None, rewrite))
            except Exception as error:
                warn(f"plugin {plugin} failed in {HOOK}: {type(error).__name__}: {error}; its rewrites are left out")

    def find(self, domain: str, op_type: str, opset: int) -> tuple[OpSpec | None, Any] | None:
        """(op or None, rewrite) that imports an operator; None if there is none."""
        domain = "" if domain in MAIN else domain
        found = self._by_operator.get((domain, op_type), ())
        return next((pair for pair in found if pair[1].takes(domain, op_type, opset)), None)

    def named(self, op_type: str) -> Iterator[Any]:
        """All rewrites of operators of this name, in any domain and opset."""
        for (_, name), pairs in self._by_operator.items():
            if name == op_type:
                yield from (rewrite for _, rewrite in pairs)


def _checked(answer: Any) -> list[Any]:
    """The rewrites that a plugin's hook returned. Raises if the hook failed or if one of them is wrong."""
    if isinstance(answer, BaseException):
        raise answer
    rewrites = list(answer)
    for one in rewrites:
        if not hasattr(one, "takes"):
            raise TypeError(f"{one!r} is not a rewrite; make rewrites with onnx_op(...)")
        if one.rewrite is None:
            raise TypeError(f"the entry for {one.op_type} has no rewrite; only entries of an op may leave it out")
    return rewrites
