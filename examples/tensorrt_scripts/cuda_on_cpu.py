"""pycuda and cuda-python for machines without a GPU: what TensorRT scripts use of them, over memory of the host.

    python cuda_on_cpu.py script.py arguments...

runs a script with dovetail as `tensorrt` and, where there is no GPU, with the stand-ins below as `pycuda` and `cuda`.
Device memory is host memory, which is what engines for the CPU read and write; a copy is a copy, a stream does nothing.
"""

from __future__ import annotations

import ctypes
import os
import runpy
import sys
import types
from enum import IntEnum
from typing import Any

import numpy as np

# ruff: noqa: N801, N802, N815  CUDA's spelling

_buffers: dict[int, Any] = {}  # by address


def _allocate(n_bytes: int) -> int:
    memory = np.empty(int(n_bytes) + 64, np.uint8)
    address = memory.ctypes.data + -memory.ctypes.data % 64  # engines want memory aligned to 64
    _buffers[address] = memory
    return address


def _address(where: Any) -> int:
    """Of an array, a buffer or an allocation, or a number that is an address already."""
    if isinstance(where, np.ndarray):
        return where.ctypes.data
    if isinstance(where, (bytes, bytearray, memoryview)):
        return np.frombuffer(where, np.uint8).ctypes.data
    return int(where)


class cudaError_t(IntEnum):
    cudaSuccess = 0


class CUresult(IntEnum):
    CUDA_SUCCESS = 0


class cudaMemcpyKind(IntEnum):
    cudaMemcpyHostToHost = 0
    cudaMemcpyHostToDevice = 1
    cudaMemcpyDeviceToHost = 2
    cudaMemcpyDeviceToDevice = 3
    cudaMemcpyDefault = 4


OK = cudaError_t.cudaSuccess


def cudaMalloc(n_bytes: int) -> tuple[cudaError_t, int]:
    return OK, _allocate(n_bytes)


def cudaMallocAsync(n_bytes: int, stream: int) -> tuple[cudaError_t, int]:
    return OK, _allocate(n_bytes)


def cudaFree(address: int) -> tuple[cudaError_t]:
    _buffers.pop(int(address), None)
    return (OK,)


def cudaFreeAsync(address: int, stream: int) -> tuple[cudaError_t]:
    return cudaFree(address)


def cudaMallocHost(n_bytes: int) -> tuple[cudaError_t, int]:
    return OK, _allocate(n_bytes)


def cudaHostAlloc(n_bytes: int, flags: int) -> tuple[cudaError_t, int]:
    return OK, _allocate(n_bytes)


def cudaFreeHost(address: int) -> tuple[cudaError_t]:
    return cudaFree(address)


def cudaMemcpy(to: Any, source: Any, n_bytes: int, kind: cudaMemcpyKind) -> tuple[cudaError_t]:
    ctypes.memmove(_address(to), _address(source), int(n_bytes))
    return (OK,)


def cudaMemcpyAsync(to: Any, source: Any, n_bytes: int, kind: cudaMemcpyKind, stream: int) -> tuple[cudaError_t]:
    return cudaMemcpy(to, source, n_bytes, kind)


def cudaMemset(address: Any, value: int, n_bytes: int) -> tuple[cudaError_t]:
    ctypes.memset(_address(address), value, int(n_bytes))
    return (OK,)


def cudaMemsetAsync(address: Any, value: int, n_bytes: int, stream: int) -> tuple[cudaError_t]:
    return cudaMemset(address, value, n_bytes)


def cudaMemGetInfo() -> tuple[cudaError_t, int, int]:
    """Free and total memory, in bytes."""
    page = os.sysconf("SC_PAGE_SIZE")
    return OK, os.sysconf("SC_AVPHYS_PAGES") * page, os.sysconf("SC_PHYS_PAGES") * page


def cudaStreamCreate() -> tuple[cudaError_t, int]:
    return OK, 0


def cudaStreamCreateWithFlags(flags: int) -> tuple[cudaError_t, int]:
    return OK, 0


def cudaStreamCreateWithPriority(flags: int, priority: int) -> tuple[cudaError_t, int]:
    return OK, 0


def cudaStreamSynchronize(stream: int) -> tuple[cudaError_t]:
    return (OK,)


def cudaStreamDestroy(stream: int) -> tuple[cudaError_t]:
    return (OK,)


def cudaDeviceSynchronize() -> tuple[cudaError_t]:
    return (OK,)


def cudaSetDevice(index: int) -> tuple[cudaError_t]:
    return (OK,)


def cudaGetDevice() -> tuple[cudaError_t, int]:
    return OK, 0


def cudaGetDeviceCount() -> tuple[cudaError_t, int]:
    return OK, 1


def cudaGetLastError() -> tuple[cudaError_t]:
    return (OK,)


def cudaGetErrorString(error: cudaError_t) -> tuple[cudaError_t, bytes]:
    return OK, b"no error"


def cudaGetErrorName(error: cudaError_t) -> tuple[cudaError_t, bytes]:
    return OK, cudaError_t(error).name.encode()


