"""Contents of tensors that are computed from constants during the import."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dovetail.core.types import FLOATS, DataType, nptype
from dovetail.machine.tensor import ITensor

EXACT = "in_float64"  # a field of layers at the ends of a part that the model computes in DOUBLE


class Constants:
    """Computes each tensor once, with the layers' NumPy references; in float64 what the model computes in DOUBLE.

    Args:
        may_use: (bytes) -> may a result take them, beyond those of what it is computed from? What may not is not known.
    """

    def __init__(self, may_use: Callable[[int], bool] = lambda n_bytes: True) -> None:
        self._may_use = may_use
        self._known: dict[int, tuple[ITensor, np.ndarray | None]] = {}  # by id; the tensor is kept, so that ids stay

    def contents(self, tensor: ITensor) -> np.ndarray | None:
        """The contents of a tensor; None if they depend on an input of the network."""
        stack = [tensor]
        while stack:
            top = stack[-1]
            if id(top) in self._known:
                stack.pop()
                continue
            waiting = self._unknown_sources(top)
            if waiting:
                stack += waiting
                continue
            self._known[id(stack.pop())] = (top, self._compute(top))
        array = self._known[id(tensor)][1]
        return array if array is None else array.astype(nptype(tensor.dtype), copy=False)

    def _unknown_sources(self, tensor: ITensor) -> list[ITensor]:
        layer = tensor._producer
        if layer is None or _followed(tensor) is not None:
            return []
        return [source for source in layer._inputs if source is not None and id(source) not in self._known]

    def _compute(self, tensor: ITensor) -> np.ndarray | None:
        layer = tensor._producer
        found = _followed(tensor)
        if found is not None or layer is None or layer.spec.reference is None:
            return found
        weights = layer.weights_as_given()
        arrays: list[Any] = []
        for port, given in layer.ports_in_use():
            if isinstance(given, ITensor):
                given = self._known[id(given)][1]
                if given is None:
                    return None
            elif given is not None:
                given = weights[port.name]
            arrays.append(_wide(given))
        if not self._may_use(_bytes_made(layer, arrays)):
            return None
        is_wide = layer._values.get(EXACT, any(array is not None and array.dtype == np.float64 for array in arrays))
        if is_wide:  # integers too, whose digits a reference would cut
            arrays = [array.astype(np.float64) if layer._values.get(EXACT) else array for array in arrays]
        with np.errstate(all="ignore"):
            results = layer.spec.reference(dict(layer._values), *arrays)
        results = results if isinstance(results, (list, tuple)) else [results]
        for output, result in zip(layer._outputs, results, strict=False):
            is_double = is_wide and output.dtype == DataType.FLOAT
            array = np.asarray(result).astype(np.float64 if is_double else nptype(output.dtype))
            self._known[id(output)] = (output, array)
        return self._known[id(tensor)][1] if id(tensor) in self._known else None


def _followed(tensor: ITensor) -> np.ndarray | None:
    """Contents known from inference: those of a constant, or of a shape that is fixed."""
    symbolic = tensor.symbolic
    if symbolic.constant is not None:
        exact = () if tensor._producer is None else tensor._producer._values.get(EXACT, ())
        array = np.asarray(symbolic.constant)
        return np.array(exact, np.float64).reshape(array.shape) if exact and len(exact) == array.size else array
    elements = symbolic.elements()
    if elements is None or not all(element.is_constant for element in elements):
        return None
    dims = tuple(dim.value for dim in symbolic.dims)
    return np.array([element.value for element in elements], nptype(symbolic.dtype)).reshape(dims)


def _bytes_made(layer: Any, arrays: Sequence[np.ndarray | None]) -> int:
    """Bytes that a layer's outputs take beyond those of its inputs."""
    n_bytes = 0
    for output in layer._outputs:
        elements = math.prod(dim.value or 0 for dim in output.symbolic.dims)
        n_bytes += elements * nptype(output.dtype).itemsize
    distinct = {id(array): array.nbytes for array in arrays if array is not None}
    return max(0, n_bytes - sum(distinct.values()))


def _wide(array: np.ndarray | None) -> np.ndarray | None:
    """float16 and bfloat16 as float32, in which references compute."""
    if array is None or array.dtype not in [nptype(t) for t in FLOATS[1:]]:
        return array
    return array.astype(np.float32)
