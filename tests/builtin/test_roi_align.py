"""RoiAlign. Cases are shared by correctness, benchmark and the reference page."""

import numpy as np
import pytest

import dovetail as trt
from dovetail.core.contract import SymbolicTensor
from dovetail.core.errors import DTypeError, ShapeError
from dovetail.core.expr import DimsExprs, input_dim
from dovetail.core.types import FLOATS, DataType, nptype
from dovetail.machine.testing import Case, check

AVERAGE, MAX = trt.RoiAlignMode


def regions(n, height, width, dtype=np.float32):
    """Boxes, some of which are beyond an image of this size, or turned inside out."""
    rng = np.random.default_rng(5)
    ends = rng.uniform(-0.3, 1.3, (n, 4)) * [width, height, width, height]
    ends[1:, 2:] = ends[1:, :2] + rng.uniform(0, 0.8, (n - 1, 2)) * [width, height]
    return ends.astype(dtype)


def images(n, batch, dtype=np.int64):
    return np.random.default_rng(6).integers(0, batch, n).astype(dtype)


CASES = [
    Case(
        f"{mode.name} {'half pixel' if half else 'whole pixel'} ratio {ratio}",
        x=(2, 3, 13, 17),
        rois=regions(6, 26, 34),
        batch_indices=images(6, 2),
        mode=mode,
        half_pixel=half,
        sampling_ratio=ratio,
        output_height=4,
        output_width=3,
        spatial_scale=0.5,
        dtypes=FLOATS,
    )
    for mode in (AVERAGE, MAX)
    for half in (False, True)
    for ratio in (0, 2)
]
CASES += [
    Case(
        f"regions of {t.name}",
        x=(1, 2, 9, 9),
        rois=regions(3, 9, 9, nptype(t)),
        batch_indices=images(3, 1, np.int32),
        output_height=2,
        output_width=5,
        sampling_ratio=3,
        dtypes=[t],
    )
    for t in FLOATS
]
CASES += [
    Case(
        "images of int32",
        x=(3, 40, 8, 9),
        rois=regions(4, 8, 9),
        batch_indices=images(4, 3, np.int32),
        output_height=7,
        output_width=7,
        dtypes=FLOATS,
    ),
    Case(
        "images that are not there",
        x=(2, 3, 5, 5),
        rois=regions(3, 5, 5),
        batch_indices=np.array([-1, 2, 2**40]),
        output_height=2,
        output_width=2,
    ),
    Case(
        "regions that are none",
        x=(1, 2, 5, 6),
        rois=np.float32([[np.nan, 0, 3, 3], [0, 0, 3e38, 3e38], [-3e38, 0, 3, np.inf], [4, 4, 1, 1]]),
        batch_indices=np.zeros(4, np.int64),
        output_height=2,
        output_width=2,
        sampling_ratio=2,
    ),
    Case("no regions", x=(1, 2, 5, 6), rois=regions(2, 5, 6)[:0], batch_indices=images(0, 1)),
    Case("one cell", x=(1, 2, 1, 1), rois=regions(3, 1, 1), batch_indices=images(3, 1), output_width=3),
    Case(
        "boxes of a detector",
        x=(1, 256, 50, 50),
        rois=regions(64, 800, 800),
        batch_indices=images(64, 1),
        output_height=7,
        output_width=7,
        spatial_scale=1 / 16,
        sampling_ratio=2,
        bench=True,
    ),
]
test_kernels = check("RoiAlign@1", CASES)


def test_values(compute):
    x = np.arange(16.0).reshape(1, 1, 4, 4)
    box = np.array([[0.0, 0, 4, 4]])
    whole = compute("RoiAlign", x, box, np.array([0]), output_height=2, output_width=2)
    np.testing.assert_allclose(whole[0, 0], [[2.5, 4.5], [10.5, 12.5]])
    y = compute("RoiAlign", x, box, np.array([0]), mode=MAX, sampling_ratio=1, half_pixel=False)
    assert y.ravel().tolist() == [10]


def test_extents_may_be_unknown(infer):
    n = input_dim(0, 0, "n")
    rois = SymbolicTensor(DimsExprs((n, 4)), DataType.FLOAT)
    numbers = SymbolicTensor(DimsExprs((n,)), DataType.INT64)
    (y,) = infer("RoiAlign", (1, 8, 5, 5), rois, numbers, output_height=3)
    assert tuple(y.dims.evaluate([[7]])) == (7, 8, 3, 1)


def test_what_does_not_fit_is_named(infer):
    x, rois, numbers = np.zeros((1, 2, 5, 5), np.float32), regions(3, 5, 5), images(3, 1)
    with pytest.raises(ShapeError, match="'x' with 3 dims"):
        infer("RoiAlign", x[0], rois, numbers)
    with pytest.raises(ShapeError, match="got 3 and 2"):
        infer("RoiAlign", x, rois, numbers[:2])
    with pytest.raises(ShapeError, match="got 4 and 3"):
        infer("RoiAlign", x, rois[:, :3], numbers)
    with pytest.raises(ShapeError, match="axis 3, which has no cells"):
        infer("RoiAlign", x[..., :0], rois, numbers)
    with pytest.raises(DTypeError, match="regions of HALF"):
        infer("RoiAlign", x, rois.astype(np.float16), numbers)


def test_a_layer_of_it(network):
    x = network.add_input("x", trt.float32, (1, 3, 8, 8))
    rois = network.add_input("rois", trt.float32, (5, 4))
    layer = network.add_roi_align(x, rois, network.add_input("images", trt.int64, (5,)), output_height=2)
    layer.output_width = 3
    assert tuple(layer.get_output(0).shape) == (5, 3, 2, 3)