RUNTIME = (
    cudaError_t, cudaMemcpyKind, cudaMalloc, cudaMallocAsync, cudaMallocHost, cudaHostAlloc, cudaFree, cudaFreeAsync,
    cudaFreeHost, cudaMemcpy, cudaMemcpyAsync, cudaMemset, cudaMemsetAsync, cudaMemGetInfo, cudaStreamCreate,
    cudaStreamCreateWithFlags, cudaStreamCreateWithPriority, cudaStreamSynchronize, cudaStreamDestroy,
    cudaDeviceSynchronize, cudaSetDevice, cudaGetDevice, cudaGetDeviceCount, cudaGetLastError, cudaGetErrorString,
    cudaGetErrorName,
)  # fmt: skip


class DeviceAllocation:
    """What pycuda's `mem_alloc` returns: an address that owns its memory."""

    def __init__(self, n_bytes: int) -> None:
        self._address = _allocate(n_bytes)

    def __int__(self) -> int:
        return self._address

    __index__ = __int__

    def free(self) -> None:
        _buffers.pop(self._address, None)

    def __del__(self) -> None:
        self.free()


class Stream:
    """A stream on which everything is done when the call returns; `handle` is CUDA's default stream."""

    handle = 0

    def __init__(self, flags: int = 0) -> None:
        pass

    def synchronize(self) -> None:
        pass


class Event:
    """Records nothing, since nothing is pending."""

    def __init__(self, flags: int = 0) -> None:
        pass

    def record(self, stream: Stream | None = None) -> None:
        pass

    def synchronize(self) -> None:
        pass


class Context:
    """A context that there is one of."""

    @staticmethod
    def synchronize() -> None:
        pass

    def push(self) -> None:
        pass

    def pop(self) -> None:
        pass

    def detach(self) -> None:
        pass


class Device:
    """The device that the CPU is."""

    def __init__(self, index: int = 0) -> None:
        pass

    @staticmethod
    def count() -> int:
        return 1

    def make_context(self, flags: int = 0) -> Context:
        return Context()

    def retain_primary_context(self) -> Context:
        return Context()

    def name(self) -> str:
        return "CPU"


def init() -> None:
    pass


def mem_alloc(n_bytes: int) -> DeviceAllocation:
    return DeviceAllocation(n_bytes)


def pagelocked_empty(shape: Any, dtype: Any, **options: Any) -> np.ndarray:
    return np.empty(shape, dtype)


def pagelocked_zeros(shape: Any, dtype: Any, **options: Any) -> np.ndarray:
    return np.zeros(shape, dtype)


def pagelocked_empty_like(array: np.ndarray, **options: Any) -> np.ndarray:
    return np.empty_like(array)


def to_device(array: np.ndarray) -> DeviceAllocation:
    made = DeviceAllocation(array.nbytes)
    memcpy_htod(made, array)
    return made


def mem_get_info() -> tuple[int, int]:
    return cudaMemGetInfo()[1:]


def memcpy_dtod(to: Any, source: Any, n_bytes: int) -> None:
    ctypes.memmove(_address(to), _address(source), n_bytes)


def memcpy_dtod_async(to: Any, source: Any, n_bytes: int, stream: Stream | None = None) -> None:
    memcpy_dtod(to, source, n_bytes)


def memcpy_htod(to: Any, source: Any) -> None:
    ctypes.memmove(_address(to), _address(source), memoryview(source).nbytes)


def memcpy_dtoh(to: Any, source: Any) -> None:
    ctypes.memmove(_address(to), _address(source), memoryview(to).nbytes)


def memcpy_htod_async(to: Any, source: Any, stream: Stream | None = None) -> None:
    memcpy_htod(to, source)


def memcpy_dtoh_async(to: Any, source: Any, stream: Stream | None = None) -> None:
    memcpy_dtoh(to, source)


DRIVER = (
    DeviceAllocation, Stream, Event, Context, Device, init, mem_alloc, mem_get_info, pagelocked_empty, pagelocked_zeros,
    pagelocked_empty_like, to_device, memcpy_htod, memcpy_dtoh, memcpy_dtod, memcpy_htod_async, memcpy_dtoh_async,
    memcpy_dtod_async,
)  # fmt: skip


def _module(name: str, members: tuple[Any, ...] = ()) -> types.ModuleType:
    made = sys.modules[name] = types.ModuleType(name, "A stand-in of cuda_on_cpu.py: memory of the host.")
    made.__dict__.update({member.__name__: member for member in members})
    made.__path__ = []  # so that its own modules can be imported
    parent, _, child = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], child, made)
    return made


def install() -> None:
    """Let `import pycuda.driver`, `import pycuda.autoinit`, `from cuda import cudart` ... find the stand-ins."""
    for name in ("pycuda", "pycuda.autoinit", "cuda", "cuda.bindings"):
        _module(name)
    _module("pycuda.driver", DRIVER)
    _module("cuda.cuda", (CUresult,))
    _module("cuda.cudart", RUNTIME)
    _module("cuda.bindings.driver", (CUresult,))
    _module("cuda.bindings.runtime", RUNTIME)


def main() -> None:
    import dovetail
    import dovetail.tensorrt
    from dovetail.machine.devices import default_device

    sys.modules["tensorrt"] = dovetail.tensorrt
    if default_device() == dovetail.DeviceType.CPU:
        install()
    del sys.argv[0]
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
