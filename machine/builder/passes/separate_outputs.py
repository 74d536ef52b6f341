"""Inserts a copy for each output that its producer cannot write in place.

An input or a constant that is marked as output; an output of a block that its layers do not compute, or that it has
twice; and an output whose extents its own layer tells, for its memory is asked for when they are known.
"""

from __future__ import annotations

from dovetail.core.types import TensorFormat
from dovetail.machine.builder.build import Build
from dovetail.machine.builder.graph import Block, Graph, GraphTensor, late_leaves
from dovetail.machine.builder.own_layers import layer_of_role


def separate_outputs(graph: Graph, build: Build) -> Graph:
    """Insert an identity, looked up by role, for these outputs."""
    for block in graph.each_block():
        _separate(graph, block)
    return graph


def _separate(graph: Graph, block: Block) -> None:
    own = {id(layer) for layer in block.layers}
    for index, tensor in enumerate(block.outputs):
        is_again = any(tensor is other for other in block.outputs[:index]) and block is not graph
        producer = tensor.producer
        writers = (graph.sizes[leaf][0] for leaf in late_leaves(tensor.dims) if leaf in graph.sizes)
        is_own = producer is not None and (block is graph or id(producer) in own) and not is_again
        if is_own and not any(writer is producer for writer in writers):
            continue
        copy = GraphTensor(tensor.name, tensor.dims, tensor.dtype, tensor.ranges)
        copy.allowed_formats, copy.allowed_device = tensor.allowed_formats, tensor.allowed_device
        if not is_own and not tensor.is_constant:
            copy.name = f"{tensor.name}_output"
        layer = layer_of_role(
            graph.lookup, "identity", f"copy of {tensor.name}", [tensor], [copy], tensor.allowed_device
        )
        layer.inserted_for = "an output that no layer computes"
        if is_own:
            tensor.name = f"{tensor.name}_at_capacity"
            tensor.allowed_formats = 1 << int(TensorFormat.LINEAR)
            layer.inserted_for = "an output with data-dependent extents of its own layer"
        block.layers.append(layer)
        block.outputs[index] = copy
