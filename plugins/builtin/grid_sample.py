"""GridSample."""

from __future__ import annotations

from itertools import product

import numpy

from dovetail.core.errors import DTypeError, ShapeError
from dovetail.core.types import FLOATS, DataType
from dovetail.plugins import Input, Output, Plugin, field, require_equal, require_that
from dovetail.plugins.builtin._sampling import InterpolationMode, SampleMode
from dovetail.plugins.onnx import onnx_op

TYPES = tuple(t for t in DataType if t != DataType.FP8)
WORDS = "|".join(t.short for t in TYPES)
SAMPLE_MODES = (SampleMode.CLAMP, SampleMode.FILL, SampleMode.REFLECT)


class GridSample(Plugin):
    """y[n, c, p] = x[n, c, at g], with g = grid[n, p]: x is sampled where a grid says

    Inputs    x     [N, C, H, W] or [N, C, D, H, W]; in NEAREST any type but FP8, else float16 | bfloat16 | float32
              grid  [N, places..., 2 or 3], float32, or float16 | bfloat16 as x is: where in x, the innermost axis
                    first, -1 and 1 being its edges
    Outputs   y     [N, C, places...]; type of x
    Places    an axis with L cells is sampled at v = (g + 1) / 2 (L - 1) if align_corners, else ((g + 1) L - 1) / 2
    Modes     NEAREST, LINEAR and CUBIC as Resize has them, with a = -3/4; NEAREST rounds ties to even. Beyond x there
              are zeros (FILL), the cells of the edge (CLAMP) or x mirrored (REFLECT): at its edge cells if
              align_corners, else between them and their copies.
    Numerics  places, weights and sums float32; a place that is nan counts as before the first cell
    Errors    ShapeError if ranks or extents disagree, or x has no cells; DTypeError
    Source    TensorRT 8.5 IGridSampleLayer; ONNX GridSample for volumes
    """

    purpose = "Windows and sampling"
    x = Input(TYPES)
    grid = Input(FLOATS, doc="Where in x, from -1 to 1.")
    y = Output(like="x")

    interpolation_mode: InterpolationMode = field(InterpolationMode.LINEAR, doc="What an element is made of.")
    align_corners: bool = field(False, doc="Are -1 and 1 the centres of the edge cells, rather than their outer edges?")
    sample_mode: SampleMode = field(SampleMode.FILL, doc="What lies beyond x: FILL, CLAMP or REFLECT.")

    type_rows = (f"{WORDS} f32 -> {WORDS}", "f16|bf16 f16|bf16 -> f16|bf16")

    def infer(self, x, grid):
        if self.sample_mode not in SAMPLE_MODES:
            raise ShapeError(
                f"{self.label} cannot sample beyond x in mode {self.sample_mode.name}",
                facts=[("allowed", ", ".join(mode.name for mode in SAMPLE_MODES))],
                field="sample_mode",
                got=self.sample_mode,
            )
        is_float = x.dtype in FLOATS
        if (self.interpolation_mode != InterpolationMode.NEAREST and not is_float) or (
            grid.dtype != DataType.FLOAT and grid.dtype != x.dtype
        ):
            raise DTypeError(
                f"{self.label} cannot sample {x.dtype.name} by a grid of {grid.dtype.name}",
                facts=[
                    ("interpolation_mode", f"{self.interpolation_mode.name}; integers are sampled by NEAREST"),
                    ("grid", "FLOAT, or the type of x"),
                ],
                hint="Convert with a Cast layer.",
            )
        if x.rank not in (4, 5) or grid.rank != x.rank:
            raise ShapeError(
                f"{self.label} cannot sample a tensor of {x.rank} dims by a grid of {grid.rank}",
                facts=[("x", x.dims), ("grid", grid.dims), ("rule", "4 or 5 dims, both alike")],
                got=(x.rank, grid.rank),
            )
        require_equal(self.label, ("batch of x", x.dims[0]), ("that of the grid", grid.dims[0]))
        require_equal(self.label, ("spatial axes of x", x.rank - 2), ("last extent of the grid", grid.dims[-1]))
        for axis, extent in enumerate(x.dims[2:], 2):
            require_that(
                extent >= 1, f"{self.label} cannot sample axis {axis}, which has no cells", [("x", x.dims)], axis=axis
            )
        return x.like((*x.dims[:2], *grid.dims[1:-1]))

    def reference(self, x, grid):
        grid = grid.astype(numpy.float64 if grid.dtype == numpy.float64 else numpy.float32)
        places = grid.shape[1:-1]
        axes = [
            self._taps(grid[..., x.ndim - 3 - axis], size)  # the innermost axis comes first
            for axis, size in enumerate(x.shape[2:])
        ]
        y = numpy.zeros((*x.shape[:2], *places), x.dtype)
        batch = numpy.arange(x.shape[0]).reshape(-1, *(1,) * len(places))
        for taps in product(*axes):
            weight = numpy.ones((), grid.dtype)
            for _, of_axis in taps:
                weight = weight * of_axis
            cells = numpy.moveaxis(x[(batch, slice(None), *(cell for cell, _ in taps))], -1, 1)
            if self.interpolation_mode == InterpolationMode.NEAREST:
                return numpy.where(weight[:, None] != 0, cells, y)
            y = y + cells * weight[:, None].astype(x.dtype)
        return y

    def _taps(self, g, size):
        """(cells, weights) of each tap of an axis; cells are within it, the weight of one beyond it is 0."""
        v = (g + 1) / 2 * (size - 1) if self.align_corners else ((g + 1) * size - 1) / 2
        v = numpy.where(numpy.isnan(v), -9, v)
        if self.interpolation_mode == InterpolationMode.NEAREST:
            v = numpy.rint(v)
        v = self._reflected(v, size) if self.sample_mode == SampleMode.REFLECT else numpy.clip(v, -9, size + 9)
        low = numpy.floor(v)
        r = v - low
        if self.interpolation_mode == InterpolationMode.NEAREST:
            taps = [(low, numpy.ones_like(r))]
        elif self.interpolation_mode == InterpolationMode.LINEAR:
            taps = [(low, 1 - r), (low + 1, r)]
        else:
            a, b = -0.75, 1 - r
            outer = lambda d: ((a * d - 5 * a) * d + 8 * a) * d - 4 * a  # noqa: E731
            inner = lambda d: ((a + 2) * d - (a + 3)) * d * d + 1  # noqa: E731
            taps = [(low - 1, outer(r + 1)), (low, inner(r)), (low + 1, inner(b)), (low + 2, outer(b + 1))]
        return [self._within(cell.astype(int), weight, size) for cell, weight in taps]

    def _reflected(self, v, size):
        """Places beyond the edges, mirrored there until they are within."""
        low, length = (0, size - 1) if self.align_corners else (-0.5, size)
        if length == 0:
            return numpy.zeros_like(v)
        d = numpy.abs(v - low)
        times = numpy.floor(d / length)
        rest = d - times * length
        inside = numpy.where(times % 2 == 0, rest, length - rest) + low
        return numpy.where((v < low) | (v > low + length), inside, v)

    def _within(self, cell, weight, size):
        if self.sample_mode == SampleMode.FILL:
            weight = numpy.where((cell < 0) | (cell >= size), 0, weight)
        elif self.sample_mode == SampleMode.REFLECT:
            if self.align_corners:
                cell = numpy.abs(cell)
                cell = size - 1 - numpy.abs(size - 1 - cell)
            else:
                cell = numpy.where(cell < 0, -1 - cell, cell)
                cell = numpy.where(cell >= size, 2 * size - 1 - cell, cell)
        return numpy.clip(cell, 0, size - 1), weight

    @classmethod
    def add_grid_sample(cls, network, input, grid):
        """A GridSample layer: LINEAR, zeros beyond the input, until its fields say otherwise."""
        return network.add_plugin(cls.name, [input, grid], {})

    @staticmethod
    def onnx():
        return (onnx_op("GridSample", 16, rewrite=lambda node: grid_sample(node)),)


# ---- ONNX


def grid_sample(node):
    """ONNX GridSample."""
    modes = {"linear": 1, "bilinear": 1, "nearest": 0, "cubic": 2, "bicubic": 2}
    paddings = {"zeros": SampleMode.FILL, "border": SampleMode.CLAMP, "reflection": SampleMode.REFLECT}
    mode, padding = node.attr("mode", "linear"), node.attr("padding_mode", "zeros")
    if mode not in modes or padding not in paddings:
        raise node.fail(f"mode is '{mode}', padding_mode '{padding}'", known=", ".join((*modes, *paddings)))
    return node.add(
        "GridSample",
        [node[0], node[1]],
        interpolation_mode=InterpolationMode(modes[mode]),
        sample_mode=paddings[padding],
        align_corners=bool(node.attr("align_corners", 0)),
    )
