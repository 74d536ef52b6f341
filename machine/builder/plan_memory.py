"""Where every intermediate tensor and workspace lies, for each profile."""

from __future__ import annotations

from dataclasses import dataclass

from dovetail.core.types import DeviceType
from dovetail.machine.builder.arena import ALIGNMENT, CUDA_ALIGNMENT, Arena, Buffer, plan_arena
from dovetail.machine.builder.graph import Graph, GraphTensor
from dovetail.machine.builder.run_layer import prepare

_ALIGNMENTS = {DeviceType.CPU: ALIGNMENT, DeviceType.GPU: CUDA_ALIGNMENT}


@dataclass(frozen=True)
class MemoryPlan:
    """Arenas of one profile. Offsets in bytes, each in the arena of its device; -1 for what lies in none."""

    arenas: dict[DeviceType, Arena]
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
    """One arena for each profile and device; tensors share bytes where they do not live at once."""
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
    sizes = [layer.workspace_bytes[profile] for layer in graph.layers]
    buffers: dict[DeviceType, list[Buffer]] = {device: [] for device in _ALIGNMENTS}
    for key, tensor in tensors.items():
        buffers[tensor.device].append(Buffer(key, max_bytes(tensor, profile), first[key], last[key]))
    for step, layer in enumerate(graph.layers):
        if sizes[step]:
            buffers[layer.chosen.device].append(Buffer(("workspace", step), sizes[step], step, step))  # type: ignore[union-attr]
    arenas = {device: plan_arena(buffers[device], alignment) for device, alignment in _ALIGNMENTS.items()}
    offsets = {key: offset for arena in arenas.values() for key, offset in arena.offsets.items()}
    return MemoryPlan(
        arenas,
        {key: offsets[key] for key in tensors},
        [offsets.get(("workspace", step), -1) for step in range(len(sizes))],
        sizes,
    )
