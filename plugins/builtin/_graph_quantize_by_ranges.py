"""Implicit quantisation: tensors with a range get a quantise and a dequantise layer, where layers compute in INT8.

`build.ranges` has the largest magnitude of a tensor that is to be stored, from calibration or `dynamic_range`. Where a
convolution or a product with constant weights takes such a tensor, it is stored as INT8 of the scale range / 127 for
all that takes it, and so is, in front of it, what moves, maxima, concatenations and additions are made of. Weights have
a scale for each output channel, largest magnitude / 127. What is a function of one such sum, as x * sigmoid(x), is
looked up in a table of its 256 values, so the sum is stored in INT8 as well. The passes behind this one then compute on
the integers, as in networks with such layers of their own.
"""

from __future__ import annotations

from typing import Any

import numpy

from dovetail.core.types import DataType, DeviceType
from dovetail.plugins.rewrites import Rewrites, is_op, number_of, same_dims
from dovetail.plugins.rewrites_stored import is_move

STEPS = 127
_MOST_LAYERS = 24  # of a function


def quantize_by_ranges(graph: Any, build: Any) -> Any:
    """Insert Quantize and Dequantize for layers on the CPU whose inputs have ranges."""
    if not build.ranges:
        return graph
    edit = Rewrites(graph, build, "quantize_by_ranges")
    chosen = _Chosen(edit, build.ranges)
    weighted = []
    for layer in edit.layers():
        weights = _constant_weights(layer)
        if weights is None or not _may_be_int8(edit, layer):
            continue
        x = layer.inputs[0]
        if not chosen.choose(x):
            edit.note(f"not in INT8, {chosen.why_not(x)}", layer)
            continue
        weighted.append((layer, weights))
        edit.note("in INT8, by the ranges of their inputs", layer)
    for layer, weights in weighted:
        layer.precision = None  # it computes on integers
        _quantize_weights(edit, layer, weights)
    for tensor, scale in chosen.scales.items():
        _store(edit, tensor, scale)
    return edit.finish()


# ---- which tensors


class _Chosen:
    """The tensors to be stored as INT8, each with its scale."""

    def __init__(self, edit: Rewrites, ranges: dict[str, float]) -> None:
        self.edit, self.ranges = edit, ranges
        self.scales: dict[Any, float] = {}

    def why_not(self, tensor: Any) -> str:
        """Why a tensor cannot be stored as INT8; "" if it can."""
        if tensor.is_constant:
            return "their input is a constant"
        if tensor.dtype != DataType.FLOAT:
            return f"their input is {tensor.dtype.name} in the network"
        range_ = self.ranges.get(tensor.name)
        if range_ is None:
            return "their input has no range"
        return "" if numpy.float32(range_ / STEPS) > 0 else "their input has no number but 0"

    def choose(self, tensor: Any, scale: float = 0.0) -> bool:
        """Store it, with its own scale unless one is given, and what stands in front of it where that can be stored."""
        if tensor in self.scales:
            return True
        if self.why_not(tensor):
            return False
        self.scales[tensor] = scale or float(numpy.float32(self.ranges[tensor.name] / STEPS))
        self._choose_in_front(tensor)
        return True

    def _choose_in_front(self, tensor: Any) -> None:
        layer = tensor.producer
        while layer is not None and _is_limit(layer) and self.edit.only_taker(layer.inputs[0]) is layer:
            layer = layer.inputs[0].producer
        if layer is None or not self.edit.may_change([layer], may_have_scales=True):
            return
        if layer.outputs[0] is tensor and (is_move(layer) or is_op(layer, "Concatenation")):
            moved = layer.inputs if is_op(layer, "Concatenation") else layer.inputs[:1]
            for one in moved:
                if one.producer is not None:
                    self.choose(one, self.scales[tensor])
        elif is_op(layer, "ElementWise", op="SUM") and not any(map(self.why_not, layer.inputs)):
            for side in layer.inputs:
                self.choose(side)
        elif layer.outputs[0] is tensor:
            argument = _argument_of(tensor)
            if argument is not None:
                self.choose(argument)


def _is_limit(layer: Any) -> bool:
    return is_op(layer, "Activation", type="RELU") or is_op(layer, "Activation", type="CLIP")


