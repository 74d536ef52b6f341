"""Layers that only move or compare numbers work on stored integers: dequantise, move, quantise becomes the move alone.

A dequantise layer in front of such a layer goes behind it, where it meets the quantise layer; of the same scale and
zero point the two do nothing. Where they differ, what they make of each of the 256 integers is looked up in a table. A
quantise layer behind a move of other numbers goes in front of it: of a window with a nan the largest number is left.
Only on the CPU, whose kernels move bytes.
"""

from __future__ import annotations

from typing import Any

from dovetail.core.types import DataType, DeviceType
from dovetail.plugins.rewrites import Rewrites, is_op
from dovetail.plugins.rewrites_moves import fields_of, move_of
from dovetail.plugins.rewrites_stored import BYTES, Steps, dequantized, is_move, quantized, steps_of


def keep_integers(graph: Any, build: Any) -> Any:
    """Let moves between dequantise and quantise layers move the integers."""
    edit = Rewrites(graph, build, "keep_integers")
    for layer in edit.layers():
        if layer.device != DeviceType.CPU or not layer.outputs:
            continue
        if is_move(layer):
            if not _lift(edit, layer):
                _sink(edit, layer)
        elif is_op(layer, "Gather"):
            _gather(edit, layer)
        elif is_op(layer, "Concatenation"):
            _join(edit, layer)
        elif is_op(layer, "Cast"):
            _drop_casts(edit, layer)
        elif quantized(layer) is not None:
            _requantize(edit, layer)
    return edit.finish()


def _op_of(layer: Any) -> tuple[str, dict[str, Any]]:
    """An op and fields that move other numbers as a layer does, which may have got what it does from inputs."""
    move = move_of(layer)
    fields = None if move is None else fields_of(layer.inputs[0], move)
    return (layer.spec.id, layer.values) if fields is None else ("Shuffle@1", fields)


def _input(layer: Any, index: int) -> Any:
    return layer.inputs[index] if index < len(layer.inputs) else None


def _may_change(edit: Rewrites, *layers: Any) -> bool:
    return edit.may_change(layers, may_have_scales=True)


def _lift(edit: Rewrites, layer: Any) -> bool:
    """Put the quantise layer that alone takes the result of a move in front of it. True if that was done."""
    x, behind = layer.inputs[0], edit.only_taker(layer.outputs[0])
    if behind is None or quantized(behind) is None or x is None or x.is_constant or dequantized(x) is not None:
        return False
    fewer = is_op(layer, "Slice")  # other elements need not be quantised
    if fewer or x.dtype != DataType.FLOAT or not _may_change(edit, layer, behind):
        return False
    made = edit.insert(layer, behind.spec.id, [x, *behind.inputs[1:]], name=behind.name, **_one_scale(behind))
    made.scale = behind.outputs[0].scale
    op, fields = _op_of(layer)
    moved = edit.try_substitute(behind, op, [made, *layer.inputs[1:]], **fields)
    if moved is None:
        edit.remove_unused([made.producer])
        return False
    moved.name = layer.name
    edit.remove_unused([layer])
    edit.note("quantised before they are moved", moved)
    return True


def _sink(edit: Rewrites, layer: Any) -> None:
    """Let a move take the integers that its input is made of, and dequantise its result."""
    found = dequantized(layer.inputs[0])
    if found is None:
        return
    front = layer.inputs[0].producer
    if is_op(front, "Cast") and not _ends_in_casts(edit, layer):
        return
    if not _may_change(edit, layer, front):
        return
    op, fields = _op_of(layer)
    moved = edit.insert(layer, op, [found[0], *layer.inputs[1:]], name=layer.name, **fields)
    moved.scale = found[0].scale
    made = edit.try_substitute(layer, front.spec.id, [moved, *front.inputs[1:]], **_one_scale(front))
    if made is None:
        edit.remove_unused([moved.producer])
        return
    made.name = front.name
    edit.remove_unused([front])
    edit.note("moved as integers of 8 bits", moved.producer)


