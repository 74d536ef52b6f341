"""Unary. Cases are shared by correctness, benchmark and the reference page."""

import math

import numpy as np
import pytest

import dovetail as trt
from dovetail.core.contract import SymbolicTensor
from dovetail.core.errors import DTypeError
from dovetail.core.expr import DimsExprs, input_dim
from dovetail.core.types import FLOATS, DataType
from dovetail.machine.testing import Case, check
from dovetail.plugins.builtin.unary import UnaryOperation

OPS = [operation.name for operation in UnaryOperation]
DOMAIN = {"LOG": (0.1, 3), "SQRT": (0, 3), "RECIP": (0.5, 3), "ACOSH": (1, 3), "SIN": (-9, 9), "COS": (-9, 9)}
DOMAIN |= dict.fromkeys(("CEIL", "FLOOR", "ROUND", "ERF", "SINH", "COSH", "ATAN", "ASINH"), (-5, 5))
SIGNED = (DataType.INT8, DataType.INT32, DataType.INT64)
SPECIAL = [0, -0.0, 0.5, -0.5, 1, -1, 1.5, -1.5, 2.5, -2.5, 1e-30, -1e-30, 1e-42, 30, -30, 1e30, -1e30]
SPECIAL = np.array([*SPECIAL, np.inf, -np.inf, np.nan], np.float32)


def of(op):
    return OPS.index(op)


CASES = [
    Case(op, x=(3, 37), op=of(op), low=DOMAIN.get(op, (-1, 1))[0], high=DOMAIN.get(op, (-1, 1))[1], dtypes=FLOATS)
    for op in OPS
    if op != "NOT"
]
CASES += [Case(f"{op} of integers", x=(3, 37), op=of(op), dtypes=SIGNED) for op in ("ABS", "NEG", "SIGN")]
CASES += [
    Case("NOT", x=(3, 37), op=of("NOT"), dtypes=(DataType.BOOL,)),
    Case("an image", x=(2, 19, 5, 7), op=of("ERF")),
    Case("an image of bools", x=(2, 19, 5, 7), op=of("ISNAN"), dtypes=FLOATS),
    Case("a volume", x=(1, 5, 2, 3, 4), op=of("NEG"), dtypes=(*FLOATS, *SIGNED)),
    Case("no element", x=(0, 3), op=of("EXP")),
    Case("a scalar", x=(), op=of("EXP")),
    Case("gelu's erf", x=(1, 128, 3072), op=of("ERF"), low=-4, high=4, bench=True),
]
CASES += [
    Case(f"limits of {op}", x=np.array([0, 1, -1, low, -low - 1], dtype), op=of(op))
    for op in ("ABS", "NEG", "SIGN")
    for dtype, low in ((np.int8, -128), (np.int32, -(2**31)), (np.int64, -(2**63)))
]
CASES += [
    Case(f"special values of {op}", x=SPECIAL, op=of(op)) for op in ("ROUND", "SIGN", "NEG", "ABS", "CEIL", "FLOOR")
]
CASES += [Case(f"{op} of special values", x=SPECIAL, op=of(op)) for op in ("ISINF", "ISNAN")]
test_kernels = check("Unary@1", CASES)


@pytest.mark.parametrize(
    ("op", "x", "expected"),
    [
        ("ROUND", [0.5, 1.5, 2.5, -0.5, -1.5], [0, 2, 2, -0.0, -2]),
        ("SIGN", [-3.0, 0.0, 7.0], [-1, 0, 1]),
        ("CEIL", [1.2, -1.2], [2, -1]),
        ("FLOOR", [1.2, -1.2], [1, -2]),
        ("ERF", [0.0, 1.0, -1.0], [0, math.erf(1), -math.erf(1)]),
        ("NOT", [True, False], [False, True]),
        ("RECIP", [4.0, -0.5], [0.25, -2]),
    ],
)
def test_values(compute, op, x, expected):
    assert compute("Unary", np.array(x), op=of(op)).tolist() == expected


def test_integers_stay_integers(compute):
    for dtype in (np.int8, np.int32, np.int64):
        for op, expected in (("ABS", [3, 0, 4]), ("NEG", [3, 0, -4]), ("SIGN", [-1, 0, 1])):
            y = compute("Unary", np.array([-3, 0, 4], dtype), op=of(op))
            assert (y.tolist(), y.dtype) == (expected, dtype)


@pytest.mark.parametrize(
    ("op", "dtype"),
    [("EXP", DataType.INT32), ("NOT", DataType.FLOAT), ("ABS", DataType.BOOL), ("ROUND", DataType.INT64)],
)
def test_types_that_do_not_suit_are_named(infer, op, dtype):
    with pytest.raises(DTypeError, match=f"{op} of {dtype.name}"):
        infer("Unary", SymbolicTensor(DimsExprs((2,)), dtype), op=of(op))


def test_questions_give_bool(infer):
    for op in ("ISINF", "ISNAN"):
        (y,) = infer("Unary", (2, 3), op=of(op))
        assert (y.dtype, tuple(y.dims)) == (DataType.BOOL, (2, 3))


def test_extents_are_followed(infer):
    n = input_dim(0, 0, "N")
    x = SymbolicTensor(DimsExprs((2,)), DataType.INT64, values=(n, DimsExprs((-3,))[0]))
    for op, expected in (("NEG", (-5, 3)), ("ABS", (5, 3)), ("SIGN", (1, -1))):
        (y,) = infer("Unary", x, op=of(op))
        assert tuple(e.evaluate([[5]]) for e in y.elements()) == expected


def test_the_operation_can_be_read_and_set_as_in_tensorrt(network):
    layer = network.add_unary(network.add_input("x", trt.float32, (2, 3)), trt.UnaryOperation.EXP)
    assert layer.op == trt.UnaryOperation.EXP
    layer.op = trt.UnaryOperation.SQRT
    assert layer.op == trt.UnaryOperation.SQRT
