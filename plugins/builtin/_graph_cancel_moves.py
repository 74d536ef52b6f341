"""Orders of axes cancel across layers that work element by element: transpose, relu, add, transpose back.

A region of such layers is found whose inputs are all transposed (or squeezed) in one way and whose results are all
transposed back: it then works on the tensors as they are. Constants are transposed for it, and fields that number axes
renumbered.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy

from dovetail.plugins.rewrites import Rewrites
from dovetail.plugins.rewrites_moves import Move, move_of

MOST_LAYERS = 200  # of a region


@dataclass(frozen=True)
class Frame:
    """A tensor of a region in the other order: its axis i is axis `axes[i]` of `rank`, the others have extent 1."""

    axes: tuple[int, ...]
    rank: int

    def array(self, values: numpy.ndarray) -> numpy.ndarray:
        """A constant of the region in the other order."""
        dims = [1] * self.rank
        for axis, extent in zip(self.axes, values.shape, strict=True):
            dims[axis] = extent
        order = sorted(range(values.ndim), key=lambda axis: self.axes[axis])
        return values.transpose(order).reshape(dims)

    def mask(self, bits: int) -> int:
        return sum(1 << axis for i, axis in enumerate(self.axes) if bits >> i & 1)


def cancel_moves(graph: Any, build: Any) -> Any:
    """Remove transpositions around regions of layers that do not need them."""
    edit = Rewrites(graph, build, "cancel_moves")
    for layer in edit.layers():
        frame = _frame_behind(move_of(layer), layer)
        if frame is None:
            continue
        region = _Region(edit, frame, edit.block_of(layer))
        if region.grow(layer) and edit.may_change([*region.layers, *region.behind, *region.in_front]):
            region.apply()
    return edit.finish()


def _frame_in_front(move: Move | None, layer: Any) -> Frame | None:
    """How the result of a move lies in its input."""
    if move is None:
        return None
    x, y = layer.inputs[0], layer.outputs[0]
    if move.order is not None:
        return None if list(move.order) == sorted(move.order) else Frame(move.order, len(x.dims))
    axes = _embedded(y.dims, x.dims) if move.is_reshape else None
    return None if axes is None else Frame(axes, len(x.dims))


def _frame_behind(move: Move | None, layer: Any) -> Frame | None:
    """How the input of a move lies in its result."""
    if move is None:
        return None
    x, y = layer.inputs[0], layer.outputs[0]
    if move.order is not None:
        back = tuple(sorted(range(len(x.dims)), key=lambda axis: move.order[axis]))  # type: ignore[index]
        return None if list(back) == sorted(back) else Frame(back, len(y.dims))
    axes = _embedded(x.dims, y.dims) if move.is_reshape else None
    return None if axes is None else Frame(axes, len(y.dims))


def _embedded(few: Any, many: Any) -> tuple[int, ...] | None:
    """Where each extent of `few` is among `many`, in order, if the others are 1."""
    if len(few) >= len(many):
        return None
    axes, at = [], 0
    for left, extent in zip(range(len(few), 0, -1), few, strict=True):
        while not many[at].same(extent):
            if many[at].value != 1 or len(many) - at <= left:
                return None
            at += 1
        axes.append(at)
        at += 1
        if len(many) - at < left - 1:
            return None
    return tuple(axes) if all(extent.value == 1 for extent in many[at:]) else None


class _Region:
    """Layers between moves into a frame and moves out of it."""

    def __init__(self, edit: Rewrites, frame: Frame, block: Any) -> None:
        self.edit, self.frame, self.block = edit, frame, block
        self.layers: dict[Any, None] = {}
        self.in_front: dict[Any, None] = {}  # moves whose results the region takes
        self.behind: dict[Any, None] = {}  # moves that take its results
        self.queue: list[Any] = []

    def grow(self, end: Any) -> bool:
        """Find the region in front of a move. False if there is none."""
        self.behind[end] = None
        if not self._enter_producer(end.inputs[0]):
            return False
        while self.queue:
            layer = self.queue.pop()
            if len(self.layers) > MOST_LAYERS or not self._take(layer):
                return False
        ends = [move for move in self.behind if self.edit.is_output(move.outputs[0])]
        is_free = self.block is self.edit.graph and len({move.inputs[0] for move in ends}) == len(ends)
        return bool(self.layers) and bool(self.in_front) and (is_free or not ends)

    def _take(self, layer: Any) -> bool:
        return all(self._enter_producer(t) for t in _moved_inputs(layer)) and self._enter_takers(layer)

    def _enter_producer(self, tensor: Any) -> bool:
        if tensor.is_constant:
            return len(tensor.dims) == len(self.frame.axes) or not tensor.dims
        producer = tensor.producer
        if producer is None or not self.edit.is_in(producer, self.block):
            return False
        if _frame_in_front(move_of(producer), producer) == self.frame:
            self.in_front[producer] = None
            return True
        return self._enter(producer)

    def _enter(self, layer: Any) -> bool:
        if layer in self.layers:
            return True
        if len(layer.outputs) != 1 or layer.blocks or _renumbered(layer, self.frame) is None:
            return False
        self.layers[layer] = None
        self.queue.append(layer)
        return True

    def _enter_takers(self, layer: Any) -> bool:
        made = layer.outputs[0]
        if self.edit.is_output(made):
            return False
        for taker in self.edit.takers(made):
            if taker in self.behind or taker in self.layers:
                continue
            if not self.edit.is_in(taker, self.block):
                return False
            if _frame_behind(move_of(taker), taker) == self.frame:
                self.behind[taker] = None
            elif not self._enter(taker):
                return False
        return True

    def apply(self) -> None:
        """Make the region anew in the other order, and remove the moves behind it."""
        edit = self.edit
        moved = {move.outputs[0]: move.inputs[0] for move in self.in_front}
        order = [layer for layer in self.block.layers if layer in self.layers]
        for layer in order:
            inputs = list(layer.inputs)
            for index in _places(layer):
                tensor = inputs[index]
                if tensor is not None and tensor.is_constant:
                    inputs[index] = self._constant(tensor, layer)
                elif tensor is not None:
                    inputs[index] = moved[tensor]
            fields = {**layer.values, **(_renumbered(layer, self.frame) or {})}
            moved[layer.outputs[0]] = edit.insert(layer, layer.spec.id, inputs, name=layer.name, **fields)
        ends = sorted(self.behind, key=lambda move: edit.is_output(move.outputs[0]))
        for move in ends:
            edit.drop(move, moved[move.inputs[0]])
        edit.remove_unused([*self.in_front, *order])
        edit.note("removed, for they cancel across the layers between them", *self.in_front, *ends)

    def _constant(self, tensor: Any, layer: Any) -> Any:
        if not tensor.dims:
            return tensor
        name = f"{tensor.name} for {layer.name}"
        return self.edit.weights(name, self.frame.array(tensor.constant), [tensor], tensor.dtype)


# ---- what a region may consist of


def _renumbered(layer: Any, frame: Frame) -> dict[str, Any] | None:
    """The fields that number axes, as they are in the other order; None if the layer depends on the order."""
    x, rank = layer.inputs[0], len(frame.axes)
    if any(tensor is not None and len(tensor.dims) not in (0, rank) for tensor in _moved_inputs(layer)):
        return None
    if x is None or len(layer.outputs[0].dims) != rank:
        return None
    if layer.spec.id in RENUMBERED:
        return RENUMBERED[layer.spec.id](layer, frame)
    is_pointwise = layer.spec.scalar is not None and "along(" not in layer.spec.scalar
    return {} if is_pointwise else None


def _places(layer: Any) -> list[int]:
    """The inputs whose axes are those of the region."""
    return [0] if layer.spec.id == "Scale@1" else list(range(len(layer.inputs)))


def _moved_inputs(layer: Any) -> list[Any]:
    return [layer.inputs[index] for index in _places(layer) if layer.inputs[index] is not None]


def _scale(layer: Any, frame: Frame) -> dict[str, Any] | None:
    mode = layer.values["mode"].name
    if mode == "ELEMENTWISE":
        return None
    axis = layer.values["channel_axis"] % len(frame.axes)
    return {} if mode == "UNIFORM" else {"channel_axis": frame.axes[axis]}


def _softmax(layer: Any, frame: Frame) -> dict[str, Any]:
    return {"axes": frame.mask(layer.values["axes"] or 1 << max(0, len(frame.axes) - 3))}


def _reduce(layer: Any, frame: Frame) -> dict[str, Any] | None:
    return {"axes": frame.mask(layer.values["axes"])} if layer.values["keep_dims"] else None


def _concatenation(layer: Any, frame: Frame) -> dict[str, Any]:
    return {"axis": frame.axes[layer.values["axis"] % len(frame.axes)]}


RENUMBERED: dict[str, Callable[[Any, Frame], dict[str, Any] | None]] = {
    "Scale@1": _scale,
    "SoftMax@1": _softmax,
    "Reduce@1": _reduce,
    "Concatenation@1": _concatenation,
}
