"""Run one candidate of one layer on given arrays: for folding constants and for timing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from dovetail.core.tensor import DynamicTensorDesc, pack, unpack
from dovetail.core.types import TensorFormat
from dovetail.machine.builder.candidates import descs_of
from dovetail.machine.builder.graph import Candidate, GraphLayer

ALIGNMENT = 64


def aligned_buffer(n_bytes: int) -> np.ndarray:
    """Zeroed bytes at a multiple of 64."""
    raw = np.zeros(n_bytes + ALIGNMENT, dtype=np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + n_bytes]


def prepare(layer: GraphLayer, candidate: Candidate, n_threads: int) -> tuple[bytes, list[int]]:
    """The candidate's packed constants, and the workspace it needs for each profile, in bytes."""
    row, native = candidate.row, candidate.row.implementation.native
    n_inputs = len(layer.inputs)
    packed = b""
    sizes = []
    n_profiles = len(layer.outputs[0].ranges) if layer.outputs else 1
    for profile in range(n_profiles):
        descs = descs_of(layer, candidate, profile)
        native.configure(candidate.object, descs[:n_inputs], descs[n_inputs:])
        sizes.append(native.workspace(candidate.object, row.row, descs[:n_inputs], descs[n_inputs:], n_threads))
    if row.row >= 0:
        full = [
            None if tensor is None else _packed_desc(tensor, format_)
            for tensor, format_ in zip(layer.tensors, candidate.formats, strict=True)
        ]
        packed = native.prepare(candidate.object, row.row, full[:n_inputs], full[n_inputs:]) or b""
    return packed, sizes


def _packed_desc(tensor: Any, format_: TensorFormat) -> DynamicTensorDesc:
    """The tensor with its contents in the row's format, as prepare wants them."""
    desc = tensor.desc(0, format_)
    return desc if tensor.constant is None else replace(desc, data=pack(tensor.constant, format_))


def run_candidate(
    layer: GraphLayer,
    candidate: Candidate,
    arrays: Sequence[np.ndarray | None],
    n_threads: int = 1,
    repeat: int = 1,
) -> tuple[list[np.ndarray], list[int]]:
    """Outputs in row-major order, and the duration of each repetition in ns, at the profile's likeliest extents."""
    packed, sizes = prepare(layer, candidate, n_threads)
    inputs: list[Any] = []
    for tensor, format_, array in zip(layer.inputs, candidate.formats, arrays, strict=False):
        if tensor is None or array is None:
            inputs.append(None)
            continue
        desc = _at_opt(tensor, format_)
        buffer = aligned_buffer(desc.allocated_size)
        flat = pack(array, format_).reshape(-1).view(np.uint8)
        buffer[: flat.size] = flat
        inputs.append((desc, buffer))
    outputs = []
    for tensor, format_ in zip(layer.outputs, candidate.formats[len(layer.inputs) :], strict=True):
        desc = _at_opt(tensor, format_)
        outputs.append((desc, aligned_buffer(desc.allocated_size)))
    times = candidate.row.implementation.native.run_step(
        candidate.object,
        candidate.row.row,
        inputs=inputs,
        outputs=outputs,
        packed=packed or None,
        workspace_bytes=max(sizes, default=0),
        n_threads=n_threads,
        repeat=repeat,
    )
    return [unpack(buffer, desc.dims, desc.dtype, desc.format) for desc, buffer in outputs], times


def _at_opt(tensor: Any, format_: TensorFormat) -> DynamicTensorDesc:
    return tensor.desc(0, format_).with_dims(tensor.ranges[0][1])
