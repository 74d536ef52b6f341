"""Gather. Cases are shared by correctness, benchmark and the reference page."""

import numpy as np
import pytest

import dovetail as trt
from dovetail.core.contract import SymbolicTensor
from dovetail.core.errors import ShapeError
from dovetail.core.expr import DimsExprs, constraints, input_dim
from dovetail.core.types import FLOATS, DataType
from dovetail.machine.testing import Case, check

N = input_dim(0, 0, "N")
M = input_dim(1, 0, "M")
ALL = (*FLOATS, DataType.INT32, DataType.INT64, DataType.INT8, DataType.UINT8, DataType.BOOL)
DEFAULT, ELEMENT, ND = range(3)


def drawn(*dims, extent, dtype=np.int32, seed=0, beyond=2):
    """Indices, some of them negative, some out of range."""
    return np.random.default_rng(seed).integers(-extent - beyond, extent + beyond, dims).astype(dtype)


def random_cases(n, seed=0):
    rng = np.random.default_rng(seed)
    for i in range(n):
        mode, rank = i % 3, int(rng.integers(1, 6))
        dims = [int(rng.integers(1, 7)) for _ in range(rank)]
        axis, shared = int(rng.integers(rank)), 0
        dtype = np.int64 if rng.random() < 0.5 else np.int32
        if mode == ELEMENT:
            wanted = [int(rng.integers(1, d + 1)) for d in dims]
            wanted[axis] = int(rng.integers(0, 9))
            extent = dims[axis]
        elif mode == DEFAULT:
            shared = int(rng.integers(0, min(axis, 2) + 1))
            wanted = dims[:shared] + [int(rng.integers(1, 5)) for _ in range(int(rng.integers(0, 3)))]
            extent = dims[axis]
        else:
            shared = int(rng.integers(0, min(rank, 2)))
            parts = int(rng.integers(0, rank - shared + 1))
            wanted = dims[:shared] + [int(rng.integers(1, 5)) for _ in range(int(rng.integers(0, 2)))] + [parts]
            extent = max(dims)
        indices = drawn(*wanted, extent=extent, dtype=dtype, seed=i, beyond=1)
        name = f"{i}: mode {mode} of {dims} by {wanted}, axis {axis}, {shared} shared"
        fields = {"mode": mode, "axis": axis, "num_elementwise_dims": shared}
        yield Case(name, x=tuple(dims), indices=indices, seed=i, dtypes=(ALL[i // 3 % len(ALL)],), **fields)


CASES = [
    Case("rows", x=(11, 37), indices=drawn(2, 5, extent=11), dtypes=ALL),
    Case("columns", x=(11, 37), indices=drawn(2, 5, extent=37, dtype=np.int64), axis=1, dtypes=ALL),
    Case("one index", x=(11, 37), indices=np.array(3, np.int32), axis=-1),
    Case("shared batch", x=(3, 4, 5), indices=drawn(3, 6, extent=5), axis=2, num_elementwise_dims=1),
    Case("by element", x=(5, 6, 7), indices=drawn(5, 3, 7, extent=6), mode=ELEMENT, axis=1, dtypes=ALL),
    Case("tuples", x=(5, 6, 7), indices=drawn(4, 2, extent=5), mode=ND, dtypes=ALL),
    Case("tuples for all axes", x=(5, 6), indices=drawn(4, 3, 2, extent=5), mode=ND),
    Case("tuples behind a shared axis", x=(3, 6, 7), indices=drawn(3, 4, 1, extent=6), mode=ND, num_elementwise_dims=1),
    Case("no index", x=(5, 6), indices=np.zeros((0,), np.int32)),
    Case("nothing to take", x=(0, 6), indices=drawn(3, extent=1)),
    *random_cases(60),
    Case("an embedding", x=(30000, 768), indices=drawn(8, 128, extent=30000, beyond=0), bench=True),
]
test_kernels = check("Gather@1", CASES)


def of(*dims, dtype=DataType.FLOAT, **facts):
    return SymbolicTensor(DimsExprs(dims), dtype, **facts)


INDEX = DataType.INT32


@pytest.mark.parametrize(
    ("fields", "indices", "dims"),
    [
        ({"axis": 1}, of(5, 6, dtype=INDEX), (N, 5, 6, 4)),
        ({"axis": 2, "num_elementwise_dims": 1}, of(N, 9, dtype=INDEX), (N, 3, 9)),
        ({"mode": ND}, of(5, 2, dtype=INDEX), (5, 4)),
        ({"mode": ND, "num_elementwise_dims": 1}, of(N, 7, 1, dtype=INDEX), (N, 7, 4)),
        ({"mode": ELEMENT, "axis": 1}, of(N, 8, 4, dtype=INDEX), (N, 8, 4)),
    ],
)
def test_dims(infer, fields, indices, dims):
    (y,) = infer("Gather", of(N, 3, 4), indices, **fields)
    assert y.dims.same(dims)


def test_shared_extents_that_are_unknown_are_checked_later(infer):
    with constraints() as found:
        infer("Gather", of(N, 4), of(M, 2, dtype=INDEX), axis=1, num_elementwise_dims=1)
    assert [bool(c.condition.evaluate([[n], [3]])) for c in found for n in (3, 4)] == [True, False]


def test_what_does_not_fit_is_named(infer):
    for fields, indices, rule in [
        ({"axis": 3}, (2,), "axis 3"),
        ({"axis": 0, "num_elementwise_dims": 1}, (2, 2), "axis 0 is among"),
        ({"mode": ND}, (2, 4), "tuples of 4"),
        ({"mode": ELEMENT}, (2, 4), "ranks must be equal"),
        ({"mode": ELEMENT}, (2, 4, 4), "4 indices on axis 1"),
        ({"num_elementwise_dims": 2, "axis": 2}, (2,), "cannot share 2"),
        ({"mode": ND}, (), "cannot share 0"),
    ]:
        with pytest.raises(ShapeError) as error:
            infer("Gather", of(2, 3, 4), of(*indices, dtype=INDEX), **fields)
        assert rule in str(error.value)


def test_contents_are_followed(infer):
    shape = of(3, dtype=INDEX, values=tuple(DimsExprs((N, 3, 4))))
    (y,) = infer("Gather", shape, np.array([2, 0, -2, 5], np.int32))
    assert [str(e) for e in y.elements()] == ["4", "N", "3", "0"]


def test_both_ways_of_tensorrt(network):
    x = network.add_input("x", trt.float32, (3, 4))
    indices = network.add_constant((2,), np.array([0, 2], np.int32)).get_output(0)
    assert tuple(network.add_gather(x, indices, 1).get_output(0).shape) == (3, 2)
    layer = network.add_gather_v2(x, indices, trt.GatherMode.ND)
    assert tuple(layer.get_output(0).shape) == ()
