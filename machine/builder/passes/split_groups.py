"""Splits groups: layers that the chosen kernel does not absorb become separate groups."""

from __future__ import annotations

import math
from dataclasses import replace

from dovetail.machine.builder.build import Build
from dovetail.machine.builder.graph import Block, Candidate, Graph, LayerGroup


def split_groups(graph: Graph, build: Build) -> Graph:
    """Make every group one step of the plan, with exactly the layers that its kernel computes."""
    for block in graph.each_block():
        _split(graph, block)
    return graph


def _split(graph: Graph, block: Block) -> None:
    groups: list[LayerGroup] = []
    for group in block.groups:
        choice = group.choice
        if not choice.rest:
            groups.append(group)
            continue
        part = group.part(choice.n_absorbed)
        part.found, part.chosen = group.found, replace(choice, rest=())
        groups.append(part)
        graph.not_fused.append(_why(group, choice))
        position = choice.n_absorbed
        for one in choice.rest:
            if one.n_absorbed:
                behind = group.behind[position]
                rest = behind.part(one.n_absorbed)
                rest.found, rest.chosen = behind.found, one
            else:
                rest = LayerGroup(group.tail[position], found=group.found_alone[position], chosen=one)
            groups.append(rest)
            position += 1 + one.n_absorbed
    block.set_groups(groups)
    for group in groups:
        places = group.places(group.choice)[len(group.inputs) :]
        for tensor, place in zip(group.outputs, places, strict=True):
            tensor.chosen_place = place


def _why(group: LayerGroup, choice: Candidate) -> str:
    """Why the chosen kernel does not compute all layers of the group."""
    left = " + ".join(layer.name for layer in group.tail[choice.n_absorbed :])
    with_it = group.part(choice.n_absorbed).name
    most = max(candidate.n_absorbed for candidate in group.candidates)
    if most <= choice.n_absorbed:
        return f"{left} is not fused into {with_it}: no kernel that fits computes it there"
    best = min(
        (one for one in group.candidates if one.n_absorbed > choice.n_absorbed),
        key=lambda one: (math.isnan(one.time_ns), one.time_ns),
    )
    return (
        f"{left} is not fused into {with_it}: {choice.row.label} and layers by themselves cost less, with reformats, "
        f"than {best.row.label} with {best.n_absorbed} of {len(group.tail)} layers ({best.time_ns / 1e3:.2f} us)"
    )
