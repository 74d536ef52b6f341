"""Sets the scales of INT8 tensors, from the Quantize and Dequantize layers next to them, in plugins' descriptions.

A tensor with a dynamic range has its scale from the start.
"""

from __future__ import annotations

import numpy as np

from dovetail.core.types import DataType
from dovetail.machine.builder.build import Build
from dovetail.machine.builder.graph import Graph, GraphLayer, GraphTensor

NONE = -1.0  # the scale of a tensor that has none


def carry_scales(graph: Graph, build: Build) -> Graph:
    """Give INT8 tensors the scale on which the layers around them agree; real = stored * scale."""
    found: dict[int, tuple[GraphTensor, set[float]]] = {}
    for layer in graph.all_layers():
        tensor = {"quantize": layer.outputs[:1], "dequantize": layer.inputs[:1]}.get(layer.spec.role, [None])[0]
        scale = None if tensor is None or tensor.dtype != DataType.INT8 else _only_scale(layer)
        if scale is not None:
            found.setdefault(id(tensor), (tensor, set()))[1].add(scale)  # type: ignore[arg-type]
    for tensor, scales in found.values():
        if len(scales) == 1 and tensor.scale == NONE:
            tensor.scale = scales.pop()
        elif len(scales) > 1:
            graph.notes.append(f"tensor '{tensor.name}' is quantised with one scale and read with another: {scales}")
    return graph


def _only_scale(layer: GraphLayer) -> float | None:
    """The layer's scale, if it is known, positive and the same for the whole tensor."""
    scale = layer.inputs[1] if len(layer.inputs) > 1 else None
    if scale is None:
        return None
    array, producer = scale.constant, scale.producer
    if array is None and producer is not None and producer.spec.role == "constant":
        array = next((value for value in producer.values.values() if isinstance(value, np.ndarray)), None)
    if array is None or array.size != 1:
        return None
    value = float(np.asarray(array).reshape(-1)[0].astype(np.float32))
    return value if value > 0 else None
