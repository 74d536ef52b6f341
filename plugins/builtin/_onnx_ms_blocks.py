"""com.microsoft operators with weights quantised in blocks, which are dequantised when a network is built."""

from __future__ import annotations

from typing import Any

import numpy

from dovetail.core.types import nptype
from dovetail.plugins import axis_of
from dovetail.plugins.builtin._onnx_ms import microsoft
from dovetail.plugins.onnx import absent, added

# The values of the 4 bits of both types, from the paper on QLoRA (Dettmers et al., 2023) and its implementation.
FP4 = (0.0, 0.0052083333, 0.6666666667, 1.0, 0.3333333333, 0.5, 0.1666666667, 0.25)
NF4 = (
    *(-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453),
    *(-0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0),
    *(0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224),
    *(0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0),
)


def known(node: Any, index: int, name: str) -> numpy.ndarray | None:
    """The contents of an input, None if it is absent. Raises the error to raise if they depend on other inputs."""
    if node.value(index) is None:
        return None
    found = node.constant(index)
    if found is None:
        raise node.fail(f"its {name} must be known when the network is built", **{name: node[index].symbolic.dims})
    return found


def unpacked(packed: numpy.ndarray, bits: int) -> numpy.ndarray:
    """Unsigned numbers out of the bytes of the last axis, the low bits first."""
    shifts = numpy.arange(0, 8, bits, dtype=numpy.uint8)
    parts = (packed[..., None] >> shifts) & numpy.uint8(2**bits - 1)
    return parts.reshape(*packed.shape[:-1], -1)


