"""Where every intermediate tensor and workspace lies, for each profile."""

from __future__ import annotations

from dataclasses import dataclass

from dovetail.machine.builder.arena import Arena, Buffer, plan_arena
from dovetail.machine.builder.graph import Graph, GraphTensor
from dovetail.machine.builder.run_layer import prepare


@dataclass(frozen=True)
class MemoryPlan:
    """Arena of one profile. Offsets in bytes; -1 for what does not lie in the arena."""

    arena_bytes: int
    lower_bound: int
    offsets: dict[int, int]  # id of tensor -> offset
    workspace_offsets: list[int]  # for each step
    workspace_bytes: list[int]


def pack_constants(graph: Graph, n_threads: int) -> Graph:
    """Let every chosen candidate pack its constants and say what scratch it needs."""
    for layer in graph.layers:
        assert layer.chosen is not None
        layer.packed, layer.workspace_bytes = prepare(layer, layer.chosen, n_threads)
    return graph


def plan_memory(graph: Graph) -> list[MemoryPlan]:
    """One arena for each profile; tensors share bytes where they do not live at once."""
    return [_plan_profile(graph, profile) for profile in range(graph.n_profiles)]


def max_bytes(tensor: GraphTensor, profile: int) -> int:
    """Bytes of a tensor at the profile's largest extents, padded as its format wants."""
    return tensor.desc(profile).with_dims(tensor.ranges[profile][2]).allocated_size


def _plan_profile(graph: Graph, profile: int) -> MemoryPlan:
    outside = {id(t) for t in [*graph.inputs, *graph.outputs]}
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    tensors: dict[int, GraphTensor] = {}
    for step, layer in enumerate(graph.layers):
        for tensor in layer.tensors:
            if tensor is None or tensor.is_constant or id(tensor) in outside:
                continue
            tensors[id(tensor)] = tensor
            first.setdefault(id(tensor), step)
            last[id(tensor)] = step
    buffers = [Buffer(key, max_bytes(tensors[key], profile), first[key], last[key]) for key in tensors]
    sizes = [layer.workspace_bytes[profile] for layer in graph.layers]
    buffers += [Buffer(("workspace", i), size, i, i) for i, size in enumerate(sizes) if size]
    arena: Arena = plan_arena(buffers)
    return MemoryPlan(
        arena.size,
        arena.lower_bound,
        {key: arena.offsets[key] for key in tensors},
        [arena.offsets.get(("workspace", i), -1) for i in range(len(sizes))],
        sizes,
    )
