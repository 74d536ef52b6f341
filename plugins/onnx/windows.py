"""Windows over the spatial axes, as in ONNX: the attributes of a node, and the positions that each window covers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy

from dovetail.core.types import nptype
from dovetail.plugins.onnx.counts import Counts, extents, joined, rank_of
from dovetail.plugins.onnx.layers import reshaped, sliced
from dovetail.plugins.onnx.node import OnnxNode
from dovetail.plugins.padding import PaddingMode, dilated, pooling_extent

AUTO_PAD = {"SAME_UPPER": PaddingMode.SAME_UPPER, "SAME_LOWER": PaddingMode.SAME_LOWER}


@dataclass(frozen=True)
class Window:
    """A window; the lists have one value for each spatial axis."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]
    mode: PaddingMode

    @property
    def is_dense(self) -> bool:
        return all(dilation == 1 for dilation in self.dilations)

    @property
    def volume(self) -> int:
        return math.prod(self.kernel)

    def output(self, sizes: tuple[int, ...]) -> tuple[list[int], list[int], list[int]]:
        """(output extents, padding before, padding after) for these extents of the input."""
        facts = [
            pooling_extent(self.mode, size, dilated(k, d), s, b, a)
            for size, k, d, s, b, a in zip(
                sizes, self.kernel, self.dilations, self.strides, self.before, self.after, strict=True
            )
        ]
        out, before, after = zip(*facts, strict=True)
        return list(out), list(before), list(after)

    def places(self, node: OnnxNode, sizes: tuple[int, ...]) -> tuple[numpy.ndarray, numpy.ndarray]:
        """The positions that each window covers, in row-major order: [outputs, cells]. `node` is being imported.

        Returns the position in the plane, -1 outside of it, and whether it is in the plane or its padding.
        """
        out, before, after = self.output(sizes)
        n_cells = math.prod(max(0, extent) for extent in out) * self.volume
        node.reserve(f"the places of {n_cells} cells of windows", bytes=n_cells * 24)
        place, inside, counted = numpy.zeros((1, 1), numpy.int64), numpy.ones((1, 1), bool), numpy.ones((1, 1), bool)
        for n, size, k, s, d, b, a in zip(
            out, sizes, self.kernel, self.strides, self.dilations, before, after, strict=True
        ):
            at = numpy.arange(n)[:, None] * s - b + numpy.arange(k) * d
            place = _crossed(place * size, at, numpy.add)
            inside = _crossed(inside, (at >= 0) & (at < size), numpy.logical_and)
            counted = _crossed(counted, at < size + a, numpy.logical_and)
        return numpy.where(inside, place, -1), counted


def _crossed(a: numpy.ndarray, b: numpy.ndarray, function: Any) -> numpy.ndarray:
    """[m, k] and [n, l] as [m * n, k * l]."""
    both: numpy.ndarray = function(a[:, None, :, None], b[None, :, None, :])
    return both.reshape(a.shape[0] * b.shape[0], a.shape[1] * b.shape[1])


def window_of(node: OnnxNode) -> Window:
    """The window of a pooling node. Raises `node.fail` if the attributes do not fit the input."""
    n = rank_of(node[0]) - 2
    kernel = tuple(node.attr("kernel_shape", ()))
    pads = tuple(node.attr("pads", (0,) * (2 * n)))
    strides, dilations = (tuple(node.attr(name, (1,) * n)) for name in ("strides", "dilations"))
    if n < 1 or not len(kernel) == len(strides) == len(dilations) == len(pads) / 2 == n:
        raise node.fail("its window has another number of dims than its input", window=kernel, x=node[0].shape)
    if min((*kernel, *strides, *dilations)) < 1:
        facts = {"window": kernel, "strides": strides, "dilations": dilations}
        raise node.fail("windows, strides and dilations are 1 or more", **facts)
    auto = node.attr("auto_pad", "NOTSET")
    if auto not in ("NOTSET", "VALID", *AUTO_PAD):
        raise node.fail("auto_pad has no such value", auto_pad=auto)
    if auto != "NOTSET":
        pads = (0,) * (2 * n)
    # ROUND_UP as in Caffe: the last window starts in the plane or before it.
    rounding = PaddingMode.CAFFE_ROUND_UP if node.attr("ceil_mode", 0) else PaddingMode.EXPLICIT_ROUND_DOWN
    return Window(kernel, strides, dilations, pads[:n], pads[n:], AUTO_PAD.get(auto, rounding))


def known_plane(node: OnnxNode, x: Any) -> tuple[int, ...]:
    """The spatial extents. Raises `node.fail` if one is known only at run time."""
    sizes = tuple(x.shape[2:])
    if -1 in sizes:
        raise node.fail("for this, its spatial extents must be known when the network is built", x=x.symbolic.dims)
    return sizes


def gathered_cells(node: OnnxNode, x: Any, places: numpy.ndarray, outside: float) -> Any:
    """Elements of x at these positions of its planes: [batch, channels, *places]; `outside` at positions of -1."""
    dims = extents(node, x)
    plane = reshaped(node, x, joined(node, [dims[:2], dims[2:].product()]))
    if (places < 0).any():  # an additional element in front has the value
        places = places + 1
        value = None if outside == 0 else node.as_tensor(numpy.full((1,), outside, nptype(x.dtype)))
        sizes = joined(node, [dims[:2], dims[2:].product() + 1])
        plane = sliced(node, plane, Counts(node, [0, 0, -1]), sizes, mode="FILL", value=value)
    return node.add("Gather", [plane, places], axis=2)


def overlaid(node: OnnxNode, window: Window, sizes: tuple[int, ...]) -> numpy.ndarray:
    """For each position of the plane, the cells of all windows on it: [places, most of them], padded with -1."""
    places, _ = window.places(node, sizes)
    n_places = math.prod(sizes)
    node.reserve(f"an image of {n_places} elements", bytes=n_places * 64)
    found: list[list[int]] = [[] for _ in range(math.prod(sizes))]
    for (output, cell), place in numpy.ndenumerate(places):
        if place >= 0:
            found[place].append(cell * places.shape[0] + output)
    most = max(map(len, found), default=0)
    return numpy.array([cells + [-1] * (most - len(cells)) for cells in found], numpy.int64).reshape(-1, max(most, 1))
