"""Domains of operators, their versions, and the functions that a model defines in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

MAIN = ("", "ai.onnx")  # two names of the main domain
Key = tuple[str, str, str]  # domain, name and overload of a local function


def opset_in(opsets: Mapping[str, int], domain: str) -> int:
    """The version of a domain in a result of `imports_of`; 1 if it is not imported."""
    return opsets.get("" if domain in MAIN else domain, 1)


def imports_of(entries: Iterable[Any], outer: Mapping[str, int] | None = None) -> dict[str, int]:
    """Versions by domain, from a model's or function's opset_import; other domains have the versions of `outer`."""
    own = {"" if entry.domain in MAIN else entry.domain: entry.version for entry in entries}
    return {**(outer or {}), **own}


def function_key(node: Any) -> Key:
    """The key of the local function that a node may call."""
    return node.domain if node.domain not in MAIN else "", node.op_type, getattr(node, "overload", "")


def functions_of(model: Any) -> dict[Key, Any]:
    """The local functions of a model."""
    return {
        ("" if found.domain in MAIN else found.domain, found.name, getattr(found, "overload", "")): found
        for found in model.functions
    }
