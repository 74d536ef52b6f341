"""Arrays on a GPU: results of `context.run`, and arrays of other libraries, used in place."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from dovetail import _native
from dovetail.core.errors import BindingError
from dovetail.core.strict import Strict
from dovetail.core.types import DataType, DeviceType, nptype

_CUDA, _CUDA_MANAGED = 2, 13  # DLPack's numbers
_DEFAULT_STREAM = 1  # the number of the legacy default stream in DLPack and the CUDA array interface


class DeviceArray(_native.DeviceArray, Strict):
    """A result on a GPU: `torch.from_dlpack(y)`, `cupy.asarray(y)` see its memory, `y.numpy()` copies it to the host.

    It may still be being computed on its stream. A library that takes it through DLPack or the CUDA array interface
    passes the stream that it will use, and that stream waits; `numpy()` waits, too.
    """

    dtype: DataType

    def __init__(self, shape: tuple[int, ...], dtype: DataType, device: int, stream: int) -> None:
        self._memory = _native.DeviceMemory(max(1, math.prod(shape) * dtype.itemsize), device)
        super().__init__(self._memory.address, list(shape), [], int(dtype), device, False)
        self.dtype = dtype
        self._device, self._stream = device, stream

    def numpy(self) -> np.ndarray:
        """A copy on the host, once the work before it is done."""
        array = np.empty(self.shape, nptype(self.dtype))
        _native.copy(self._device, array.ctypes.data, self.pointer, array.nbytes, self._stream)
        _native.wait_for_stream(self._device, self._stream)
        return array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        array = self.numpy()
        return array if dtype is None else array.astype(dtype)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        facts = dict(super().__cuda_array_interface__)
        facts["stream"] = self._stream or _DEFAULT_STREAM
        return facts

    def __dlpack__(self, *, stream: int | None = None, **options: Any) -> Any:
        """A capsule. Later work of `stream` (DLPack's numbering) waits for the work that fills the array."""
        if stream != -1:  # -1: the consumer needs no synchronisation
            _native.order_streams(self._device, _handle(stream), self._stream)
        return super().__dlpack__()


def stream_number(stream: Any) -> int:
    """A cudaStream_t as a number, from cuda-python, torch, CuPy, anything with `__cuda_stream__`, or a number.

    Raises:
        BindingError: it is none of these.
    """
    if hasattr(stream, "__cuda_stream__"):
        own = stream.__cuda_stream__
        return int((own() if callable(own) else own)[1])
    given = 0 if stream is None else _handle_of(stream, "cuda_stream")
    return handle_number(given, "a stream", "a cudaStream_t or its number, or 0 for the default one")


def _handle_of(value: Any, torchs: str) -> Any:
    """The object that has the handle: the attribute `torchs` of a torch object, `ptr` of a CuPy object, or itself."""
    for attribute in (torchs, "ptr"):
        if hasattr(value, attribute):
            return getattr(value, attribute)
    return value


def handle_number(handle: Any, what: str, allowed: str) -> int:
    """A CUDA handle as a number; those of PyCUDA and cuda-python have `__int__` or `handle`.

    Raises:
        BindingError: it is not a handle.
    """
    try:
        if isinstance(handle, (str, bytes, float)):
            raise TypeError("int() would read its digits, or cut its fraction")
        number = int(getattr(handle, "handle", handle))
    except (TypeError, ValueError):
        number = -1
    if 0 <= number < 1 << 64:
        return number
    raise BindingError(
        f"{what} cannot be {handle!r:.200}", facts=[("allowed", allowed), ("given", type(handle).__name__)], got=handle
    )


def event_number(event: Any) -> int:
    """A cudaEvent_t as a number, from cuda-python, torch, CuPy, or a number; 0 for none.

    Raises:
        BindingError: it is none of these, or an event of torch's that does not exist on the device yet.
    """
    handle = _handle_of(event, "cuda_event")
    number = handle_number(handle, "an event", "a cudaEvent_t or its number, or 0 for none")
    if number == 0 and handle is not event:
        raise BindingError(
            f"an event cannot be {event!r:.200}: it does not exist on the device yet",
            hint="torch makes an event when it is first recorded: call event.record() once before.",
            got=event,
        )
    return number


class Found(NamedTuple):
    """Another library's array on the GPU, used in place."""

    address: int
    shape: tuple[int, ...]
    n_bytes: int
    owner: Any  # keeps it alive


def lies_on_gpu(value: Any) -> bool:
    """True if it is another library's array in GPU memory."""
    if hasattr(value, "__dlpack_device__"):
        return int(value.__dlpack_device__()[0]) in (_CUDA, _CUDA_MANAGED)
    return hasattr(value, "__cuda_array_interface__")


def device_view(value: Any, dtype: DataType, device: int, stream: int, what: str) -> Found | None:
    """Memory of an array on GPU `device`; `stream` then waits for the work that fills it. None for a host array.

    Args:
        what: its name in messages, such as "input 'x'".

    Raises:
        BindingError: another type or GPU, or not in row-major order.
    """
    if hasattr(value, "__dlpack_device__"):
        kind, index = (int(part) for part in value.__dlpack_device__())
        if kind not in (_CUDA, _CUDA_MANAGED):
            return None
        if kind == _CUDA and index != device:
            raise _on_other_gpu(what, index, device)
        return _from_dlpack(value, dtype, stream, what)
    if hasattr(value, "__cuda_array_interface__"):
        return _from_interface(value.__cuda_array_interface__, value, dtype, device, stream, what)
    return None


def _from_dlpack(value: Any, dtype: DataType, stream: int, what: str) -> Found:
    try:
        taken = _native.DLPackArray(value.__dlpack__(stream=stream or _DEFAULT_STREAM))
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        raise BindingError(f"{what} cannot be exchanged through DLPack", hint=str(error)) from None
    code, bits, lanes = taken.type
    if (code, bits, lanes) not in _dlpack_types(dtype):
        raise _of_other_type(what, str(getattr(value, "dtype", f"DLPack type {code}:{bits}:{lanes}")), dtype)
    if not taken.is_contiguous:
        raise _strided(what)
    return Found(taken.address, tuple(taken.shape), math.prod(taken.shape) * dtype.itemsize, taken)


def _from_interface(facts: dict[str, Any], value: Any, dtype: DataType, device: int, stream: int, what: str) -> Found:
    shape, wanted = tuple(facts["shape"]), nptype(dtype)
    if np.dtype(facts["typestr"]) != wanted:
        raise _of_other_type(what, str(np.dtype(facts["typestr"])), dtype)
    rows = np.lib.stride_tricks.as_strided(np.empty(1, wanted), shape, facts.get("strides") or None, writeable=False)
    if facts.get("strides") and not rows.flags.c_contiguous:
        raise _strided(what)
    address = int(facts["data"][0])
    index = _native.cuda_device_of(address) if math.prod(shape) else device
    if index != device:
        raise _on_other_gpu(what, index, device)
    if facts.get("stream") is not None:
        _native.order_streams(device, stream, _handle(facts["stream"]))
    return Found(address, shape, math.prod(shape) * dtype.itemsize, value)


def _handle(stream: int | None) -> int:
    """A cudaStream_t from DLPack's numbering, in which None and 1 are the legacy default stream."""
    return 0 if stream in (None, 0, _DEFAULT_STREAM) else int(stream)  # type: ignore[arg-type]


def _dlpack_types(dtype: DataType) -> list[tuple[int, int, int]]:
    """Types that are accepted for a tensor's type: booleans may also be bytes."""
    own = (dtype.dlpack_code, dtype.itemsize * 8, 1)
    return [own, (DataType.UINT8.dlpack_code, 8, 1)] if dtype == DataType.BOOL else [own]


def _of_other_type(what: str, given: str, dtype: DataType) -> BindingError:
    return BindingError(
        f"{what} cannot be {given}", facts=[("given", given), ("needed", dtype.name)], expected=dtype, got=given
    )


def _strided(what: str) -> BindingError:
    return BindingError(f"{what} needs an array in row-major order", hint="Make it contiguous first.")


def _on_other_gpu(what: str, given: int, wanted: int) -> BindingError:
    place = f"{DeviceType.GPU.name} {given}" if given >= 0 else "the host"
    return BindingError(
        f"{what} is on another device",
        facts=[("given", place), ("needed", f"{DeviceType.GPU.name} {wanted}")],
        hint="Copy it to the engine's device first.",
    )
