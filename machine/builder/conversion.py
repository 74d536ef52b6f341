"""A layer that converts one tensor of the graph into another type."""

from __future__ import annotations

from dovetail.core.types import DeviceType
from dovetail.machine.builder.graph import Graph, GraphLayer, GraphTensor


def conversion(
    graph: Graph, source: GraphTensor, target: GraphTensor, name: str, device: DeviceType, why: str
) -> GraphLayer:
    """A layer called `name` that makes `target` of `source`, the op being the one with the role "identity".

    A target whose contents are known keeps them, and the layer is dropped with the others that nothing needs.
    """
    spec = graph.lookup.with_role("identity")
    values = {**spec.defaults(), "to": int(target.dtype)}
    made = GraphLayer(name, spec, values, spec.make(name, values), [source], [target], device=device)
    made.inserted_for = why
    if not target.is_constant:
        target.producer = made
    return made
