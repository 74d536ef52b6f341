"""Small compositions of ONNX operators, and other helpers for rewrites of private domains."""

from __future__ import annotations

from typing import Any

from dovetail.plugins.onnx.counts import rank_of
from dovetail.plugins.onnx.node import OnnxNode

# Values of the attribute `to` of Cast, by the name of the type.
ELEMENT_TYPES = {"FLOAT": 1, "UINT8": 2, "INT8": 3, "UINT16": 4, "INT16": 5, "INT32": 6, "INT64": 7, "FLOAT16": 10}


def given_attrs(node: OnnxNode, *names: str) -> dict[str, Any]:
    """Those of these attributes that the node has, as arguments for `node.onnx`."""
    return {name: node.attr(name) for name in names if node.attr(name) is not None}


def absent(node: OnnxNode, *indices: int, why: str) -> None:
    """Raise `node.fail`, with the reason `why`, if one of these inputs is given."""
    for index in indices:
        if node.value(index) is not None:
            raise node.fail(f"its input {index} is not imported: {why}")


def channels_first(node: OnnxNode, x: Any) -> Any:
    """[N, ..., C] as [N, C, ...]."""
    rank = rank_of(x)
    return node.onnx("Transpose", [x], perm=[0, rank - 1, *range(1, rank - 1)])


def channels_last(node: OnnxNode, x: Any) -> Any:
    """[N, C, ...] as [N, ..., C]."""
    rank = rank_of(x)
    return node.onnx("Transpose", [x], perm=[0, *range(2, rank), 1])


def in_type(node: OnnxNode, x: Any, index: int) -> Any:
    """x in the type that the model has for input `index`."""
    return node.onnx("Cast", [x], to=ELEMENT_TYPES[node.type_name(index)])


def in_float32(node: OnnxNode, x: Any) -> Any:
    """x converted to float32."""
    return node.onnx("Cast", [x], to=ELEMENT_TYPES["FLOAT"])


def added(node: OnnxNode, *values: Any) -> Any:
    """The sum of the values that are not None; at least one is not."""
    first, *others = [value for value in values if value is not None]
    for other in others:
        first = node.onnx("Add", [first, other])
    return first
