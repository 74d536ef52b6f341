"""The part of cuda-python's runtime that the layer scripts use, over memory of the host: for machines without a GPU."""

# ruff: noqa: N801, N802, N815

import ctypes
from enum import IntEnum

_buffers = {}


class cudaError_t(IntEnum):
    cudaSuccess = 0


class cudaMemcpyKind(IntEnum):
    cudaMemcpyHostToDevice = 1
    cudaMemcpyDeviceToHost = 2


def cudaStreamCreate():
    return cudaError_t.cudaSuccess, 0


def cudaMallocAsync(n_bytes, stream):
    buffer = ctypes.create_string_buffer(n_bytes)
    _buffers[ctypes.addressof(buffer)] = buffer
    return cudaError_t.cudaSuccess, ctypes.addressof(buffer)


def cudaMemcpyAsync(to, from_, n_bytes, kind, stream):
    ctypes.memmove(to, from_, n_bytes)
    return (cudaError_t.cudaSuccess,)


def cudaStreamSynchronize(stream):
    return (cudaError_t.cudaSuccess,)


def cudaStreamDestroy(stream):
    return (cudaError_t.cudaSuccess,)


def cudaFree(address):
    del _buffers[address]
    return (cudaError_t.cudaSuccess,)
