"""The network as a graph, with every extent an expression over the inputs and its range in each profile."""

from __future__ import annotations

from typing import Any

import numpy as np

from dovetail.core.arguments import check_range
from dovetail.core.errors import BuildError, DefinitionError, ShapeError
from dovetail.core.expr import DimsExprs, Expr, constant, input_dim, no_size
from dovetail.core.types import DataType, DeviceType, FieldType, TensorLocation, nptype
from dovetail.machine.builder.build import Build
from dovetail.machine.builder.graph import Graph, GraphLayer, GraphTensor, ProfileExtents, late_leaves
from dovetail.machine.builder.origins import Origin, folded
from dovetail.machine.builder.origins import given as given_weights
from dovetail.machine.builder.own_layers import conversion
from dovetail.machine.config import IBuilderConfig, IOptimizationProfile
from dovetail.machine.layer import ILayer
from dovetail.machine.names import checked_name
from dovetail.machine.network import INetworkDefinition
from dovetail.machine.tensor import ITensor


def infer_shapes(graph: Graph, build: Build) -> Graph:
    """Resolve shapes and types of all layers.

    Raises:
        BuildError: no outputs, or dynamic inputs without a profile.
        ShapeError, DTypeError, DefinitionError: from the layers; the layer is named.
    """
    network, config = build.network, build.config
    if not network.output_tensors:
        raise BuildError("the network has no outputs", hint="Call network.mark_output(tensor).")
    checked_name("a network", network.name)
    input_dims = _profiles(network, config)
    layers = _in_order(network)
    shape_inputs = network.shape_inputs()
    graph.n_profiles, graph.input_dims = len(input_dims), input_dims
    graph.input_contents = _contents(network, config, shape_inputs)
    graph.extents = [ProfileExtents(*given) for given in zip(graph.input_dims, graph.input_contents, strict=True)]
    graph.constraints = _equal_names(network, input_dims)
    made: dict[int, GraphTensor] = {}
    for tensor in network.input_tensors:
        graph.inputs.append(_tensor(tensor, made, graph, config))
        if tensor in shape_inputs:  # the context reads it
            graph.inputs[-1].allowed_device = DeviceType.CPU
    for layer in layers:
        graph.layers += _layers(layer, made, graph, config)
        graph.constraints += [(found.condition, _said_by(layer, found.text)) for found in layer.requirements]
    graph.outputs = [made[id(tensor)] for tensor in network.output_tensors]
    graph.drop_dead_layers()
    return graph


def _said_by(layer: ILayer, text: str) -> str:
    return text if text.startswith(layer.label) else f"{layer.label}: {text}"


def _profiles(network: INetworkDefinition, config: IBuilderConfig) -> list[list[tuple]]:
    """[profile][input] -> (min, opt, max)."""
    dynamic = [tensor for tensor in network.input_tensors if -1 in tensor.declared_shape]
    if dynamic and not config.profiles:
        raise BuildError(
            f"input '{dynamic[0].name}' {list(dynamic[0].declared_shape)} has unknown extents and no profile",
            hint="profile = builder.create_optimization_profile(); profile.set_shape(name, min, opt, max); "
            "config.add_optimization_profile(profile)",
        )
    _check_profile_names(network, config)
    profiles = config.profiles or (IOptimizationProfile(),)
    return [
        [_range(tensor, profile, index) for tensor in network.input_tensors] for index, profile in enumerate(profiles)
    ]


def _check_profile_names(network: INetworkDefinition, config: IBuilderConfig) -> None:
    names = {tensor.name: None for tensor in network.input_tensors}
    for index, profile in enumerate(config.profiles):
        unknown = [name for name in profile.inputs if name not in names]
        if unknown:
            raise DefinitionError(
                f"profile {index} sets a shape for '{unknown[0]}', which is not an input of the network",
                facts=[("inputs", ", ".join(names))],
            )


def _range(tensor: ITensor, profile: IOptimizationProfile, index: int) -> tuple:
    shape = tensor.declared_shape
    if tensor.name not in profile.inputs:
        if -1 in shape:
            raise BuildError(
                f"profile {index} sets no shape for input '{tensor.name}' {list(shape)}",
                hint=f'Call profile.set_shape("{tensor.name}", min, opt, max).',
            )
        return shape, shape, shape
    low, likely, high = (tuple(dims) for dims in profile.get_shape(tensor.name))
    fits = len(low) == len(shape) and all(
        extent in (-1, a) and extent in (-1, b) for extent, a, b in zip(shape, low, high, strict=False)
    )
    if not fits:
        raise ShapeError(
            f"profile {index} does not fit input '{tensor.name}'",
            facts=[("input", str(list(shape))), ("min", str(list(low))), ("max", str(list(high)))],
            hint="Extents that are not -1 must be the same in min, opt and max.",
        )
    return low, likely, high


def _contents(
    network: INetworkDefinition, config: IBuilderConfig, shape_inputs: list[ITensor]
) -> list[list[tuple | None]]:
    """[profile][input] -> (min, opt, max) contents of inputs that are shapes, else None."""
    profiles = config.profiles or (IOptimizationProfile(),)
    return [
        [_values(tensor, profile, index) if tensor in shape_inputs else None for tensor in network.input_tensors]
        for index, profile in enumerate(profiles)
    ]


