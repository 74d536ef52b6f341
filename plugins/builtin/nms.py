"""NMS."""

from __future__ import annotations

import numpy

from dovetail.core.contract import SymbolicTensor
from dovetail.core.errors import ShapeError
from dovetail.core.expr import DimsExprs, maximum, minimum
from dovetail.core.named import Named
from dovetail.core.types import DataType
from dovetail.plugins import Input, Output, Plugin, field, require_equal
from dovetail.plugins.onnx import onnx_op

FLOATS = (DataType.FLOAT, DataType.HALF, DataType.BF16)
INTEGERS = (DataType.INT32, DataType.INT64)


class BoundingBoxFormat(Named):
    """What the four numbers of a box are."""

    CORNER_PAIRS = 0  # x and y of two opposite corners, in any order
    CENTER_SIZES = 1  # x and y of the centre, width, height


class NMS(Plugin):
    """Non-maximum suppression: of boxes that overlap, the one with the best score stays

    Inputs    boxes   [N, B, 4], or [N, B, C, 4] where each class has boxes of its own
              scores  [N, B, C], the type of boxes
              max_output_boxes_per_class  one int32 or int64: the most boxes for each class of each image
              iou_threshold    optional, one float32: a box is dropped if its intersection with a better one of its
                               class, over their union, is more than this; 0 if absent
              score_threshold  optional, one float32: boxes need a higher score
    Outputs   indices [count, 3] int32: image, class, box; by image, then class, then falling score
              count   no dims, int32: known when the layer has run, at most N * C * the boxes a class may have
    Numerics  in float32; of equal scores the box with the lower number comes first; nan is not a score; boxes without
              area overlap nothing
    Errors    ShapeError for other dims
    Source    TensorRT 8.5 INMSLayer; ONNX NonMaxSuppression
    """

    purpose = "Indexing and selection"
    boxes = Input(FLOATS)
    scores = Input(FLOATS, like="boxes")
    max_output_boxes_per_class = Input(INTEGERS)
    iou_threshold = Input(DataType.FLOAT, optional=True)
    score_threshold = Input(DataType.FLOAT, optional=True)
    indices = Output(DataType.INT32)
    count = Output(DataType.INT32, size=True, doc="Extent of the first axis of indices.")
    bounding_box_format: BoundingBoxFormat = field(BoundingBoxFormat.CORNER_PAIRS, doc="What the numbers of a box are.")
    topk_box_limit: int = field(-1, low=-1, doc="Boxes of a class that are looked at, the best ones; -1 is all.")

    type_rows = tuple(
        f"f32|f16|bf16 f32|f16|bf16 {n}|{n}|{n} f32|f32|f32 f32|f32|f32 -> i32|i32|i32 i32|i32|i32"
        for n in ("i32", "i64")
    )

    def infer(self, boxes, scores, max_output_boxes_per_class, iou_threshold, score_threshold):
        self._check_ranks(boxes, scores)
        images, n_boxes, classes = scores.dims
        require_equal(self.label, ("images of boxes", boxes.dims[0]), ("of scores", images))
        require_equal(self.label, ("boxes", boxes.dims[1]), ("scores", n_boxes))
        require_equal(self.label, ("numbers of a box", boxes.dims[-1]), ("those it has", 4))
        if boxes.rank == 4 and boxes.dims[2].value != 1:
            require_equal(self.label, ("classes of boxes", boxes.dims[2]), ("of scores", classes))
        for tensor in (max_output_boxes_per_class, iou_threshold, score_threshold):
            if tensor is not None:
                require_equal(self.label, (f"the elements of '{tensor.name}'", tensor.dims.volume), ("one", 1))
        each = n_boxes if self.topk_box_limit < 0 else minimum(n_boxes, self.topk_box_limit)
        most = max_output_boxes_per_class.elements()
        upper = images * classes * (each if most is None else maximum(minimum(each, most[0]), 0))
        count = self.declare_size("count", opt=upper, upper=upper)
        return (
            SymbolicTensor(DimsExprs((count, 3)), DataType.INT32),
            SymbolicTensor(DimsExprs(()), DataType.INT32, values=(count,)),
        )

    def _check_ranks(self, boxes, scores):
        if boxes.rank not in (3, 4) or scores.rank != 3:
            raise ShapeError(
                f"{self.label} cannot take boxes and scores of these dims",
                facts=[
                    ("boxes", f"{boxes.dims}; rule: [N, B, 4] or [N, B, C, 4]"),
                    ("scores", f"{scores.dims}; rule: [N, B, C]"),
                ],
            )

    def reference(self, boxes, scores, max_output_boxes_per_class, iou_threshold, score_threshold):
        most = int(max_output_boxes_per_class.reshape(()))
        iou = 0.0 if iou_threshold is None else float(iou_threshold.reshape(()))
        corners = boxes.astype(numpy.float64)
        if corners.ndim == 3:
            corners = corners[:, :, None]
        corners = numpy.broadcast_to(corners, (*scores.shape, 4))
        if self.bounding_box_format == BoundingBoxFormat.CENTER_SIZES:
            middle, half = corners[..., :2], corners[..., 2:] / 2
            low, high = middle - half, middle + half
        else:
            low = numpy.minimum(corners[..., :2], corners[..., 2:])
            high = numpy.maximum(corners[..., :2], corners[..., 2:])
        found = []
        for image in range(scores.shape[0]):
            for class_ in range(scores.shape[2]):
                given = scores[image, :, class_]
                least = -numpy.inf if score_threshold is None else float(score_threshold.reshape(()))
                is_scored = ~numpy.isnan(given) if score_threshold is None else given > least
                order = [i for i in numpy.argsort(-given, kind="stable") if is_scored[i]]
                order = order if self.topk_box_limit < 0 else order[: self.topk_box_limit]
                kept = []
                for box in order:
                    if len(kept) >= most:
                        break
                    overlaps = _overlaps(low[image, :, class_], high[image, :, class_], kept, box)
                    if not (overlaps > iou).any():
                        kept.append(box)
                found += [(image, class_, box) for box in kept]
        return numpy.array(found, numpy.int32).reshape(-1, 3), numpy.array(len(found), numpy.int32)

    @staticmethod
    def onnx():
        return (onnx_op("NonMaxSuppression", rewrite=nms),)

    @classmethod
    def add_nms(cls, network, boxes, scores, max_output_boxes_per_class):
        """An NMS layer. set_input 3 gives the IoU threshold, 4 the score threshold."""
        return network.add_plugin("NMS", [boxes, scores, max_output_boxes_per_class])


