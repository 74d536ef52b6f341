"""NMS. Cases are shared by correctness, benchmark and the reference page."""

import numpy as np
import pytest

import dovetail as trt
from dovetail.core.errors import ShapeError
from dovetail.machine.testing import Case, check
from dovetail.plugins.builtin.nms import BoundingBoxFormat


def boxes(*dims, centered=False, dtype=np.float32):
    """Boxes on a grid of quarters, so that every type computes the same overlaps; scores differ."""
    rng = np.random.default_rng(7)
    low, size = rng.integers(0, 40, (*dims, 2)) / 4, rng.integers(1, 24, (*dims, 2)) / 4
    both = [low + size / 2, size] if centered else [low + size, low]
    return np.concatenate(both, -1).astype(dtype)


def scores(*dims, dtype=np.float32):
    n = int(np.prod(dims))
    return (np.random.default_rng(8).permutation(n).reshape(dims) / 256 - 0.1).astype(dtype)


def of(name, images, n, classes, most=5, own_boxes=False, dtype=np.float32, **given):
    dims = (images, n, classes) if own_boxes else (images, n)
    centered = given.get("bounding_box_format") == BoundingBoxFormat.CENTER_SIZES
    return Case(
        name,
        boxes=boxes(*dims, centered=centered, dtype=dtype),
        scores=scores(images, n, classes, dtype=dtype),
        max_output_boxes_per_class=np.array(most, given.pop("counted_in", np.int32)),
        **{key: np.array(value, np.float32) if "threshold" in key else value for key, value in given.items()},
    )


CASES = [
    of("one class", 1, 13, 1, iou_threshold=0.4),
    of("classes", 2, 37, 3, iou_threshold=0.3),
    of("their own boxes", 2, 21, 4, own_boxes=True, iou_threshold=0.2),
    of("centres", 1, 33, 2, bounding_box_format=BoundingBoxFormat.CENTER_SIZES, iou_threshold=0.35),
    of("score threshold", 2, 40, 2, most=40, iou_threshold=0.5, score_threshold=0.2),
    of("nothing is good enough", 1, 9, 2, iou_threshold=0.5, score_threshold=9.0),
    of("no threshold", 1, 30, 2, most=30),
    of("64 bits", 1, 19, 2, iou_threshold=0.4, counted_in=np.int64),
    of("no box wanted", 1, 19, 2, most=0, iou_threshold=0.4),
    of("a negative number", 1, 19, 2, most=-3, iou_threshold=0.4),
    of("more than there are", 1, 19, 2, most=1000, iou_threshold=0.9),
    of("few are looked at", 2, 50, 2, most=50, iou_threshold=0.3, topk_box_limit=7),
    of("no box", 1, 0, 2, iou_threshold=0.4),
    of("many", 1, 600, 3, most=200, iou_threshold=0.3),
    of("halves", 1, 25, 2, dtype=np.float16, iou_threshold=0.4),
    of("a detector", 1, 8400, 80, most=100, iou_threshold=0.5, score_threshold=0.0),
]
CASES[-1].bench = True
test_kernels = check("NMS@1", CASES)


def test_equal_scores_come_by_number_and_empty_boxes_cover_nothing(compute):
    b = np.array([[[0, 0, 1, 1], [0, 0, 1, 1], [5, 5, 5, 9], [5, 5, 5, 9]]], np.float32)
    s = np.array([[[0.5], [0.5], [0.9], [np.nan]]], np.float32)
    indices, count = compute("NMS", b, s, np.array(9, np.int32), np.array(0.5, np.float32))
    assert indices.tolist() == [[0, 0, 2], [0, 0, 0]]
    assert count == 2


def test_dims_that_do_not_belong_together_are_refused(network):
    add = network.add_input
    b, s, n = add("b", trt.float32, (1, 5, 4)), add("s", trt.float32, (1, 6, 2)), add("n", trt.int32, ())
    with pytest.raises(ShapeError, match="needs boxes and scores to be equal, got 5 and 6"):
        _ = network.add_nms(b, s, n).get_output(0).shape
