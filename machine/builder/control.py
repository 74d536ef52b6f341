"""Layers that own blocks: a conditional and a loop, which the executor runs by itself, without a kernel.

Tensors that pass between a block and its layer lie row by row on the device of the layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dovetail.core.contract import Implementation, OpSpec
from dovetail.core.negotiation import FormatRow, Place
from dovetail.core.types import DeviceType, TensorFormat
from dovetail.machine.builder.graph import Block, Candidate, Graph, GraphLayer, GraphTensor

CONDITIONAL = OpSpec("Conditional", doc="What the first of two blocks gives if a condition is not 0, else the second.")
LOOP = OpSpec("Loop", doc="What the last iteration of a block leaves, each of which takes what the one before left.")


def conditional(
    name: str,
    condition: GraphTensor,
    outputs: list[GraphTensor],
    branches: tuple[Block, Block],
    device: DeviceType = DeviceType.CPU,
) -> GraphLayer:
    """`outputs` are those of the first branch where the condition, one number, is not 0, else those of the second."""
    return _layer(name, CONDITIONAL, [condition], outputs, branches, device)


def loop(
    name: str,
    count: GraphTensor | int,
    initial: list[GraphTensor],
    outputs: list[GraphTensor],
    body: Block,
    device: DeviceType = DeviceType.CPU,
) -> GraphLayer:
    """`body` again and again: its inputs are `initial`, then what its outputs were; `outputs` are those in the end."""
    counted = None if isinstance(count, int) else count
    layer = _layer(name, LOOP, [counted, *initial], outputs, (body,), device)
    layer.iterations = count if isinstance(count, int) else None
    return layer


def _layer(
    name: str,
    spec: OpSpec,
    inputs: list[GraphTensor | None],
    outputs: list[GraphTensor],
    blocks: Sequence[Block],
    device: DeviceType,
) -> GraphLayer:
    no_object: Any = None
    layer = GraphLayer(name, spec, {}, no_object, inputs, outputs, device=device, blocks=list(blocks))
    for tensor in outputs:
        tensor.producer = layer
    for tensor in [tensor for block in blocks for tensor in [*block.inputs, *block.outputs]]:
        tensor.allowed_formats, tensor.allowed_device = 1 << int(TensorFormat.LINEAR), device
    return layer


def only_way(layer: GraphLayer) -> Candidate:
    """The candidate of a layer that owns blocks."""
    implementation = Implementation(layer.spec.id, "blocks", device=layer.device)
    places = [None if t is None else Place(t.dtype, TensorFormat.LINEAR, layer.device) for t in layer.tensors]
    return Candidate(FormatRow(implementation, 0, "", tuple(places)), None)


def aliases(graph: Graph) -> dict[GraphTensor, GraphTensor]:
    """Outputs of branches, each with the output of its layer whose memory it is."""
    return {
        own: output
        for layer in graph.all_layers()
        if layer.spec is CONDITIONAL
        for block in layer.blocks
        for own, output in zip(block.outputs, layer.outputs, strict=True)
    }
