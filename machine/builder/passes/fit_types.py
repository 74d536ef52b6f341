"""Inserts conversions around layers that no implementation runs in their types, if the config allows it.

In a weakly typed network a FLOAT tensor may be HALF with the flag FP16 and BF16 with the flag BF16; what is HALF or
BF16 may always be FLOAT. A layer gets the first assignment that both an implementation and the op accept. In a network
that was created STRONGLY_TYPED no layer is converted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from dovetail.core.contract import Implementation, SymbolicTensor
from dovetail.core.errors import DovetailError
from dovetail.core.negotiation import types_of_row, types_that_fit
from dovetail.core.types import DataType, nptype
from dovetail.machine.builder.build import Build
from dovetail.machine.builder.candidates import FLAGS_OF_TYPES, has_other_types, make_object
from dovetail.machine.builder.graph import Block, Graph, GraphLayer, GraphTensor
from dovetail.machine.builder.origins import converted as converted_weights
from dovetail.machine.builder.own_layers import conversion
from dovetail.machine.enums import BuilderFlag, NetworkDefinitionCreationFlag

_STRONGLY_TYPED = (
    "The network is STRONGLY_TYPED, so nothing is converted: add network.add_cast(x, type) in front of the layer, or "
    "create the network without that flag."
)

Types = tuple[DataType | None, ...]


def fit_types(graph: Graph, build: Build) -> Graph:
    """Insert conversions around layers that need them; if a flag would help, note it on the layer."""
    for block in graph.each_block():
        _fit(graph, block, build)
    return graph


def _fit(graph: Graph, block: Block, build: Build) -> None:
    converted: dict[tuple[int, DataType], GraphTensor] = {}
    layers: list[GraphLayer] = []
    for layer in block.layers:
        types = _types_for(graph, layer, build)
        if types is None:
            layers.append(layer)
            continue
        names, flags = _changed(layer, types)
        by = f"BuilderFlag.{' and BuilderFlag.'.join(flag.name for flag in flags)} put" if flags else "the builder put"
        layer.converted = f"to {names} and back, by Cast layers that {by} around it"
        graph.notes.append(f"{layer.label} takes {names} only: converted {layer.converted}")
        before = _convert_inputs(graph, layer, types, converted)
        layers += [*before, layer, *_convert_outputs(graph, layer, types, converted)]
    block.layers = layers
    if converted:
        graph.drop_dead_layers()  # a conversion back, where only layers follow that take the other type


def _types_for(graph: Graph, layer: GraphLayer, build: Build) -> Types | None:
    """Types to convert the layer to; None if it can stay, or if nothing helps."""
    here = [i for i in build.candidates.implementations_of(layer) if i.device == layer.device]
    n_inputs = len(layer.inputs)
    given = tuple(None if tensor is None else tensor.dtype for tensor in layer.tensors)
    is_pinned = build.config.pinned_implementation(layer.name) is not None
    if not is_pinned and any(_takes(i, given, n_inputs) for i in here):  # true for almost every layer
        return None
    if any(teller is layer for teller, _ in graph.sizes.values()) or not here:
        return None
    if not all(has_other_types(layer, one) for one in build.candidates.of(layer).candidates):
        return None
    if build.network.get_flag(NetworkDefinitionCreationFlag.STRONGLY_TYPED):
        layer.advice = _STRONGLY_TYPED
        return None
    allowed = {dtype for dtype, flag in FLAGS_OF_TYPES.items() if build.config.get_flag(flag)}
    types = _search(layer, here, allowed, build)
    if types is None:
        layer.advice = _advice_for(layer, here, build)
    return types


def _advice_for(layer: GraphLayer, here: Sequence[Implementation], build: Build) -> str:
    """Advice on what would let an implementation take the layer: flags, or scales, which only the user knows; or ""."""
    wider = _search(layer, here, set(FLAGS_OF_TYPES), build)
    if wider is not None:
        return _advice(layer, wider)
    quantized = _search(layer, here, {*FLAGS_OF_TYPES, DataType.INT8}, build)
    return "" if quantized is None else _quantizing(layer, quantized)


def _takes(implementation: Implementation, types: Types, n_inputs: int) -> bool:
    """True if it has a row of exactly these types."""
    n_outputs = len(types) - n_inputs
    return any(
        all(t is None or t == wanted for t, wanted in zip(types, offered, strict=True))
        for row in implementation.rows
        for offered in types_of_row(row, n_inputs, n_outputs)
    )


def _choices(dtype: DataType, allowed: set[DataType]) -> tuple[DataType, ...]:
    """The types that a tensor of this type may have instead, its own first."""
    if dtype == DataType.FLOAT:
        return (dtype, *(other for other in (*FLAGS_OF_TYPES, DataType.INT8) if other in allowed))
    return (dtype, DataType.FLOAT) if dtype in FLAGS_OF_TYPES else (dtype,)


def _search(
    layer: GraphLayer, implementations: Sequence[Implementation], allowed: set[DataType], build: Build
) -> Types | None:
    choices = [None if t is None else _choices(t.dtype, allowed) for t in layer.tensors]
    if all(several is None or len(several) == 1 for several in choices):
        return None
    for implementation in implementations:
        for types in _offered(layer, implementation, choices):
            found = build.candidates.on(layer.device, _retyped(layer, types))
            if any(c.row.implementation is implementation for c in found.candidates):
                return types
    return None


def _offered(layer: GraphLayer, implementation: Implementation, choices: list[Any]) -> list[Types]:
    """Assignments within `choices` that both the implementation and the op may accept."""
    n_inputs = len(layer.inputs)
    answer = _answers_of(layer)
    if not implementation.rows:
        try:
            native_object = make_object(layer, implementation)
            descs = [None if tensor is None else tensor.desc() for tensor in layer.tensors]
            found = types_that_fit(implementation, native_object, descs, n_inputs, choices, answer)
        except DovetailError:  # the plugin failed: list_candidates asks again, and reports it
            return []
        return [] if found is None else [found]
    offered: list[Types] = []
    for row in implementation.rows:
        for types in types_of_row(row, n_inputs, len(layer.outputs)):
            fits = all(several is None or t in several for t, several in zip(types, choices, strict=True))
            full = tuple(None if several is None else t for t, several in zip(types, choices, strict=True))
            if fits and full not in offered and answer(full[:n_inputs]) == full[n_inputs:]:
                offered.append(full)
    return offered


def _answers_of(layer: GraphLayer) -> Callable[[Types], Types | None]:
    """The op's output types for inputs of these types; None if it refuses them."""

    def answer(types: Types) -> Types | None:
        inputs = [
            None if tensor is None else SymbolicTensor(tensor.dims, dtype, tensor.name, tensor.constant)  # type: ignore[arg-type]
            for tensor, dtype in zip(layer.inputs, types, strict=True)
        ]
        try:
            return tuple(tensor.dtype for tensor in layer.op.infer(inputs))
        except DovetailError:
            return None

    return answer


