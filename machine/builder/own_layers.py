"""Layers that the builder adds, with ops that it looks up by role."""

from __future__ import annotations

from typing import Any

from dovetail.core.contract import Lookup, OpSpec
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
    """A layer of the op with this `role`, to run on `device`; it becomes the producer of its outputs."""
    spec = lookup.with_role(role)
    return _layer(spec, name, inputs, outputs, device, {**spec.defaults(), **fields})


def _layer(
    spec: OpSpec,
    name: str,
    inputs: list[GraphTensor | None],
    outputs: list[GraphTensor],
    device: DeviceType,
    values: dict[str, Any],
) -> GraphLayer:
    layer = GraphLayer(name, spec, values, spec.make(name, values), inputs, outputs, device=device)
    for tensor in outputs:
        tensor.producer = layer
    return layer


def reformat(lookup: Lookup, source: GraphTensor, target: GraphTensor, name: str, device: DeviceType) -> GraphLayer:
    """A layer called `name` that converts a tensor to the place of `target`.

    One that keeps the type says nothing of types, as plans and timing caches had it before there were others.
    """
    type_ = target.place.dtype
    values = {} if type_ == source.place.dtype else {"to": int(type_)}
    return _layer(lookup.with_role("reformat"), name, [source], [target], device, values)


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
