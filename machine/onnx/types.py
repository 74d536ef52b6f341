"""Element types of models, and the network's types that represent them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dovetail.core.contract import MAX_ELEMENTS
from dovetail.core.errors import DTypeError
from dovetail.core.types import DataType, from_numpy, nptype
from dovetail.machine.onnx.errors import ErrorCode, ModelError
from dovetail.machine.onnx.tensors import TensorFiles

# What a network has no type for is carried in one that holds all its values; DOUBLE loses digits, and UINT64 its upper
# half, as in TensorRT's parser.
CARRIERS = {
    "DOUBLE": DataType.FLOAT,
    "INT16": DataType.INT32,
    "UINT16": DataType.INT32,
    "UINT32": DataType.INT64,
    "UINT64": DataType.INT64,
    "INT4": DataType.INT8,
    "INT2": DataType.INT8,
    "UINT4": DataType.UINT8,
    "UINT2": DataType.UINT8,
    "FLOAT8E4M3FN": DataType.FLOAT,
    "FLOAT8E4M3FNUZ": DataType.FLOAT,
    "FLOAT8E5M2": DataType.FLOAT,
    "FLOAT8E5M2FNUZ": DataType.FLOAT,
    "FLOAT8E8M0": DataType.FLOAT,
    "FLOAT4E2M1": DataType.FLOAT,
}


def number_of(name: str) -> int:
    """ONNX's number of a type that it calls `name`."""
    import onnx

    return int(onnx.TensorProto.DataType.Value(name))


def name_of(elem_type: int) -> str:
    """What ONNX calls a type: "FLOAT16"."""
    import onnx

    known = elem_type in onnx.TensorProto.DataType.values()
    return onnx.TensorProto.DataType.Name(elem_type) if known else str(elem_type)


def elem_type_of(dtype: DataType) -> int:
    """ONNX's number of a type of the network."""
    import onnx

    return int(onnx.helper.np_dtype_to_tensor_dtype(nptype(dtype)))


def carries(dtype: DataType, elem_type: int) -> bool:
    """Is this the network's type for tensors of ONNX's type?"""
    name = name_of(elem_type)
    if name in CARRIERS:
        return CARRIERS[name] == dtype
    return dtype == DataType.FP8 or elem_type_of(dtype) == elem_type


class ElementTypes:
    """The types of one model. For each type that is represented by another one, `tell` is called once."""

    def __init__(self, tell: Callable[[str], None], files: TensorFiles | None = None) -> None:
        self._tell, self._files = tell, files or TensorFiles()
        self._told: set[str] = set()
        self._exact: dict[int, tuple[np.ndarray, tuple[float, ...]]] = {}  # by id of an array, which is kept

    @property
    def are_plain(self) -> bool:
        """Was every type so far one that networks have?"""
        return not self._told

    def carrier(self, name: str) -> DataType:
        """The type that tensors of this type have in the network. Raises ModelError for strings and the like."""
        import onnx

        if name in CARRIERS:
            if name not in self._told:
                self._told.add(name)
                self._tell(f"the model has tensors of type {name}, which are imported as {CARRIERS[name].name}")
            return CARRIERS[name]
        try:
            return from_numpy(onnx.helper.tensor_dtype_to_np_dtype(number_of(name)))
        except (KeyError, ValueError, DTypeError):
            text = f"tensors of type {name} are not known here"
            raise ModelError(ErrorCode.UNSUPPORTED_GRAPH, text) from None

    def array(self, tensor: Any) -> np.ndarray:
        """The contents of a TensorProto, as the network carries them. Raises ModelError."""
        given = self._files.array(tensor)
        array = carried(given, nptype(self.carrier(name_of(tensor.data_type))))
        if given.dtype == np.float64 and given.size <= MAX_ELEMENTS:
            self._exact[id(array)] = array, tuple(given.reshape(-1).tolist())
        return array

    def in_float64(self, array: Any) -> tuple[float, ...]:
        """The numbers of a DOUBLE tensor that `array` carries, in row-major order; () of others and of large ones."""
        return self._exact[id(array)][1] if id(array) in self._exact else ()

    def dense(self, sparse: Any, reserve: Callable[[str, int], None]) -> np.ndarray:
        """The same of a SparseTensorProto, whose bytes `reserve` is asked for. Raises ModelError."""
        return carried(self._files.dense(sparse, reserve), nptype(self.carrier(name_of(sparse.values.data_type))))


def carried(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """An array in the type that carries it; what a float32 cannot hold is infinite, and no warning."""
    with np.errstate(over="ignore"):
        return array if array.dtype == dtype else array.astype(dtype)


def is_lacking(value: Any) -> bool:
    """Is this an array of a type that networks lack?"""
    if not isinstance(value, np.ndarray):
        return False
    try:
        from_numpy(value.dtype)
    except DTypeError:
        return True
    return False


def carried_inputs(model: Any) -> dict[str, tuple[np.dtype, np.dtype]]:
    """By input: the type that the model declares, and the one that carries it, where these are not the same."""
    import onnx

    declared = {entry.name: entry.type.tensor_type.elem_type for entry in model.graph.input}
    return {
        name: (onnx.helper.tensor_dtype_to_np_dtype(elem_type), nptype(CARRIERS[name_of(elem_type)]))
        for name, elem_type in declared.items()
        if name_of(elem_type) in CARRIERS
    }
