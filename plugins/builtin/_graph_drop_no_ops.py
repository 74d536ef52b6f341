"""Layers that give their input unchanged are removed.

What is relied on: a float times 1, over 1, to the power of 1 or less 0 is itself, an inf, a nan and -0 too. Plus 0 it
is equal to itself: -0 becomes 0 with the layer and stays -0 without.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy

from dovetail.plugins.rewrites import Rewrites, number_of, same_dims


def drop_no_ops(graph: Any, build: Any) -> Any:
    """Remove identities, conversions to the same type, orders, shapes and slices that change nothing, x * 1 and so on.

    A layer that makes an output is removed if the layer in front can make it.
    """
    edit = Rewrites(graph, build, "drop_no_ops")
    for layer in edit.layers():
        kept = unchanged(layer)
        if kept is None or not edit.may_change([layer]):
            continue
        if edit.drop(layer, kept):
            edit.note("removed, for they change nothing", layer)
        else:
            edit.note("left although they change nothing, for they make outputs of the network or of a block", layer)
    return edit.finish()


def unchanged(layer: Any) -> Any:
    """The input that is the layer's only output; None if there is none."""
    rule = RULES.get(layer.spec.id)
    if rule is None or len(layer.outputs) != 1:
        return None
    index = rule(layer)
    if index is None:
        return None
    x, y = layer.inputs[index], layer.outputs[0]
    if x is None or x.is_constant or x.dtype != y.dtype or not same_dims(x, y):
        return None
    return x


# ---- by op: the input that is given on if types and dims are the same, which is asked for all


def _first(layer: Any) -> int:
    return 0


def _moved(layer: Any) -> int | None:
    """Orders that move nothing but extents of 1 past others; with the dims the same, no element moves."""
    x, y = layer.inputs[0], layer.outputs[0]
    rank = len(x.dims)
    first = layer.values["first_transpose"] or tuple(range(rank))
    second = layer.values["second_transpose"] or tuple(range(len(y.dims)))
    if _keeps_order(first, x.static_dims) and _keeps_order(second, [y.static_dims[second.index(i)] for i in second]):
        return 0
    between: list[Any] = [None] * len(second)
    for place, axis in enumerate(second):
        between[axis] = y.dims[place]
    is_one = len(between) == rank and all(a.same(x.dims[axis]) for a, axis in zip(between, first, strict=True))
    both = [first[axis] for axis in second] if is_one else []
    return 0 if is_one and both == list(range(rank)) else None


def _keeps_order(order: Any, extents: Any) -> bool:
    moved = [axis for axis in order if extents[axis] != 1]
    return moved == sorted(moved)


def _whole(layer: Any) -> int | None:
    """A slice from the first element on by steps of one; on axes of one element any step is."""
    extents = layer.inputs[0].static_dims
    start = _numbers(layer, 1, "start", len(extents))
    stride = _numbers(layer, 3, "stride", len(extents))
    is_whole = start is not None and stride is not None and not any(start)
    return 0 if is_whole and all(s == 1 or extent == 1 for s, extent in zip(stride, extents, strict=True)) else None


def _numbers(layer: Any, index: int, name: str, rank: int) -> list[int] | None:
    """Values that are given by a field or by an input; None if they are not known."""
    given = layer.inputs[index] if index < len(layer.inputs) else None
    values = layer.values[name] if given is None else given.constant
    return None if values is None or len(values) != rank else [int(value) for value in values]


def _unpadded(layer: Any) -> int | None:
    return None if any(layer.values["pre_padding"]) or any(layer.values["post_padding"]) else 0


def _alone(layer: Any) -> int | None:
    return 0 if len(layer.inputs) == 1 else None


NEUTRAL = {  # of an operation the number which, as one operand, gives the other; and which operand that may be
    "PROD": (1.0, (0, 1)),
    "SUM": (0.0, (0, 1)),
    "SUB": (0.0, (1,)),
    "DIV": (1.0, (1,)),
    "POW": (1.0, (1,)),
    "FLOOR_DIV": (1.0, (1,)),
}


def _neutral(layer: Any) -> int | None:
    op = layer.values["op"].name
    number, places = NEUTRAL.get(op, (0.0, ()))
    for place in places:
        constant = layer.inputs[place]
        if number_of(constant) != number:
            continue
        is_float = constant.constant.dtype.kind not in "iu"
        if op == "FLOOR_DIV" and is_float:
            continue  # it drops fractions
        if op == "SUB" and is_float and numpy.signbit(constant.constant).any():
            continue  # x - -0 is x + 0
        return 1 - place
    return None


def _scaled(layer: Any) -> int | None:
    absent = (1.0, 0.0, 1.0)
    values = zip(layer.inputs[1:], absent, strict=False)
    return 0 if all(given is None or number_of(given) == wanted for given, wanted in values) else None


def _resized(layer: Any) -> int | None:
    """Axes that keep their extents at scale 1 are left as they are."""
    is_cropped = layer.values["coordinate_transformation"].name == "CROP_AND_RESIZE"
    return None if is_cropped or any(scale != 1 for scale in layer.values["scales"]) else 0


RULES: dict[str, Callable[[Any], int | None]] = {
    "Identity@1": _first,
    "Cast@1": _first,
    "Squeeze@1": _first,
    "Unsqueeze@1": _first,
    "Shuffle@1": _moved,
    "Slice@1": _whole,
    "Padding@1": _unpadded,
    "Concatenation@1": _alone,
    "ElementWise@1": _neutral,
    "Scale@1": _scaled,
    "Resize@1": _resized,
}
