"""ONNX DeformConv: cells are sampled where the offsets say, and a convolution with windows of one cell sums them up."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy

from dovetail.core.types import DataType
from dovetail.plugins.onnx import (
    Counts,
    cast,
    combined,
    extents,
    is_given,
    onnx_op,
    rank_of,
    reshaped,
    transposed,
    with_extent,
)


def deform_conv(node: Any) -> Any:
    """x [N, C, spatial...], kernel, offsets [N, groups * cells * axes, out...], bias, and weights of the samples."""
    x, kernel, offsets = _known_channels(node), node[1], node[2]
    n_axes, n_groups = rank_of(x) - 2, node.attr("offset_group", 1)
    if n_axes not in (2, 3) or rank_of(kernel) != n_axes + 2 or rank_of(offsets) != n_axes + 2:
        raise node.fail("x, W and offset need 4 dims, or 5", x=x.shape, W=kernel.shape, offset=offsets.shape)
    window = tuple(node.attr("kernel_shape") or kernel.shape[2:])
    n_cells, maps, channels = prod(window), kernel.shape[0], x.shape[1]
    _check(node, x, window, n_cells * n_groups)
    # Groups of offsets are samples of the batch: each has channels of its own.
    dims, out = extents(node, x), extents(node, offsets)[2:]
    batch = dims[0] * n_groups
    places = [out[: n_axes - 2], out[n_axes - 2 :].product()]  # as many axes as x has, the cells being the first
    per_cell = reshaped(node, offsets, [batch, n_cells, n_axes, out.product()])
    inwards = node.add("Gather", [per_cell, numpy.arange(n_axes)[::-1].copy()], axis=2)  # innermost axis first
    moved = cast(node, transposed(node, inwards, (0, 1, 3, 2)), DataType.FLOAT)
    is_aligned = dims[2:].known is not None and _spans_are_powers(dims[2:].known.tolist())
    grid = _grid(node, moved, window, dims[2:] - int(is_aligned), 0.0 if is_aligned else 0.5, out)
    grid = reshaped(node, grid, [batch, n_cells, *places, n_axes])
    samples = reshaped(node, x, [batch, channels // n_groups, dims[2:]])
    fields = {"interpolation_mode": "LINEAR", "sample_mode": "FILL", "align_corners": is_aligned}
    y = node.add("GridSample", [samples, grid], **fields)
    if is_given(node, 4):
        y = combined(node, "PROD", y, reshaped(node, node[4], [batch, 1, n_cells, *places]))
    ones = (1,) * n_axes
    flat = (maps, kernel.shape[1] * n_cells, *ones)
    weights = node.constant(1)
    weights = reshaped(node, kernel, flat) if weights is None else weights.reshape(flat)
    bias = [node[3]] if is_given(node, 3) else []
    fields = {"num_output_maps": maps, "kernel_size_nd": ones, "num_groups": node.attr("group", 1)}
    return node.add("Convolution", [reshaped(node, y, [dims[0], channels * n_cells, out]), weights, *bias], **fields)


def _known_channels(node: Any) -> Any:
    """x with the number of channels given by the kernel."""
    kernel, groups = node[1].shape, node.attr("group", 1)
    if rank_of(node[0]) < 2 or len(kernel) < 2 or kernel[1] < 0:
        return node[0]
    rule = f"{node.op_type} '{node.name}' takes {kernel[1] * groups} channels, as its kernel {list(kernel)} has them"
    return with_extent(node, node[0], 1, kernel[1] * groups, rule)


def _check(node: Any, x: Any, window: tuple[int, ...], n_sampled: int) -> None:
    """Raises the error to raise where dims do not fit each other."""
    kernel, n_axes = node[1], rank_of(x) - 2
    groups, offset_groups = node.attr("group", 1), node.attr("offset_group", 1)
    if -1 in (x.shape[1], *kernel.shape) or len(window) != n_axes or tuple(kernel.shape[2:]) != window:
        raise node.fail("channels and window must be known, and those of W", x=x.shape, W=kernel.shape, window=window)
    if min(groups, offset_groups) < 1:
        raise node.fail("group and offset_group are 1 or more", group=groups, offset_group=offset_groups)
    if x.shape[1] % groups or kernel.shape[1] * groups != x.shape[1] or x.shape[1] % offset_groups:
        facts = {"channels": x.shape[1], "W": kernel.shape, "group": groups, "offset_group": offset_groups}
        raise node.fail("channels are not group times those of W, or offset_group does not divide them", **facts)
    _check_places(node, window)
    for index, name, wanted in ((2, "offset", n_sampled * n_axes), (4, "mask", n_sampled)):
        if is_given(node, index) and node[index].shape[1] not in (wanted, -1):
            rule = f"{wanted}, offset_group times the cells of the window" + " times its axes" * (index == 2)
            facts = {name: node[index].shape, "rule": rule}
            raise node.fail(f"{name} has another number of channels than its window", **facts)


def _check_places(node: Any, window: tuple[int, ...]) -> None:
    """The same where windows do not lie on x as the offsets have it."""
    x, offsets, n_axes = node[0], node[2], len(window)
    strides, dilations = (node.attr(name, (1,) * n_axes) for name in ("strides", "dilations"))
    pads = node.attr("pads", (0,) * (2 * n_axes))
    if not len(strides) == len(dilations) == len(pads) / 2 == n_axes or min((*strides, *dilations)) < 1:
        facts = {"strides": strides, "dilations": dilations, "pads": pads}
        raise node.fail(f"strides and dilations are {n_axes} numbers from 1 on, pads twice as many", **facts)
    for axis, (size, out) in enumerate(zip(x.shape[2:], offsets.shape[2:], strict=True)):
        left = size + pads[axis] + pads[n_axes + axis] - dilations[axis] * (window[axis] - 1) - 1
        if -1 not in (size, out) and out != left // strides[axis] + 1:
            facts = {"axis": axis + 2, "offset": offsets.shape, "rule": left // strides[axis] + 1, "x": x.shape}
            raise node.fail("offset has another extent than the output of such a convolution", **facts)


def _spans_are_powers(sizes: list[int]) -> bool:
    """Are centres of the edge cells powers of two apart, so that places from -1 to 1 between them are not rounded?"""
    return all(size > 1 and (size - 1) & (size - 2) == 0 for size in sizes)


def _grid(node: Any, offsets: Any, window: tuple[int, ...], spans: Counts, half: float, out: Counts) -> Any:
    """Places p [batch, cells, positions, axes] as GridSample has them, (2 p + 2 half) / span - 1."""
    n_axes = len(window)
    strides, dilations = (numpy.array(node.attr(name, (1,) * n_axes)) for name in ("strides", "dilations"))
    pads = numpy.array(node.attr("pads", (0,) * (2 * n_axes)))
    first = numpy.indices(window).reshape(n_axes, -1) * dilations[:, None] - pads[:n_axes, None]  # [axes, cells]
    cells = first[::-1].T[None, :, None].astype(numpy.float32)
    columns = []  # where windows begin, the innermost axis first
    for axis in reversed(range(n_axes)):
        steps = numpy.where(numpy.arange(n_axes) == axis, strides, 0).astype(numpy.float32)
        inputs = [out.tensor(), numpy.zeros((), numpy.float32), steps]
        column = node.add("Fill", inputs, operation="LINSPACE", to_type=DataType.FLOAT)
        columns.append(reshaped(node, column, [1, 1, out.product(), 1]))
    begins = node.add("Concatenation", columns, axis=3)
    inwards = cast(node, spans[list(reversed(range(n_axes)))].tensor(), DataType.FLOAT)
    two = numpy.full((1, 1, 1, 1), 2, numpy.float32)
    scale = combined(node, "DIV", two, reshaped(node, inwards, (1, 1, 1, n_axes)))
    # p = begin + cell + offset. What is known is computed when the network is built, and two layers are left.
    fixed = combined(node, "SUM", begins, cells + numpy.float32(half))
    shift = combined(node, "SUM", combined(node, "PROD", fixed, scale), -1.0)
    return combined(node, "SUM", combined(node, "PROD", offsets, scale), shift)


rewrites = (onnx_op("DeformConv", 19, rewrite=deform_conv),)
