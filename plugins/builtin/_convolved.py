"""Extents and numpy's formula of layers that convolve, whatever the type."""

from __future__ import annotations

from itertools import product
from math import prod
from typing import Any

import numpy

from dovetail.plugins import convolution_extent


def extents_of(layer: Any, dims: Any) -> list[tuple[Any, Any]]:
    """(output extent, padding in front) of each spatial axis."""
    return [
        convolution_extent(layer.padding_mode, size, w.covered, w.stride, w.before, w.after)
        for size, w in zip(dims[-layer.spatial :], layer.windows(), strict=True)
    ]


def convolved(layer: Any, x: Any, kernel: Any) -> Any:
    """The sums of products of the windows of x with the kernel; cells outside of x are 0."""
    windows, extents = list(layer.windows()), extents_of(layer, x.shape)
    batch, channels, size = x.shape[: -layer.spatial - 1], x.shape[-layer.spatial - 1], x.shape[-layer.spatial :]
    groups, maps = layer.num_groups, layer.num_output_maps
    # Windows may reach beyond the padding behind (ROUND_UP): pad until the last one fits.
    behind = [
        max(0, (extent - 1) * w.stride + w.covered - s - before)
        for (extent, before), w, s in zip(extents, windows, size, strict=True)
    ]
    pads = [(before, after) for (_, before), after in zip(extents, behind, strict=True)]
    cells = x.reshape(prod(batch), groups, channels // groups, *size)
    cells = numpy.pad(cells, [(0, 0)] * 3 + pads)
    kernel = kernel.reshape(groups, maps // groups, channels // groups, *layer.kernel_size_nd)
    out = tuple(extent for extent, _ in extents)
    y = numpy.zeros((cells.shape[0], groups, maps // groups, prod(out)), x.dtype)
    for place in product(*(range(w.size) for w in windows)):
        at = [
            slice(r * w.dilation, r * w.dilation + (extent - 1) * w.stride + 1, w.stride) if extent else slice(0)
            for r, w, extent in zip(place, windows, out, strict=True)
        ]
        seen = cells[(..., *at)].reshape(*cells.shape[:3], prod(out))  # [n, groups, c, positions]
        y += kernel[(..., *place)] @ seen
    return y.reshape(*batch, maps, *out)
