"""Orders of axes cancel across layers that work element by element: transpose, relu, add, transpose back.

A region of such layers is found whose inputs are all transposed (or squeezed) in one way and whose results are all
transposed back: it then works on the tensors as they are. Constants are transposed for it, and fields that number axes
renumbered.
"""

from __future__ import annotations

from typing import Any

from dovetail.plugins.rewrites import Rewrites
from dovetail.plugins.rewrites_frames import Frame, frame_behind, frame_in_front, moved_inputs, places, renumbered
from dovetail.plugins.rewrites_moves import move_of

MOST_LAYERS = 200  # of a region


def cancel_moves(graph: Any, build: Any) -> Any:
    """Remove transpositions around regions of layers that do not need them."""
    edit = Rewrites(graph, build, "cancel_moves")
    for layer in edit.layers():
        frame = frame_behind(move_of(layer), layer)
        if frame is None:
            continue
        region = _Region(edit, frame, edit.block_of(layer))
        if region.grow(layer) and edit.may_change([*region.layers, *region.behind, *region.in_front]):
            region.apply()
    return edit.finish()


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
        return all(self._enter_producer(t) for t in moved_inputs(layer)) and self._enter_takers(layer)

    def _enter_producer(self, tensor: Any) -> bool:
        if tensor.is_constant:
            return len(tensor.dims) == len(self.frame.axes) or not tensor.dims
        producer = tensor.producer
        if producer is None or not self.edit.is_in(producer, self.block):
            return False
        if frame_in_front(move_of(producer), producer) == self.frame:
            self.in_front[producer] = None
            return True
        return self._enter(producer)

    def _enter(self, layer: Any) -> bool:
        if layer in self.layers:
            return True
        if len(layer.outputs) != 1 or layer.blocks or renumbered(layer, self.frame) is None:
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
            if frame_behind(move_of(taker), taker) == self.frame:
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
            for index in places(layer):
                tensor = inputs[index]
                if tensor is not None and tensor.is_constant:
                    inputs[index] = self._constant(tensor, layer)
                elif tensor is not None:
                    inputs[index] = moved[tensor]
            fields = {**layer.values, **(renumbered(layer, self.frame) or {})}
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
