"""DFT and STFT of ONNX: products with a matrix, which is what the transform makes of unit vectors; and mel weights."""

from __future__ import annotations

from typing import Any

import numpy

from dovetail.core.types import nptype
from dovetail.plugins import axis_of
from dovetail.plugins.onnx import combined, extents, integers, is_given, joined, onnx_op, rank_of, reshaped, transposed

LARGEST = 1 << 24  # elements of the matrix


def dft(node: Any) -> Any:
    """ONNX DFT. The last axis has real parts, or real and imaginary ones."""
    axis = (integers(node, 2, "axis") or (-2 if node.opset >= 20 else 1,))[0]
    lengths = integers(node, 1, "dft_length")
    return _transformed(node, node[0], axis, lengths[0] if lengths else None, bool(node.attr("inverse", 0)))


def stft(node: Any) -> Any:
    """ONNX STFT: [batch, signal, parts] as [batch, frames, frequencies, parts]."""
    x, step, length = node[0], integers(node, 1, "frame_step"), integers(node, 3, "frame_length")
    if rank_of(x) != 3 or x.shape[1] < 0 or step is None or step[0] < 1:
        raise node.fail("it needs a frame_step and a signal of known length", signal=x.symbolic.dims, frame_step=step)
    size = length[0] if length is not None else node[2].shape[0]
    n_frames = max(0, x.shape[1] - size) // step[0] + 1
    node.reserve(f"the places of {n_frames} frames of {size} elements", bytes=n_frames * max(size, 1) * 8)
    first = numpy.arange(0, x.shape[1] - size + 1, step[0])
    frames = node.add("Gather", [x, first[:, None] + numpy.arange(size)], axis=1)
    if is_given(node, 2):
        frames = combined(node, "PROD", frames, reshaped(node, node[2], (1, 1, size, 1)))
    return _transformed(node, frames, 2, None, False, node.attr("onesided", 1))


def mel_weight_matrix(node: Any) -> numpy.ndarray:
    """ONNX MelWeightMatrix: triangles over the frequencies of a transform, evenly spaced on the mel scale."""
    names = ("num_mel_bins", "dft_length", "sample_rate", "lower_edge_hertz", "upper_edge_hertz")
    given = {name: node.constant(index) for index, name in enumerate(names)}
    unknown = [name for name, value in given.items() if value is None or value.size != 1]
    if unknown:
        raise node.fail(
            "all its inputs must be single numbers that are known when the network is built", unknown=", ".join(unknown)
        )
    n, length, rate, low, high = (value.item() for value in given.values())
    if n < 0 or length < 1 or rate < 1 or not 0 <= low < high <= rate / 2:
        facts = {name: value.item() for name, value in given.items()}
        raise node.fail("edges must be from 0 to half the sample_rate, and the lower one below the upper", **facts)
    node.reserve(f"a matrix of {length // 2 + 1} by {n} weights", bytes=(length // 2 + 1) * n * 8 + n * 100)
    mels = 2595 * numpy.log10(1 + numpy.array([low, high]) / 700)
    hertz = 700 * (10 ** ((mels[0] + numpy.arange(n + 2) * (mels[1] - mels[0]) / (n + 2)) / 2595) - 1)
    edges = ((length + 1) * hertz // rate).astype(int)
    weights = numpy.zeros((length // 2 + 1, n))
    for column, (left, centre, right) in enumerate(zip(edges, edges[1:], edges[2:], strict=False)):
        rising, falling = numpy.arange(left, centre + 1), numpy.arange(centre, right)
        weights[rising, column] = (rising - left) / (centre - left) if centre > left else 1
        if right > centre:
            weights[falling, column] = (right - falling) / (right - centre)
    return weights.astype(nptype(node.carrier(node.attr_type("output_datatype"))))


def _transformed(node: Any, x: Any, axis: int, length: int | None, inverse: bool, onesided: int = 0) -> Any:
    rank, onesided = rank_of(x), bool(node.attr("onesided", onesided))
    axis = axis_of(axis, rank, node.op_type)
    n, n_parts = x.shape[axis], x.shape[-1]
    if n < 0 or n_parts not in (1, 2) or axis == rank - 1:
        raise node.fail("its axis must be known, and the last axis have one or two parts", x=x.symbolic.dims, axis=axis)
    if length is None:
        length = 2 * (n - 1) if inverse and onesided else n
    if n * length > LARGEST:
        raise node.fail("a transform of this size is not imported", length=length, elements=n)
    node.reserve(f"the matrix of a transform of {n} elements", bytes=n * n_parts * length * 32)
    matrix = _matrix(n, n_parts, length, inverse, onesided)
    order = [*(i for i in range(rank - 1) if i != axis), axis, rank - 1]
    turned = transposed(node, x, order)
    front = extents(node, turned)[: rank - 2]
    flat = reshaped(node, turned, [front.product(), n * n_parts])
    y = node.add("MatrixMultiply", [flat, matrix.reshape(n * n_parts, -1).astype(nptype(x.dtype))])
    y = reshaped(node, y, joined(node, [front, matrix.shape[1:]]))
    return transposed(node, y, [order.index(i) for i in range(rank)])


def _matrix(n: int, n_parts: int, length: int, inverse: bool, onesided: bool) -> numpy.ndarray:
    """[n * n_parts, frequencies, parts]."""
    unit = numpy.eye(n * n_parts).reshape(n * n_parts, n, n_parts)
    signal = unit[..., 0] + 1j * unit[..., 1] if n_parts == 2 else unit[..., 0]
    if inverse and onesided:
        return numpy.fft.irfft(signal, length, 1)[..., None]
    y = numpy.fft.ifft(signal, length, 1) if inverse else numpy.fft.fft(signal, length, 1)
    y = y[:, : length // 2 + 1] if onesided else y
    return numpy.stack([y.real, y.imag], -1)


rewrites = (
    onnx_op("DFT", rewrite=dft),
    onnx_op("STFT", rewrite=stft),
    onnx_op("MelWeightMatrix", rewrite=mel_weight_matrix),
)
