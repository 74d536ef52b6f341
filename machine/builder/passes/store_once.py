"""Stores each weight in the plan once: packed if all kernels that read it have a packed form, else unpacked."""

from __future__ import annotations

import numpy as np

from dovetail.machine.builder.build import Build
from dovetail.machine.builder.graph import Graph, GraphTensor, LayerGroup, PackedLater


def store_once(graph: Graph, build: Build) -> Graph:
    """Leave out constants whose packed form is enough, or packed forms that are much larger than the constants."""
    consumers = graph.consumers()
    needed: set[GraphTensor] = set()
    for group in graph.computing_groups():
        replaced = group.replaced
        if not replaced:
            continue
        is_enough = all(_has_same(other, tensor, group) for tensor in replaced for other in consumers[tensor])
        group.packs_at_load = group.may_pack_at_load and (group.is_enlarged or not is_enough)
        if group.packs_at_load or not is_enough:
            needed.update(replaced)
    for group in graph.computing_groups():
        for tensor in group.replaced:
            tensor.is_stored = tensor in needed
    return graph


def _has_same(other: LayerGroup, tensor: GraphTensor, group: LayerGroup) -> bool:
    """Does `other` have this constant in the form in which `group` has it packed, and read it nowhere else?"""
    places = [index for index, taken in enumerate(other.inputs) if taken is tensor]
    return (other is group or _are_equal(other.packed, group.packed)) and all(
        other.is_replaced(index) for index in places
    )


def _are_equal(one: memoryview | bytes | PackedLater, other: memoryview | bytes | PackedLater) -> bool:
    if isinstance(one, PackedLater) or isinstance(other, PackedLater):
        return one == other
    return np.array_equal(np.frombuffer(one, "B"), np.frombuffer(other, "B"))
