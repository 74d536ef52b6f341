"""What the pass for quantised networks knows of tensors: stored integers behind dequantise layers, and vectors."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dovetail.core.types import DataType
from dovetail.machine.builder.graph import GraphTensor


@dataclass(frozen=True)
class Stored:
    """real = (tensor - zero) * scale, with one scale, or one for each element of `axis`."""

    tensor: GraphTensor
    scales: np.ndarray  # float32
    zero: GraphTensor | None  # None: 0
    axis: int = -1
    is_affine: bool = False  # of a layer that knows zero points

    @property
    def has_one_scale(self) -> bool:
        return self.scales.size == 1

    @property
    def zero_value(self) -> int:
        """The zero point, which is a constant."""
        return 0 if self.zero is None else int(self.zero.constant.reshape(-1)[0])  # type: ignore[union-attr]

    def as_int8(self, axis: int) -> tuple[np.ndarray, int] | None:
        """Constants as int8, and their zero point; None if they are not known, or scales are not those of `axis`."""
        array = self.tensor.constant
        if array is None or not (self.has_one_scale or self.axis == axis):
            return None
        if array.dtype == np.int8:
            return array, self.zero_value
        return (array.astype(np.int16) - 128).astype(np.int8), self.zero_value - 128


def dequantized(tensor: GraphTensor | None) -> Stored | None:
    """The integers of 8 bits behind a dequantise layer whose scales and zero point are known, else None.

    Constants may have got extents of 1 since.
    """
    layer = None if tensor is None else tensor.producer
    if layer is not None and layer.spec.role == "unsqueeze":
        found = dequantized(layer.inputs[0])
        return None if found is None or found.tensor.constant is None else _unsqueezed(found, layer.outputs[0])
    if layer is None or layer.spec.role not in ("dequantize", "affine dequantize"):
        return None
    stored, scale = layer.inputs[0], layer.inputs[1]
    if stored is None or scale is None or stored.dtype not in (DataType.INT8, DataType.UINT8) or scale.constant is None:
        return None
    scales = scale.constant.astype(np.float32)
    if layer.outputs[0].dtype != DataType.FLOAT or not ((scales > 0) & np.isfinite(scales)).all():
        return None
    if layer.spec.role == "dequantize":
        axis = int(layer.values.get("axis", -1))
        return Stored(stored, scales.reshape(-1) if scales.size > 1 else scales.reshape(()), None, axis)
    zero = layer.inputs[2]
    if zero is None or zero.constant is None:
        return None
    return Stored(stored, scales.reshape(()), zero if zero.constant.any() else None, is_affine=True)


def _unsqueezed(given: Stored, made: GraphTensor) -> Stored | None:
    """A constant with the dims of a tensor that has more extents of 1."""
    extents, axis = [extent.value for extent in made.dims], given.axis
    if None in extents:
        return None
    array = given.tensor.constant.reshape(extents)
    if not given.has_one_scale:  # its axis is the one with as many elements in front of it
        front = math.prod(given.tensor.constant.shape[:axis])
        axis = next(i for i, n in enumerate(extents) if n == given.scales.size and math.prod(extents[:i]) == front)
    wider = GraphTensor.of_array(given.tensor.name, array, len(given.tensor.ranges), origin=given.tensor.origin)
    return replace(given, tensor=wider, axis=axis)


def vector_of(tensor: GraphTensor, dims: Any, axis: int, n_profiles: int) -> GraphTensor | None:
    """The tensor as one value, or one for each element of an axis of `dims`, counted from the end; else None."""
    own, place = list(tensor.dims), len(tensor.dims) + axis
    if len(own) > len(dims):
        return None
    others = [extent for index, extent in enumerate(own) if index != place]
    if not all(extent.same(1) for extent in others):
        return None
    is_one = place < 0 or own[place].same(1)
    if not is_one and not own[place].same(dims[axis]):
        return None
    if tensor.constant is not None:
        return GraphTensor.of_array(
            f"{tensor.name} as a vector", tensor.constant.reshape(-1), n_profiles, origin=tensor.origin
        )
    return tensor if is_one or axis == -1 else None
