"""Stores each weight in the plan once: packed if all kernels that read it have a packed form, else unpacked."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np

from dovetail.machine.builder.build import Build
from dovetail.machine.builder.graph import Graph, GraphTensor, LayerGroup, PackedLater


def store_once(graph: Graph, build: Build) -> Graph:
    """Leave out constants whose packed form is enough, or packed forms that are much larger than the constants."""
    stored = _Stored()
    users: dict[int, list[tuple[LayerGroup, int]]] = {}  # of each constant: groups, and which input it is of them
    for group in graph.computing_groups():
        for index, tensor in enumerate(group.inputs):
            if tensor is not None and tensor.is_constant:
                users.setdefault(stored.number(tensor), []).append((group, index))
    needed: set[int] = set()
    for group in graph.computing_groups():
        replaced = {stored.number(tensor) for tensor in group.replaced}
        if not replaced:
            continue
        is_enough = all(_has_packed(*user, group) for one in replaced for user in users[one])
        group.packs_at_load = group.may_pack_at_load and (group.is_enlarged or not is_enough)
        if group.packs_at_load or not is_enough:
            needed |= replaced
    for group in graph.computing_groups():
        for tensor in group.replaced:
            tensor.is_stored = stored.number(tensor) in needed
    return graph


class _Stored:
    """Numbers the constants that a plan has: layers with equal weights, as the heads of a detector, share them."""

    def __init__(self) -> None:
        self._numbers: dict[GraphTensor, int] = {}
        self._alike: dict[Hashable, list[GraphTensor]] = {}  # of each shape, type and place: constants that differ

    def number(self, tensor: GraphTensor) -> int:
        if tensor not in self._numbers:
            array = tensor.constant
            alike = self._alike.setdefault((array.shape, array.dtype, tensor.place), [])
            same = next((one for one in alike if _are_same(one.constant, array)), None)
            if same is None:
                alike.append(tensor)
            self._numbers[tensor] = len(self._numbers) if same is None else self._numbers[same]
        return self._numbers[tensor]


def _are_same(one: np.ndarray, other: np.ndarray) -> bool:
    if one.ctypes.data == other.ctypes.data and one.strides == other.strides:
        return True
    first = (0,) * max(0, one.ndim - 1)  # weights that differ do so in their first row
    return np.array_equal(one[first], other[first]) and np.array_equal(one, other)


def _has_packed(other: LayerGroup, index: int, group: LayerGroup) -> bool:
    """Does `other` have what is its input `index` in the form in which `group` has it packed?"""
    return other.is_replaced(index) and (other is group or _are_equal(other.packed, group.packed))


def _are_equal(one: memoryview | bytes | PackedLater, other: memoryview | bytes | PackedLater) -> bool:
    if isinstance(one, PackedLater) or isinstance(other, PackedLater):
        return one == other
    return np.array_equal(np.frombuffer(one, "B"), np.frombuffer(other, "B"))
