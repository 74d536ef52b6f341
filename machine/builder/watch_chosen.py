"""At builder_optimization_level 0, where nothing is timed: run what was chosen once, under the guards of timing."""

from __future__ import annotations

import functools
from typing import Any

from dovetail.machine.builder.candidates import REFERENCE
from dovetail.machine.builder.graph import Candidate, Graph, GraphLayer
from dovetail.machine.builder.select_formats import Reformats, select_formats
from dovetail.machine.builder.time_candidates import Timer, broke_guards, named, note_loss

DISTRIBUTION = "dovetail"  # whose own kernels the tests of this repository run under guards


def watch_chosen(graph: Graph, timer: Timer, reformats: Reformats) -> Graph:
    """Replace candidates of third parties that write where they may not, or leave outputs unwritten.

    One that fails otherwise stays, since the contents that it is given here are not those that it will get; so does one
    for whose tensors there is no memory, or that has no extents before it runs.

    Raises:
        PluginFailed: a layer has no other candidate.
    """
    if timer.config.builder_optimization_level > 0:
        return graph

    @functools.cache
    def is_ours(implementation: str) -> bool:
        return getattr(graph.lookup.record_of(implementation), "distribution", "") == DISTRIBUTION

    watched: set[Any] = set()
    while True:
        has_news = False
        for layer in graph.layers:
            candidate = layer.chosen
            implementation = candidate.row.implementation  # type: ignore[union-attr]
            if implementation.name == REFERENCE or is_ours(implementation.id):
                continue
            key = (id(layer), id(candidate))
            if key not in watched:
                watched.add(key)
                has_news |= not _is_right(graph, timer, layer, candidate)  # type: ignore[arg-type]
        if not has_news:
            return graph
        graph = select_formats(graph, reformats)


def _is_right(graph: Graph, timer: Timer, layer: GraphLayer, candidate: Candidate) -> bool:
    """False: it broke a guard, and is no candidate any more."""
    error = timer.watch(layer, candidate)
    if error is None:
        return True
    if not broke_guards(error):
        graph.notes.append(f"{layer.label}: {candidate.row.label} failed while watched, and stays: {error}")
        return True
    note_loss(graph, layer, candidate, error, "watched")
    layer.candidates = [other for other in layer.candidates if other is not candidate]
    if not layer.candidates:
        raise named(error, layer)
    return False
