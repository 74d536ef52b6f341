"""TopK. Cases are shared by correctness, benchmark and the reference page."""

from itertools import product

import numpy as np
import pytest

import dovetail as trt
from dovetail.core.contract import SymbolicTensor
from dovetail.core.errors import ShapeError
from dovetail.core.expr import DimsExprs, constraints, input_dim
from dovetail.core.types import FLOATS, DataType
from dovetail.machine.testing import Case, check, check_case
from dovetail.registry.loader import default_registry

NUMBERS = (*FLOATS, DataType.INT32, DataType.INT64)
MAX, MIN = trt.TopKOperation

CASES = [
    Case(f"{op.name}, {k} of {shape} along {axis}", x=shape, op=op, k=k, axes=1 << axis, dtypes=NUMBERS)
    for op, (k, shape, axis) in product(
        trt.TopKOperation,
        [
            (1, (3, 50), 1),
            (5, (3, 50), 1),
            (50, (3, 50), 1),
            (7, (2, 19, 6), 1),
            (3, (40, 3), 0),
            (900, (2, 5000), 1),
            (0, (2, 3), 1),
        ],
    )
]
CASES += [
    Case("one element", x=(1,), k=1, axes=1),
    Case("no row", x=(0, 5), k=2, axes=2),
    Case("no column", x=(5, 0), k=2, axes=1),
    Case("k from a tensor", x=(2, 9), count=np.array([4], np.int32), axes=2),
    Case("k from a wide scalar", x=(2, 9), count=np.array(4, np.int64), axes=2),
    Case("ties at the end", x=np.tile(np.array([1, 3, 2, 2, 2, 0, 2], np.float32), (3, 60)), k=100, axes=2),
    Case("proposals of a detector", x=(4, 20000), k=1000, axes=2, bench=True),
]
test_kernels = check("TopK@1", CASES)

SPECIAL = np.array([0.0, np.nan, -np.inf, -0.0, np.inf, np.nan, -1, 0.0, 1e-42, -1e-42], np.float32)


@pytest.mark.parametrize(
    ("op", "expected"),
    [(MAX, [1, 5, 4, 8, 0, 3, 7, 9, 6, 2]), (MIN, [2, 6, 9, 0, 3, 7, 8, 4, 1, 5])],
)
def test_order_of_nan_zeros_and_infinities(compute, op, expected):
    values, indices = compute("TopK", SPECIAL, op=op, k=10, axes=1)
    assert indices.tolist() == expected
    np.testing.assert_array_equal(values, SPECIAL[expected])
    assert check_case(default_registry(), "TopK@1", Case("special", x=SPECIAL, op=op, k=10, axes=1)) > 0


def test_integers_at_their_limits():
    for dtype in (np.int32, np.int64):
        limits = np.iinfo(dtype)
        x = np.array([0, limits.min, limits.max, -1, limits.min], dtype)
        for op in trt.TopKOperation:
            assert check_case(default_registry(), "TopK@1", Case("limits", x=x, op=op, k=5, axes=1)) > 0


def test_k_follows_from_extents(infer):
    n = input_dim(0, 0, "n")
    count = SymbolicTensor(DimsExprs(()), DataType.INT64, values=(n // 2,))
    with constraints() as found:
        values, indices = infer("TopK", (n, 8), count, axes=1)
    assert values.dims.evaluate([[6, 8], []]) == indices.dims.evaluate([[6, 8], []]) == (3, 8)
    assert all(bool(c.condition.evaluate([[6, 8], []])) for c in found)


def test_data_is_no_k(infer):
    count = SymbolicTensor(DimsExprs(()), DataType.INT32, "count")
    with pytest.raises(ShapeError, match="does not know its input 'count'"):
        infer("TopK", (4, 8), count, axes=1)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"k": 9, "axes": 2}, "cannot take 9 of 8 elements"),
        ({"k": 1, "axes": 3}, "cannot work along 2 axes"),
        ({"k": 1, "axes": 4}, "cannot use axes 0b100"),
    ],
)
def test_what_does_not_fit_is_named(infer, fields, text):
    with pytest.raises(ShapeError, match=text):
        infer("TopK", (4, 8), **fields)


def test_fields_are_those_of_tensorrt(network):
    layer = network.add_topk(network.add_input("x", trt.float32, (2, 9)), trt.TopKOperation.MIN, 3, 2)
    assert (layer.op, layer.k, layer.axes, layer.num_outputs) == (trt.TopKOperation.MIN, 3, 2, 2)
    assert layer.get_output(1).dtype == trt.int32
