"""Concatenation. Cases are shared by correctness, benchmark and the reference page."""

import numpy as np
import pytest

import dovetail as trt
from dovetail.core.contract import SymbolicTensor
from dovetail.core.errors import DTypeError, ShapeError
from dovetail.core.expr import DimsExprs, constraints, input_dim
from dovetail.core.types import FLOATS, DataType
from dovetail.machine.testing import Case, check

N = input_dim(0, 0, "N")
M = input_dim(1, 0, "M")
ALL = (*FLOATS, DataType.INT32, DataType.INT64, DataType.INT8, DataType.UINT8, DataType.BOOL)


def random_cases(n, seed=0):
    """Up to five parts of up to 8 axes, some of them empty."""
    rng = np.random.default_rng(seed)
    for i in range(n):
        rank = int(rng.integers(1, 9))
        axis = int(rng.integers(rank))
        dims = [int(rng.integers(1, 4 if rank > 4 else 9)) for _ in range(rank)]
        parts = [(*dims[:axis], int(rng.integers(0, 7)), *dims[axis + 1 :]) for _ in range(int(rng.integers(1, 6)))]
        signed = axis - rank if rng.random() < 0.5 else axis
        yield Case(f"{i}: {parts} on {signed}", xs=parts, axis=signed, seed=i, dtypes=(ALL[i % len(ALL)],))


CASES = [
    Case("channels", xs=[(2, 3, 5, 5), (2, 16, 5, 5), (2, 1, 5, 5)], axis=1, dtypes=ALL),
    Case("chunks of channels", xs=[(2, 8, 5, 3), (2, 24, 5, 3)], axis=1, dtypes=ALL),
    Case("parts of chunks", xs=[(2, 24, 5, 52), (2, 7, 5, 52), (2, 40, 5, 52)], axis=1),
    Case("a chunk of many", xs=[(1, 1, 3, 2)] * 17 + [(1, 3, 3, 2), (1, 29, 3, 2)], axis=1),
    Case("chunks and their parts", xs=[(1, 32, 4, 4), (1, 20, 4, 4)], axis=1),
    Case("rows of parts of chunks", xs=[(2, 18, 2, 3), (2, 18, 5, 3)], axis=2),
    Case("rows of chunks", xs=[(2, 16, 2, 3), (2, 16, 5, 3)], axis=2, dtypes=ALL),
    Case("chunks of a volume", xs=[(1, 8, 2, 3, 4), (1, 16, 2, 3, 4)], axis=1, dtypes=FLOATS),
    Case("last axis", xs=[(7, 3), (7, 4)], axis=-1, dtypes=ALL),
    Case("first axis", xs=[(300, 64), (20, 64)], axis=0),
    Case("one input", xs=[(3, 4)], axis=0),
    Case("no element", xs=[(0, 4), (0, 4)], axis=0),
    *random_cases(30),
    Case("a dense block", xs=[(8, 256, 28, 28), (8, 32, 28, 28)], axis=1, bench=True),
]
test_kernels = check("Concatenation@1", CASES)


def of(*dims, dtype=DataType.FLOAT, **facts):
    return SymbolicTensor(DimsExprs(dims), dtype, **facts)


def test_unknown_extents_add_up(infer):
    with constraints() as found:
        (y,) = infer("Concatenation", of(N, 3), of(M, 3), axis=0)
    assert (y.dims[0].evaluate([[2], [5]]), found) == (7, [])


def test_other_extents_must_be_equal(infer):
    with constraints() as found:
        infer("Concatenation", of(N, 3), of(M, 4), axis=1)
    assert [bool(c.condition.evaluate([[2], [m]])) for c in found for m in (2, 3)] == [True, False]
    with pytest.raises(ShapeError, match="extent 0 of input 0"):
        infer("Concatenation", of(2, 3), of(3, 3), axis=1)


def test_what_does_not_fit_is_named(infer):
    with pytest.raises(ShapeError, match="no inputs"):
        infer("Concatenation")
    with pytest.raises(ShapeError, match="different rank"):
        infer("Concatenation", of(2, 3), of(2), axis=0)
    with pytest.raises(ShapeError, match="axis 2"):
        infer("Concatenation", of(2, 3), axis=2)
    with pytest.raises(DTypeError, match="FLOAT and INT32"):
        infer("Concatenation", of(2), of(2, dtype=DataType.INT32), axis=0)


def test_contents_are_followed(infer):
    values = of(2, dtype=DataType.INT32, values=tuple(DimsExprs((N, 7))))
    (y,) = infer("Concatenation", values, np.array([-1], np.int32), axis=0)
    assert [str(e) for e in y.elements()] == ["N", "7", "-1"]


def test_the_axis_is_the_third_from_the_end_as_in_tensorrt(network):
    x = network.add_input("x", trt.float32, (2, 3, 4, 5))
    layer = network.add_concatenation([x, x])
    assert (layer.axis, tuple(layer.get_output(0).shape)) == (1, (2, 6, 4, 5))
    layer.axis = 3
    assert tuple(layer.get_output(0).shape) == (2, 3, 4, 10)
