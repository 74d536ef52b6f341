"""Pointwise layers behind a reshape of a product are computed in front of it, where the product can absorb them.

reshape(a b) -> GELU -> next becomes a b -> GELU -> reshape -> next, as exporters write linear layers on rows of [batch,
length, channels]. Only of reshapes that keep the last extent: what is constant along it fits both dims.
"""

from __future__ import annotations

from typing import Any

import numpy

from dovetail.plugins.rewrites import Rewrites, is_op, number_of, same_dims
from dovetail.plugins.rewrites_moves import Move, fields_of, move_of

POINTWISE = ("Activation", "ElementWise", "Unary")
PRODUCTS = ("MatrixMultiply", "FullyConnected", "Einsum")


def compute_before_reshapes(graph: Any, build: Any) -> Any:
    """Exchange reshapes and the pointwise layers behind them."""
    edit = Rewrites(graph, build, "compute_before_reshapes")
    moved: set[Any] = set()  # pointwise layers that this pass put in front of reshapes
    for layer in edit.layers():
        if not _is_pointwise(layer) or edit.is_output(layer.outputs[0]):
            continue
        found = _before(edit, layer, moved)
        if found is None:
            continue
        move, inputs = found
        made = edit.insert(layer, layer.spec.id, inputs, name=layer.name, **layer.values)
        fields = fields_of(made, move)
        behind = None if fields is None else edit.try_substitute(layer, "Shuffle@1", [made], **fields)
        if behind is None:
            edit.remove_unused([made.producer])
            continue
        behind.name = f"{layer.name}, reshaped"
        moved.add(made.producer)
        edit.note("computed in front of a reshape", made.producer)
    return edit.finish()


def _is_pointwise(layer: Any) -> bool:
    is_known = any(is_op(layer, name) for name in POINTWISE) and len(layer.outputs) == 1
    return is_known and all(tensor is not None for tensor in layer.inputs)


def _before(edit: Rewrites, layer: Any, moved: set[Any]) -> tuple[Move, list[Any]] | None:
    """The reshape that all inputs have behind them, and the inputs in front of it; None if there is none such."""
    reshapes = [None if tensor.is_constant else _reshape(edit, tensor, layer, moved) for tensor in layer.inputs]
    known = [one for one in reshapes if one is not None]
    if not known or any(one is None and not t.is_constant for one, t in zip(reshapes, layer.inputs, strict=True)):
        return None
    x = known[0].inputs[0]
    if not all(same_dims(one.inputs[0], x) for one in known) or not edit.may_change([layer, *known]):
        return None
    inputs = []
    for tensor, reshape in zip(layer.inputs, reshapes, strict=True):
        made = reshape.inputs[0] if reshape is not None else _constant(edit, tensor, len(x.dims))
        if made is None:
            return None
        inputs.append(made)
    move = move_of(known[0])
    return None if move is None else (move, inputs)


def _reshape(edit: Rewrites, tensor: Any, layer: Any, moved: set[Any]) -> Any:
    """The layer that gives a product, or what this pass computes of one, these dims."""
    reshape = tensor.producer
    move = move_of(reshape)
    if move is None or not move.is_reshape or not same_dims(tensor, layer.outputs[0]):
        return None
    x = reshape.inputs[0]
    if not x.dims or not tensor.dims or not x.dims[-1].same(tensor.dims[-1]):
        return None
    source = x.producer
    is_product = source in moved or any(is_op(_without_bias(source), name) for name in PRODUCTS)
    is_here = edit.block_of(reshape) is edit.block_of(layer)
    return reshape if is_product and is_here else None


def _without_bias(layer: Any) -> Any:
    """The layer in front of a sum with a constant; other layers as they are."""
    if not is_op(layer, "ElementWise", op="SUM"):
        return layer
    return next((tensor.producer for tensor in layer.inputs if not tensor.is_constant), None)


def _constant(edit: Rewrites, tensor: Any, rank: int) -> Any:
    """The constant for tensors of another rank; None unless it differs along the last axis only."""
    extents = tensor.static_dims
    if any(extent != 1 for extent in extents[:-1]):
        return None
    if number_of(tensor) is None and tensor.constant.size != extents[-1]:
        return None
    array = numpy.asarray(tensor.constant).reshape((1,) * (rank - 1) + (-1,))
    return edit.weights(f"{tensor.name}, of rank {rank}", array, [tensor], tensor.dtype)
