"""Layers that only move elements cost nothing where their inputs and outputs can lie in the same memory."""

from __future__ import annotations

import math

from dovetail.core.contract import Moved, SymbolicTensor
from dovetail.core.tensor import DynamicTensorDesc
from dovetail.core.types import DeviceType
from dovetail.machine.builder.arena import ALIGNMENT, CUDA_ALIGNMENT
from dovetail.machine.builder.build import Build
from dovetail.machine.builder.graph import Block, Graph, GraphTensor, LayerGroup, late_leaves

_ALIGNMENTS = {DeviceType.CPU: ALIGNMENT, DeviceType.GPU: CUDA_ALIGNMENT}


def share_memory(graph: Graph, build: Build) -> Graph:
    """Drop the steps of layers that only move elements, as their spec says with `moves`, where memory can be shared.

    A reshape, and a part along the outermost axis, are views of their input. Where the output has to be somewhere else,
    as an output of the network has, the input is written there. So are the inputs of a concatenation along the
    outermost axis: each lies in the output from the first. Layers that are pinned stay, and with allow_fusion = False
    all do.
    """
    if build.config.allow_fusion:
        for block in graph.each_block():
            _Sharing(block, graph, build).run()
    return graph


class _Sharing:
    """Shares memory among the tensors that kernels of one block write, and the network's inputs."""

    def __init__(self, block: Block, graph: Graph, build: Build) -> None:
        self._block, self._graph, self._build = block, graph, build
        written = [tensor for group in block.groups if not group.blocks for tensor in group.outputs]
        passed = {tensor for other in graph.each_block() for tensor in (*other.inputs, *other.outputs)}
        self._own = {tensor for tensor in written if tensor not in passed}  # may lie in others
        self._inputs = set(graph.inputs) if block is graph else set()
        self._outputs = set(written) & set(graph.outputs) if block is graph else set()

    def run(self) -> None:
        kept: list[LayerGroup] = []
        for group in self._block.groups:
            moved = self._moved(group)
            is_shared = moved is not None and (
                self._join(group, moved.axis)
                if moved.axis is not None and moved.start is None
                else self._view(group, moved)
            )
            if is_shared:
                self._graph.notes.append(f"{group.label} is not a step: it only moves elements, and shares memory")
            else:
                kept.append(group)
        if len(kept) < len(self._block.groups):
            self._block.set_groups(kept)

    def _moved(self, group: LayerGroup) -> Moved | None:
        """How the group moves elements, if it does nothing else and none of its tensors is in another place."""
        layer = group.head
        if layer.spec.moves is None or group.tail or group.blocks or len(layer.outputs) != 1:
            return None
        if self._build.config.pinned_implementation(layer.name) is not None:
            return None
        output = layer.outputs[0]
        tensors = [output, *(t for t in layer.inputs if t is not None and not t.is_constant)]
        if any(t.place != output.place or t.scale != output.scale or t.dtype != output.dtype for t in tensors):
            return None
        if len(tensors) == 1 or any(late_leaves(t.dims) for t in tensors):
            return None
        given = [None if t is None else SymbolicTensor(t.dims, t.dtype, t.name, t.constant) for t in layer.inputs]
        return layer.spec.moves(layer.values, SymbolicTensor(output.dims, output.dtype, output.name), *given)

    def _view(self, group: LayerGroup, moved: Moved) -> bool:
        """Let the output lie in the input, or the input in the output."""
        source, output = group.head.inputs[0], group.outputs[0]
        assert source is not None
        if moved.axis is None and not source.dims.volume.same(output.dims.volume):
            return False
        at = 0 if moved.axis is None else _offset(source, output, moved.axis, moved.start or 0)
        if moved.axis is None and output.format.kind != 0 and not source.dims.same(output.dims):
            return False  # vectors of other channels
        if at is None or source.is_constant:
            return False
        if output in self._own and source.home in self._own | self._inputs | self._outputs:
            output.lies_in = source, at
            return True
        is_free = source in self._own and source.lies_in is None
        if moved.axis is None and output in self._outputs and is_free:
            self._put(source, output, 0)
            return True
        return False

    def _join(self, group: LayerGroup, axis: int) -> bool:
        """Let the inputs lie in the output, if each can."""
        output = group.outputs[0]
        if output not in self._own | self._outputs:
            return False
        inputs = [tensor for tensor in group.head.inputs if tensor is not None]
        found: list[tuple[GraphTensor, int]] = []
        start = 0
        while inputs:
            whole, n = _whole_of(inputs)
            at = _offset(output, inputs[0], axis, start)
            if at is None or whole not in self._own or whole.lies_in is not None or whole in (one for one, _ in found):
                return False
            found.append((whole, at))
            start += sum(tensor.static_dims[axis] for tensor in inputs[:n])
            inputs = inputs[n:]
        if any(_offset(output, tensor, axis, 0) is None for tensor in group.head.inputs if tensor is not None):
            return False
        for whole, at in found:
            self._put(whole, output, at)
        return True

    def _put(self, tensor: GraphTensor, into: GraphTensor, at: int) -> None:
        tensor.lies_in = into, at
        into.parts.append(tensor)


def _whole_of(tensors: list[GraphTensor]) -> tuple[GraphTensor, int]:
    """(tensor, how many of the first ones lie in it and are together all of it, in order); else the first one."""
    (whole, start), end = tensors[0].position, 0
    if start == 0:
        for n, tensor in enumerate(tensors, 1):
            if tensor.position != (whole, end):
                break
            end += _bytes(tensor)
            if end == _bytes(whole):
                return whole, n
    return tensors[0], 1


def _bytes(tensor: GraphTensor) -> int:
    return tensor.desc(0).with_dims(tensor.ranges[0][2]).allocated_size


def _offset(whole: GraphTensor, part: GraphTensor, axis: int, start: int) -> int | None:
    """At which byte of a tensor a part begins that begins at `start` of an axis.

    None if the part does not lie in one piece, or where tensors must not begin.
    """
    dims, own = whole.static_dims, part.static_dims
    if -1 in dims or -1 in own or len(dims) != len(own) or math.prod(dims[:axis]) != 1 or math.prod(own[:axis]) != 1:
        return None
    if dims[axis + 1 :] != own[axis + 1 :]:
        return None
    channels = whole.format.channel_axis(len(dims))
    if channels is not None:
        lanes, is_blocked = whole.format.lanes, channels == axis and whole.format.kind == 1
        if not is_blocked or start % lanes or own[axis] % lanes or dims[axis] % lanes:
            return None
    rest = DynamicTensorDesc((start, *dims[axis + 1 :]), whole.place.dtype)
    at = rest.allocated_size
    return at if at % _ALIGNMENTS[whole.device] == 0 else None
