"""ElementWise. Cases are shared by correctness, benchmark and the reference page."""

import numpy as np
import pytest

import dovetail as trt
from dovetail.core.contract import SymbolicTensor
from dovetail.core.errors import DTypeError, ShapeError
from dovetail.core.expr import DimsExprs, constraints, input_dim
from dovetail.core.types import FLOATS, DataType
from dovetail.machine.testing import Case, check

OPS = [
    "SUM",
    "PROD",
    "MAX",
    "MIN",
    "SUB",
    "DIV",
    "POW",
    "FLOOR_DIV",
    "AND",
    "OR",
    "XOR",
    "EQUAL",
    "GREATER",
    "LESS",
]
OURS = {
    "MOD": 100,
    "FMOD": 101,
    "BIT_AND": 102,
    "BIT_OR": 103,
    "BIT_XOR": 104,
    "SHIFT_LEFT": 105,
    "SHIFT_RIGHT": 106,
}
NUMBERS = (*FLOATS, DataType.INT32, DataType.INT64)
ON_BOOLS = ("AND", "OR", "XOR")

CASES = [
    Case(op, a=(3, 37), b=(3, 37), op=number, low=0.5, dtypes=NUMBERS)
    for number, op in enumerate(OPS)
    if op not in ("POW", "FLOOR_DIV", *ON_BOOLS)
]
CASES += [
    Case("POW", a=(3, 37), b=(3, 37), op=OPS.index("POW"), low=0.5, dtypes=FLOATS),
    Case("FLOOR_DIV", a=(3, 37), b=(3, 37), op=OPS.index("FLOOR_DIV"), low=0.5, dtypes=(DataType.FLOAT,)),
    *(Case(op, a=(3, 37), b=(3, 37), op=OPS.index(op), dtypes=(DataType.BOOL,)) for op in ON_BOOLS),
    Case("EQUAL of bools", a=(3, 37), b=(3, 37), op=OPS.index("EQUAL"), dtypes=(DataType.BOOL,)),
    Case("rows repeated", a=(4, 37), b=(1, 37), op=0),
    Case("columns repeated", a=(4, 1), b=(4, 37), op=4),
    Case("both repeated", a=(4, 1, 5), b=(1, 3, 1), op=1),
    Case("channels repeated", a=(2, 19, 5, 5), b=(1, 19, 1, 1), op=0),
    Case("a scalar of rank 2", a=(1, 1), b=(3, 5), op=5, low=0.5),
    Case("scalars", a=(), b=(), op=0),
    Case("no element", a=(0, 4), b=(1, 4), op=0),
    Case(
        "integers towards zero",
        a=np.array([7, -7, 7, -7, 5], np.int32),
        b=np.array([2, 2, -2, -2, 0], np.int32),
        op=5,
    ),
    Case(
        "integers floored",
        a=np.array([7, -7, 7, -7, 5], np.int32),
        b=np.array([2, 2, -2, -2, 0], np.int32),
        op=7,
    ),
    *(
        Case(
            f"{name} of {dtype.__name__}",
            a=np.array([[7, -7, 7, -7, 5, -1, 1 << 30, 0]], dtype),
            b=np.array([[3], [-3], [0], [31], [40], [-1]], dtype),
            op=op,
        )
        for name, op in OURS.items()
        for dtype in (np.int32, np.int64)
    ),
    *(
        Case(
            f"{name} of floats",
            a=np.float32([[-0.0, 0.0, -3, 3, -1, 7.25, np.inf, np.nan, 5.3]]),
            b=np.float32([[2], [-2], [0], [0.1]]),
            op=OURS[name],
        )
        for name in ("MOD", "FMOD")
    ),
    Case("MOD of rows", a=(3, 37), b=(1, 37), op=100, low=0.5, dtypes=FLOATS),
    Case("residual add", a=(8, 64, 56, 56), b=(8, 64, 56, 56), op=0, bench=True),
]
test_kernels = check("ElementWise@1", CASES)

N = input_dim(0, 0, "N")
M = input_dim(1, 0, "M")


def of(*dims, dtype=DataType.FLOAT):
    return SymbolicTensor(DimsExprs(dims), dtype)


@pytest.mark.parametrize(
    ("op", "a", "b", "expected"),
    [
        ("DIV", -7, 2, -3),
        ("DIV", 5, 0, 0),
        ("FLOOR_DIV", -7, 2, -4),
        ("FLOOR_DIV", 5, 0, 0),
        ("POW", 2, -1, 0),
        ("POW", -1, -3, -1),
        ("POW", 3, 4, 81),
    ],
)
def test_integers(compute, op, a, b, expected):
    result = compute("ElementWise", np.array([a], np.int32), np.array([b], np.int32), op=OPS.index(op))
    assert (result.tolist(), result.dtype) == ([expected], np.int32)


def test_floats_are_floored_and_divided_as_ieee(compute):
    a, b = np.array([-7.0, 5.0]), np.array([2.0, 0.0])
    with np.errstate(divide="ignore"):
        assert compute("ElementWise", a, b, op=OPS.index("FLOOR_DIV")).tolist() == [-4, np.inf]


