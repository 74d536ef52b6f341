"""What is chosen for together: a layer that computes, and the pointwise layers behind it that a kernel may absorb."""

from __future__ import annotations

from dovetail.machine.builder.build import Build
from dovetail.machine.builder.graph import Graph, LayerGroup


def group_layers(graph: Graph, build: Build) -> Graph:
    """Put every layer into a group of its own: no kernel absorbs what follows it."""
    graph.set_groups([LayerGroup(layer) for layer in graph.layers])
    return graph
