"""Determinant. Cases are shared by correctness, benchmark and the reference page."""

from math import exp, lgamma

import numpy as np
import pytest

from dovetail.core.contract import SymbolicTensor
from dovetail.core.errors import ShapeError
from dovetail.core.expr import DimsExprs, input_dim
from dovetail.core.types import FLOATS, DataType
from dovetail.machine.testing import Case, check


def random_case(dims, **more):
    """Elements of a size that makes determinants of about 1: that of n! sums of n products each."""
    n = max(dims[-1], 1)
    bound = (3 * exp(-lgamma(n + 1) / n)) ** 0.5
    return Case(f"{dims}", x=dims, low=-bound, high=bound, **more)


def permutations(n, count, seed):
    rng = np.random.default_rng(seed)
    return np.stack([np.eye(n, dtype=np.float32)[rng.permutation(n)] for _ in range(count)])


def singular():
    """Twice a row, no column, a zero, rank 1 - and none of it."""
    rng = np.random.default_rng(3)
    x = rng.integers(-4, 5, (5, 4, 4)).astype(np.float32)
    x[0, 2] = 2 * x[0, 0]
    x[1, :, 3] = 0
    x[2] = 0
    x[3] = np.outer([1, 2, 4, 8], x[3, 0])
    return x


SPECIAL = np.array(
    [
        [[np.nan, 1], [1, 1]],
        [[1, 1], [np.nan, 1]],
        [[1, np.nan], [1, 1]],
        [[np.inf, 1], [1, 1]],
        [[1, 1], [np.inf, 1]],
        [[1, -np.inf], [1, 1]],
        [[np.inf, np.inf], [np.inf, np.inf]],
        [[0, np.nan], [0, 1]],
        [[2, 1], [1, 1]],
    ],
    np.float32,
)
# Products of pivots go beyond float64's exponents on the way, and come back.
FAR = np.diag(np.array([2.0**120] * 12 + [2.0**-120] * 12, np.float32))

CASES = [random_case((3, n, n), dtypes=FLOATS) for n in (1, 2, 3, 4, 5, 8, 16, 17, 31, 32, 33, 64)]
CASES += [random_case(dims) for dims in ((4, 4), (2, 3, 5, 5), (2, 1, 2, 1, 2, 6, 6), (1000, 3, 3), (70, 40, 40))]
CASES += [random_case((2, n, n)) for n in (65, 78, 79, 130, 200)]
CASES += [random_case((40, 80, 80), dtypes=(DataType.HALF,))]
CASES += [Case(f"permutations of {n}", x=permutations(n, 9, n), dtypes=FLOATS) for n in (2, 3, 7, 33, 90)]
CASES += [
    Case("singular ones", x=singular()),
    Case("not a number and infinite", x=SPECIAL),
    Case("large and small pivots", x=FAR),
    Case("small and large pivots", x=FAR[::-1].copy()),
    Case("nothing in them", x=(3, 0, 0), dtypes=FLOATS),
    Case("one with nothing in it", x=(0, 0)),
    Case("none of them", x=(0, 3, 3)),
    Case("none of none", x=(2, 0, 100, 100)),
    random_case((4096, 4, 4), bench=True),
    random_case((64, 128, 128), bench=True),
]
test_kernels = check("Determinant@1", CASES)


def test_values(compute):
    assert compute("Determinant", np.array([[1.0, 2], [3, 4]])) == pytest.approx(-2)
    assert compute("Determinant", np.array([[[0.0, 1], [1, 0]], [[1, 2], [2, 4]]])).tolist() == [-1, 0]
    assert compute("Determinant", np.zeros((2, 0, 0))).tolist() == [1, 1]


def test_extents_may_be_unknown(infer):
    batch, n = input_dim(0, 0, "batch"), input_dim(0, 1, "n")
    (y,) = infer("Determinant", SymbolicTensor(DimsExprs((batch, n, n)), DataType.HALF))
    assert (tuple(y.dims.evaluate([[7, 3, 3]])), y.dtype) == ((7,), DataType.HALF)
    (y,) = infer("Determinant", (3, 3))
    assert tuple(y.dims.evaluate([])) == ()


def test_what_is_no_matrix_is_named(infer):
    with pytest.raises(ShapeError, match="1 dims"):
        infer("Determinant", (3,))
    with pytest.raises(ShapeError, match="got 3 and 4"):
        infer("Determinant", (2, 3, 4))
