"""Reads the contents of a model's tensors: from the message, from the memory of the model, or from external files."""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dovetail.machine.onnx.errors import ErrorCode, ModelError

IN_MODEL = "\0model"  # location of tensors in the memory that the model was read from; no path has a NUL
PACKED = ("UINT4", "INT4", "FLOAT4E2M1", "UINT2", "INT2")  # several elements per byte
MOST_DIMS = 64


class TensorFiles:
    """Reads TensorProtos.

    Args:
        folders: where external data may be; the working directory if there are none.
        model: the bytes that the model was read from, or the path of its file.
    """

    def __init__(self, folders: Sequence[str] = (), model: memoryview | str | None = None) -> None:
        self._folders = [os.path.realpath(folder) for folder in folders or ("",)]
        self._model = model

    def array(self, tensor: Any) -> np.ndarray:
        """The contents of a TensorProto. Raises ModelError, which names the tensor and the error."""
        import onnx
        from onnx import numpy_helper

        try:
            self._check(tensor)
            if tensor.data_location != onnx.TensorProto.EXTERNAL:
                return np.asarray(numpy_helper.to_array(tensor))
            data = self._external(tensor)
            if onnx.TensorProto.DataType.Name(tensor.data_type) in PACKED:
                copy = onnx.TensorProto(dims=tensor.dims, data_type=tensor.data_type, raw_data=data.tobytes())
                return np.asarray(numpy_helper.to_array(copy))
            dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
            return np.require(data.view(dtype).reshape(tuple(tensor.dims)), requirements="A")
        except ModelError:
            raise
        except Exception as error:  # protobuf, NumPy and onnx each have their own
            raise _unreadable(tensor, f"{type(error).__name__}: {error}") from None

    def dense(self, sparse: Any, reserve: Callable[[str, int], None]) -> np.ndarray:
        """The contents of a SparseTensorProto. Calls `reserve` with the bytes first. Raises ModelError."""
        values, places = self.array(sparse.values), self.array(sparse.indices)
        dims = tuple(sparse.dims)
        size = math.prod(dims)
        if any(dim < 0 for dim in dims) or values.ndim != 1 or places.dtype != np.int64:
            raise _unreadable(
                sparse.values, f"it is sparse, of dims {_listed(dims)}, and has no list of values and places"
            )
        reserve(f"the sparse tensor '{sparse.values.name[:200]}' with all its elements", size * values.itemsize)
        if places.ndim == 2 and places.shape == (len(values), len(dims)):
            inside = ((places >= 0) & (places < np.array(dims))).all()
            places = places @ np.array([math.prod(dims[axis + 1 :]) for axis in range(len(dims))], np.int64)
        else:
            inside = places.shape == values.shape and ((places >= 0) & (places < size)).all()
        if not inside:
            raise _unreadable(
                sparse.values, f"it is sparse, and its places are not in {_listed(dims)}, one for each value"
            )
        found = np.zeros(size, values.dtype)
        found[places] = values
        return found.reshape(dims)

    def resolve(self, tensor: Any) -> None:
        """Copy external data into the message, for other code that reads it. Raises ModelError."""
        import onnx

        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            data = self._external(tensor).tobytes()
            del tensor.external_data[:]
            tensor.data_location = onnx.TensorProto.DEFAULT
            tensor.raw_data = data

    def _check(self, tensor: Any) -> None:
        import onnx

        dims = list(tensor.dims)
        if any(dim < 0 for dim in dims) or len(dims) > MOST_DIMS:
            raise _unreadable(tensor, f"its dims are {_listed(dims)}, and extents are 0 or more, {MOST_DIMS} at most")
        kind = tensor.data_type
        if kind not in onnx.TensorProto.DataType.values() or kind == onnx.TensorProto.UNDEFINED:
            raise _unreadable(tensor, f"its type is number {kind}, which is not one of ONNX")
        needed = _size_of(tensor)
        if tensor.HasField("raw_data") and needed is not None and len(tensor.raw_data) != needed:
            told = f"its data has {len(tensor.raw_data)} bytes, and dims {_listed(dims)} of its type need {needed}"
            raise _unreadable(tensor, told)

    def _external(self, tensor: Any) -> np.ndarray:
        """The bytes of external data."""
        facts = {entry.key: entry.value for entry in tensor.external_data}
        location = facts.get("location", "")
        offset, needed = _number(tensor, facts, "offset", 0), _size_of(tensor)
        length = _number(tensor, facts, "length", needed)
        if length is None or length != needed:
            raise _unreadable(
                tensor,
                f"its external data has {length} bytes, and dims {_listed(tensor.dims)} of its type need {needed}",
            )
        if location == IN_MODEL and isinstance(self._model, memoryview) and offset + length <= len(self._model):
            return np.frombuffer(self._model, np.uint8, length, offset)
        is_own = location == IN_MODEL and isinstance(self._model, str)
        path = self._model if is_own else self._path(tensor, location)
        size = os.stat(path).st_size
        if offset + length > size:
            raise _unreadable(
                tensor, f"'{path}' has {size} bytes, and its data ends at {offset + length}: the file is too short"
            )
        data = np.fromfile(path, np.uint8, length, offset=offset)
        if data.size != length:
            raise _unreadable(tensor, f"'{path}' became shorter while it was read")
        data.flags.writeable = False
        return data

    def _path(self, tensor: Any, location: str) -> str:
        """The path of the file. Raises ModelError if it is outside the folders, missing, or not a file."""
        parts = location.replace("\\", "/").split("/")
        if not location or "\0" in location or os.path.isabs(location) or ".." in parts:
            raise _unreadable(
                tensor, f"its external data is at {location[:200]!r}, and only paths below the model's folder are read"
            )
        tried = []
        for folder in self._folders:
            path = os.path.realpath(os.path.join(folder, location))
            try:
                mode = os.stat(path).st_mode
            except (OSError, ValueError) as error:
                tried.append(f"'{path}': {getattr(error, 'strerror', None) or error}")
                continue
            if not any(_is_below(path, root) for root in self._folders):
                raise _unreadable(tensor, f"its external data is at '{path}', outside the model's folder '{folder}'")
            if not stat.S_ISREG(mode):
                raise _unreadable(tensor, f"its external data is at '{path}', which is not a file")
            return path
        raise _unreadable(tensor, f"its external data cannot be read: {'; '.join(tried)}")


def _is_below(path: str, folder: str) -> bool:
    return os.path.commonpath([path, folder]) == folder


def _size_of(tensor: Any) -> int | None:
    """Bytes of the elements that a TensorProto has by its dims; None for strings."""
    import onnx

    if tensor.data_type == onnx.TensorProto.STRING:
        return None
    name, count = onnx.TensorProto.DataType.Name(tensor.data_type), math.prod(tensor.dims)
    if name in PACKED:
        return -(-count // (4 if name.endswith("2") and "INT" in name else 2))
    return count * int(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize)


def _number(tensor: Any, facts: dict[str, str], key: str, default: int | None) -> int | None:
    text = facts.get(key)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise _unreadable(tensor, f"its external data has {key} {text[:50]!r}, which is not a number of bytes")
    return int(text)


def _listed(dims: Sequence[int]) -> str:
    shown = ", ".join(map(str, list(dims)[:MOST_DIMS]))
    return f"[{shown}{', ...' if len(dims) > MOST_DIMS else ''}]"


def _unreadable(tensor: Any, reason: str) -> ModelError:
    return ModelError(ErrorCode.INVALID_VALUE, f"tensor '{tensor.name[:200]}' cannot be read: {reason}")
