"""Select. Cases are shared by correctness, benchmark and the reference page."""

import numpy as np
import pytest

import dovetail as trt
from dovetail.core.contract import SymbolicTensor
from dovetail.core.errors import DTypeError, ShapeError
from dovetail.core.expr import DimsExprs, as_expr, input_dim
from dovetail.core.types import DataType, nptype
from dovetail.machine.testing import Case, check

TYPES = [t for t in DataType if t != DataType.FP8]


def filled(dims, dtype, seed):
    values = np.random.default_rng(seed).integers(0, 100, dims)
    return np.asarray(values > 50 if dtype == DataType.BOOL else values).astype(nptype(dtype))


def case(name, condition, a, b, dtype=DataType.FLOAT, **more):
    flags = np.asarray(np.random.default_rng(3).random(condition) > 0.5)
    return Case(name, condition=flags, a=filled(a, dtype, 1), b=filled(b, dtype, 2), **more)


CASES = [case(dtype.name, (3, 37), (3, 37), (3, 37), dtype) for dtype in TYPES]
CASES += [case(f"an image of {dtype.name}", *[(2, 19, 5, 7)] * 3, dtype) for dtype in TYPES]
CASES += [
    case("rows of conditions", (4, 1), (4, 37), (4, 37)),
    case("a row of conditions", (1, 37), (4, 37), (4, 37), DataType.INT64),
    case("one a", (4, 37), (1, 1), (4, 37), DataType.HALF),
    case("one b", (4, 37), (4, 37), (1, 1), DataType.INT8),
    case("one of both", (4, 37), (1, 1), (1, 1)),
    case("conditions repeated both ways", (1, 5, 1), (4, 1, 3), (4, 5, 3)),
    case("each repeated", (4, 1, 1), (1, 5, 1), (1, 1, 3)),
    case("channels of one image", (2, 19, 1, 1), (2, 19, 5, 7), (1, 19, 5, 7)),
    case("eight axes", (2, 1, 2, 1, 2, 1, 2, 1), (1, 2, 1, 2, 1, 2, 1, 2), (2, 2, 2, 2, 1, 1, 1, 1)),
    case("many", (64, 300), (64, 1), (1, 300)),
    case("scalars", (), (), ()),
    case("no element", (0, 4), (1, 4), (0, 1)),
    case("masked scores", (8, 1, 128, 128), (8, 12, 128, 128), (1, 1, 1, 1), bench=True),
]
test_kernels = check("Select@1", CASES)


def test_nan_and_infinity_pass(compute):
    a, b = np.array([np.nan, 1.0]), np.array([2.0, np.inf])
    np.testing.assert_array_equal(compute("Select", np.array([True, False]), a, b), [np.nan, np.inf])


def of(*dims, dtype=DataType.FLOAT):
    return SymbolicTensor(DimsExprs(dims), dtype)


def test_types_must_agree(infer):
    with pytest.raises(DTypeError, match="FLOAT and INT32"):
        infer("Select", of(2, dtype=DataType.BOOL), of(2), of(2, dtype=DataType.INT32))
    with pytest.raises(DTypeError, match="condition"):
        infer("Select", of(2), of(2), of(2))


def test_extents_that_do_not_match_are_named(infer):
    with pytest.raises(ShapeError) as error:
        infer("Select", of(2, 3, dtype=DataType.BOOL), of(2, 1), of(2, 4))
    assert error.value.axis == 1


def test_dims_are_those_of_all_three(infer):
    n = input_dim(0, 0, "N")
    (y,) = infer("Select", of(1, 5, dtype=DataType.BOOL), of(n, 1), of(1, 1))
    assert tuple(d.evaluate([[7]]) for d in y.dims) == (7, 5)


def test_extents_are_followed(infer):
    n = input_dim(0, 0, "N")
    condition = SymbolicTensor(DimsExprs((2,)), DataType.BOOL, values=(n > 3, as_expr(0)))
    a = SymbolicTensor(DimsExprs((1,)), DataType.INT64, values=(n,))
    b = SymbolicTensor(DimsExprs((2,)), DataType.INT64, constant=np.array([8, 9]))
    (y,) = infer("Select", condition, a, b)
    assert [tuple(e.evaluate([[k]]) for e in y.elements()) for k in (2, 5)] == [(8, 9), (5, 9)]


def test_add_select_takes_tensorrts_names(network):
    c = network.add_input("c", trt.bool, (2, 3))
    x = network.add_input("x", trt.float32, (2, 3))
    layer = network.add_select(condition=c, then_input=x, else_input=x)
    assert (layer.get_output(0).dtype, tuple(layer.get_output(0).shape)) == (trt.float32, (2, 3))
