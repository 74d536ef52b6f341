"""Orders, shapes and conversions one behind the other become one layer, or none.

Two orders of axes are one, as are a shape behind another and an order before or behind a shape. A conversion behind
one that keeps every value, such as HALF to FLOAT, takes what that one takes.
"""

from __future__ import annotations

from typing import Any

from dovetail.core.types import DataType
from dovetail.plugins.rewrites import Rewrites, is_op, same_dims
from dovetail.plugins.rewrites_moves import fields_of, joined, move_of

D = DataType
EXACT = {  # from a type, into which no value changes
    D.BOOL: {D.INT8, D.UINT8, D.INT32, D.INT64, D.HALF, D.BF16, D.FLOAT},
    D.INT8: {D.INT32, D.INT64, D.HALF, D.BF16, D.FLOAT},
    D.UINT8: {D.INT32, D.INT64, D.HALF, D.BF16, D.FLOAT},
    D.INT32: {D.INT64},
    D.HALF: {D.FLOAT},
    D.BF16: {D.FLOAT},
}


def merge_moves(graph: Any, build: Any) -> Any:
    """Merge layers that only move or convert elements with those in front of them."""
    edit = Rewrites(graph, build, "merge_moves")
    for layer in edit.layers():
        if move_of(layer) is not None:
            _merge_with_those_in_front(edit, layer)
        elif is_op(layer, "Cast") or layer.spec.role == "identity":
            _merge_conversions(edit, layer)
    return edit.finish()


def _merge_with_those_in_front(edit: Rewrites, layer: Any) -> None:
    while True:
        source = layer.inputs[0]
        before = source.producer
        one, then = move_of(before), move_of(layer)
        if one is None or then is None or edit.block_of(layer) is not edit.block_of(before):
            return
        move = joined(before.inputs[0], one, then)
        is_only = edit.only_taker(source) is layer
        if move is None or not (is_only or move.is_one_copy) or not edit.may_change([before, layer]):
            return
        x = before.inputs[0]
        is_undone = same_dims(x, layer.outputs[0]) and move.is_reshape
        if is_undone and edit.drop(layer, x):
            edit.note("removed, for one undoes the other", before, layer)
            edit.remove_unused([before])
            return
        fields = fields_of(x, move)
        made = None if fields is None else edit.try_substitute(layer, "Shuffle@1", [x], **fields)
        if made is None:
            return
        edit.note("merged with the layers behind them, which move elements too", before)
        edit.remove_unused([before])
        layer = made


def _merge_conversions(edit: Rewrites, layer: Any) -> None:
    source, y = layer.inputs[0], layer.outputs[0]
    before = None if source is None else source.producer
    if before is None or not (is_op(before, "Cast") or before.spec.role == "identity"):
        return
    x = before.inputs[0]
    if x is None or x.is_constant or source.dtype not in EXACT.get(x.dtype, ()):
        return
    if edit.block_of(layer) is not edit.block_of(before) or not edit.may_change([before, layer]):
        return
    if x.dtype == y.dtype:
        if edit.drop(layer, x):
            edit.note("removed, for one conversion undoes the other", layer)
            edit.remove_unused([before])
        return
    edit.set_inputs(layer, [x])
    edit.note("converts directly what was converted in between", layer)
    edit.remove_unused([before])