def _gather(edit: Rewrites, layer: Any) -> None:
    """Gather integers, of a constant too. What is not there is 0 in both, so 0 has to stand for 0."""
    x = layer.inputs[0]
    front = None if x is None else x.producer
    steps = steps_of(front)
    if steps is None or steps.zero != 0 or not _may_change(edit, layer, front):
        return
    stored = front.inputs[0]
    made = edit.insert(layer, layer.spec.id, [stored, *layer.inputs[1:]], name=layer.name, **layer.values)
    made.scale = stored.scale
    last = edit.try_substitute(layer, front.spec.id, [made, *front.inputs[1:]], **_one_scale(front))
    if last is None:
        edit.remove_unused([made.producer])
        return
    last.name = front.name
    edit.remove_unused([front])
    edit.note("gathered as integers of 8 bits", made.producer)


def _ends_in_casts(edit: Rewrites, layer: Any) -> bool:
    """True if all that takes the result converts it to bytes again."""
    takers = edit.takers(layer.outputs[0])
    return bool(takers) and all(is_op(taker, "Cast") and taker.outputs[0].dtype in BYTES for taker in takers)


def _drop_casts(edit: Rewrites, layer: Any) -> None:
    """Bytes to float32 and back to the same type."""
    found = dequantized(layer.inputs[0])
    if found is None or not is_op(layer.inputs[0].producer, "Cast") or found[0].dtype != layer.outputs[0].dtype:
        return
    if _may_change(edit, layer):
        edit.drop(layer, found[0], may_have_scales=True)


def _one_scale(layer: Any) -> dict[str, Any]:
    """The fields of a layer that quantises or converts, on a tensor of other dims: it has one scale, so no axis."""
    return {name: value for name, value in layer.values.items() if name != "axis"}


def _join(edit: Rewrites, layer: Any) -> None:
    """Join integers: those that are stored in other steps than the result are looked up first."""
    behind = edit.only_taker(layer.outputs[0])
    wanted = quantized(behind)
    found = [dequantized(tensor) for tensor in layer.inputs]
    parts = [part for part in found if part is not None]
    if wanted is None or len(parts) < len(found) or not _may_change(edit, layer, behind):
        return
    stored = [part[0] if part[1] == wanted else _looked_up(edit, layer, part[0], part[1], wanted) for part in parts]
    fronts = [tensor.producer for tensor in layer.inputs]
    made = edit.substitute(behind, layer.spec.id, stored, **layer.values)
    made.name = layer.name
    edit.remove_unused([*fronts, layer])
    edit.note("joined as integers of 8 bits", made)


def _requantize(edit: Rewrites, layer: Any) -> None:
    """A quantise layer right behind a dequantise layer."""
    found, wanted = dequantized(layer.inputs[0]), quantized(layer)
    if found is None or wanted is None or is_op(layer.inputs[0].producer, "Cast"):
        return
    front, (stored, steps) = layer.inputs[0].producer, found
    if not _may_change(edit, layer, front):
        return
    if steps == wanted:
        if edit.drop(layer, stored, may_have_scales=True):
            edit.note("removed, for they quantise what was stored so", layer)
    else:
        edit.substitute(layer, "ByteTable@1", [stored, _table(edit, layer, steps, wanted)])
        edit.note("looked up in tables", layer)
    edit.remove_unused([front])


def _looked_up(edit: Rewrites, before: Any, stored: Any, steps: Steps, wanted: Steps) -> Any:
    table = _table(edit, before, steps, wanted)
    return edit.insert(before, "ByteTable@1", [stored, table], name=f"{stored.name} in the steps of {before.name}")


def _table(edit: Rewrites, layer: Any, steps: Steps, wanted: Steps) -> Any:
    return edit.weights(f"table of {layer.name}", wanted.stored(steps.reals()), [])
