"""Chooses a candidate for each group, so that the network as a whole is fastest."""

from __future__ import annotations

from dovetail.machine.builder.build import Build
from dovetail.machine.builder.graph import Graph


def select_formats(graph: Graph, build: Build) -> Graph:
    """Set `chosen` of every group.

    Raises:
        FormatError: the candidates of neighbouring groups cannot be joined; both sides are named.
    """
    solution = build.selection.choose(graph)
    optimal = "optimal" if solution.is_optimal else "best found, not proved optimal"
    graph.notes.append(f"formats: {solution.cost / 1e3:.1f} us for kernels and reformats together, {optimal}")
    return graph
