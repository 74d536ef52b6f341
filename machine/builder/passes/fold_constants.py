"""Computes layers whose inputs are all constants, on the CPU and within a budget; their outputs become constants."""

from __future__ import annotations

import math

from dovetail.core.types import DeviceType, TensorFormat
from dovetail.machine.builder.build import Build
from dovetail.machine.builder.candidates import has_other_types
from dovetail.machine.builder.graph import Graph, GraphLayer, LayerGroup
from dovetail.machine.builder.origins import folded
from dovetail.machine.builder.run_group import run_candidate

_NOTES = 8  # layers that are not folded and named in the report; the others are counted


def fold_constants(graph: Graph, build: Build) -> Graph:
    """Fold everything that fits the budget, except dequantise layers, which the passes for quantised networks need."""
    return _fold_all(graph, build, keep=("dequantize", "affine dequantize"))


def fold_remaining_constants(graph: Graph, build: Build) -> Graph:
    """Fold everything that fits the rest of the budget."""
    return _fold_all(graph, build)


def _fold_all(graph: Graph, build: Build, keep: tuple[str, ...] = ()) -> Graph:
    """Fold all layers except those of the roles `keep`."""
    refused: list[str] = []
    for block in graph.each_block():
        remaining: list[GraphLayer] = []
        for layer in block.layers:
            is_kept = layer.spec.role in keep or bool(layer.blocks)
            if is_kept or not _is_constant(layer) or not _fold(layer, build, refused):
                remaining.append(layer)
        block.layers = remaining
    graph.notes += refused[:_NOTES]
    if len(refused) > _NOTES:
        graph.notes.append(f"{len(refused) - _NOTES} more layers are not folded: the budget for folding is used up")
    graph.drop_dead_layers()
    return graph


def _is_constant(layer: GraphLayer) -> bool:
    known = all(tensor is None or tensor.is_constant for tensor in layer.inputs)
    fixed = all(dim >= 0 for tensor in layer.outputs for dim in tensor.static_dims)
    return known and fixed


def _fold(layer: GraphLayer, build: Build, refused: list[str]) -> bool:
    """Compute with the first candidate that takes row-major tensors of the network's types; False if there is none, or
    no budget for it."""
    growth = _growth(layer)
    reason = build.folding.refusal(bytes=growth, layers=1)
    if reason:
        refused.append(f"{layer.label} is not folded into a constant: {reason}")
        return False
    for candidate in build.candidates.on(DeviceType.CPU, layer).candidates:
        is_linear = all(format_ in (None, TensorFormat.LINEAR) for format_ in candidate.formats)
        if not is_linear or has_other_types(layer, candidate):
            continue
        arrays = [None if tensor is None else tensor.constant for tensor in layer.inputs]
        try:
            results, _ = run_candidate(LayerGroup(layer), candidate, arrays)
        except MemoryError:
            refused.append(f"{layer.label} is not folded into a constant: there is no memory for its {growth} bytes")
            return False
        implementation = candidate.row.implementation
        inputs = [None if tensor is None else tensor.origin for tensor in layer.inputs]
        in_python = "python" in implementation.traits
        origin = folded(layer.name, layer.label, candidate.row.label, in_python, inputs)
        for tensor, array in zip(layer.outputs, results, strict=True):
            tensor.constant, tensor.origin = array, origin
            tensor.producer = None
        build.folding.count(bytes=growth, layers=1)
        return True
    return False


def _growth(layer: GraphLayer) -> int:
    """Bytes of the results beyond those of the constants that they are computed from."""
    given = {id(tensor): tensor.constant.nbytes for tensor in layer.inputs if tensor is not None}  # type: ignore[union-attr]
    made = sum(math.prod(tensor.static_dims) * tensor.dtype.itemsize for tensor in layer.outputs)
    return max(0, made - sum(given.values()))
