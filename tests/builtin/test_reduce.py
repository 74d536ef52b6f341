"""Reduce. Cases are shared by correctness, benchmark and the reference page."""

from itertools import product

import numpy as np
import pytest

import dovetail as trt
from dovetail.core.contract import SymbolicTensor
from dovetail.core.errors import ShapeError
from dovetail.core.expr import DimsExprs, input_dim
from dovetail.core.types import FLOATS, DataType
from dovetail.machine.testing import Case, check, check_case
from dovetail.registry.loader import default_registry

NUMBERS = (*FLOATS, DataType.INT32, DataType.INT64)
SUM, PROD, MAX, MIN, AVG = trt.ReduceOperation

CASES = [
    Case(f"{op.name}, axes {axes:04b}", x=(3, 5, 4, 7), op=op, axes=axes, keep_dims=axes % 2 == 0, dtypes=NUMBERS)
    for op, axes in product(trt.ReduceOperation, (0b0001, 0b0010, 0b1000, 0b1100, 0b0101, 0b1010, 0b1111, 0))
]
CASES += [
    Case(f"{op.name}, long rows", x=(3, 70001), op=op, axes=2, dtypes=NUMBERS, low=0.5, high=0.9)
    for op in (SUM, MAX, MIN, AVG)
]
CASES += [
    Case(f"{op.name}, long columns", x=(5003, 301), op=op, axes=1, dtypes=NUMBERS, low=0.5) for op in (SUM, MAX, AVG)
]
CASES += [Case(f"{op.name}, nothing", x=(4, 0, 3), op=op, axes=2, dtypes=NUMBERS) for op in (SUM, PROD, MAX, MIN, AVG)]
CASES += [
    Case("rows of middling length", x=(9, 600), op=SUM, axes=2, dtypes=NUMBERS),
    Case("products", x=(40, 11), op=PROD, axes=1, low=0.8, high=1.2, dtypes=NUMBERS),
    Case("few columns", x=(3, 4000, 5), op=AVG, axes=2, dtypes=NUMBERS),
    Case("eight axes, every other one", x=(2, 3, 2, 3, 2, 3, 2, 3), op=SUM, axes=0b01010101, dtypes=NUMBERS),
    Case("eight axes, the others", x=(2, 3, 2, 3, 2, 3, 2, 3), op=MAX, axes=0b10101010, dtypes=NUMBERS),
    Case("extents of 1", x=(1, 6, 1, 9), op=AVG, axes=0b0101, dtypes=NUMBERS),
    Case("a scalar", x=(), op=AVG, axes=0, dtypes=NUMBERS),
    Case("no result", x=(0, 3), op=AVG, axes=2, dtypes=NUMBERS),
    Case("no result, no element", x=(0, 0, 3), op=MAX, axes=2),
    Case("batch statistics", x=(16, 64, 56, 56), op=AVG, axes=0b1101, bench=True),
    Case("rows of activations", x=(4096, 1024), op=SUM, axes=2, bench=True),
]
test_kernels = check("Reduce@1", CASES)


@pytest.mark.parametrize("axes", [1, 2])
@pytest.mark.parametrize("op", trt.ReduceOperation)
def test_nan_stays_nan_in_every_row(op, axes):
    x = np.ones((40, 50), np.float32)
    x[17, 23] = np.nan
    assert check_case(default_registry(), "Reduce@1", Case("nan", x=x, op=op, axes=axes)) > 0


def test_integers_wrap_around_and_means_drop_the_fraction(compute):
    x = np.array([2**31 - 1, 1], np.int32)
    assert compute("Reduce", x, op=SUM, axes=1) == -(2**31)
    assert compute("Reduce", np.array([-3, -4], np.int64), op=AVG, axes=1) == -3


def test_dims_with_and_without_the_axes(infer):
    dims = (2, input_dim(0, 1, "n"), 5)
    assert [str(d) for d in infer("Reduce", dims, axes=0b101, keep_dims=True)[0].dims] == ["1", "n", "1"]
    assert [str(d) for d in infer("Reduce", dims, axes=0b101)[0].dims] == ["n"]


def test_contents_of_a_shape_are_followed(infer):
    n = input_dim(0, 0, "n")
    shape = SymbolicTensor(DimsExprs((3,)), DataType.INT64, values=(n, n * 2, n * 3))
    for op, expected in ((SUM, 24), (PROD, 384), (MAX, 12), (MIN, 4)):
        (y,) = infer("Reduce", shape, op=op, axes=1)
        assert y.dims == () and y.elements()[0].evaluate([[4]]) == expected
    assert infer("Reduce", shape, op=AVG, axes=1)[0].elements() is None


def test_axes_outside_the_rank_are_named(infer):
    with pytest.raises(ShapeError, match="cannot use axes 0b100 of a tensor with 2 dims") as error:
        infer("Reduce", (2, 3), axes=4)
    assert (error.value.expected, error.value.got) == (3, 4)


def test_fields_are_those_of_tensorrt(network):
    x = network.add_input("x", trt.float32, (2, 3))
    layer = network.add_reduce(x, trt.ReduceOperation.MAX, 1 << 1, keep_dims=True)
    assert (layer.op, layer.axes, layer.keep_dims) == (trt.ReduceOperation.MAX, 2, True)
    assert layer.get_output(0).shape == (2, 1)
