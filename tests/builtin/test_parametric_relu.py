"""ParametricReLU. Cases are shared by correctness, benchmark and the reference page."""

import numpy as np
import pytest

import dovetail as trt
from dovetail.core.contract import SymbolicTensor
from dovetail.core.errors import DTypeError, ShapeError
from dovetail.core.expr import DimsExprs, constraints, input_dim
from dovetail.core.types import FLOATS, DataType
from dovetail.machine.testing import Case, check

CASES = [
    Case("a slope for each", x=(3, 37), slopes=(3, 37), dtypes=FLOATS),
    Case("one slope", x=(3, 37), slopes=(1, 1), dtypes=FLOATS),
    Case("slopes of columns", x=(3, 37), slopes=(1, 37), dtypes=FLOATS),
    Case("slopes of rows", x=(3, 37), slopes=(3, 1), dtypes=FLOATS),
    Case("slopes of channels", x=(2, 19, 5, 7), slopes=(1, 19, 1, 1), dtypes=FLOATS),
    Case("a slope for each of an image", x=(2, 19, 5, 7), slopes=(2, 19, 5, 7), dtypes=FLOATS),
    Case("slopes of a volume's channels", x=(1, 5, 2, 3, 4), slopes=(1, 5, 1, 1, 1), dtypes=FLOATS),
    Case("a scalar", x=(), slopes=()),
    Case("no element", x=(0, 3), slopes=(1, 3)),
    Case("nan and infinity", x=np.array([np.nan, np.inf, -np.inf, -2], np.float32), slopes=np.full(1, 0.5, np.float32)),
    Case("a face detector's", x=(8, 64, 56, 56), slopes=(1, 64, 1, 1), bench=True),
]
test_kernels = check("ParametricReLU@1", CASES)


def test_values(compute):
    y = compute("ParametricReLU", np.array([[-2.0, 3.0], [-4.0, 0.0]]), np.array([[0.5, 9.0]]))
    assert y.tolist() == [[-1, 3], [-2, 0]]


def test_slopes_that_do_not_fit_are_named(infer):
    with pytest.raises(ShapeError) as error:
        infer("ParametricReLU", (2, 3), (2, 4))
    assert error.value.axis == 1
    with pytest.raises(ShapeError):  # x is not repeated over slopes
        infer("ParametricReLU", (1, 3), (2, 3))


def test_ranks_that_differ_are_named(infer):
    with pytest.raises(ShapeError, match="rank 1 over x of rank 2"):
        infer("ParametricReLU", (2, 3), (3,))


def test_types_that_differ_are_named(infer):
    half = SymbolicTensor(DimsExprs((1, 3)), DataType.HALF)
    with pytest.raises(DTypeError, match="FLOAT by slopes of HALF"):
        infer("ParametricReLU", (2, 3), half)


def test_an_unknown_extent_must_be_that_of_the_slopes(infer):
    x = SymbolicTensor(DimsExprs((input_dim(0, 0, "N"), 3)), DataType.FLOAT)
    with constraints() as found:
        (y,) = infer("ParametricReLU", x, (4, 1))
    assert y.dims.same(x.dims)
    assert [found[0].condition.evaluate([[n]]) for n in (4, 1, 5)] == [1, 0, 0]


def test_it_is_added_as_in_tensorrt(network):
    x = network.add_input("x", trt.float32, (2, 3))
    slopes = network.add_input("slopes", trt.float32, (1, 3))
    assert tuple(network.add_parametric_relu(x, slopes).get_output(0).shape) == (2, 3)
