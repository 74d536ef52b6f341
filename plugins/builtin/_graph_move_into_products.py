"""Transpositions in front of products of matrices become their flags.

A product reads either matrix as it lies or transposed. An order of axes that exchanges the last two is dropped for the
flag; one that does more than that is left without the exchange, so that rows stay together when they are copied.
"""

from __future__ import annotations

from typing import Any

from dovetail.plugins.rewrites import Rewrites, is_op, member
from dovetail.plugins.rewrites_moves import is_in_order, move_of

EXCHANGED = {"NONE": "TRANSPOSE", "TRANSPOSE": "NONE"}


def move_into_products(graph: Any, build: Any) -> Any:
    """Let MatrixMultiply layers take what transpositions in front of them take."""
    edit = Rewrites(graph, build, "move_into_products")
    for layer in edit.layers():
        if is_op(layer, "MatrixMultiply"):
            for index in (0, 1):
                if layer.inputs[0] is not layer.inputs[1]:
                    layer = _without_exchange(edit, layer, index)
    return edit.finish()


def _without_exchange(edit: Rewrites, layer: Any, index: int) -> Any:
    name = ("op0", "op1")[index]
    flag = EXCHANGED.get(layer.values[name].name)
    tensor = layer.inputs[index]
    before = None if tensor is None else tensor.producer
    move = move_of(before)
    order = None if move is None else move.order
    if flag is None or order is None or len(order) < 2 or not edit.is_in(before, edit.block_of(layer)):
        return layer
    order = (*order[:-2], order[-1], order[-2])
    is_dropped, last = is_in_order(order), len(order) - 1
    is_better = order[-1] == last and edit.only_taker(tensor) is layer  # whole rows are copied
    if not (is_dropped or is_better) or not edit.may_change([before, layer]):
        return layer
    source = before.inputs[0]
    if not is_dropped:
        source = edit.insert(before, "Shuffle@1", [source], name=before.name, first_transpose=order)
    inputs = list(layer.inputs)
    inputs[index] = source
    made = edit.substitute(layer, "MatrixMultiply@1", inputs, **{**layer.values, name: member(layer, name, flag)})
    edit.note("dropped or shortened, for products behind them read matrices transposed", before)
    edit.remove_unused([before])
    return made
