"""At builder_optimization_level 0, where nothing is timed: run what was chosen once, under the guards of timing."""

from __future__ import annotations

from dovetail.machine.builder.build import Build
from dovetail.machine.builder.graph import Candidate, Graph, LayerGroup
from dovetail.machine.builder.measurements import broke_guards, named, note_loss


def watch_chosen(graph: Graph, build: Build) -> Graph:
    """Replace candidates of third parties that write where they may not, or leave outputs unwritten.

    One that fails otherwise stays, since the contents that it is given here are not those that it will get; so does one
    for whose tensors there is no memory, or that has no extents before it runs.

    Raises:
        PluginFailed: a layer has no other candidate.
    """
    if build.is_timed:
        return graph
    watched: set[tuple[int, int]] = set()
    while True:
        has_news = False
        for group in graph.computing_groups():
            candidate = group.choice
            if not build.measurements.is_strange(candidate):
                continue
            key = (id(group), id(candidate))
            if key not in watched:
                watched.add(key)
                has_news |= not _is_right(graph, build, group, candidate)
        if not has_news:
            return graph
        build.selection.choose(graph)


def _is_right(graph: Graph, build: Build, group: LayerGroup, candidate: Candidate) -> bool:
    """False if it broke a guard; it is then removed from the candidates."""
    error = build.measurements.watch(group.part(candidate.n_absorbed), candidate)
    if error is None:
        return True
    if not broke_guards(error):
        graph.notes.append(f"{group.label}: {candidate.row.label} failed while watched, and stays: {error}")
        return True
    note_loss(graph, group, candidate, error, "watched")
    group.found.candidates = [
        other
        for other in group.candidates
        if other.row is not candidate.row or other.n_absorbed != candidate.n_absorbed
    ]
    if not group.candidates:
        raise named(error, group)
    return False
