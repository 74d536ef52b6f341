"""Packs weights for the chosen kernels."""

from __future__ import annotations

from dovetail.machine.builder.build import Build
from dovetail.machine.builder.graph import Graph
from dovetail.machine.builder.run_group import prepare


def pack_constants(graph: Graph, build: Build) -> Graph:
    """Let every chosen candidate pack its constants and return its workspace size."""
    for group in graph.all_groups():
        if group.blocks:
            group.workspace_bytes = [0] * graph.n_profiles
            continue
        group.packed, group.workspace_bytes = prepare(group, group.choice, build.config.num_threads)
    return graph
