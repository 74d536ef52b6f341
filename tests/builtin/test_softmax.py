"""SoftMax. Cases are shared by correctness, benchmark and the reference page."""

import numpy as np
import pytest

import dovetail as trt
from dovetail.core.errors import ShapeError
from dovetail.core.types import FLOATS
from dovetail.machine.testing import Case, check, check_case
from dovetail.registry.loader import default_registry

CASES = [
    Case("last axis, odd length", x=(3, 1001), axes=2, dtypes=FLOATS, low=-9, high=9),
    Case("short rows", x=(130, 7), axes=2, dtypes=FLOATS),
    Case("rows of middling length", x=(9, 300), axes=2, dtypes=FLOATS),
    Case("rows of whole vectors", x=(6, 128), axes=2, dtypes=FLOATS, low=-9, high=9),
    Case("rows of one vector and an element", x=(5, 17), axes=2, dtypes=FLOATS, low=-9, high=9),
    Case("rows of an element less than vectors", x=(5, 63), axes=2, dtypes=FLOATS, low=-9, high=9),
    Case("long rows", x=(2, 70001), axes=2, dtypes=FLOATS, low=-9, high=9),
    Case("middle axis, strided inside", x=(2, 19, 70), axes=2, dtypes=FLOATS),
    Case("many columns", x=(100, 301), axes=1, dtypes=FLOATS),
    Case("two columns", x=(3, 400, 2), axes=2, dtypes=FLOATS),
    Case("two axes", x=(3, 5, 4, 7), axes=0b1100, dtypes=FLOATS),
    Case("two axes apart", x=(3, 5, 4, 7), axes=0b1010, dtypes=FLOATS),
    Case("first and third axis", x=(3, 5, 4, 7), axes=0b0101, dtypes=FLOATS),
    Case("all axes", x=(3, 5, 4, 7), axes=0b1111),
    Case("the axis that is meant without one", x=(2, 3, 4, 5)),
    Case("one element", x=(1,)),
    Case("no row", x=(0, 8), axes=2),
    Case("no element", x=(3, 0), axes=2),
    Case("-inf and large values", x=np.array([[1e4, 1e4 + 1, -np.inf], [-1e30, 0, 3e38]], np.float32), axes=2),
    Case("attention rows", x=(16, 12, 384, 384), axes=8, bench=True),
]
test_kernels = check("SoftMax@1", CASES)


@pytest.mark.parametrize("axes", [1, 2])
@pytest.mark.parametrize("value", [np.nan, -np.nan, np.inf])
def test_what_has_no_sum_is_nan(axes, value):
    x = np.zeros((20, 30), np.float32)
    x[7, 9] = x[8, 29] = value
    with np.errstate(invalid="ignore"):
        assert check_case(default_registry(), "SoftMax@1", Case("nan", x=x, axes=axes)) > 0


@pytest.mark.parametrize("axes", [1, 2])
def test_nothing_but_minus_infinity_is_nan(axes):
    with np.errstate(invalid="ignore"):
        case = Case("-inf", x=np.full((5, 6), -np.inf, np.float32), axes=axes)
        assert check_case(default_registry(), "SoftMax@1", case) > 0


def test_large_values_do_not_overflow(compute):
    with np.errstate(over="raise"):
        y = compute("SoftMax", np.array([1e4, 1e4 + 1]))
    assert y == pytest.approx([0.2689, 0.7311], abs=1e-4)


def test_the_default_axis_is_that_of_tensorrt(network):
    for dims, mask in [((4,), 1), ((4, 5), 1), ((4, 5, 6), 1), ((4, 5, 6, 7), 2)]:
        layer = network.add_softmax(network.add_input(f"x{len(dims)}", trt.float32, dims))
        assert layer.axes == mask
        layer.axes = 1
        assert layer.get_output(0).shape == dims


def test_axes_outside_the_rank_are_named(infer):
    with pytest.raises(ShapeError, match="cannot use axes 0b100"):
        infer("SoftMax", (2, 3), axes=4)
    with pytest.raises(ShapeError, match="scalar"):
        infer("SoftMax", ())