def _values(tensor: ITensor, profile: IOptimizationProfile, index: int) -> tuple:
    values = profile.get_shape_input(tensor.name)
    if not values:
        raise BuildError(
            f"profile {index} sets no values for input '{tensor.name}' {list(tensor.declared_shape)}, whose contents "
            "are extents",
            hint=f'Call profile.set_shape_input("{tensor.name}", min, opt, max), and config.add_optimization_profile.',
        )
    n_elements = int(np.prod(tensor.declared_shape, dtype=np.int64))
    if len(values[0]) != n_elements:
        raise ShapeError(
            f"profile {index} does not fit shape input '{tensor.name}'",
            facts=[("input", f"{n_elements} elements"), ("profile", f"{len(values[0])} values")],
        )
    for side, contents in zip(("min", "opt", "max"), values, strict=True):
        what = f"{side} of {tensor.dtype.name.lower()} shape input '{tensor.name}' in profile {index}"
        check_range(what, contents, bits=8 * tensor.dtype.itemsize)
    return tuple(values)


def _equal_names(network: INetworkDefinition, input_dims: list[list[tuple]]) -> list[tuple[Expr, str]]:
    """Conditions that extents of one name are equal. Raises ShapeError if a profile contradicts one."""
    first: dict[str, tuple[Expr, str, list[list[int]]]] = {}
    result: list[tuple[Expr, str]] = []
    for index, tensor in enumerate(network.input_tensors):
        for axis, name in sorted(tensor.dimension_names.items()):
            if not name or not 0 <= axis < len(tensor.declared_shape):
                continue
            extent = tensor.declared_shape[axis]
            expr = input_dim(index, axis, name) if extent < 0 else constant(extent)
            where = f"dimension {axis} of '{tensor.name}'"
            ranges = [[dims[axis] for dims in profile[index]] for profile in input_dims]
            if name not in first:
                first[name] = expr, where, ranges
                continue
            other, other_where, other_ranges = first[name]
            for profile, (one, two) in enumerate(zip(other_ranges, ranges, strict=True)):
                if one != two:
                    raise _unequal(name, profile, (other_where, one), (where, two))
            result.append((other == expr, f"{other_where} and {where} are both named '{name}' and must be equal"))
    for equal, text in result:
        if equal.value == 0:
            raise ShapeError(text)
    return [(equal, text) for equal, text in result if equal.value is None]


def _unequal(name: str, profile: int, *ends: tuple[str, list[int]]) -> ShapeError:
    return ShapeError(
        f"profile {profile} gives different extents to dimensions of one name, '{name}'",
        facts=[(where, f"min {low}, opt {likely}, max {high}") for where, (low, likely, high) in ends],
        hint="Extents of one name are one extent: give them equal values, or name them differently with "
        "tensor.set_dimension_name(axis, name).",
        name=name,
        profile=profile,
    )


def _in_order(network: INetworkDefinition) -> list[ILayer]:
    """Layers, producers before consumers, otherwise in the order in which they were added."""
    done: set[int] = set()
    order: list[ILayer] = []
    for root in network:
        stack = [root]
        while stack:
            layer = stack[-1]
            waiting = [
                t.producer for t in layer.input_tensors if t is not None and t.producer and id(t.producer) not in done
            ]
            if waiting:
                stack += waiting
                continue
            stack.pop()
            if id(layer) not in done:
                done.add(id(layer))
                order.append(layer)
    return order


def _tensor(
    tensor: ITensor,
    made: dict[int, GraphTensor],
    graph: Graph,
    config: IBuilderConfig,
) -> GraphTensor:
    symbolic = tensor.symbolic
    on_host = tensor.location == TensorLocation.HOST
    result = GraphTensor(
        tensor.name,
        symbolic.dims,
        symbolic.dtype,
        [_extents(tensor, symbolic.dims, profile, graph) for profile in range(graph.n_profiles)],
        scale=_scale_of(tensor, symbolic.dtype),
        allowed_formats=tensor.allowed_formats,
        allowed_device=DeviceType.CPU if on_host else config.default_device_type,
        dimension_names=dict(tensor.dimension_names),
    )
    if symbolic.constant is not None and -1 not in result.static_dims:
        result.constant = np.ascontiguousarray(symbolic.constant).reshape(result.static_dims)
    elif symbolic.values is not None and all(value.is_constant for value in symbolic.values):
        extents = tuple(dim.value for dim in symbolic.dims)
        result.constant = (
            np.array([value.value for value in symbolic.values]).astype(nptype(symbolic.dtype)).reshape(extents)
        )
    if result.is_constant:
        result.origin = _origin(tensor, made)
    made[id(tensor)] = result
    return result


