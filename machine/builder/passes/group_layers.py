"""Forms layer groups: a layer, and the pointwise layers after it that a kernel may absorb."""

from __future__ import annotations

from dovetail.core.epilogue import Given, NotAbsorbed, Program, Taken, extended
from dovetail.core.types import FLOATS
from dovetail.machine.builder.build import Build
from dovetail.machine.builder.graph import Block, Graph, GraphLayer, GraphTensor, LayerGroup


def group_layers(graph: Graph, build: Build) -> Graph:
    """Put every layer into a group: a layer whose kernels may absorb, with the pointwise layers that use its result.

    A result is passed on inside a group if exactly one layer uses it and it is not an output. Results of other layers
    may be operands. The group takes the position of its last layer, so that its operands have been computed. If the
    results of two layers are combined, the later of the two absorbs the combination.
    """
    takers = _takers(graph)
    for block in graph.each_block():
        _group(block, graph, build, takers)
    return graph


def _group(
    block: Block, graph: Graph, build: Build, takers: dict[GraphTensor, list[tuple[Block, GraphLayer | None]]]
) -> None:
    place = {layer: index for index, layer in enumerate(block.layers)}
    owner: dict[GraphLayer, LayerGroup] = {}
    computing = [layer for layer in reversed(block.layers) if layer.spec.scalar is None]
    pointwise = [layer for layer in block.layers if layer.spec.scalar is not None]
    for head in (*computing, *pointwise):
        if head not in owner:
            group = LayerGroup(head)
            if _may_be_extended(head, build):
                _extend(group, block, graph, build, takers, owner)
            owner.update(dict.fromkeys(group.layers, group))
    groups = dict.fromkeys(owner.values())
    block.set_groups(sorted(groups, key=lambda group: place[group.layers[-1]]))


def _takers(graph: Graph) -> dict[GraphTensor, list[tuple[Block, GraphLayer | None]]]:
    """The layers that take each tensor and their blocks, once for each input; None for an output of the block."""
    found: dict[GraphTensor, list[tuple[Block, GraphLayer | None]]] = {}
    for block in graph.each_block():
        for layer in block.layers:
            for tensor in layer.inputs:
                if tensor is not None:
                    found.setdefault(tensor, []).append((block, layer))
        for tensor in block.outputs:
            found.setdefault(tensor, []).append((block, None))
    return found


def _may_be_extended(layer: GraphLayer, build: Build) -> bool:
    """True if it has one float result, and an implementation on its device with a row that absorbs."""
    if not build.config.allow_fusion or len(layer.outputs) != 1 or layer.outputs[0].dtype not in FLOATS:
        return False
    offered = build.candidates.implementations_of(layer)
    return any(row.absorbs for one in offered if one.device == layer.device for row in one.rows)


def _extend(
    group: LayerGroup,
    block: Block,
    graph: Graph,
    build: Build,
    takers: dict[GraphTensor, list[tuple[Block, GraphLayer | None]]],
    owner: dict[GraphLayer, LayerGroup],
) -> None:
    """Append layers to the group while they can be part of its program; note which one could not, and why."""
    while True:
        made = group.outputs[0]
        taking = takers.get(made, [])
        where, layer = taking[0] if taking else (block, None)
        if layer is None or layer.spec.scalar is None or layer in owner or where is not block:
            return
        try:
            program, taken = _with(group, layer, made, len(taking), build)
        except NotAbsorbed as error:
            graph.not_fused.append(f"{layer.name} is not fused into {group.name}: it {error}")
            return
        group.tail.append(layer)
        group.program = program
        group.taken.append(taken)


def _with(
    group: LayerGroup, layer: GraphLayer, made: GraphTensor, n_takers: int, build: Build
) -> tuple[Program, list[Taken]]:
    """The program of the group with one more layer. Raises NotAbsorbed."""
    result = group.head.outputs[0]
    if n_takers > 1:
        raise NotAbsorbed(f"is not all that takes {made.name}")
    if len(layer.outputs) != 1:
        raise NotAbsorbed(f"has {len(layer.outputs)} outputs")
    output = layer.outputs[0]
    if len(output.dims) != len(result.dims) or not all(
        a.same(b) for a, b in zip(output.dims, result.dims, strict=True)
    ):
        raise NotAbsorbed(f"gives {output.dims} out of {result.dims}")
    if layer.device != group.head.device:
        raise NotAbsorbed(f"is to run on the {layer.device.name}")
    pin = build.config.pinned_implementation(layer.name)
    if pin is not None:
        raise NotAbsorbed(f"is pinned to {pin}")
    if any(tensor is not None and tensor.scale >= 0 for tensor in (*layer.tensors, result)):
        raise NotAbsorbed("computes on INT8 with a scale")
    inputs = [None if t is None else Given(t.dims, t.dtype, t.constant) for t in layer.inputs]
    program = group.program or Program(result.dtype)
    return extended(program, layer.spec, layer.values, inputs, layer.inputs.index(made), result.dims, output.dtype)
