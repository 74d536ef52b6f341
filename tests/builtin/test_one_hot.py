"""OneHot. Cases are shared by correctness, benchmark and the reference page."""

import numpy as np
import pytest

import dovetail as trt
from dovetail.core.contract import SymbolicTensor
from dovetail.core.errors import ShapeError
from dovetail.core.expr import DimsExprs, input_dim
from dovetail.core.types import DataType, nptype
from dovetail.machine.testing import Case, check

TYPES = [t for t in DataType if t != DataType.FP8]
DEPTH = np.array(9, np.int32)


def some(*dims, dtype=np.int32):
    """Indices for a depth of 9: some count from the end, some are outside."""
    return np.random.default_rng(1).integers(-12, 12, dims).astype(dtype)


CASES = [
    Case(f"{t.name} on axis {axis}", indices=some(4, 37), values=np.array([0, 1], nptype(t)), depth=DEPTH, axis=axis)
    for t in TYPES
    for axis in (-1, 0, 1)
]
CASES += [
    Case(
        f"indices {i.__name__}, depth {d.__name__}",
        indices=some(3, 5, dtype=i),
        values=np.array([-2, 7], np.float32),
        depth=np.array([9], d),
        axis=axis,
    )
    for i in (np.int32, np.int64)
    for d in (np.int32, np.int64)
    for axis in (1, 2)
]
CASES += [
    Case("one index", indices=np.asarray(np.int32(3)), values=np.array([0, 1], np.float32), depth=DEPTH, axis=0),
    Case("no index", indices=some(0, 3), values=np.array([0, 1], np.float32), depth=DEPTH, axis=1),
    Case("no depth", indices=some(2, 3), values=np.array([0, 1], np.float32), depth=np.array(0, np.int32), axis=1),
    Case("a vocabulary", indices=some(8, 128), values=np.array([0, 1], np.float32), depth=np.array(8192), bench=True),
]
CASES += [
    Case(
        "indices far outside",
        indices=np.array([2**40 + 1, -(2**40) - 8, 2**32, 1], np.int64),
        values=np.array([0, 1], np.int8),
        depth=DEPTH,
        axis=0,
    ),
]
test_kernels = check("OneHot@1", CASES)


def test_values(compute):
    y = compute("OneHot", np.array([1, -1, 5]), np.array([0, 7]), np.array(3), axis=-1)
    assert y.tolist() == [[0, 7, 0], [0, 0, 7], [0, 0, 0]]
    assert compute("OneHot", np.array([1, 0]), np.array([0, 7]), np.array(2), axis=0).tolist() == [[0, 7], [7, 0]]


def test_depth_may_be_an_extent(infer):
    n = input_dim(0, 0, "N")
    depth = SymbolicTensor(DimsExprs(()), DataType.INT64, values=(n,))
    (y,) = infer("OneHot", some(4, 5), np.array([0, 1], np.float16), depth, axis=1)
    assert (tuple(d.evaluate([[7]]) for d in y.dims), y.dtype) == ((4, 7, 5), DataType.HALF)


def test_what_does_not_fit_is_named(infer):
    values = np.array([0, 1], np.float32)
    with pytest.raises(ShapeError, match="contents of its input 'depth'"):
        infer("OneHot", some(4), values, SymbolicTensor(DimsExprs(()), DataType.INT32))
    with pytest.raises(ShapeError, match="-3 elements"):
        infer("OneHot", some(4), values, np.array(-3))
    with pytest.raises(ShapeError, match="got 2 and 3"):
        infer("OneHot", some(4), np.zeros(3, np.float32), DEPTH)
    with pytest.raises(ShapeError, match="values with 0 dims"):
        infer("OneHot", some(4), np.zeros((), np.float32), DEPTH)
    with pytest.raises(ShapeError, match="axis 2"):
        infer("OneHot", some(4), values, DEPTH, axis=2)


def test_it_is_added_as_in_tensorrt(network):
    indices = network.add_input("indices", trt.int32, (4,))
    values = network.add_constant((2,), np.array([0, 1], np.float32)).get_output(0)
    depth = network.add_constant((), np.array(3, np.int32)).get_output(0)
    layer = network.add_one_hot(indices, values, depth, 0)
    assert (layer.axis, tuple(layer.get_output(0).shape)) == (0, (3, 4))
    layer.axis = -1
    assert tuple(layer.get_output(0).shape) == (4, 3)