def _retyped(layer: GraphLayer, types: Types) -> GraphLayer:
    tensors = [
        None if tensor is None else replace(tensor, dtype=dtype, constant=_as_type(tensor, dtype))
        for tensor, dtype in zip(layer.tensors, types, strict=True)
    ]
    n_inputs = len(layer.inputs)
    return replace(layer, inputs=tensors[:n_inputs], outputs=tensors[n_inputs:])


def _as_type(tensor: GraphTensor, dtype: Any) -> Any:
    if tensor.constant is None or tensor.dtype == dtype:
        return tensor.constant
    return tensor.constant.astype(nptype(dtype))


def _convert_inputs(
    graph: Graph, layer: GraphLayer, types: Types, converted: dict[tuple[int, DataType], GraphTensor]
) -> list[GraphLayer]:
    inserted = []
    for index, tensor in enumerate(layer.inputs):
        dtype = types[index]
        if tensor is None or dtype is None or tensor.dtype == dtype:
            continue
        key = (id(tensor), dtype)
        if key not in converted and tensor.is_constant:
            array = _as_type(tensor, dtype)
            name, origin = f"{tensor.name} as {dtype.name}", converted_weights(tensor.origin, dtype)
            converted[key] = GraphTensor.of_array(name, array, graph.n_profiles, dtype, origin)
        elif key not in converted:
            converted[key] = GraphTensor(f"{tensor.name} as {dtype.name}", tensor.dims, dtype, tensor.ranges)
            inserted.append(_conversion(graph, layer, tensor, converted[key]))
        layer.inputs[index] = converted[key]
    return inserted


def _convert_outputs(
    graph: Graph, layer: GraphLayer, types: Types, converted: dict[tuple[int, DataType], GraphTensor]
) -> list[GraphLayer]:
    inserted = []
    for index, tensor in enumerate(layer.outputs):
        dtype = types[len(layer.inputs) + index]
        if dtype is None or tensor.dtype == dtype:
            continue
        own = GraphTensor(f"{tensor.name} as {dtype.name}", tensor.dims, dtype, tensor.ranges, producer=layer)
        layer.outputs[index] = own
        converted[id(tensor), dtype] = own
        inserted.append(_conversion(graph, layer, own, tensor))
    return inserted


def _conversion(graph: Graph, layer: GraphLayer, source: GraphTensor, target: GraphTensor) -> GraphLayer:
    name = f"{layer.name}, {source.name} as {target.dtype.name}"
    return conversion(graph.lookup, source, target, name, layer.device, f"{layer.label}, which runs in other types")


def _changed(layer: GraphLayer, types: Types) -> tuple[str, list[BuilderFlag]]:
    """Names of the types that `types` introduces, and the flags that allow them."""
    pairs = zip(layer.tensors, types, strict=True)
    changed = sorted({new for tensor, new in pairs if tensor is not None and new is not None and tensor.dtype != new})
    return " and ".join(dtype.name for dtype in changed), [
        FLAGS_OF_TYPES[dtype] for dtype in changed if dtype in FLAGS_OF_TYPES
    ]


def _advice(layer: GraphLayer, types: Types) -> str:
    names, flags = _changed(layer, types)
    calls = " and ".join(f"config.set_flag(trt.BuilderFlag.{flag.name})" for flag in flags)
    short = {DataType.HALF: "trt.float16", DataType.BF16: "trt.bfloat16"}
    wanted = next(name for dtype, name in short.items() if FLAGS_OF_TYPES[dtype] in flags)
    return (
        f"It takes {names}: convert its inputs and outputs with Cast layers, network.add_cast(x, {wanted}), or let the "
        f"builder do it with {calls}."
    )


def _quantizing(layer: GraphLayer, types: Types) -> str:
    """The advice for a layer that takes INT8 but gets floats."""
    changed = [tensor is not None and tensor.dtype != new for tensor, new in zip(layer.tensors, types, strict=True)]
    n_inputs = len(layer.inputs)
    in_front = [t.name for t, is_changed in zip(layer.inputs, changed[:n_inputs], strict=True) if t and is_changed]
    behind = [t.name for t, is_changed in zip(layer.outputs, changed[n_inputs:], strict=True) if is_changed]
    parts = [f"a Quantize layer in front of it, network.add_quantize(x, scale), for {' and '.join(in_front)}"]
    if behind:
        parts.append(f"a Dequantize layer behind it, network.add_dequantize(y, scale), for {' and '.join(behind)}")
    return f"It takes INT8, which needs scales: put {', and '.join(parts)}."
