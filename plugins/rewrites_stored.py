"""Layers between real numbers and integers of 8 bits, for passes over the graph: real = (stored - zero) * scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy

from dovetail.core.types import DataType, nptype
from dovetail.plugins.rewrites import is_op, number_of
from dovetail.plugins.rewrites_moves import move_of

BYTES = (DataType.INT8, DataType.UINT8)
# Ops whose first input is what they move; other inputs are dims, axes or places.
MOVES = ("Shuffle", "Squeeze", "Unsqueeze", "Slice", "Pooling")


@dataclass(frozen=True)
class Steps:
    """How a tensor of one scale and one zero point is stored."""

    scale: float
    zero: int
    dtype: DataType

    def reals(self) -> numpy.ndarray:
        """What each of the 256 bytes stands for, in float32."""
        integers = numpy.arange(256, dtype=numpy.uint8).view(nptype(self.dtype)).astype(numpy.float32)
        return (integers - numpy.float32(self.zero)) * numpy.float32(self.scale)

    def stored(self, reals: numpy.ndarray) -> numpy.ndarray:
        """Real numbers as integers: to the nearest, ties to even, limited; nan as the least."""
        limits = numpy.iinfo(nptype(self.dtype))
        low, high = int(limits.min), int(limits.max)
        with numpy.errstate(over="ignore"):  # limited below
            whole = numpy.rint(reals / numpy.float32(self.scale)) + self.zero
        result: numpy.ndarray = numpy.clip(numpy.nan_to_num(whole, nan=low), low, high).astype(nptype(self.dtype))
        return result


def steps_of(layer: Any) -> Steps | None:
    """How the integers are stored of which a dequantise layer makes float32; None of other layers."""
    if not (is_op(layer, "AffineDequantize") or is_op(layer, "Dequantize")):
        return None
    stored, made = layer.inputs[0].dtype, layer.outputs[0].dtype
    return _steps(layer, stored) if made == DataType.FLOAT and stored in BYTES else None


def number_stored(tensor: Any) -> float | None:
    """The number of a constant, or what a dequantise layer makes of one, also in other dims; None if it is none."""
    while tensor is not None and move_of(tensor.producer) is not None:
        tensor = tensor.producer.inputs[0]
    steps = None if tensor is None else steps_of(tensor.producer)
    if steps is None:
        return number_of(tensor)
    number = number_of(tensor.producer.inputs[0])
    if number is None:
        return None
    return float((numpy.float32(number) - numpy.float32(steps.zero)) * numpy.float32(steps.scale))


def dequantized(tensor: Any) -> tuple[Any, Steps] | None:
    """The integers that a tensor of float32 is made of; None if none are known or their parameters are not constant."""
    if tensor is None or tensor.producer is None or tensor.dtype != DataType.FLOAT:
        return None
    layer = tensor.producer
    stored = layer.inputs[0] if layer.inputs else None
    if stored is None or stored.is_constant or stored.dtype not in BYTES:
        return None
    steps = Steps(1.0, 0, stored.dtype) if is_op(layer, "Cast") else steps_of(layer)
    return None if steps is None else (stored, steps)


def quantized(layer: Any) -> Steps | None:
    """What a layer stores real numbers as; None if it does something else."""
    if not (is_op(layer, "AffineQuantize") or is_op(layer, "Quantize")):
        return None
    given, made = layer.inputs[0].dtype, layer.outputs[0].dtype
    return _steps(layer, made) if given == DataType.FLOAT and made in BYTES else None


def _steps(layer: Any, dtype: DataType) -> Steps | None:
    """Of a layer with x, the scale and perhaps the zero point."""
    parameters = [tensor for tensor in layer.inputs[1:3] if tensor is not None]
    if any(tensor.constant is None or tensor.constant.size != 1 for tensor in parameters):
        return None
    scale = float(parameters[0].constant.reshape(-1)[0])
    zero = int(parameters[1].constant.reshape(-1)[0]) if len(parameters) > 1 else 0
    return Steps(scale, zero, dtype) if 0 < scale < float("inf") else None


def is_move(layer: Any) -> bool:
    """True if each result is one of the numbers of the first input: the largest of a window is, too."""
    if not any(is_op(layer, name) for name in MOVES) or len(layer.outputs) != 1:
        return False
    if is_op(layer, "Pooling"):
        # A window of padding alone would be -inf in real numbers.
        return is_op(layer, "Pooling", type="MAX") and _has_cells(layer)
    if is_op(layer, "Slice"):
        has_places = len(layer.values["start"]) == len(layer.values["shape"]) == len(layer.outputs[0].dims)
        has_fill = any(tensor is not None for tensor in layer.inputs[4:5])
        return has_places and not has_fill and not is_op(layer, "Slice", mode="FILL")
    return True


def _has_cells(layer: Any) -> bool:
    """True if padding is narrower than the window on all sides, and no window begins behind it."""
    values, rank = layer.values, len(layer.values["window_size_nd"])
    padding = (values[name] or (0,) * rank for name in ("pre_padding", "post_padding"))
    windows = values["window_size_nd"]
    is_narrow = all(p < window for side in padding for p, window in zip(side, windows, strict=True))
    return is_narrow and not is_op(layer, "Pooling", padding_mode="EXPLICIT_ROUND_UP")
