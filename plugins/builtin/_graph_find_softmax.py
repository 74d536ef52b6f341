"""Softmax spelled out becomes one layer: exp(x) / sum(exp(x)), with or without the largest x taken off before.

Results change by rounding; without the largest taken off, exp(x) above 3.4e38 gave nan and does not now.
"""

from __future__ import annotations

from typing import Any

from dovetail.core.types import FLOATS
from dovetail.plugins.rewrites import Rewrites, is_op, same_dims


def find_softmax(graph: Any, build: Any) -> Any:
    """Replace quotients of exponentials and their sum."""
    edit = Rewrites(graph, build, "find_softmax")
    for layer in edit.layers():
        if is_op(layer, "ElementWise", op="DIV"):
            _replace(edit, layer)
        elif is_op(layer, "ElementWise", op="PROD"):
            a, b = layer.inputs
            for e, inverse in ((a, b), (b, a)):
                if is_op(inverse.producer, "Unary", op="RECIP"):
                    _replace(edit, layer, e, inverse.producer)
                    break
    return edit.finish()


def _replace(edit: Rewrites, layer: Any, e: Any = None, inverse: Any = None) -> None:
    e = layer.inputs[0] if e is None else e
    total = layer.inputs[1] if inverse is None else inverse.inputs[0]
    exp, sum_ = e.producer, total.producer
    if not is_op(exp, "Unary", op="EXP") or not is_op(sum_, "Reduce", op="SUM") or sum_.inputs[0] is not e:
        return
    axes = sum_.values["axes"]
    if not sum_.values["keep_dims"] or axes == 0 or e.dtype not in FLOATS or not same_dims(e, layer.outputs[0]):
        return
    inside = [exp, sum_, *([] if inverse is None else [inverse])]
    x = exp.inputs[0]
    sub = x.producer
    if is_op(sub, "ElementWise", op="SUB") and _is_largest(sub.inputs[1].producer, sub.inputs[0], axes):
        x, inside = sub.inputs[0], [sub.inputs[1].producer, sub, *inside]
    if not all(edit.is_in(one, edit.block_of(layer)) for one in inside):
        return
    shared = [one for one in inside if not edit.is_used_by(one.outputs[0], [*inside, layer])]
    if shared:
        edit.note("not made a SoftMax, for something else takes what is inside", layer)
    elif edit.may_change([*inside, layer]) and edit.try_substitute(layer, "SoftMax@1", [x], axes=axes) is not None:
        edit.remove_unused(inside)
        edit.note("one SoftMax layer each, which other layers spelled out", layer)


def _is_largest(layer: Any, x: Any, axes: int) -> bool:
    is_max = is_op(layer, "Reduce", op="MAX") and layer.inputs[0] is x
    return bool(is_max and layer.values["axes"] == axes and layer.values["keep_dims"])
