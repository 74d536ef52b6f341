"""Layers that the builder adds: ops that it asks for by the role they play."""

from __future__ import annotations

from dovetail.core.contract import Lookup
from dovetail.core.types import DeviceType
from dovetail.machine.builder.graph import GraphLayer, GraphTensor


def layer_of_role(
    lookup: Lookup,
    role: str,
    name: str,
    inputs: list[GraphTensor | None],
    outputs: list[GraphTensor],
    device: DeviceType,
    **fields: int,
) -> GraphLayer:
    """A layer of the op that plays `role`, to run on `device`; its outputs are made by it."""
    spec = lookup.with_role(role)
    values = {**spec.defaults(), **fields}
    layer = GraphLayer(name, spec, values, spec.make(name, values), inputs, outputs, device=device)
    for tensor in outputs:
        tensor.producer = layer
    return layer


def conversion(
    lookup: Lookup, source: GraphTensor, target: GraphTensor, name: str, device: DeviceType, why: str
) -> GraphLayer:
    """A layer called `name` that makes `target`, of another type, of `source`.

    A target whose contents are known keeps them, and the layer is dropped with the others that nothing needs.
    """
    layer = layer_of_role(lookup, "identity", name, [source], [target], device, to=int(target.dtype))
    layer.inserted_for = why
    if target.is_constant:
        target.producer = None
    return layer
