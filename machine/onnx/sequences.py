"""Sequences and optionals, which networks lack: during the import they are tuples of tensors, and None."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dovetail.machine.onnx.node import Node, Value, element_type


def _place(node: Node, index: int, least: int, most: int) -> int:
    """The position given by input `index`, from `least` to `most`."""
    known = node.constant(index)
    if known is None or known.size != 1:
        raise node.fail(
            "its position must be one number that is known when the network is built: a constant, or what follows from "
            "shapes",
            position=f"{node[index].dtype.name} {node[index].shape}, tensor '{node[index].name}'",
        )
    place = int(known.reshape(()))
    if not least <= place <= most:
        raise node.fail(
            f"the sequence of {len(node.sequence(0))} tensors has no such position",
            position=place,
            rule=f"{least} to {most}" if least <= most else "none in an empty sequence",
        )
    return place


def _construct(node: Node) -> tuple[Any, ...]:
    tensors = tuple(node.tensor_or_array(index) for index in range(len(node)))
    if not tensors:
        raise node.fail("it has no inputs; an empty sequence is SequenceEmpty")
    return _of_one_type(node, tensors)


def _of_one_type(node: Node, tensors: tuple[Any, ...]) -> tuple[Any, ...]:
    types = list(dict.fromkeys(element_type(tensor).name for tensor in tensors))
    if len(types) > 1:
        raise node.fail("a sequence has tensors of one type; convert them with Cast", types=", ".join(types))
    return tensors


def _insert(node: Node) -> tuple[Any, ...]:
    tensors = node.sequence(0)
    n = len(tensors)
    place = n if node.is_absent(2) else _place(node, 2, -n, n)
    place += n * (place < 0)
    return _of_one_type(node, (*tensors[:place], node.tensor_or_array(1), *tensors[place:]))


def _erase(node: Node) -> tuple[Any, ...]:
    tensors = node.sequence(0)
    n = len(tensors)
    if not n:
        raise node.fail("the sequence is empty, and nothing can be taken out of it")
    place = n - 1 if node.is_absent(1) else _place(node, 1, -n, n - 1) % n
    return tensors[:place] + tensors[place + 1 :]


def _at(node: Node) -> Value:
    tensors = node.sequence(0)
    return tensors[_place(node, 1, -len(tensors), len(tensors) - 1)]


def _element(node: Node) -> Value:
    value = node.value(0)
    if value is None:
        raise node.fail("its input is an optional without a value; ask with OptionalHasElement")
    return value


# Operators that only move tensors: each function returns the output of a node. Raises ModelError for a position that is
# unknown or does not exist. Operators that need layers are imported by rewrites.
ON_SEQUENCES: dict[str, Callable[[Node], Value | None]] = {
    "SequenceConstruct": _construct,
    "SequenceEmpty": lambda node: (),
    "SequenceInsert": _insert,
    "SequenceErase": _erase,
    "SequenceAt": _at,
    "SequenceLength": lambda node: np.array(len(node.sequence(0)), np.int64),
    "Optional": lambda node: node.value(0),
    "OptionalHasElement": lambda node: np.array(not node.is_absent(0)),
    "OptionalGetElement": _element,
}
