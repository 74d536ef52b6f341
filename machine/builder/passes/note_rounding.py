"""Says in the report which layers have larger rounding errors than plain sums have."""

from __future__ import annotations

from dovetail.machine.builder.build import Build
from dovetail.machine.builder.candidates import is_winograd
from dovetail.machine.builder.graph import Graph

_MOST = 6  # layers that are named


def note_rounding(graph: Graph, build: Build) -> Graph:
    """Add a note that names the layers whose chosen rows sum products of transformed inputs."""
    labels = [group.head.name for group in graph.computing_groups() if is_winograd(group.choice)]
    if labels:
        named = ", ".join(labels[:_MOST]) + (f" and {len(labels) - _MOST} more" if len(labels) > _MOST else "")
        graph.notes.append(
            f"computed by Winograd's algorithm, with rounding errors up to about 10 times those of sums: {named}; "
            "BuilderFlag.DISABLE_WINOGRAD forbids it"
        )
    return graph
