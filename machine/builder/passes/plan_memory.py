"""Where every intermediate tensor and workspace lies, for each profile."""

from __future__ import annotations

from dovetail.core.types import DeviceType
from dovetail.machine.builder.arena import ALIGNMENT, CUDA_ALIGNMENT, Buffer, plan_arena
from dovetail.machine.builder.build import Build
from dovetail.machine.builder.graph import Graph, GraphTensor, MemoryPlan

_ALIGNMENTS = {DeviceType.CPU: ALIGNMENT, DeviceType.GPU: CUDA_ALIGNMENT}


def plan_memory(graph: Graph, build: Build) -> Graph:
    """One arena for each profile and device; tensors share bytes where they do not live at once."""
    graph.memory = [_plan_profile(graph, profile) for profile in range(graph.n_profiles)]
    return graph


def max_bytes(tensor: GraphTensor, profile: int) -> int:
    """Bytes of a tensor at the profile's largest extents, padded as its format wants."""
    return tensor.desc(profile).with_dims(tensor.ranges[profile][2]).allocated_size


def _plan_profile(graph: Graph, profile: int) -> MemoryPlan:
    outside = {id(t) for t in [*graph.inputs, *graph.outputs]}
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    tensors: dict[int, GraphTensor] = {}
    for step, group in enumerate(graph.groups):
        for tensor in group.tensors:
            if tensor is None or tensor.is_constant or id(tensor) in outside:
                continue
            tensors[id(tensor)] = tensor
            first.setdefault(id(tensor), step)
            last[id(tensor)] = step
    sizes = [group.workspace_bytes[profile] for group in graph.groups]
    buffers: dict[DeviceType, list[Buffer]] = {device: [] for device in _ALIGNMENTS}
    for key, tensor in tensors.items():
        buffers[tensor.device].append(Buffer(key, max_bytes(tensor, profile), first[key], last[key]))
    for step, group in enumerate(graph.groups):
        if sizes[step]:
            buffers[group.choice.device].append(Buffer(("workspace", step), sizes[step], step, step))
    arenas = {device: plan_arena(buffers[device], alignment) for device, alignment in _ALIGNMENTS.items()}
    offsets = {key: offset for arena in arenas.values() for key, offset in arena.offsets.items()}
    return MemoryPlan(
        arenas,
        {key: offsets[key] for key in tensors},
        [offsets.get(("workspace", step), -1) for step in range(len(sizes))],
        sizes,
    )