def _origin(tensor: ITensor, made: dict[int, GraphTensor]) -> Origin | None:
    """Of contents that are known from the network alone: a layer's own values, or what it made of known ones."""
    layer = tensor.producer
    if layer is None:
        return None
    own = [
        f.name for f in layer.spec.fields if f.wire == FieldType.TENSOR and layer.field_values.get(f.name) is not None
    ]
    if own and not layer.input_tensors:
        return given_weights(layer.name, own[0])
    inputs = [made[id(t)].origin for t in layer.input_tensors if t is not None]
    return folded(layer.name, layer.label, "infer_dims", True, inputs)


def _extents(tensor: ITensor, dims: DimsExprs, profile: int, graph: Graph) -> tuple:
    try:
        return graph.extents[profile].of(dims)
    except ShapeError as error:
        made = f"{tensor.producer.label} cannot compute '{tensor.name}'" if tensor.producer else f"'{tensor.name}'"
        text = f"{made} at the opt extents of profile {profile}: {error.message}"
        raise ShapeError(text, facts=error.facts, hint=error.hint, profile=profile) from error


def _scale_of(tensor: ITensor, dtype: DataType) -> float:
    """The scale of an INT8 tensor with a dynamic range; -1 if it has none."""
    if dtype != DataType.INT8 or tensor.dynamic_range is None:
        return -1.0
    return max(abs(end) for end in tensor.dynamic_range) / 127 or -1.0


def _layers(layer: ILayer, made: dict[int, GraphTensor], graph: Graph, config: IBuilderConfig) -> list[GraphLayer]:
    """The layer, and a conversion behind each output of which another type was asked than the layer writes."""
    weights = layer.weights_as_given()
    inputs: list[GraphTensor | None] = []
    for port, given in layer.ports_in_use():
        if port.checked:
            continue
        if isinstance(given, ITensor) and port.shape and given.symbolic.elements() is not None:
            inputs.append(None)  # it is in the extents of the outputs already
        elif isinstance(given, ITensor):
            inputs.append(made[id(given)])
        elif given is None:
            inputs.append(None)
        else:
            name, origin = f"{layer.name}.{port.name}", given_weights(layer.name, port.name)
            inputs.append(GraphTensor.of_array(name, weights[port.name], graph.n_profiles, origin=origin))
    values: dict[str, Any] = dict(layer.field_values)
    result = GraphLayer(
        layer.name,
        layer.spec,
        values,
        layer.make_op(),
        inputs,
        precision=layer.precision if layer.precision_is_set else None,
    )
    result.device = config.get_device_type(layer)
    conversions: list[GraphLayer] = []
    for index, tensor in enumerate(layer.output_tensors):
        output = _tensor(tensor, made, graph, config)
        output.producer = None if output.is_constant else result
        if layer.own_type(index) != output.dtype:
            written = GraphTensor(f"{output.name}_unconverted", output.dims, layer.own_type(index), output.ranges)
            name, why = f"{layer.name}, type of output {index}", f"{layer.label} was asked for {output.dtype.name}"
            conversions.append(conversion(graph.lookup, written, output, name, result.device, why))
            output, written.producer = written, result
        result.outputs.append(output)
    for leaf in _sizes_of(layer, graph):
        graph.sizes[leaf] = result, leaf.leaf.axis  # type: ignore[union-attr]
    return [result, *conversions]


def _sizes_of(layer: ILayer, graph: Graph) -> list[Expr]:
    """The data-dependent extents that this layer writes. Raises DefinitionError if an output cannot hold one."""
    inferred = layer.infer()
    dims = [dim for tensor in inferred for dim in tensor.dims]
    sizes = [leaf for leaf in late_leaves(dims) if leaf.is_size_tensor and leaf not in graph.sizes]
    for leaf in sizes:
        index = leaf.leaf.axis  # type: ignore[union-attr]
        holder = inferred[index] if 0 <= index < len(inferred) else None
        if holder is None or holder.rank != 0 or holder.dtype not in (DataType.INT32, DataType.INT64):
            found = "no such output" if holder is None else f"{holder.dtype.name} {holder.dims}"
            raise DefinitionError(
                f"{layer.label} declares its output {index} as a size tensor, which it cannot be",
                facts=[(f"output {index}", found), ("rule", "INT32 or INT64 without dims")],
            )
        _check_bounds(layer, leaf, graph)
    return sizes


def _check_bounds(layer: ILayer, size: Expr, graph: Graph) -> None:
    """Raise ShapeError for a size whose likeliest value at a profile's opt extents is none, or beyond its bound."""
    leaf = size.leaf
    for profile, extents in enumerate(graph.extents):
        opt, upper = extents.corners[1].of(leaf.opt), extents.corners[1].of(leaf.upper)  # type: ignore[union-attr]
        if not 0 <= opt <= upper:
            at = ("at", f"the opt extents of profile {profile}")
            bounds = (f"{leaf.opt} = {opt}", f"{leaf.upper} = {upper}")  # type: ignore[union-attr]
            error = no_size(f"of output {leaf.axis} of {layer.label}", *bounds, facts=[at])  # type: ignore[union-attr]
            error.layer, error.profile = layer.name, profile  # type: ignore[attr-defined]
            raise error
