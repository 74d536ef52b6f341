"""Cumulative. Cases are shared by correctness, benchmark and the reference page."""

import numpy as np
import pytest

import dovetail as trt
from dovetail.core.contract import SymbolicTensor
from dovetail.core.errors import ShapeError
from dovetail.core.expr import DimsExprs, input_dim
from dovetail.core.types import FLOATS, DataType
from dovetail.machine.testing import Case, check

SUM, PROD = trt.CumulativeOperation
INTEGERS = [DataType.INT32, DataType.INT64, DataType.INT8, DataType.UINT8]
TYPES = [*FLOATS, *INTEGERS]

CASES = [
    Case(
        f"{op.name} axis {axis}{' exclusive' * exclusive}{' reverse' * reverse}",
        x=(3, 7, 5),
        axis=axis,
        op=op,
        exclusive=exclusive,
        reverse=reverse,
        dtypes=TYPES,
    )
    for op in (SUM, PROD)
    for axis in (0, 1, -1)
    for exclusive in (False, True)
    for reverse in (False, True)
]
CASES += [
    Case("a long row", x=(2, 2500), axis=1, dtypes=TYPES),
    Case("a long row from its end", x=(2, 1025), axis=1, exclusive=True, reverse=True, dtypes=TYPES),
    Case("long products", x=(1, 1300), axis=1, op=PROD, low=0.98, high=1.02),
    Case("long products of integers", x=(2, 1300), axis=1, op=PROD, dtypes=INTEGERS),
    Case("wide", x=(2, 40, 600), axis=1, reverse=True, dtypes=TYPES),
    Case("many columns", x=(2, 40, 9000), axis=1, exclusive=True),
    Case("few columns", x=(3, 200, 3), axis=1, exclusive=True, dtypes=TYPES),
    Case("one element", x=(1,), exclusive=True),
    Case("no elements", x=(3, 0, 2), axis=1, exclusive=True),
    Case("no columns", x=(0, 4), axis=1),
    Case("a long axis", x=(64, 65536), axis=1, bench=True),
    Case("an axis of rows", x=(64, 256, 256), axis=1, bench=True),
]
test_kernels = check("Cumulative@1", CASES)


def test_values(compute):
    x = np.array([[1, 2, 3], [4, 5, 6]])
    assert compute("Cumulative", x, axis=1).tolist() == [[1, 3, 6], [4, 9, 15]]
    assert compute("Cumulative", x, axis=0, exclusive=True).tolist() == [[0, 0, 0], [1, 2, 3]]
    assert compute("Cumulative", x, axis=1, exclusive=True, reverse=True).tolist() == [[5, 3, 0], [11, 6, 0]]
    assert compute("Cumulative", x, axis=-1, op=PROD, exclusive=True).tolist() == [[1, 1, 2], [1, 4, 20]]


def test_extents_may_be_unknown(infer):
    n = input_dim(0, 0, "n")
    (y,) = infer("Cumulative", SymbolicTensor(DimsExprs((n, 3)), DataType.HALF), axis=0)
    assert (tuple(y.dims.evaluate([[7]])), y.dtype) == ((7, 3), DataType.HALF)


def test_an_axis_that_is_not_there_is_named(infer):
    with pytest.raises(ShapeError, match="axis 2"):
        infer("Cumulative", (2, 3), axis=2)


def test_it_is_added_as_in_tensorrt(network):
    x = network.add_input("x", trt.float32, (2, 3))
    axis = network.add_constant((), np.array(1, np.int32)).get_output(0)
    layer = network.add_cumulative(x, axis, SUM, True, False)
    assert (layer.axis, layer.op, layer.exclusive, layer.reverse) == (1, SUM, True, False)
    assert tuple(layer.get_output(0).shape) == (2, 3)
    assert network.add_cumulative(x, -1, PROD, False, True).axis == -1
    unknown = network.add_input("axis", trt.int32, ())
    with pytest.raises(ShapeError, match="needs to know its axis"):
        network.add_cumulative(x, unknown, SUM, False, False)
