"""Layers that only move elements, as orders of axes and dims in between; for passes over the graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

KEEP = (-2,)  # reshape_dims that change nothing


@dataclass
class Move:
    """y = transpose(reshape(transpose(x, first), between), second); axis i of a transposed tensor is axis order[i]."""

    first: tuple[int, ...]
    between: tuple[Any, ...]
    second: tuple[int, ...]
    keeps_dims: bool  # is the reshape none?

    @property
    def order(self) -> tuple[int, ...] | None:
        """The order of the axes of x in y; None if their extents change."""
        return tuple(self.first[axis] for axis in self.second) if self.keeps_dims else None

    @property
    def is_reshape(self) -> bool:
        """True if no element moves past another."""
        order = self.order
        return is_in_order(order) if order is not None else is_in_order(self.first) and is_in_order(self.second)

    @property
    def is_one_copy(self) -> bool:
        return self.keeps_dims or is_in_order(self.first) or is_in_order(self.second)


def is_in_order(order: Sequence[int]) -> bool:
    return list(order) == list(range(len(order)))


def same_extents(a: Sequence[Any], b: Sequence[Any]) -> bool:
    return len(a) == len(b) and all(one.same(other) for one, other in zip(a, b, strict=True))


def move_of(layer: Any) -> Move | None:
    """What a Shuffle, Squeeze or Unsqueeze layer does; None of other layers, and where its dims are data."""
    if layer is None or layer.spec.id not in ("Shuffle@1", "Squeeze@1", "Unsqueeze@1"):
        return None
    x, y = layer.inputs[0], layer.outputs[0]
    if x is None or any(tensor is not None for tensor in layer.inputs[1:]):
        return None
    first, second = tuple(range(len(x.dims))), tuple(range(len(y.dims)))
    if layer.spec.id == "Shuffle@1":
        first = tuple(layer.values["first_transpose"]) or first
        second = tuple(layer.values["second_transpose"]) or second
    between: list[Any] = [None] * len(second)
    for place, axis in enumerate(second):
        between[axis] = y.dims[place]
    return Move(first, tuple(between), second, same_extents([x.dims[axis] for axis in first], between))


def joined(x: Any, one: Move, then: Move) -> Move | None:
    """Both moves of x as one; None if that takes two reshapes."""
    if then.keeps_dims:
        order = then.order or ()
        second = tuple(one.second[axis] for axis in order)
        return Move(one.first, one.between, second, one.keeps_dims)
    if one.keeps_dims:
        first = tuple((one.order or ())[axis] for axis in then.first)
    elif is_in_order([one.second[axis] for axis in then.first]):
        first = one.first
    else:
        return None
    return Move(first, then.between, then.second, same_extents([x.dims[axis] for axis in first], then.between))


def fields_of(x: Any, move: Move) -> dict[str, Any] | None:
    """The fields of a Shuffle layer that makes the move; None where they cannot say unknown extents."""
    if move.keeps_dims:
        return {"first_transpose": move.order, "reshape_dims": KEEP, "second_transpose": ()}
    before = [x.dims[axis] for axis in move.first]
    wanted = []
    for axis, extent in enumerate(move.between):
        if extent.value is not None:
            wanted.append(extent.value)
        else:
            wanted.append(0 if axis < len(before) and extent.same(before[axis]) else -1)
    if any(extent.value == 0 for extent in move.between) or wanted.count(-1) > 1:
        return None
    first = () if is_in_order(move.first) else move.first
    second = () if is_in_order(move.second) else move.second
    return {"first_transpose": first, "reshape_dims": tuple(wanted), "second_transpose": second}
