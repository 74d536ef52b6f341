"""Unsqueeze. Cases are shared by correctness, benchmark and the reference page."""

import numpy as np
import pytest

import dovetail as trt
from dovetail.core.contract import SymbolicTensor
from dovetail.core.errors import ShapeError
from dovetail.core.expr import DimsExprs, input_dim
from dovetail.core.types import FLOATS, DataType
from dovetail.machine.testing import Case, check

N = input_dim(0, 0, "N")
ALL = (*FLOATS, DataType.INT32, DataType.INT64, DataType.INT8, DataType.UINT8, DataType.BOOL)


def ints(*values, dtype=np.int32):
    return np.array(values, dtype)


CASES = [
    Case("one axis", x=(3, 37), axes=ints(1), dtypes=ALL),
    Case("from the end", x=(3, 5), axes=ints(-1, 1, dtype=np.int64)),
    Case("from a scalar", x=(), axes=ints(0, 1)),
    Case("none", x=(3, 4), axes=ints()),
    Case("no element", x=(0, 2), axes=ints(1)),
]
test_kernels = check("Unsqueeze@1", CASES)


def test_axes_are_those_of_the_output(infer):
    (y,) = infer("Unsqueeze", SymbolicTensor(DimsExprs((N, 4)), DataType.FLOAT), ints(0, 2))
    assert y.dims.same((1, N, 1, 4))


def test_what_does_not_fit_is_named(infer):
    with pytest.raises(ShapeError, match="axis 3"):
        infer("Unsqueeze", (3, 4), ints(3))
    with pytest.raises(ShapeError, match="twice"):
        infer("Unsqueeze", (3, 4), ints(1, -3, 0, -5))
    with pytest.raises(ShapeError, match="9 dims"):
        infer("Unsqueeze", (1,) * 8, ints(0))


def test_contents_are_followed(infer):
    (y,) = infer("Unsqueeze", SymbolicTensor(DimsExprs(()), DataType.INT32, values=(N,)), ints(0))
    assert (y.dims.known(), y.elements()[0].same(N)) == ((1,), True)


def test_axes_may_be_a_list(network):
    x = network.add_input("x", trt.float32, (2, 3))
    assert tuple(network.add_unsqueeze(x, [1, -1]).get_output(0).shape) == (2, 1, 3, 1)
