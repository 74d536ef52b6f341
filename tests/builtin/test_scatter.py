"""Scatter. Cases are shared by correctness, benchmark and the reference page."""

import numpy as np
import pytest

import dovetail as trt
from dovetail.core.contract import SymbolicTensor
from dovetail.core.errors import DTypeError, ShapeError
from dovetail.core.expr import DimsExprs, constraints, input_dim
from dovetail.core.types import FLOATS, DataType, nptype
from dovetail.machine.testing import Case, check, check_case

N = input_dim(0, 0, "N")
ALL = (*FLOATS, DataType.INT32, DataType.INT64, DataType.INT8, DataType.UINT8, DataType.BOOL)
ELEMENT, ND = range(2)
_, ADD, MUL, MAX, MIN = range(5)
SUM = {"mode": ND, "reduction": ADD}
SAME = np.arange(40, dtype=np.int32).reshape(40, 1) % 3  # sums of ones are exact, in any order


def distinct(*dims, axis, extent, dtype=np.int32, seed=0):
    """Indices of which no two are the same along an axis; some negative, some out of range."""
    rng = np.random.default_rng(seed)
    drawn = rng.permuted(np.broadcast_to(np.arange(extent + 2), (*dims[:axis], *dims[axis + 1 :], extent + 2)), axis=-1)
    drawn = np.moveaxis(drawn[..., : dims[axis]], -1, axis)
    return np.where((rng.random(drawn.shape) < 0.3) & (drawn < extent), drawn - extent, drawn).astype(dtype)


def zeros(*dims, t):
    return np.zeros(dims, nptype(t))


def ones(*dims, t):
    return np.ones(dims, nptype(t))


def tuples(shape, n_parts, count, dtype=np.int32, seed=0):
    """Tuples of indices of which no two are the same."""
    rng = np.random.default_rng(seed)
    places = rng.permutation(int(np.prod(shape[:n_parts])))[:count]
    return np.stack(np.unravel_index(places, shape[:n_parts]), -1).astype(dtype)


CASES = [
    Case("by element", x=(5, 6, 7), indices=distinct(5, 3, 7, axis=1, extent=6), updates=(5, 3, 7), axis=1, dtypes=ALL),
    Case("last axis", x=(5, 37), indices=distinct(5, 20, axis=1, extent=37, dtype=np.int64), updates=(5, 20), axis=-1),
    Case("tuples", x=(5, 6, 7), indices=tuples((5, 6), 2, 11), updates=(11, 7), mode=ND, dtypes=ALL),
    Case("rows", x=(50, 200), indices=tuples((50,), 1, 20, np.int64), updates=(20, 200), mode=ND),
    Case("single elements", x=(5, 6), indices=tuples((5, 6), 2, 9).reshape(3, 3, 2), updates=(3, 3), mode=ND),
    Case("out of range", x=(5, 3), indices=np.array([[9], [-6], [-5]], np.int32), updates=(3, 3), mode=ND),
    Case("all at once", x=(2, 3), indices=np.zeros((0,), np.int32), updates=(2, 3), mode=ND),
    Case("no update", x=(2, 3), indices=np.zeros((0, 1), np.int32), updates=(0, 3), mode=ND),
    Case("nothing to change", x=(0, 3), indices=np.array([[0]], np.int32), updates=(1, 3), mode=ND),
    Case("elements", x=(5, 4), indices=distinct(5, 3, axis=1, extent=4), updates=(5, 3), axis=1, reduction=ADD),
    Case("added", x=(5, 6, 7), indices=tuples((5, 6), 2, 11), updates=(11, 7), mode=ND, reduction=ADD, dtypes=ALL),
    Case("multiplied", x=(5, 7), indices=tuples((5,), 1, 3), updates=(3, 7), mode=ND, reduction=MUL, dtypes=ALL),
    Case("greatest", x=(5, 7), indices=tuples((5,), 1, 3), updates=(3, 7), mode=ND, reduction=MAX, dtypes=ALL),
    Case("least", x=(5, 7), indices=tuples((5,), 1, 3), updates=(3, 7), mode=ND, reduction=MIN, dtypes=ALL),
    *(
        Case(f"histogram {t.name}", x=zeros(4, 9, t=t), indices=SAME, updates=ones(40, 9, t=t), dtypes=(t,), **SUM)
        for t in ALL
    ),
    Case("a cache", x=(512, 8, 64), indices=tuples((512,), 1, 16), updates=(16, 8, 64), mode=ND, bench=True),
]
test_kernels = check("Scatter@1", CASES)


def test_the_last_update_of_an_element_holds(compute):
    indices = np.array([[1], [0], [1], [1]], np.int32)
    updates = np.arange(4 * 300, dtype=np.float32).reshape(4, 300)
    case = Case("twice", x=(2, 300), indices=indices, updates=updates, mode=ND)
    assert check_case(trt.get_plugin_registry(), "Scatter@1", case, n_threads=2) >= 2
    assert compute("Scatter", np.zeros((2, 300)), indices, updates, mode=ND)[1, 0] == 900


def of(*dims, dtype=DataType.FLOAT):
    return SymbolicTensor(DimsExprs(dims), dtype)


INDEX = DataType.INT32


def test_updates_that_are_unknown_are_checked_later(infer):
    with constraints() as found:
        (y,) = infer("Scatter", of(N, 4), of(2, 1, dtype=INDEX), of(2, N), mode=ND)
    assert y.dims.same((N, 4))
    assert [bool(c.condition.evaluate([[n]])) for c in found for n in (4, 5)] == [True, False]


def test_what_does_not_fit_is_named(infer):
    for fields, indices, updates, rule in [
        ({"axis": 2}, (2, 3), (2, 3), "axis 2"),
        ({}, (2,), (2,), "equal ranks"),
        ({"axis": 0}, (2, 4), (2, 4), "4 indices on axis 1"),
        ({}, (2, 3), (2, 2), "extent 1 of the updates"),
        ({"mode": ND}, (), (), "an axis for their tuples"),
        ({"mode": ND}, (2, 3), (2,), "tuples of 3"),
        ({"mode": ND}, (2, 1), (2,), "updates need 2 dims"),
    ]:
        with pytest.raises(ShapeError) as error:
            infer("Scatter", of(2, 3), of(*indices, dtype=INDEX), of(*updates), **fields)
        assert rule in str(error.value)
    with pytest.raises(DTypeError, match="HALF into FLOAT"):
        infer("Scatter", of(2, 3), of(2, 3, dtype=INDEX), of(2, 3, dtype=DataType.HALF))


def test_it_is_added_as_in_tensorrt(network):
    x = network.add_input("x", trt.float32, (3, 4))
    updates = network.add_input("updates", trt.float32, (3, 2))
    indices = network.add_constant((3, 2), np.zeros((3, 2), np.int32)).get_output(0)
    layer = network.add_scatter(x, indices, updates, trt.ScatterMode.ELEMENT)
    layer.axis = 1
    assert tuple(layer.get_output(0).shape) == (3, 4)
