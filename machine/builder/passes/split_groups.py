"""Layers that the chosen kernel of a group does not absorb run by themselves."""

from __future__ import annotations

from dataclasses import replace

from dovetail.machine.builder.build import Build
from dovetail.machine.builder.graph import Graph, LayerGroup


def split_groups(graph: Graph, build: Build) -> Graph:
    """Let every group be one step of the plan, with all that its kernel computes and nothing else."""
    groups: list[LayerGroup] = []
    for group in graph.groups:
        choice = group.choice
        if not choice.rest:
            groups.append(group)
            continue
        tail, left = group.tail[: choice.n_absorbed], group.tail[choice.n_absorbed :]
        groups.append(LayerGroup(group.head, tail, group.found, chosen=replace(choice, rest=())))
        alone = zip(left, group.found_alone[choice.n_absorbed :], choice.rest, strict=True)
        groups += [LayerGroup(layer, found=found, chosen=chosen) for layer, found, chosen in alone]
    graph.set_groups(groups)
    for group in groups:
        places = group.places(group.choice)[len(group.inputs) :]
        for tensor, place in zip(group.outputs, places, strict=True):
            assert place is not None
            tensor.format, tensor.device = place
    return graph
