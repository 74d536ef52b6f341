"""A product with one value for each channel and the 1x1 convolution behind it become one step where that is faster.

Squeeze and excitation ends with such a product. The step multiplies its weights by the values as it reads them, so that
the product of the whole tensor is neither stored nor read.
"""

from __future__ import annotations

from dovetail.core.errors import DefinitionError
from dovetail.core.scalar import Apply, Name, resolved
from dovetail.machine.builder.build import Build
from dovetail.machine.builder.graph import Graph, GraphLayer, GraphTensor
from dovetail.machine.builder.joins import is_plain, is_pointwise_convolution, join, may_join, pairs
from dovetail.machine.builder.own_layers import layer_of_role

ROLE = "gated convolution"


def gate_convolutions(graph: Graph, build: Build) -> Graph:
    """Replace pairs of groups by one where it takes less time than the two take at least."""
    for block, first, second in pairs(graph) if may_join(build) else ():
        gated = None if first.tail else _gated(first.head)
        if gated is None or not is_pointwise_convolution(second.head):
            continue
        x, gate = gated
        _, kernel, *bias = second.head.inputs
        name, inputs = f"{first.name} + {second.head.name}", [x, kernel, bias[0] if bias else None, gate]
        head = layer_of_role(
            graph.lookup, ROLE, name, inputs, second.head.outputs, second.head.device, **second.head.values
        )
        join(block, first, second, head, "a product and a convolution", graph, build)
    return graph


def _gated(layer: GraphLayer) -> tuple[GraphTensor, GraphTensor] | None:
    """The tensor and the values of its channels, if the layer is their product; images may share values."""
    if not _is_product(layer) or not is_plain(layer):
        return None
    a, b = layer.inputs
    assert a is not None and b is not None
    for x, gate in ((a, b), (b, a)):
        if len(x.dims) != 4 or len(gate.dims) != 4:
            continue
        is_image = gate.dims[0].same(x.dims[0]) or gate.dims[0].same(1)
        if is_image and gate.dims[1].same(x.dims[1]) and all(one.same(1) for one in gate.dims[2:]):
            return x, gate
    return None


def _is_product(layer: GraphLayer) -> bool:
    """Does a pointwise layer multiply two inputs?"""
    if layer.spec.scalar is None or len(layer.inputs) != 2 or None in layer.inputs:
        return False
    try:
        term = resolved(layer.spec, layer.values, [port.name for port in layer.spec.inputs][:2])
    except DefinitionError:
        return False
    names = term.arguments if isinstance(term, Apply) and term.function == "*" else ()
    return len(names) == 2 and all(isinstance(one, Name) for one in names) and names[0] != names[1]
