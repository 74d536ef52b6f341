"""A detector in the manner of YOLOv5: CSP backbone with SiLU, PAN neck, heads that are decoded, and NonMaxSuppression.

How many boxes it finds depends on the picture, so the extents of its outputs are known only after a run.
"""

from __future__ import annotations

import numpy as np
import onnx
from graph import Graph
from onnx import TensorProto

STRIDES = (8, 16, 32)
ANCHORS = (  # width, height in pixels, three on each level
    ((10, 13), (16, 30), (33, 23)),
    ((30, 61), (62, 45), (59, 119)),
    ((116, 90), (156, 198), (373, 326)),
)
PER_CELL = 3
RARE = -2.5  # few cells hold something; a head learns that as its bias
BOXES_PER_CLASS, OVERLAP, LEAST_SCORE = 100, 0.45, 0.25


def conv(g: Graph, x: str, channels: int, kernel: int = 1, stride: int = 1, gain: float = 2.2) -> str:
    return g.swish(g.conv(x, channels, kernel, stride, gain=gain, normalized=True))


def csp(g: Graph, x: str, channels: int, blocks: int, residual: bool = True) -> str:
    """Half of the channels go through the blocks, half around them."""
    half = channels // 2
    y, around = conv(g, x, half), conv(g, x, half)
    for _ in range(blocks):
        z = conv(g, conv(g, y, half), half, 3, gain=0.5 if residual else 2.2)
        y = g.op("Add", y, z) if residual else z
    return conv(g, g.concat([y, around]), channels)


def pooling_pyramid(g: Graph, x: str, channels: int) -> str:
    parts = [conv(g, x, g.channels[x] // 2)]
    for _ in range(3):
        parts.append(g.op("MaxPool", parts[-1], kernel_shape=[5, 5], strides=[1, 1], pads=[2] * 4))
    return conv(g, g.concat(parts), channels)


def backbone(g: Graph, x: str, width: int, depth: int) -> list[str]:
    """Features at strides 8, 16 and 32."""
    x = conv(g, conv(g, x, width, 3, 2), width * 2, 3, 2)
    x = csp(g, x, width * 2, depth)
    features = []
    for level, blocks in ((4, 2 * depth), (8, 3 * depth), (16, depth)):
        x = csp(g, conv(g, x, width * level, 3, 2), width * level, blocks)
        features.append(x)
    return [*features[:2], pooling_pyramid(g, x, width * 16)]


def neck(g: Graph, features: list[str], depth: int) -> list[str]:
    """Coarse features join the finer ones on the way up, and fine ones the coarser on the way down."""
    fine, middle, x = features
    lateral = []
    for skipped in (middle, fine):
        x = conv(g, x, g.channels[skipped])
        lateral.append(x)
        x = csp(g, g.concat([twice(g, x), skipped]), g.channels[skipped], depth, residual=False)
    results = [x]
    for side in reversed(lateral):
        x = conv(g, x, g.channels[side], 3, 2)
        x = csp(g, g.concat([x, side]), 2 * g.channels[side], depth, residual=False)
        results.append(x)
    return results


def twice(g: Graph, x: str) -> str:
    attrs = dict(mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")
    return g.op("Resize", x, "", g.constant([1, 1, 2, 2], np.float32), **attrs)


def decode(g: Graph, x: str, level: int, batch: int | str, cells: int, classes: int) -> str:
    """Dims (batch, boxes, 5 + classes): centre, width and height in pixels, is there something, and what."""
    stride, columns = STRIDES[level], 5 + classes
    biases = np.tile([0, 0, 0, 0, RARE, *[0] * classes], PER_CELL)
    x = g.conv(x, PER_CELL * columns, gain=1.0, bias=biases)
    first = batch if isinstance(batch, int) else g.extent(x, 0)
    x = g.op("Transpose", g.reshape(x, first, PER_CELL, columns, cells, cells), perm=[0, 1, 3, 4, 2])
    place, size, scores = g.split(x, [2, 2, 1 + classes], axis=-1)
    grid = np.stack(np.meshgrid(np.arange(cells), np.arange(cells)), -1)[None, None] - 0.5
    anchors = np.array(ANCHORS[level])[None, :, None, None]
    place = g.op("Mul", g.op("Sigmoid", place), g.constant(2, np.float32))
    place = g.op("Mul", g.op("Add", place, g.weight(grid.astype(np.float32))), g.constant(stride, np.float32))
    limited = g.op("Clip", size, "", g.constant(4, np.float32))  # e^4 = 55: no box overflows
    size = g.op("Mul", g.op("Exp", limited), g.weight(anchors.astype(np.float32)))
    y = g.concat([place, size, g.op("Sigmoid", scores)], axis=-1)
    return g.reshape(y, first, PER_CELL * cells**2, columns)


def suppress(g: Graph, found: str, n_boxes: int, classes: int) -> tuple[str, str, str]:
    """What NonMaxSuppression keeps: (batch, class, box) of each, the boxes and their scores."""
    boxes, present, likely = g.split(found, [4, 1, classes], axis=-1)
    scores = g.op("Transpose", g.op("Mul", likely, present), perm=[0, 2, 1])
    limits = [g.constant([BOXES_PER_CLASS]), *(g.constant([value], np.float32) for value in (OVERLAP, LEAST_SCORE))]
    kept = g.op("NonMaxSuppression", boxes, scores, *limits, center_point_box=1)
    picture, _, box = g.split(kept, [1, 1, 1], axis=1)
    row = g.op("Add", g.op("Mul", picture, g.constant(n_boxes)), box)
    rows = g.op("Gather", g.reshape(boxes, -1, 4), g.op("Squeeze", row, g.constant([1])), axis=0)
    return kept, rows, g.op("GatherND", scores, kept)


def yolo(
    batch: int | str = 1,
    opset: int = 17,
    folded: bool = True,
    width: int = 32,
    depth: int = 1,
    size: int = 640,
    classes: int = 80,
    suppressed: bool = True,
) -> onnx.ModelProto:
    """Without `suppressed` the output is what the heads say of every cell, and NonMaxSuppression is left out."""
    g = Graph("yolo", opset, folded=folded)
    features = neck(g, backbone(g, g.input("image", [batch, 3, size, size]), width, depth), depth)
    cells = [size // stride for stride in STRIDES]
    levels = [decode(g, x, level, batch, cells[level], classes) for level, x in enumerate(features)]
    n_boxes = sum(PER_CELL * n**2 for n in cells)
    found = g.concat(levels, axis=1)
    if not suppressed:
        g.output(found, "predictions", [batch, n_boxes, 5 + classes])
        return g.model()
    kept, boxes, scores = suppress(g, found, n_boxes, classes)
    g.output(kept, "kept", ["found", 3], TensorProto.INT64)
    g.output(boxes, "boxes", ["found", 4])
    g.output(scores, "scores", ["found"])
    return g.model()
