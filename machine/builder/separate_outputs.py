"""Outputs that no layer can write where they have to be get a copying layer of their own.

An input or a constant that is marked as output; and an output whose extents its own layer tells, for its memory is
asked for when they are known.
"""

from __future__ import annotations

from dovetail.core.types import DeviceType, TensorFormat
from dovetail.machine.builder.graph import Graph, GraphLayer, GraphTensor, late_leaves


def separate_outputs(graph: Graph) -> Graph:
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
        layer = new_layer(graph, "identity", f"copy of {tensor.name}", [tensor], [copy], tensor.allowed_device)
        layer.inserted_for = "an output that no layer computes"
        if producer is not None:
            tensor.name = f"{tensor.name}_untold"
            tensor.allowed_formats = 1 << int(TensorFormat.LINEAR)
            layer.inserted_for = "an output whose size is told by its own layer"
        graph.layers.append(layer)
        graph.outputs[index] = copy
    return graph


def new_layer(
    graph: Graph,
    role: str,
    name: str,
    inputs: list[GraphTensor | None],
    outputs: list[GraphTensor],
    device: DeviceType,
) -> GraphLayer:
    """A layer of the builder's own, of the op that plays `role`, to run on `device`."""
    spec = graph.lookup.with_role(role)
    values = spec.defaults()
    layer = GraphLayer(name, spec, values, spec.make(name, values), inputs, outputs, device=device)
    for tensor in outputs:
        tensor.producer = layer
    return layer
