"""Layers whose inputs are all constants are computed now, on the CPU, and become constants."""

from __future__ import annotations

from dovetail.core.negotiation import Machine
from dovetail.core.types import DeviceType, TensorFormat
from dovetail.machine.builder.candidates import find_on
from dovetail.machine.builder.graph import Graph, GraphLayer
from dovetail.machine.builder.run_layer import run_candidate
from dovetail.machine.config import IBuilderConfig


def fold_constants(graph: Graph, config: IBuilderConfig, machine: Machine, keep: str = "") -> Graph:
    """Fold what can be folded. Layers of role `keep` stay, so that a later pass still sees them."""
    remaining: list[GraphLayer] = []
    for layer in graph.layers:
        if (layer.spec.role == keep and keep) or not _is_constant(layer) or not _fold(graph, layer, config, machine):
            remaining.append(layer)
    graph.layers = remaining
    graph.drop_dead_layers()
    return graph


def _is_constant(layer: GraphLayer) -> bool:
    known = all(tensor is None or tensor.is_constant for tensor in layer.inputs)
    fixed = all(dim >= 0 for tensor in layer.outputs for dim in tensor.static_dims)
    return known and fixed


def _fold(graph: Graph, layer: GraphLayer, config: IBuilderConfig, machine: Machine) -> bool:
    """Compute with the first candidate that takes row-major tensors; False if there is none."""
    find_on(DeviceType.CPU, graph, layer, config, machine)
    for candidate in layer.candidates:
        if any(format_ not in (None, TensorFormat.LINEAR) for format_ in candidate.formats):
            continue
        arrays = [None if tensor is None else tensor.constant for tensor in layer.inputs]
        results, _ = run_candidate(layer, candidate, arrays)
        for tensor, array in zip(layer.outputs, results, strict=True):
            tensor.constant = array
            tensor.producer = None
        return True
    return False
