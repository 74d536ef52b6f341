"""Outputs that no layer can write where they have to be get a copying layer of their own.

An input or a constant that is marked as output; and an output whose extents its own layer tells, for its memory is
asked for when they are known.
"""

from __future__ import annotations

from dovetail.core.types import TensorFormat
from dovetail.machine.builder.build import Build
from dovetail.machine.builder.graph import Graph, GraphTensor, late_leaves
from dovetail.machine.builder.own_layers import layer_of_role


def separate_outputs(graph: Graph, build: Build) -> Graph:
    """Insert an identity, asked for by role, where an output is an input, a constant or told too late."""
    for index, tensor in enumerate(graph.outputs):
        producer = tensor.producer
        told = (graph.sizes[leaf][0] for leaf in late_leaves(tensor.dims) if leaf in graph.sizes)
        if producer is not None and not any(teller is producer for teller in told):
            continue
        copy = GraphTensor(tensor.name, tensor.dims, tensor.dtype, tensor.ranges)
        copy.allowed_formats, copy.allowed_device = tensor.allowed_formats, tensor.allowed_device
        if producer is None and not tensor.is_constant:
            copy.name = f"{tensor.name}_output"
        layer = layer_of_role(
            graph.lookup, "identity", f"copy of {tensor.name}", [tensor], [copy], tensor.allowed_device
        )
        layer.inserted_for = "an output that no layer computes"
        if producer is not None:
            tensor.name = f"{tensor.name}_untold"
            tensor.allowed_formats = 1 << int(TensorFormat.LINEAR)
            layer.inserted_for = "an output whose size is told by its own layer"
        graph.layers.append(layer)
        graph.outputs[index] = copy
    return graph
