"""Tensors in another order of axes or with more of extent 1, and layers that can work so; for passes over the graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy

from dovetail.plugins.rewrites_moves import Move


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


def frame_in_front(move: Move | None, layer: Any) -> Frame | None:
    """How the result of a move lies in its input."""
    if move is None:
        return None
    x, y = layer.inputs[0], layer.outputs[0]
    if move.order is not None:
        return None if list(move.order) == sorted(move.order) else Frame(move.order, len(x.dims))
    axes = _embedded(y.dims, x.dims) if move.is_reshape else None
    return None if axes is None else Frame(axes, len(x.dims))


def frame_behind(move: Move | None, layer: Any) -> Frame | None:
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


# ---- layers that work in another order of axes


def renumbered(layer: Any, frame: Frame) -> dict[str, Any] | None:
    """The fields that number axes, as they are in the other order; None if the layer depends on the order."""
    x, rank = layer.inputs[0], len(frame.axes)
    if any(tensor is not None and len(tensor.dims) not in (0, rank) for tensor in moved_inputs(layer)):
        return None
    if x is None or len(layer.outputs[0].dims) != rank:
        return None
    if layer.spec.id in RENUMBERED:
        return RENUMBERED[layer.spec.id](layer, frame)
    is_pointwise = layer.spec.scalar is not None and "along(" not in layer.spec.scalar
    return {} if is_pointwise else None


def places(layer: Any) -> list[int]:
    """The inputs whose axes are those of the region."""
    return [0] if layer.spec.id in ("Scale@1", "Slice@1") else list(range(len(layer.inputs)))


def moved_inputs(layer: Any) -> list[Any]:
    return [layer.inputs[index] for index in places(layer) if layer.inputs[index] is not None]


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


def _slice(layer: Any, frame: Frame) -> dict[str, Any] | None:
    if any(tensor is not None for tensor in layer.inputs[1:4]):
        return None
    fields = {}
    for name, other in (("start", 0), ("shape", 1), ("stride", 1)):
        values = [other] * frame.rank
        for axis, value in zip(frame.axes, layer.values[name], strict=True):
            values[axis] = value
        fields[name] = tuple(values)
    return fields


RENUMBERED: dict[str, Callable[[Any, Frame], dict[str, Any] | None]] = {
    "Scale@1": _scale,
    "SoftMax@1": _softmax,
    "Reduce@1": _reduce,
    "Concatenation@1": _concatenation,
    "Slice@1": _slice,
}