def mat_mul_n_bits(node: Any) -> Any:
    """a @ weights^T + bias, weights [N, K] packed in blocks along K: a, weights, scales, zero_points, g_idx, bias."""
    absent(node, 4, why="an order of groups is deprecated")
    n, k, bits, block = (node.attr(name, 4) for name in ("N", "K", "bits", "block_size"))
    if bits not in (2, 4, 8):
        raise node.fail("its weights have neither 2, 4 nor 8 bits", bits=bits)
    packed, scales, zeros = (known(node, i, name) for i, name in ((1, "weights"), (2, "scales"), (3, "zero_points")))
    blocks = -(-k // block)
    wanted = (n, blocks, block * bits // 8)
    if packed.shape != wanted or scales.size != n * blocks:
        raise node.fail("its weights and scales do not fit", weights=packed.shape, scales=scales.shape, wanted=wanted)
    node.reserve(f"weights of {n} by {k} numbers", bytes=n * blocks * block * 12)
    steps = unpacked(packed, bits).astype(numpy.float32)
    if zeros is None:
        zeros = numpy.array(2 ** (bits - 1), numpy.float32)
    elif zeros.dtype == numpy.uint8:
        zeros = unpacked(zeros.reshape(n, -1), bits)[:, :blocks, None].astype(numpy.float32)
    else:
        zeros = zeros.reshape(n, blocks, 1).astype(numpy.float32)
    weights = (steps - zeros) * scales.reshape(n, blocks, 1).astype(numpy.float32)
    weights = weights.reshape(n, -1)[:, :k]
    return _product(node, weights.T, node.value(5))


def _product(node: Any, weights: numpy.ndarray, bias: Any) -> Any:
    weights = numpy.ascontiguousarray(weights).astype(nptype(node[0].dtype))
    return added(node, node.onnx("MatMul", [node.value(0), weights]), bias)


def mat_mul_bnb4(node: Any) -> Any:
    """a @ weights^T, or a @ weights; weights [N, K] of 4 bits with one scale for each block of neighbours."""
    n, k, block, kind = (node.attr(name) for name in ("N", "K", "block_size", "quant_type"))
    if kind not in (0, 1):
        raise node.fail("quant_type is neither 0 (FP4) nor 1 (NF4)", quant_type=kind)
    packed, scales = known(node, 1, "weights"), known(node, 2, "absmax")
    if packed.size != -(-n * k // 2) or scales.size != -(-n * k // block):
        raise node.fail("its weights and absmax do not fit", weights=packed.shape, absmax=scales.shape, N=n, K=k)
    node.reserve(f"weights of {n} by {k} numbers", bytes=n * k * 12)
    table = numpy.array(NF4 if kind else (*FP4, *(-value for value in FP4)), numpy.float32)
    high_first = numpy.stack([packed.reshape(-1) >> 4, packed.reshape(-1) & 15], -1).reshape(-1)[: n * k]
    weights = (table[high_first] * numpy.repeat(scales.reshape(-1), block)[: n * k].astype(numpy.float32)).reshape(n, k)
    return _product(node, weights.T if node.attr("transB", 1) else weights, None)


def gather_block_quantized(node: Any) -> Any:
    """Rows of a table of real numbers: data, indices, scales, zero_points."""
    kind, bits, block = node.type_name(0), node.attr("bits", 4), node.attr("block_size", 128)
    data, scales, zeros = (known(node, i, name) for i, name in ((0, "data"), (2, "scales"), (3, "zero_points")))
    gather, spread = (
        axis_of(node.attr(name, default), data.ndim, node.op_type)
        for name, default in (("gather_axis", 0), ("quantize_axis", 1))
    )
    if (
        kind not in ("UINT8", "INT8", "UINT4", "INT4")
        or bits not in (2, 4, 8)
        or block < 1
        or data.dtype.kind not in "iu"
    ):
        raise node.fail("its table has another type", data=kind, bits=bits, block_size=block)
    if zeros is not None and (zeros.dtype.kind not in "iu" or zeros.ndim != data.ndim):
        raise node.fail("its zero_points are not of the table's type and rank", zero_points=zeros.shape)
    steps = data
    if kind == "UINT8":
        steps, zeros = unpacked(data, bits), None if zeros is None else unpacked(zeros, bits)
    default = 2 ** (bits - 1) if kind == "UINT8" else 0
    wanted = tuple(-(-e // block) if axis == spread else e for axis, e in enumerate(steps.shape))
    for name, values in (("scales", scales), ("zero_points", zeros)):
        is_short = values is not None and any(map(int.__lt__, values.shape, wanted))  # zeros may have bits to spare
        if is_short or (name == "scales" and scales.shape != wanted):
            raise node.fail(f"its {name} are not one for each block", **{name: values.shape, "wanted": wanted})
    node.reserve(f"a table of {steps.size} numbers", bytes=steps.size * 16)
    offset = numpy.float32(default) if zeros is None else _by_element(zeros[_all(wanted)], spread, block, steps.shape)
    factor = _by_element(scales, spread, block, steps.shape)
    table = ((steps.astype(numpy.float32) - offset) * factor).astype(scales.dtype)
    return node.onnx("Gather", [table, node.value(1)], axis=gather)


def _all(shape: tuple[int, ...]) -> tuple[slice, ...]:
    return tuple(slice(extent) for extent in shape)


def _by_element(values: numpy.ndarray, axis: int, block: int, shape: tuple[int, ...]) -> numpy.ndarray:
    """One value a block as one for each element along the axis, in float32."""
    places = numpy.arange(shape[axis]) // block
    return numpy.take(values, places, axis).astype(numpy.float32)


rewrites = (
    microsoft(
        "MatMulNBits",
        mat_mul_n_bits,
        (3, 6),
        "accuracy_level bits",
        only={"weight_prepacked": 0},
        needs="K N block_size",
    ),
    microsoft(
        "MatMulBnb4", mat_mul_bnb4, (3, 3), "transB", only={"training_mode": 0}, needs="K N block_size quant_type"
    ),
    microsoft("GatherBlockQuantized", gather_block_quantized, (3, 4), "bits block_size gather_axis quantize_axis"),
)
