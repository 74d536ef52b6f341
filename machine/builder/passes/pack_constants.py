"""Packs weights for the chosen kernels."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from dovetail import _native
from dovetail.machine.builder.build import Build
from dovetail.machine.builder.graph import Graph
from dovetail.machine.builder.run_group import prepare


def pack_constants(graph: Graph, build: Build) -> Graph:
    """Let every chosen candidate pack its constants and return its workspace size."""
    groups = list(graph.all_groups())
    for group in groups:
        if group.blocks:
            group.workspace_bytes = [0] * graph.n_profiles
    computing, n_threads = [group for group in groups if not group.blocks], build.config.num_threads
    with ThreadPoolExecutor(n_threads or _native.default_threads()) as pool:  # each group has an object of its own
        made = pool.map(lambda group: prepare(group, group.choice, n_threads), computing)
        for group, (packed, workspace_bytes) in zip(computing, made, strict=True):
            group.packed, group.workspace_bytes = packed, workspace_bytes
    _native.trim_memory()  # what kernels packed into before they emitted it
    return graph