def _argument_of(tensor: Any) -> Any:
    """The sums of a convolution or product that a tensor is a function of, by layers on single numbers; else None."""
    arguments: list[Any] = []
    stack, seen = [tensor], set[Any]()
    while stack and len(seen) <= _MOST_LAYERS:
        found = stack.pop()
        layer = found.producer
        numbers = [number_of(one) for one in layer.inputs] if _is_pointwise(layer) else []
        others = [one for one, number in zip(layer.inputs, numbers, strict=True) if number is None] if numbers else []
        if others and not any(one.is_constant or not same_dims(one, tensor) for one in others):
            stack += [one for one in others if one not in seen]
            seen.update(others)
        elif found not in arguments:
            arguments.append(found)
    if stack or len(arguments) != 1 or arguments[0] is tensor:
        return None
    made_by = arguments[0].producer
    if is_op(made_by, "ElementWise", op="SUM"):  # a bias
        made_by = next((one.producer for one in made_by.inputs if not one.is_constant), None)
    return arguments[0] if _constant_weights(made_by) is not None else None


def _is_pointwise(layer: Any) -> bool:
    names = ("Activation", "ElementWise", "Unary")
    return any(is_op(layer, name) for name in names) and all(one is not None for one in layer.inputs)


def _may_be_int8(edit: Rewrites, layer: Any) -> bool:
    if layer.device != DeviceType.CPU or layer.outputs[0].dtype != DataType.FLOAT:
        return False
    wanted = layer.precision
    if wanted == DataType.INT8:
        layer.precision = None
    may_change: bool = edit.may_change([layer])
    layer.precision = wanted
    return may_change


def _constant_weights(layer: Any) -> Any:
    """(constant, axis of the output channels) of a layer that can multiply integers; None for others."""
    if layer is None or any(tensor is not None and tensor.scale >= 0 for tensor in layer.tensors):
        return None
    if is_op(layer, "Convolution") and len(layer.values["kernel_size_nd"]) == 2 and len(layer.inputs[0].dims) == 4:
        weights, axis = layer.inputs[1], 0
    elif is_op(layer, "MatrixMultiply", op0="NONE") and not is_op(layer, "MatrixMultiply", op1="VECTOR"):
        weights = layer.inputs[1]
        rank = len(weights.dims)
        axis = rank - (2 if is_op(layer, "MatrixMultiply", op1="TRANSPOSE") else 1)
        if rank < 2 or rank != len(layer.inputs[0].dims) or any(extent != 1 for extent in weights.static_dims[:-2]):
            return None
    else:
        return None
    known = weights is not None and weights.is_constant and weights.dtype == DataType.FLOAT
    if not known or layer.inputs[0].is_constant or not numpy.isfinite(weights.constant).all():
        return None
    return weights, axis


# ---- the layers


def _quantize_weights(edit: Rewrites, layer: Any, weights: tuple[Any, int]) -> None:
    tensor, axis = weights
    array = numpy.asarray(tensor.constant, numpy.float32)
    others = tuple(index for index in range(array.ndim) if index != axis)
    largest = numpy.abs(array).max(axis=others, keepdims=True)
    scales = largest / numpy.float32(STEPS)
    scales[~(scales > 0)] = 1.0  # a channel of zeros
    integers = numpy.clip(numpy.rint(array / scales), -STEPS, STEPS).astype(numpy.int8)
    stored = edit.weights(f"{tensor.name} in INT8", integers, [tensor])
    steps = edit.weights(f"scales of {tensor.name}", scales.reshape(-1), [tensor])
    real = edit.insert(layer, "Dequantize@1", [stored, steps], name=f"{layer.name}, weights", axis=axis)
    edit.set_inputs(layer, [layer.inputs[0], real, *layer.inputs[2:]])


def _store(edit: Rewrites, tensor: Any, scale: float) -> None:
    """Quantise the tensor and dequantise it, for all layers of its block that take it."""
    takers = list(dict.fromkeys(edit.takers(tensor)))
    block = next((edit.block_of(layer) for layer in takers if edit.is_in(layer, edit.graph)), None)
    takers = [layer for layer in takers if edit.block_of(layer) is block]
    if block is None:
        return
    first = next(layer for layer in block.layers if layer in takers)
    steps = edit.weights(f"scale of {tensor.name}", numpy.array([scale], numpy.float32), [])
    stored = edit.insert(first, "Quantize@1", [tensor, steps], name=f"quantize {tensor.name}")
    real = edit.insert(first, "Dequantize@1", [stored, steps], name=f"dequantize {tensor.name}")
    for layer in takers:
        edit.set_inputs(layer, [real if one is tensor else one for one in layer.inputs])
