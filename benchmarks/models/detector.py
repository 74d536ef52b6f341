"""A detector like torchvision's RetinaNet (Lin et al. 2017) on ResNet-18, as TorchScript writes it.

A pyramid of features whose levels are resized to the extents of the finer one, two heads that all levels share, anchors
as constants, and what is done with the scores of one picture: those above a threshold, the best of each level, boxes
from their anchors, and NonMaxSuppression over all classes at once by moving each class to a place of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from graph import Graph
from onnx import TensorProto
from resnet import basic, stages

STRIDES = (8, 16, 32, 64, 128)
SHAPES = tuple((ratio, scale) for scale in (1, 2 ** (1 / 3), 2 ** (2 / 3)) for ratio in (0.5, 1.0, 2.0))
LEAST_SCORE, OVERLAP = 0.05, 0.5
PER_LEVEL, DETECTIONS = 1000, 300
RARE = -7.1  # bias of the classes: some tens of scores of random weights pass the threshold, as in a picture


class Layers:
    """Convolutions whose weights several levels share."""

    def __init__(self, g: Graph, channels: int, classes: int, rare: float, depth: int = 4) -> None:
        self.g = g
        self.towers = [[self._new(channels, channels, 2.0) for _ in range(depth)] for _ in range(2)]
        self.scores = self._new(channels, len(SHAPES) * classes, 1.0, rare)
        self.boxes = self._new(channels, len(SHAPES) * 4, 0.05, 0.0)

    def _new(self, fan_in: int, channels: int, gain: float, bias: float | None = None) -> tuple[str, str, int]:
        g = self.g
        w = g.random(channels, fan_in, 3, 3, std=(gain / (9 * fan_in)) ** 0.5)
        b = g.random(channels, std=0.1) if bias is None else np.full(channels, bias, np.float32)
        return g.weight(w), g.weight(b), channels

    def conv(self, x: str, layer: tuple[str, str, int]) -> str:
        w, b, channels = layer
        y = self.g.op("Conv", x, w, b, kernel_shape=[3, 3], strides=[1, 1], pads=[1] * 4)
        self.g.channels[y] = channels
        return y

    def head(self, x: str, is_boxes: bool) -> str:
        for layer in self.towers[is_boxes]:
            x = self.g.relu(self.conv(x, layer))
        return self.conv(x, self.boxes if is_boxes else self.scores)


def pyramid(g: Graph, features: Sequence[str], channels: int) -> list[str]:
    """Five levels, the finest first."""
    lateral = [g.conv(x, channels, gain=0.15) for x in features]
    x, levels = lateral[-1], []
    for index in range(len(lateral) - 1, -1, -1):
        if index < len(lateral) - 1:
            x = g.op("Add", lateral[index], resized(g, x, lateral[index]))
            g.channels[x] = channels
        levels.insert(0, g.conv(x, channels, 3, gain=0.7))
    levels.append(g.conv(levels[-1], channels, 3, 2, gain=1.0))
    levels.append(g.conv(g.relu(levels[-1]), channels, 3, 2))
    return levels


def resized(g: Graph, x: str, like: str) -> str:
    """To the extents of `like`, the nearest element."""
    extents = g.op("Slice", g.op("Shape", like), g.constant([2]), g.constant([4]), g.constant([0]))
    kept = g.op("Slice", g.op("Shape", x), g.constant([0]), g.constant([2]), g.constant([0]))
    sizes = g.op("Concat", kept, extents, axis=0)
    attrs = dict(mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")
    return g.op("Resize", x, "", "", sizes, **attrs)


def flat(g: Graph, x: str, columns: int, cells: int) -> str:
    """[anchors, columns] of one picture from [1, anchors per cell * columns, cells, cells]."""
    y = g.op("Transpose", g.reshape(x, 1, len(SHAPES), columns, cells, cells), perm=[0, 3, 4, 1, 2])
    return g.op("Gather", g.reshape(y, 1, -1, columns), g.constant(0), axis=0)


def anchors(stride: int, cells: int) -> np.ndarray:
    """(centre x, centre y, width, height) of each, in the order of `flat`."""
    middle = (np.arange(cells) + 0.5) * stride
    rows, columns, _ = np.meshgrid(middle, middle, np.arange(len(SHAPES)), indexing="ij")
    sizes = np.array([(scale / ratio**0.5, scale * ratio**0.5) for ratio, scale in SHAPES]) * 4 * stride
    sizes = np.broadcast_to(sizes, (cells, cells, *sizes.shape))
    return np.concatenate([columns[..., None], rows[..., None], sizes], -1).reshape(-1, 4).astype(np.float32)


def best(g: Graph, scores: str, classes: int) -> tuple[str, str, str]:
    """Scores of a level above the threshold, at most PER_LEVEL of them; the anchor and the class of each."""
    rows = g.reshape(g.op("Sigmoid", scores), -1)
    kept = g.op("NonZero", g.op("Greater", rows, g.constant(LEAST_SCORE, np.float32)))
    kept = g.op("Squeeze", g.op("Transpose", kept, perm=[1, 0]), g.constant([1]))
    found = g.op("Gather", rows, kept, axis=0)
    number = g.op("Concat", g.constant([PER_LEVEL]), g.op("Shape", found), axis=0)
    number = g.op("ReduceMin", number, axes=[0], keepdims=1)
    top, order = g.op("TopK", found, number, n_outputs=2, axis=0, largest=1, sorted=1)
    index = g.op("Gather", kept, order, axis=0)
    return top, g.op("Div", index, g.constant(classes)), g.op("Mod", index, g.constant(classes))


def boxes_of(g: Graph, offsets: str, chosen: str, table: np.ndarray, size: int) -> str:
    """(x1, y1, x2, y2) in pixels, clipped to the picture."""
    place, extent = g.split(g.op("Gather", offsets, chosen, axis=0), [2, 2], axis=1)
    centre, shape = g.split(g.op("Gather", g.weight(table), chosen, axis=0), [2, 2], axis=1)
    extent = g.op("Clip", extent, "", g.constant(np.log(1000 / 16), np.float32))
    centre = g.op("Add", g.op("Mul", place, shape), centre)
    half = g.op("Mul", g.op("Mul", g.op("Exp", extent), shape), g.constant(0.5, np.float32))
    corners = g.op("Concat", g.op("Sub", centre, half), g.op("Add", centre, half), axis=1)
    return g.op("Clip", corners, g.constant(0, np.float32), g.constant(size, np.float32))


def suppressed(g: Graph, boxes: str, scores: str, labels: str) -> str:
    """Indices of what is left of all classes."""
    one = g.constant(1, np.float32)
    furthest = g.op("Add", g.op("ReduceMax", boxes, axes=[0, 1], keepdims=0), one)
    away = g.unsqueeze(g.op("Mul", g.op("Cast", labels, to=TensorProto.FLOAT), furthest), 1)
    apart = g.unsqueeze(g.op("Add", boxes, away), 0)
    limits = [g.constant([np.iinfo(np.int64).max]), g.constant([OVERLAP], np.float32)]
    kept = g.op("NonMaxSuppression", apart, g.unsqueeze(g.unsqueeze(scores, 0), 0), *limits)
    kept = g.op("Squeeze", g.op("Gather", kept, g.constant([2]), axis=1), g.constant([1]))
    return g.slice(kept, 0, g.constant([DETECTIONS]), 0)


def detector(
    batch: int = 1,
    opset: int = 17,
    folded: bool = True,
    width: int = 64,
    channels: int = 256,
    size: int = 320,
    classes: int = 80,
    rare: float = RARE,
) -> onnx.ModelProto:
    """For one picture."""
    g = Graph("detector", opset, folded=folded)
    features = stages(g, g.input("image", [batch, 3, size, size]), width, (2, 2, 2, 2), basic)[1:]
    layers, results = Layers(g, channels, classes, rare), []
    for level, x in enumerate(pyramid(g, features, channels)):
        cells = -(-size // STRIDES[level])
        scores, offsets = (flat(g, layers.head(x, side), (classes, 4)[side], cells) for side in (False, True))
        top, chosen, labels = best(g, scores, classes)
        boxes = boxes_of(g, offsets, chosen, anchors(STRIDES[level], cells), size)
        results.append((boxes, top, labels))
    boxes, scores, labels = (g.op("Concat", *parts, axis=0) for parts in zip(*results, strict=True))
    kept = suppressed(g, boxes, scores, labels)
    for value, name, dims in ((boxes, "boxes", ["found", 4]), (scores, "scores", ["found"])):
        g.output(g.op("Gather", value, kept, axis=0), name, dims)
    g.output(g.op("Gather", labels, kept, axis=0), "labels", ["found"], TensorProto.INT64)
    return g.model()
