"""GridSample. Cases are shared by correctness, benchmark and the reference page."""

import numpy as np
import pytest

import dovetail as trt
from dovetail.core.contract import SymbolicTensor
from dovetail.core.errors import DTypeError, ShapeError
from dovetail.core.expr import DimsExprs, input_dim
from dovetail.core.types import FLOATS, DataType, nptype
from dovetail.machine.testing import Case, check

NEAREST, LINEAR, CUBIC = trt.InterpolationMode
CLAMP, FILL, REFLECT = trt.SampleMode.CLAMP, trt.SampleMode.FILL, trt.SampleMode.REFLECT
TYPES = [t for t in DataType if t != DataType.FP8]


def grid(*dims, dtype=np.float32, reach=2.5):
    """Places, some of them far beyond x."""
    return np.random.default_rng(4).uniform(-reach, reach, dims).astype(dtype)


CASES = [
    Case(
        f"{mode.name} {beyond.name} {'corners' if aligned else 'edges'} {rank - 2}d",
        x=(2, 3, 5, 7) if rank == 4 else (2, 3, 3, 5, 4),
        grid=grid(2, 6, 13, 2) if rank == 4 else grid(2, 2, 6, 13, 3),
        interpolation_mode=mode,
        sample_mode=beyond,
        align_corners=aligned,
        dtypes=TYPES if mode == NEAREST else FLOATS,
    )
    for mode in (NEAREST, LINEAR, CUBIC)
    for beyond in (CLAMP, FILL, REFLECT)
    for aligned in (False, True)
    for rank in (4, 5)
]
CASES += [
    Case(f"grid of {t.name}", x=(1, 2, 6, 8), grid=grid(1, 4, 5, 2, dtype=nptype(t)), dtypes=[t])
    for t in (DataType.HALF, DataType.BF16)
]
CASES += [
    Case("one cell", x=(1, 2, 1, 1), grid=grid(1, 3, 4, 2), align_corners=True, sample_mode=REFLECT),
    Case("no places", x=(1, 2, 3, 3), grid=grid(1, 0, 4, 2)),
    Case("no images", x=(0, 2, 3, 3), grid=grid(0, 2, 4, 2)),
    Case("many channels", x=(1, 70, 4, 6), grid=grid(1, 9, 17, 2), interpolation_mode=CUBIC),
    Case(
        "places that are none",
        x=(1, 1, 3, 3),
        grid=np.float32([np.nan, 0, np.inf, 0, -np.inf, 0, 3e38, -3e38, 0, 0, 0, np.nan]).reshape(1, 1, 6, 2),
    ),
    Case("a warp", x=(1, 64, 96, 96), grid=grid(1, 96, 96, 2, reach=1), bench=True),
]
test_kernels = check("GridSample@1", CASES)


def test_values(compute):
    x = np.arange(4.0).reshape(1, 1, 2, 2)
    places = np.array([[-1.0, -1], [0, 0], [1, 1], [0, -1]]).reshape(1, 1, 4, 2)
    aligned = compute("GridSample", x, places, align_corners=True)
    assert aligned.ravel().tolist() == [0, 1.5, 3, 0.5]
    edges = compute("GridSample", x, places)
    assert edges.ravel().tolist() == [0, 1.5, 0.75, 0.25]
    nearest = compute("GridSample", x, places * 0.9, interpolation_mode=NEAREST, sample_mode=CLAMP)
    assert nearest.ravel().tolist() == [0, 0, 3, 0]


def test_extents_may_be_unknown(infer):
    n = input_dim(0, 0, "n")
    x = SymbolicTensor(DimsExprs((n, 3, 8, 8)), DataType.HALF)
    (y,) = infer("GridSample", x, SymbolicTensor(DimsExprs((n, 4, 5, 2)), DataType.FLOAT))
    assert (tuple(y.dims.evaluate([[7]])), y.dtype) == ((7, 3, 4, 5), DataType.HALF)


def test_what_does_not_fit_is_named(infer):
    x, places = np.zeros((1, 2, 3, 3), np.float32), grid(1, 4, 4, 2)
    with pytest.raises(ShapeError, match="3 dims by a grid of 4"):
        infer("GridSample", x[0], places)
    with pytest.raises(ShapeError, match="got 1 and 2"):
        infer("GridSample", x, grid(2, 4, 4, 2))
    with pytest.raises(ShapeError, match="got 2 and 3"):
        infer("GridSample", x, grid(1, 4, 4, 3))
    with pytest.raises(ShapeError, match="axis 3, which has no cells"):
        infer("GridSample", x[..., :0], places)
    with pytest.raises(ShapeError, match="mode WRAP"):
        infer("GridSample", x, places, sample_mode=trt.SampleMode.WRAP)
    with pytest.raises(DTypeError, match="INT8 by a grid of FLOAT"):
        infer("GridSample", x.astype(np.int8), places)


def test_it_is_added_as_in_tensorrt(network):
    x = network.add_input("x", trt.float32, (1, 3, 8, 8))
    places = network.add_input("grid", trt.float32, (1, 4, 5, 2))
    layer = network.add_grid_sample(x, places)
    assert (layer.interpolation_mode, layer.align_corners, layer.sample_mode) == (LINEAR, False, FILL)
    assert tuple(layer.get_output(0).shape) == (1, 3, 4, 5)
