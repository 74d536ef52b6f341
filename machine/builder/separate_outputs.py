"""Outputs that no layer computes (an input or a constant marked as output) get a copying layer of their own."""

from __future__ import annotations

from dovetail.core.types import DeviceType
from dovetail.machine.builder.graph import Graph, GraphLayer, GraphTensor


def separate_outputs(graph: Graph) -> Graph:
    """Insert an identity, asked for by role, where an output is an input or a constant."""
    for index, tensor in enumerate(graph.outputs):
        if tensor.producer is not None:
            continue
        copy = GraphTensor(tensor.name, tensor.dims, tensor.dtype, tensor.ranges)
        copy.allowed_formats, copy.allowed_device = tensor.allowed_formats, tensor.allowed_device
        if any(tensor is other for other in graph.inputs):
            copy.name = f"{tensor.name}_output"
        layer = new_layer(graph, "identity", f"copy of {tensor.name}", [tensor], [copy], tensor.allowed_device)
        layer.inserted_for = "an output that no layer computes"
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
