"""RaggedSoftMax. Cases are shared by correctness, benchmark and the reference page."""

import numpy as np
import pytest

import dovetail as trt
from dovetail.core.contract import SymbolicTensor
from dovetail.core.errors import ShapeError
from dovetail.core.expr import DimsExprs, constraints, input_dim
from dovetail.core.types import FLOATS, DataType
from dovetail.machine.testing import Case, check


def lengths(*values, dtype=np.int32, dims=None):
    return np.array(values, dtype).reshape(dims or (-1, 1))


CASES = [
    Case("rows", x=(4, 37), bounds=lengths(37, 5, 1, 20), low=-5, high=5, dtypes=FLOATS),
    Case("int64 bounds", x=(3, 9), bounds=lengths(3, 9, 1, dtype=np.int64), dtypes=FLOATS),
    Case("an empty row", x=(3, 9), bounds=lengths(0, 9, 2), dtypes=FLOATS),
    Case("bounds outside", x=(3, 9), bounds=lengths(-4, 1000, 2)),
    Case("several chunks", x=(2, 700), bounds=lengths(700, 513), low=-20, high=20, dtypes=FLOATS),
    Case("more dims", x=(2, 3, 10), bounds=lengths(1, 2, 3, 4, 5, 6, dims=(2, 3, 1)), dtypes=FLOATS),
    Case("one dim", x=(5,), bounds=lengths(3, dims=(1,))),
    Case("no row", x=(0, 5), bounds=np.zeros((0, 1), np.int32)),
    Case("rows of nothing", x=(3, 0), bounds=lengths(0, 1, 2)),
    Case("large numbers", x=np.array([[1e38, 3e38, 1.0], [-3e38, -1e38, 5]], np.float32), bounds=lengths(3, 2)),
    Case(
        "nan and infinity",
        x=np.array([[np.nan, 1, 2], [-np.inf, 1, np.nan], [np.inf, 1, 2]], np.float32),
        bounds=lengths(3, 2, 2),
    ),
    Case("sentences", x=(64, 512), bounds=lengths(*range(1, 513, 8)), bench=True),
]
test_kernels = pytest.mark.filterwarnings("ignore:invalid value")(check("RaggedSoftMax@1", CASES))


def test_rows_sum_to_one_and_end_with_zeros(compute):
    y = compute("RaggedSoftMax", np.zeros((2, 4)), np.array([[4], [2]], np.int32))
    assert y.tolist() == [[0.25] * 4, [0.5, 0.5, 0, 0]]


def test_bounds_of_other_dims_are_named(infer):
    bounds = SymbolicTensor(DimsExprs((3, 2)), DataType.INT32)
    with pytest.raises(ShapeError, match=r"bounds of \[3, 2\] for x of \[3, 7\]"):
        infer("RaggedSoftMax", (3, 7), bounds)
    with pytest.raises(ShapeError, match=r"bounds of \[3\]"):
        infer("RaggedSoftMax", (3, 7), SymbolicTensor(DimsExprs((3,)), DataType.INT32))


def test_unknown_extents(infer):
    x = SymbolicTensor(DimsExprs((input_dim(0, 0, "Z"), input_dim(0, 1, "S"))), DataType.FLOAT)
    with constraints() as found:
        (y,) = infer("RaggedSoftMax", x, SymbolicTensor(DimsExprs((input_dim(1, 0, "B"), 1)), DataType.INT32))
    assert y.dims.evaluate([[3, 7], [3, 1]]) == (3, 7)
    assert [all(c.condition.evaluate([[3, 7], [n, 1]]) for c in found) for n in (3, 4)] == [True, False]


def test_a_layer_is_added_as_in_tensorrt(network):
    x, bounds = network.add_input("x", trt.float32, (3, 7)), network.add_input("bounds", trt.int32, (3, 1))
    layer = network.add_ragged_softmax(x, bounds)
    assert tuple(layer.get_output(0).shape) == (3, 7)
