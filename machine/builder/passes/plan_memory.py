"""Assigns memory to every intermediate tensor and workspace, for each profile."""

from __future__ import annotations

from dovetail.core.types import DeviceType
from dovetail.machine.builder.arena import ALIGNMENT, CUDA_ALIGNMENT, Buffer, plan_arena
from dovetail.machine.builder.build import Build
from dovetail.machine.builder.control import LOOP, aliases
from dovetail.machine.builder.graph import Block, Graph, GraphTensor, MemoryPlan

_ALIGNMENTS = {DeviceType.CPU: ALIGNMENT, DeviceType.GPU: CUDA_ALIGNMENT}


def plan_memory(graph: Graph, build: Build) -> Graph:
    """One arena for each profile and device; tensors share bytes where they do not live at once.

    A kernel that works in place writes over an input that nothing else needs. A tensor lives as long as those that lie
    in its memory. What is taken in a block lives until the step that owns it ends, as do the step's outputs and what a
    loop carries: that has two memories, since an iteration writes one while it reads the other. Two branches share
    memory.
    """
    graph.memory = [_plan_profile(graph, profile) for profile in range(graph.n_profiles)]
    return graph


def max_bytes(tensor: GraphTensor, profile: int) -> int:
    """Bytes of a tensor at the profile's largest extents, padded as its format wants."""
    return tensor.desc(profile).with_dims(tensor.ranges[profile][2]).allocated_size


def _plan_profile(graph: Graph, profile: int) -> MemoryPlan:
    outside = {*graph.inputs, *graph.outputs, *aliases(graph)}
    lives = {t: life for t, life in _Lives(graph).found.items() if not t.is_constant and t not in outside}
    over = _written_over(graph, lives, profile)
    groups = list(graph.all_groups())
    sizes = [group.workspace_bytes[profile] for group in groups]
    buffers: dict[DeviceType, list[Buffer]] = {device: [] for device in _ALIGNMENTS}
    for tensor, (first, last) in lives.items():
        if tensor not in over:
            buffers[tensor.device].append(Buffer(id(tensor), max_bytes(tensor, profile), first, last))
    for step, group in enumerate(groups):
        if sizes[step]:
            buffers[group.choice.device].append(Buffer(("workspace", step), sizes[step], step, step))
    arenas = {device: plan_arena(buffers[device], alignment) for device, alignment in _ALIGNMENTS.items()}
    offsets = {key: offset for arena in arenas.values() for key, offset in arena.offsets.items()}
    return MemoryPlan(
        arenas,
        {id(tensor): offsets[id(over.get(tensor, tensor))] for tensor in lives},
        [offsets.get(("workspace", step), -1) for step in range(len(sizes))],
        sizes,
    )


def _written_over(
    graph: Graph, lives: dict[GraphTensor, tuple[int, int]], profile: int
) -> dict[GraphTensor, GraphTensor]:
    """Outputs of kernels that work in place, each with the tensor whose memory it takes over.

    That one is the first input, or what it has taken over, if the step is the last that needs it. Its life is prolonged
    in `lives`.
    """
    over: dict[GraphTensor, GraphTensor] = {}
    blocks = {tensor: block for block in graph.each_block() for group in block.groups for tensor in group.outputs}
    until = dict(lives)
    for step, group in enumerate(graph.all_groups()):
        if group.blocks or not group.is_in_place:
            continue
        source, output = group.head.inputs[0], group.outputs[0]
        if source not in until or output not in until or blocks.get(source) is not blocks[output]:
            continue
        is_free = until[source][1] == step == until[output][0]
        others = [tensor.home for tensor in group.inputs if tensor is not None]
        if is_free and others.count(source) == 1 and max_bytes(source, profile) == max_bytes(output, profile):
            over[output] = over.get(source, source)
            lives[over[output]] = lives[over[output]][0], until[output][1]
    return over


class _Lives:
    """(first step, last step) of each tensor, by the numbers that steps have in the plan."""

    def __init__(self, graph: Graph) -> None:
        self.found: dict[GraphTensor, tuple[int, int]] = {}
        self._n_steps = 0
        self._walk(graph)

    def _use(self, tensor: GraphTensor, step: int) -> None:
        tensor = tensor.home
        first, last = self.found.get(tensor, (step, step))
        self.found[tensor] = first, max(last, step)

    def _walk(self, block: Block) -> dict[GraphTensor, None]:
        """Find when the tensors of a block live; returns all that its steps take or leave."""
        used: dict[GraphTensor, None] = {}
        for group in block.groups:
            step = self._n_steps
            self._n_steps += 1
            here = dict.fromkeys(tensor for tensor in group.tensors if tensor is not None)
            for tensor in here:
                self._use(tensor, step)
            until_end = [*group.outputs] if group.blocks else []
            for own in group.blocks:
                carried = [*own.inputs, *own.outputs] if group.head.spec is LOOP else []
                for tensor in carried:
                    self._use(tensor, step)
                local = {*own.inputs, *(tensor for inner in own.groups for tensor in inner.outputs)}
                taken = [tensor for tensor in self._walk(own) if tensor not in local]
                until_end += [*carried, *taken]
                here |= dict.fromkeys(taken)
            for tensor in until_end:
                self._use(tensor, self._n_steps - 1)
            used |= here
        return used
