"""Explicit quantisation: a layer after dequantise layers takes the INT8 tensors directly, with their scales.

DQ(x) -> layer becomes layer(x), where x is INT8 with a scale, if every quantised port of the layer has such an input
with one positive scale for the tensor. The meaning is unchanged: real = stored * scale.
"""

from __future__ import annotations

from dataclasses import replace

from dovetail.core.types import DataType
from dovetail.machine.builder.build import Build
from dovetail.machine.builder.graph import Graph, GraphLayer, GraphTensor


def absorb_quantization(graph: Graph, build: Build) -> Graph:
    """Rewrite layers for which an implementation takes the INT8 tensors; keep the other dequantise layers."""
    for layer in graph.all_layers():
        quantized = _quantized_inputs(layer)
        if not quantized:
            continue
        before = list(layer.inputs)
        for index, source in quantized.items():
            layer.inputs[index] = source
        found = build.candidates.of(layer)
        if found.candidates and not (found.fell_back and _stays(layer, before, build)):
            graph.notes.append(f"{layer.label} takes INT8: the dequantise layers before it are absorbed")
        else:
            layer.inputs = before
    graph.drop_dead_layers()
    return graph


def _stays(layer: GraphLayer, inputs: list[GraphTensor | None], build: Build) -> bool:
    """True if the layer could run on its own device with its previous inputs, so that INT8 must not move it."""
    return bool(build.candidates.on(layer.device, replace(layer, inputs=inputs)).candidates)


def _quantized_inputs(layer: GraphLayer) -> dict[int, GraphTensor]:
    """INT8 sources by input index, or nothing unless all quantised ports of the layer have one."""
    ports = [index for index, port in enumerate(layer.spec.inputs) if port.quantized]
    if not ports:
        return {}
    found: dict[int, GraphTensor] = {}
    for index in ports:
        tensor = layer.inputs[index] if index < len(layer.inputs) else None
        source = None if tensor is None else _source(tensor)
        if source is None:
            return {}
        found[index] = source
    return found


def _source(tensor: GraphTensor) -> GraphTensor | None:
    """The INT8 tensor behind a dequantise layer with one constant scale, carrying that scale."""
    layer = tensor.producer
    if layer is None or layer.spec.role != "dequantize":
        return None
    stored, scale = layer.inputs[0], layer.inputs[1]
    if stored is None or scale is None or stored.dtype != DataType.INT8 or not scale.is_constant:
        return None
    if scale.constant.size != 1 or not float(scale.constant.reshape(-1)[0]) > 0:
        return None
    value = float(scale.constant.reshape(-1)[0])
    if stored.scale in (-1.0, value):
        stored.scale = value
        return stored
    return replace(stored, scale=value) if stored.is_constant else None
