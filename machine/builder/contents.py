"""Contents of tensors while kernels run alone, where samples will not do: results of the layers before."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dovetail.machine.builder.graph import Candidate, Graph, GraphLayer, GraphTensor, LayerGroup
from dovetail.machine.builder.run_group import run_candidate
from dovetail.machine.builder.samples import Arrays, samples


def computed(graph: Graph, group: LayerGroup, n_threads: int) -> Arrays:
    """The inputs of `group`, computed from samples by the layers before it, each with its fastest candidate.

    For layers whose work depends on contents, such as a suppression of overlapping boxes. Raises errors of candidates.
    """
    found = {
        layer: one.candidates
        for other in graph.computing_groups()
        for layer, one in zip(other.layers, [other.found, *other.found_alone], strict=True)
    }
    order = _behind(graph, group.inputs)
    last = {tensor: layer for layer in order for tensor in layer.inputs if tensor is not None}
    kept = {tensor for tensor in group.inputs if tensor is not None}
    known: dict[GraphTensor, np.ndarray | None] = {}
    for layer in order:
        arrays = _of(layer.inputs, known)
        results, _ = run_candidate(LayerGroup(layer), _fastest(found[layer]), arrays, n_threads)
        known.update(zip(layer.outputs, results, strict=True))
        for tensor in layer.inputs:
            if tensor is not None and last[tensor] is layer and tensor not in kept:
                known.pop(tensor, None)
    return _of(group.inputs, known)


def _of(tensors: Sequence[GraphTensor | None], known: dict[GraphTensor, np.ndarray | None]) -> Arrays:
    return [known[tensor] if tensor in known else samples([tensor])[0] for tensor in tensors]  # type: ignore[index]


def _behind(graph: Graph, tensors: Sequence[GraphTensor | None]) -> list[GraphLayer]:
    """The layers that these tensors follow from, in order, but for those that run blocks and what is before them."""
    layers = [layer for layer in graph.all_layers() if not layer.blocks]
    makers = {tensor: layer for layer in layers for tensor in layer.outputs}
    wanted: set[GraphLayer] = set()
    stack = list(tensors)
    while stack:
        layer = makers.get(stack.pop())  # type: ignore[arg-type]
        if layer is not None and layer not in wanted:
            wanted.add(layer)
            stack += layer.inputs
    return [layer for layer in layers if layer in wanted]


def _fastest(candidates: Sequence[Candidate]) -> Candidate:
    """Of those that compute the layer alone."""
    alone = [candidate for candidate in candidates if not candidate.n_absorbed] or list(candidates)
    return min(alone, key=lambda candidate: candidate.time_ns)
