"""Where the elements of a tensor lie in another one from which layers moved them; for passes over the graph.

A layer that reads such a tensor may read the other one instead, if it can step through it: the moves
are not needed then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from dovetail.core.expr import as_expr
from dovetail.plugins.rewrites import is_op
from dovetail.plugins.rewrites_moves import move_of


@dataclass(frozen=True)
class Run:
    """Elements along an axis of the source, `step` apart."""

    axis: int
    extent: Any
    step: int


@dataclass
class View:
    """Each axis of a tensor as runs of the source, the outermost first; `start` is the first element on its axes."""

    axes: list[list[Run]]
    start: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, source: Any) -> View:
        runs = [[] if dim.value == 1 else [Run(axis, dim, 1)] for axis, dim in enumerate(source.dims)]
        return cls(runs, [0] * len(runs))

    def through(self, layer: Any) -> View | None:
        """The view of what the layer makes of this tensor; None where it makes no view."""
        move = move_of(layer)
        if move is not None:
            reshaped = _reshaped([self.axes[axis] for axis in move.first], move.between)
            return None if reshaped is None else View([reshaped[axis] for axis in move.second], self.start)
        if is_op(layer, "Gather"):
            return self._gathered(layer)
        return self._sliced(layer) if is_op(layer, "Slice") else None

    def _gathered(self, layer: Any) -> View | None:
        index, axis = layer.inputs[1], layer.values["axis"] % len(self.axes)
        is_plain = layer.values["mode"].name == "DEFAULT" and not layer.values["num_elementwise_dims"]
        if not is_plain or index is None or not index.is_constant or index.dims:
            return None
        return self._part(axis, int(index.constant), None)

    def _sliced(self, layer: Any) -> View | None:
        if int(layer.values["mode"]) != 0 or any(tensor is not None for tensor in layer.inputs[1:]):
            return None
        view: View | None = self
        x, y = layer.inputs[0], layer.outputs[0]
        for axis, (begin, step) in enumerate(zip(layer.values["start"], layer.values["stride"], strict=True)):
            is_whole = x.dims[axis].same(y.dims[axis])
            if view is None or (begin != 0 and is_whole) or (step != 1 and y.dims[axis].value != 1):
                return None
            view = view if is_whole else view._part(axis, begin, y.dims[axis])
        return view

    def _part(self, axis: int, begin: int, extent: Any) -> View | None:
        """Elements from `begin` on of an axis; without an extent one, and no axis."""
        runs = self.axes[axis]
        if len(runs) != 1 or (runs[0].extent.value is None):
            return View(self.axes[:axis] + self.axes[axis + 1 :], self.start) if not runs and extent is None else None
        run, start = runs[0], list(self.start)
        start[run.axis] += (begin % run.extent.value) * run.step
        is_one = extent is None or extent.value == 1
        left = [] if extent is None else [[] if is_one else [Run(run.axis, extent, run.step)]]
        return View(self.axes[:axis] + left + self.axes[axis + 1 :], start)


def _reshaped(axes: Sequence[Sequence[Run]], dims: Sequence[Any]) -> list[list[Run]] | None:
    """The same elements in order with other extents; None where runs cannot be split so."""
    left = [run for runs in axes for run in runs]
    made: list[list[Run]] = []
    for wanted in dims:
        taken: list[Run] = []
        extent = as_expr(1)
        while not extent.same(wanted):
            if not left:
                return None
            run = left.pop(0)
            if wanted.value is not None and run.extent.value is not None and extent.value is not None:
                need = wanted.value // extent.value
                if not need or wanted.value % extent.value:
                    return None
                if run.extent.value > need:
                    if run.extent.value % need:
                        return None
                    inner = run.extent.value // need
                    left.insert(0, Run(run.axis, as_expr(inner), run.step))
                    run = Run(run.axis, as_expr(need), run.step * inner)
            taken.append(run)
            extent = extent * run.extent
        made.append(taken)
    return None if left else made


def views_of(tensor: Any, is_in_block: Any) -> list[tuple[Any, View]]:
    """(source, view of the tensor in it) for the tensor itself and those that it was moved from, the nearest first."""
    chain: list[Any] = []
    found = [(tensor, View.of(tensor))]
    while True:
        layer = tensor.producer
        is_move = layer is not None and (move_of(layer) is not None or is_op(layer, "Gather") or is_op(layer, "Slice"))
        if not is_move or not is_in_block(layer) or layer.inputs[0] is None or layer.inputs[0].is_constant:
            return found
        chain.insert(0, layer)
        tensor = layer.inputs[0]
        view: View | None = View.of(tensor)
        for one in chain:
            view = None if view is None else view.through(one)
        if view is None:
            return found
        found.append((tensor, view))