def _overlaps(low, high, others, box):
    """Intersection over union of a box with each of others; 0 where one of both has no area."""
    shared = numpy.prod(
        numpy.maximum(numpy.minimum(high[others], high[box]) - numpy.maximum(low[others], low[box]), 0), -1
    )
    areas, area = numpy.prod(high[others] - low[others], -1), numpy.prod(high[box] - low[box])
    is_solid = numpy.minimum(areas, area) > 0
    return numpy.divide(shared, areas + area - shared, out=numpy.zeros_like(shared), where=is_solid)


# ---- ONNX


def nms(node):
    """ONNX NonMaxSuppression: scores [N, C, B], int64 indices; without a number of boxes there are none."""
    scores = node.add("Shuffle", [node[1]], first_transpose=(0, 2, 1))
    most = node.get(2) if node.get(2) is not None else numpy.zeros((), numpy.int64)
    inputs = [node[0], scores, most, node.get(3), node.get(4)]
    while inputs[-1] is None:
        inputs.pop()
    box_format = node.attr("center_point_box", 0)
    if box_format not in list(BoundingBoxFormat):
        raise node.fail("center_point_box is neither 0 nor 1", center_point_box=box_format)
    return node.add(
        "Cast",
        [node.add("NMS", inputs, bounding_box_format=BoundingBoxFormat(box_format))],
        to_type=int(DataType.INT64),
    )
