"""Squeeze. Cases are shared by correctness, benchmark and the reference page."""

import numpy as np
import pytest

import dovetail as trt
from dovetail.core.contract import SymbolicTensor
from dovetail.core.errors import ShapeError
from dovetail.core.expr import DimsExprs, constraints, input_dim
from dovetail.core.types import FLOATS, DataType
from dovetail.machine.testing import Case, check

N = input_dim(0, 0, "N")
ALL = (*FLOATS, DataType.INT32, DataType.INT64, DataType.INT8, DataType.UINT8, DataType.BOOL)


def ints(*values, dtype=np.int32):
    return np.array(values, dtype)


CASES = [
    Case("one axis", x=(3, 1, 37), axes=ints(1), dtypes=ALL),
    Case("from the end", x=(3, 1, 5, 1), axes=ints(-1, 1, dtype=np.int64)),
    Case("to a scalar", x=(1, 1), axes=ints(0, 1)),
    Case("none", x=(3, 4), axes=ints()),
    Case("no element", x=(0, 1), axes=ints(1)),
]
test_kernels = check("Squeeze@1", CASES)


def of(*dims, dtype=DataType.FLOAT, **facts):
    return SymbolicTensor(DimsExprs(dims), dtype, **facts)


def test_an_unknown_extent_must_be_one(infer):
    with constraints() as found:
        (y,) = infer("Squeeze", of(N, 4), ints(0))
    assert y.dims.same((4,))
    assert [bool(c.condition.evaluate([[n]])) for c in found for n in (1, 2)] == [True, False]


def test_what_does_not_fit_is_named(infer):
    with pytest.raises(ShapeError, match="extent is 4, not 1"):
        infer("Squeeze", (3, 4), ints(1))
    with pytest.raises(ShapeError, match="axis 2"):
        infer("Squeeze", (3, 1), ints(2))
    with pytest.raises(ShapeError, match="twice"):
        infer("Squeeze", (3, 1), ints(1, -1))
    with pytest.raises(ShapeError, match="'axes'"):
        infer("Squeeze", (3, 1), of(1, dtype=DataType.INT32))


def test_contents_are_followed(infer):
    (y,) = infer("Squeeze", of(1, dtype=DataType.INT32, values=(N,)), ints(0))
    assert (y.rank, y.elements()[0].same(N)) == (0, True)


def test_axes_may_be_a_list(network):
    x = network.add_input("x", trt.float32, (2, 1, 3))
    assert tuple(network.add_squeeze(x, [1]).get_output(0).shape) == (2, 3)
