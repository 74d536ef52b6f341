"""RoiAlign."""

from __future__ import annotations

import numpy

from dovetail.core.errors import DTypeError, ShapeError
from dovetail.core.named import Named
from dovetail.core.types import FLOATS, DataType
from dovetail.plugins import Input, Output, Plugin, field, require_equal, require_that
from dovetail.plugins.onnx import onnx_op

INDICES = (DataType.INT32, DataType.INT64)
WORDS = "f32|f16|bf16"


class RoiAlignMode(Named):
    """What the samples of a bin become."""

    AVERAGE = 0
    MAX = 1


class RoiAlign(Plugin):
    """y[r, c, i, j] = average or max of samples of x[batch_indices[r], c] in bin i, j of region r

    Inputs    x              [N, C, H, W], float16 | bfloat16 | float32
              rois           [R, 4]: x1, y1, x2, y2; float32 or the type of x
              batch_indices  [R], int32 | int64: the image of each region; where there is none, y is 0
    Outputs   y              [R, C, output_height, output_width]; type of x
    Places    rois * spatial_scale, less 1/2 if half_pixel; else a region is at least 1 wide and high. It is cut into
              equal bins, and these into equal cells: sampling_ratio along each axis, or where that is 0
              ceil(extent of a bin), but no more than x has. Samples lie in their middles, and are blended from four
              neighbours; those more than 1 in front of x or beyond its extent are 0.
    Modes     AVERAGE  of the samples
              MAX      largest of the four neighbours' shares in all samples, as ONNX has it
              A bin without cells is 0.
    Numerics  float32
    Errors    ShapeError if ranks or extents disagree, or x has no cells; DTypeError
    Source    ONNX RoiAlign; He et al., Mask R-CNN, 2017
    """

    purpose = "Windows and sampling"
    x = Input(FLOATS)
    rois = Input(FLOATS, doc="Regions: x1, y1, x2, y2.")
    batch_indices = Input(INDICES, doc="Images that they are of.")
    y = Output(like="x")

    output_height: int = field(1, doc="Bins along the height.", low=1, high=65536)
    output_width: int = field(1, doc="Bins along the width.", low=1, high=65536)
    sampling_ratio: int = field(0, doc="Cells of a bin on each axis; 0 is as many as of x.", low=0, high=4096)
    spatial_scale: float = field(1.0, doc="Cells of x by units of the regions.")
    mode: RoiAlignMode = field(RoiAlignMode.AVERAGE, doc="What samples become.")
    half_pixel: bool = field(True, doc="Is the middle of the first cell at 1/2, rather than at 0?")

    type_rows = tuple(
        row for t in ("i32", "i64") for row in (f"{WORDS} {WORDS} {t} -> {WORDS}", f"f16|bf16 f32 {t} -> f16|bf16")
    )

    def infer(self, x, rois, batch_indices):
        if rois.dtype not in (DataType.FLOAT, x.dtype):
            raise DTypeError(
                f"{self.label} cannot take regions of {rois.dtype.name} from a tensor of {x.dtype.name}",
                facts=[("rule", "FLOAT, or the type of x")],
                hint="Convert with a Cast layer.",
            )
        for name, tensor, rank in (("x", x, 4), ("rois", rois, 2), ("batch_indices", batch_indices, 1)):
            if tensor.rank != rank:
                raise ShapeError(
                    f"{self.label} cannot take '{name}' with {tensor.rank} dims",
                    facts=[(name, tensor.dims), ("rule", f"{rank} dims")],
                    expected=rank,
                    got=tensor.rank,
                )
        require_equal(self.label, ("regions", rois.dims[0]), ("their images", batch_indices.dims[0]))
        require_equal(self.label, ("numbers of a region", 4), ("last extent of rois", rois.dims[1]))
        for axis in (2, 3):
            require_that(
                x.dims[axis] >= 1,
                f"{self.label} cannot sample axis {axis}, which has no cells",
                [("x", x.dims)],
                axis=axis,
            )
        return x.like((rois.dims[0], x.dims[1], self.output_height, self.output_width))

    def reference(self, x, rois, batch_indices):
        y = numpy.zeros((len(rois), x.shape[1], self.output_height, self.output_width), x.dtype)
        rois = rois.astype(numpy.float64 if rois.dtype == numpy.float64 else numpy.float32)
        regions = rois * rois.dtype.type(self.spatial_scale) - rois.dtype.type(0.5 if self.half_pixel else 0)
        for r, (region, image) in enumerate(zip(regions, batch_indices, strict=True)):
            if not 0 <= image < len(x):
                continue
            rows, columns = (
                self._taps(region[k], region[k + 2], size, bins)
                for k, size, bins in ((1, x.shape[2], self.output_height), (0, x.shape[3], self.output_width))
            )
            if not rows[0][0].size or not columns[0][0].size:
                continue
            shares = [  # [C, bins, cells of a bin, bins, cells of a bin]
                x[image][:, a[:, :, None, None], b] * (v[:, :, None, None] * w).astype(x.dtype)
                for a, v in rows
                for b, w in columns
            ]
            if self.mode == RoiAlignMode.MAX:
                y[r] = numpy.max(shares, axis=(0, 3, 5))
            else:
                y[r] = sum(shares).mean(axis=(2, 4))
        return y

    def _taps(self, start, end, size, bins):
        """[(cells, weights)] of both neighbours along an axis, [bins, samples of a bin]."""
        length = end - start if self.half_pixel else numpy.fmax(end - start, start.dtype.type(1))
        wanted = numpy.ceil(length / bins)
        n = self.sampling_ratio or (int(min(wanted, size)) if wanted > 0 else 0)
        step = length / bins
        middles = (numpy.arange(n, dtype=start.dtype) + start.dtype.type(0.5)) * step / max(n, 1)
        v = start + numpy.arange(bins, dtype=start.dtype)[:, None] * step + middles
        outside = ~((v >= -1) & (v <= size))
        v = numpy.clip(numpy.where(outside, 0, v), 0, size - 1)
        low = numpy.floor(v).astype(int)
        r = v - low
        is_in = (~outside).astype(start.dtype)
        return [(low, (1 - r) * is_in), (numpy.minimum(low + 1, size - 1), r * is_in)]

    @staticmethod
    def onnx():
        return (onnx_op("RoiAlign", 10, rewrite=lambda node: roi_align(node)),)


# ---- ONNX


def roi_align(node):
    """ONNX RoiAlign."""
    modes = {"avg": RoiAlignMode.AVERAGE, "max": RoiAlignMode.MAX}
    mode = node.attr("mode", "avg").lower()
    places = node.attr("coordinate_transformation_mode", "half_pixel" if node.opset >= 16 else "output_half_pixel")
    if mode not in modes or places not in ("half_pixel", "output_half_pixel"):
        raise node.fail(f"mode is '{mode}', coordinate_transformation_mode '{places}'", known="avg, max; half_pixel")
    return node.add(
        "RoiAlign",
        [node[0], node[1], node[2]],
        output_height=node.attr("output_height", 1),
        output_width=node.attr("output_width", 1),
        sampling_ratio=node.attr("sampling_ratio", 0),
        spatial_scale=node.attr("spatial_scale", 1.0),
        mode=modes[mode],
        half_pixel=places == "half_pixel",
    )