@pytest.mark.parametrize("op", ["AND", "OR", "XOR", "EQUAL", "GREATER", "LESS"])
def test_questions_give_bool(infer, op):
    dtype = DataType.BOOL if op in ON_BOOLS else DataType.INT32
    (y,) = infer("ElementWise", of(3, dtype=dtype), of(3, dtype=dtype), op=OPS.index(op))
    assert y.dtype == DataType.BOOL


def test_an_unknown_extent_beside_a_known_one_must_be_it_or_one(infer):
    with constraints() as found:
        (y,) = infer("ElementWise", of(N, 4), of(8, 1), op=0)
    assert tuple(d.evaluate([[8]]) for d in y.dims) == (8, 4)
    assert [bool(c.condition.evaluate([[n]])) for c in found for n in (1, 8, 3)] == [True, True, False]


def test_two_unknown_extents(infer):
    with constraints() as found:
        (y,) = infer("ElementWise", of(N), of(M), op=0)
    for n, m, total in [(3, 3, 3), (1, 5, 5), (5, 1, 5), (0, 1, 0), (1, 0, 0)]:
        assert y.dims[0].evaluate([[n], [m]]) == total
        assert found[0].condition.evaluate([[n], [m]]) != 0
    assert found[0].condition.evaluate([[2], [3]]) == 0


def test_the_same_unknown_extent_needs_no_constraint(infer):
    (y,) = infer("ElementWise", of(N, 4), of(N, 4), op=0)
    assert y.dims.same(DimsExprs([N, 4]))


def test_extents_that_do_not_match_are_named(infer):
    with pytest.raises(ShapeError) as error:
        infer("ElementWise", (2, 3), (2, 4), op=0)
    assert (error.value.axis, error.value.got) == (1, (3, 4))


def test_ranks_that_differ_are_named(infer):
    with pytest.raises(ShapeError) as error:
        infer("ElementWise", (2, 3), (3,), op=0)
    assert error.value.got == (2, 1)


@pytest.mark.parametrize(
    ("op", "a", "b", "expected"),
    [
        ("MOD", -7, 3, 2),
        ("MOD", 7, -3, -2),
        ("MOD", 7, 0, 0),
        ("FMOD", -7, 3, -1),
        ("FMOD", 7, -3, 1),
        ("BIT_AND", -1, 12, 12),
        ("SHIFT_LEFT", 3, 31, -(1 << 31)),
        ("SHIFT_LEFT", 3, 32, 0),
        ("SHIFT_LEFT", 3, -1, 0),
        ("SHIFT_RIGHT", -8, 1, -4),
        ("SHIFT_RIGHT", -8, 99, -1),
        ("SHIFT_RIGHT", 8, -1, 0),
    ],
)
def test_operations_that_are_ours(compute, op, a, b, expected):
    result = compute("ElementWise", np.array([a], np.int32), np.array([b], np.int32), op=OURS[op])
    assert (result.tolist(), result.dtype) == ([expected], np.int32)


def test_bits_are_those_of_integers(infer):
    with pytest.raises(DTypeError, match="both INT32 or INT64"):
        infer("ElementWise", of(2), of(2), op=OURS["BIT_XOR"])


def test_types_that_differ_are_named(infer):
    with pytest.raises(DTypeError, match="FLOAT with INT32 by SUM"):
        infer("ElementWise", of(2), of(2, dtype=DataType.INT32), op=0)
    with pytest.raises(DTypeError, match="both BOOL"):
        infer("ElementWise", of(2), of(2), op=OPS.index("AND"))


@pytest.mark.parametrize(
    ("op", "expected"),
    [
        ("SUM", (9, 5)), ("PROD", (14, -14)), ("MAX", (7, 7)), ("MIN", (2, -2)), ("SUB", (5, 9)), ("DIV", (3, -3)),
        ("FLOOR_DIV", (3, -4)), ("EQUAL", (0, 0)), ("GREATER", (1, 1)), ("LESS", (0, 0)),
    ],
)  # fmt: skip
def test_extents_are_followed(infer, op, expected):
    a = SymbolicTensor(DimsExprs((1,)), DataType.INT64, values=(N,))
    (y,) = infer("ElementWise", a, np.array([2, -2]), op=OPS.index(op))
    assert tuple(e.evaluate([[7]]) for e in y.elements()) == expected
    (y,) = infer("ElementWise", a, np.array([0, 0]), op=OPS.index("DIV"))
    assert [e.evaluate([[7]]) for e in y.elements()] == [0, 0]


@pytest.mark.parametrize(("op", "expected"), [("AND", (1, 0, 0, 0)), ("OR", (1, 1, 1, 0)), ("XOR", (0, 1, 1, 0))])
def test_truths_of_extents_are_followed(infer, op, expected):
    a = SymbolicTensor(DimsExprs((4,)), DataType.BOOL, values=(N > 1, N > 2, N > 9, N < 1))
    (y,) = infer("ElementWise", a, np.array([True, False, True, False]), op=OPS.index(op))
    assert tuple(e.evaluate([[5]]) for e in y.elements()) == expected


def test_the_operation_can_be_read_and_set_as_in_tensorrt(network):
    x = network.add_input("x", trt.float32, (2, 3))
    layer = network.add_elementwise(x, x, trt.ElementWiseOperation.SUM)
    assert layer.op == trt.ElementWiseOperation.SUM
    layer.op = trt.ElementWiseOperation.PROD
    assert layer.op == trt.ElementWiseOperation.PROD
