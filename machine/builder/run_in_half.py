"""Plugins that take HALF only, in a network of FLOAT: BuilderFlag.FP16 lets conversions be put around them.

TensorRT does so too. Other layers compute in the types that the network states.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dovetail.core.contract import SymbolicTensor
from dovetail.core.errors import DovetailError
from dovetail.core.negotiation import Machine, Trace
from dovetail.core.types import DataType
from dovetail.machine.builder.candidates import find_candidates, implementations_of
from dovetail.machine.builder.conversion import conversion
from dovetail.machine.builder.graph import Graph, GraphLayer, GraphTensor
from dovetail.machine.config import IBuilderConfig
from dovetail.machine.enums import BuilderFlag

ADVICE = (
    "It takes HALF: convert its inputs and outputs with Cast layers, network.add_cast(x, trt.float16), or let the "
    "builder do it with config.set_flag(trt.BuilderFlag.FP16)."
)


def run_in_half(graph: Graph, config: IBuilderConfig, machine: Machine) -> Graph:
    """Rewrite such layers where the flag is set; else note on them what to do. Others stay as they are.

    Only implementations that are asked position by position are tried: rows list their types in every message.
    """
    layers: list[GraphLayer] = []
    for layer in graph.layers:
        half = _in_half(graph, layer, config, machine) if _is_asked(graph, layer) else None
        if half is None or not config.get_flag(BuilderFlag.FP16):
            layer.advice = "" if half is None else ADVICE
            layers.append(layer)
            continue
        why = f"{layer.label} takes HALF only"
        layer.converted = "to HALF and back, by Cast layers that BuilderFlag.FP16 put around it"
        layers += _converted(graph, half.inputs, layer.inputs, layer, why)
        behind = _converted(graph, layer.outputs, half.outputs, layer, why)
        layer.inputs, layer.outputs = half.inputs, half.outputs
        for tensor in layer.outputs:
            tensor.producer = layer
        layers += [layer, *behind]
        graph.notes.append(f"{layer.label} takes HALF only: converted {layer.converted}")
    graph.layers = layers
    return graph


def _is_asked(graph: Graph, layer: GraphLayer) -> bool:
    return any(not one.rows for one in implementations_of(graph.lookup, layer))


def _in_half(graph: Graph, layer: GraphLayer, config: IBuilderConfig, machine: Machine) -> GraphLayer | None:
    """The layer with HALF in the place of FLOAT, if it has candidates only so."""
    tells_sizes = any(teller is layer for teller, _ in graph.sizes.values())
    if tells_sizes or not any(_is_float(tensor) for tensor in layer.inputs):
        return None
    if _has_candidates(graph, layer, config, machine):
        return None
    inputs = [_halved(tensor) if _is_float(tensor) else tensor for tensor in layer.inputs]
    try:
        found = layer.op.infer([None if t is None else _symbolic(t) for t in inputs])
    except DovetailError:
        return None
    outputs = [
        tensor if given.dtype == tensor.dtype else _halved(tensor, given.dtype)
        for tensor, given in zip(layer.outputs, found, strict=True)
    ]
    half = replace(layer, inputs=inputs, outputs=outputs)
    return half if _has_candidates(graph, half, config, machine) else None


def _has_candidates(graph: Graph, layer: GraphLayer, config: IBuilderConfig, machine: Machine) -> bool:
    probe = replace(layer, candidates=[], trace=Trace())
    notes = list(graph.notes)
    find_candidates(graph, probe, config, machine)
    graph.notes[:] = notes
    return bool(probe.candidates)


def _is_float(tensor: GraphTensor | None) -> bool:
    return tensor is not None and tensor.dtype == DataType.FLOAT


def _halved(tensor: GraphTensor | None, dtype: DataType = DataType.HALF) -> GraphTensor:
    assert tensor is not None
    constant = tensor.constant
    if constant is not None and dtype == DataType.HALF:
        constant = constant.astype(np.float16)
    return GraphTensor(f"{tensor.name}_{dtype.short}", tensor.dims, dtype, tensor.ranges, constant=constant)


def _symbolic(tensor: GraphTensor) -> SymbolicTensor:
    return SymbolicTensor(tensor.dims, tensor.dtype, tensor.name, tensor.constant)


def _converted(
    graph: Graph,
    made: list[GraphTensor] | list[GraphTensor | None],
    given: list[GraphTensor] | list[GraphTensor | None],
    layer: GraphLayer,
    why: str,
) -> list[GraphLayer]:
    """Layers that make each of `made` of the tensor at its place in `given`, where they are not the same."""
    pairs = [(target, source) for target, source in zip(made, given, strict=True) if target is not source]
    return [
        conversion(graph, source, target, f"{layer.name}, {target.name} as {target.dtype.name}", layer.device, why)
        for target, source in pairs
        if target is not None and source is not None and not target.is_constant
    ]
