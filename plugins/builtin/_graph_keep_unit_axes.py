"""Layers behind a convolution or a pooling whose axis of extent 1 is left out work on the tensor with that axis.

Convolutions in one spatial dim are layers with two: an axis is inserted and left out again. What follows on rank 3 is
computed on rank 4 in front of that: the convolution can absorb it, blocks of 16 channels stay blocks up to the next
convolution, and where that inserts the axis again, nothing is left between the two. Where other layers take a result, a
reshape gives it the dims that they know.
"""

from __future__ import annotations

from typing import Any

from dovetail.core.expr import as_expr
from dovetail.plugins.rewrites import Rewrites, is_op, same_dims
from dovetail.plugins.rewrites_frames import Frame, frame_in_front, moved_inputs, places, renumbered
from dovetail.plugins.rewrites_moves import Move, fields_of, move_of

SOURCES = ("Convolution", "Deconvolution", "Pooling")


def keep_unit_axes(graph: Any, build: Any) -> Any:
    """Compute layers behind such convolutions on tensors with the axis."""
    if build.ranges:  # of the tensors as they are, by their names
        return graph
    edit = Rewrites(graph, build, "keep_unit_axes")
    wide: dict[Any, tuple[Any, Frame]] = {}  # of tensors without the axis: the one with it
    for layer in edit.layers():
        if len(layer.outputs) != 1 or not layer.inputs or layer.inputs[0] is None:
            continue
        if move_of(layer) is None:
            _compute_wide(edit, layer, wide)
        elif layer.inputs[0] in wide:
            _drop(edit, layer, wide[layer.inputs[0]][0])
        else:
            _enter(edit, layer, wide)
    return edit.finish()


def _enter(edit: Rewrites, layer: Any, wide: dict[Any, tuple[Any, Frame]]) -> None:
    """Note a move that leaves out an axis of a convolution."""
    x, frame = layer.inputs[0], frame_in_front(move_of(layer), layer)
    is_convolved = any(is_op(x.producer, name) for name in SOURCES)
    if frame is not None and len(frame.axes) < frame.rank and is_convolved:
        wide[layer.outputs[0]] = (x, frame)


def _drop(edit: Rewrites, layer: Any, made: Any) -> None:
    """Remove a move that inserts the axis again."""
    move, y = move_of(layer), layer.outputs[0]
    if move is None or not move.is_reshape or not same_dims(made, y) or edit.is_output(y):
        return
    if _is_near(edit, layer, made) and edit.may_change([layer]) and edit.drop(layer, made):
        edit.note("removed, for what they take is computed with the axis that they insert", layer)


def _is_near(edit: Rewrites, layer: Any, made: Any) -> bool:
    return edit.is_in(made.producer, edit.block_of(layer)) and made.producer.device == layer.device


def _compute_wide(edit: Rewrites, layer: Any, wide: dict[Any, tuple[Any, Frame]]) -> None:
    """Compute a layer on tensors with the axis, if it takes one that has been without, and leave it out behind it."""
    taken = [tensor for tensor in moved_inputs(layer) if tensor in wide]
    frames = {wide[tensor][1] for tensor in taken}
    if len(frames) != 1 or not all(_is_near(edit, layer, wide[tensor][0]) for tensor in taken):
        return
    frame, y = frames.pop(), layer.outputs[0]
    fields = _fields(layer, frame)
    if fields is None or not edit.may_change([layer]):
        return
    inputs = list(layer.inputs)
    for index in places(layer):
        if inputs[index] is not None:
            inputs[index] = (
                wide[inputs[index]][0] if inputs[index] in wide else _with_axis(edit, layer, inputs[index], frame)
            )
    if any(after is None for before, after in zip(layer.inputs, inputs, strict=True) if before is not None):
        return
    made = edit.insert(layer, layer.spec.id, inputs, name=layer.name, **{**layer.values, **fields})
    back = fields_of(made, Move(_axes(made.dims), tuple(y.dims), _axes(y.dims), False))
    behind = None if back is None else edit.try_substitute(layer, "Shuffle@1", [made], **back)
    if behind is None:
        edit.remove_unused([made.producer])
        return
    behind.name = f"{layer.name}, reshaped"
    wide[y] = (made, frame)
    edit.note("computed with the axis of extent 1 of the layers in front of them", made.producer)


def _axes(dims: Any) -> tuple[int, ...]:
    return tuple(range(len(dims)))


def _with_axis(edit: Rewrites, layer: Any, tensor: Any, frame: Frame) -> Any:
    """Another tensor that the layer takes, with the axis; None where extents are not known well enough."""
    if not tensor.dims:
        return tensor
    name = f"{tensor.name} for {layer.name}"
    if tensor.is_constant:
        return edit.weights(name, frame.array(tensor.constant), [tensor], tensor.dtype)
    dims = [as_expr(1)] * frame.rank
    for axis, extent in zip(frame.axes, tensor.dims, strict=True):
        dims[axis] = extent
    fields = fields_of(tensor, Move(_axes(tensor.dims), tuple(dims), _axes(dims), False))
    return None if fields is None else edit.insert(layer, "Shuffle@1", [tensor], name=name, **fields)


def _fields(layer: Any, frame: Frame) -> dict[str, Any] | None:
    """The fields of the layer on tensors with the axis; None if it stays as it is."""
    if is_op(layer, "SoftMax"):
        return None
    if not is_op(layer, "Reduce"):
        return renumbered(layer, frame)
    axes, rank = layer.values["axes"], len(frame.axes)
    first = next((axis for axis in range(rank) if axes >> axis & 1), rank)
    if not 0 < first < rank or axes != (1 << rank) - (1 << first):
        return None
    behind = frame.axes[first - 1] + 1  # with the axis, which changes nothing: kernels know sums of whole maps
    return {"axes": (1 << frame.rank) - (1 << behind), "keep_dims": True}
