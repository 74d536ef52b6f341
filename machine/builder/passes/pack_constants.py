"""Packs weights for the chosen kernels."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from dovetail import _native
from dovetail.machine.builder.build import Build
from dovetail.machine.builder.graph import Graph, LayerGroup, PackedLater
from dovetail.machine.builder.run_group import prepare


def pack_constants(graph: Graph, build: Build) -> Graph:
    """Let every chosen candidate pack its constants and return its workspace size."""
    groups = list(graph.all_groups())
    for group in groups:
        if group.blocks:
            group.workspace_bytes = [0] * graph.n_profiles
    computing, n_threads = [group for group in groups if not group.blocks], build.config.num_threads

    def pack(group: LayerGroup) -> None:
        group.packed, group.workspace_bytes = prepare(group, group.choice, n_threads)
        if group.replaced and group.may_pack_at_load and group.is_enlarged:
            group.packed = PackedLater(len(group.packed), _native.checksum(group.packed))  # the bytes take memory

    with ThreadPoolExecutor(n_threads or _native.default_threads()) as pool:  # each group has an object of its own
        list(pool.map(pack, computing))
    _native.trim_memory()  # what kernels packed into before they emitted it
    return graph
