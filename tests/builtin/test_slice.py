"""Slice. Cases are shared by correctness, benchmark and the reference page."""

import numpy as np
import pytest
from networks import engine_of, new_network, profile_of

import dovetail as trt
from dovetail.core.contract import SymbolicTensor
from dovetail.core.errors import DTypeError, ShapeError
from dovetail.core.expr import DimsExprs, constraints, input_dim
from dovetail.core.types import FLOATS, DataType
from dovetail.machine.testing import Case, check

N = input_dim(0, 0, "N")
ALL = (*FLOATS, DataType.INT32, DataType.INT64, DataType.INT8, DataType.UINT8, DataType.BOOL)
STRICT, WRAP, CLAMP, FILL, REFLECT = range(5)


def random_cases(n, seed=0):
    """Slices of up to 8 axes in every mode, forwards and backwards."""
    rng = np.random.default_rng(seed)
    for i in range(n):
        rank, mode = int(rng.integers(0, 9)), i % 5
        dims = [int(rng.integers(1, 4 if rank > 4 else 12)) for _ in range(rank)]
        fields = {"start": [], "shape": [], "stride": []}
        for extent in dims:
            if rng.random() < 0.3:
                start, count, step = 0, extent, 1
            elif mode == STRICT:
                step = int(rng.choice([-2, -1, 1, 2, 3]))
                start = int(rng.integers(extent))
                room = start if step < 0 else extent - 1 - start
                count = int(rng.integers(0 if rng.random() < 0.1 else 1, room // abs(step) + 2))
            else:
                step, start = int(rng.integers(-3, 4)), int(rng.integers(-7, extent + 7))
                count = int(rng.integers(1, 3 if rank > 5 else 9))
            fields["start"].append(start)
            fields["shape"].append(count)
            fields["stride"].append(step)
        dtype = ALL[i // 5 % len(ALL)]
        fields = {name: tuple(values) for name, values in fields.items()}
        yield Case(f"{i}: mode {mode} of {dims}, {fields}", x=tuple(dims), mode=mode, seed=i, dtypes=(dtype,), **fields)


def ints(*values, dtype=np.int32):
    return np.array(values, dtype)


AROUND = {"start": (-2, -4), "shape": (7, 12), "stride": (1, 1)}
CASES = [
    Case("a corner", x=(5, 37), start=(1, 2), shape=(3, 33), stride=(1, 1), dtypes=ALL),
    Case("every second", x=(5, 37), start=(0, 1), shape=(3, 18), stride=(2, 2), dtypes=ALL),
    Case("backwards", x=(5, 37), start=(4, 36), shape=(5, 37), stride=(-1, -1), dtypes=ALL),
    *(Case(f"mode {mode}", x=(4, 5), mode=mode, dtypes=ALL, **AROUND) for mode in (WRAP, CLAMP, FILL, REFLECT)),
    Case(
        "an image beyond its edges", x=(2, 3, 9, 7), start=(0, 0, -2, -3), shape=(2, 3, 14, 13), stride=(1,) * 4, mode=3
    ),
    Case("filled", x=(4, 5), value=np.full((1,), 7, np.float32), mode=FILL, **AROUND),
    Case("filled from nothing", x=(0, 5), value=np.full((), 7, np.float32), mode=FILL, **AROUND),
    Case("whole rows of a long axis", x=(9, 1), start=(-4, 0), shape=(540, 1), stride=(1, 1), mode=WRAP, dtypes=ALL),
    Case("parts of chunks", x=(2, 58, 5, 52), start=(0, 29, 0, 0), shape=(2, 29, 5, 52), stride=(1,) * 4),
    Case("every third of chunks", x=(1, 56, 3, 5), start=(0, 2, 0, 0), shape=(1, 18, 3, 5), stride=(1, 3, 1, 1)),
    Case("chunks backwards", x=(1, 48, 3, 5), start=(0, 47, 0, 0), shape=(1, 48, 3, 5), stride=(1, -1, 1, 1)),
    Case("parts of chunks and rows", x=(1, 24, 6, 5), start=(0, 4, 1, 0), shape=(1, 18, 4, 5), stride=(1,) * 4),
    Case("nothing of nothing", x=(0, 5), start=(0, 0), shape=(0, 5), stride=(1, 1), mode=WRAP),
    Case("one to reflect", x=(1,), start=(-3,), shape=(7,), stride=(1,), mode=REFLECT),
    Case("a scalar", x=(), start=(), shape=(), stride=()),
    *random_cases(80),
    Case("a crop", x=(8, 64, 112, 112), start=(0, 0, 8, 8), shape=(8, 64, 96, 96), stride=(1,) * 4, bench=True),
]
test_kernels = check("Slice@1", CASES)


def of(*dims, dtype=DataType.FLOAT, **facts):
    return SymbolicTensor(DimsExprs(dims), dtype, **facts)


def test_a_size_may_follow_from_an_extent(infer):
    with constraints() as found:
        sizes = of(1, dtype=DataType.INT32, values=tuple(DimsExprs((N - 2,))))
        (y,) = infer("Slice", of(N), None, sizes, start=(1,), stride=(1,))
    assert y.dims.same((N - 2,))
    holds = [all(c.condition.evaluate([[n]]) for c in found) for n in (1, 2, 3, 9)]
    assert holds == [False, True, True, True]


def test_bounds_of_an_unknown_extent_are_checked_later(infer):
    with constraints() as found:
        infer("Slice", of(N), start=(2,), shape=(3,), stride=(2,))
    assert [all(c.condition.evaluate([[n]]) for c in found) for n in (2, 6, 7)] == [False, False, True]


@pytest.mark.parametrize(
    ("start", "shape", "stride"), [((0,), (6,), (1,)), ((-1,), (2,), (1,)), ((4,), (3,), (-3,)), ((5,), (1,), (1,))]
)
def test_reading_beyond_the_bounds_is_named(infer, start, shape, stride):
    with pytest.raises(ShapeError, match="beyond the bounds of axis 0"):
        infer("Slice", (5,), start=start, shape=shape, stride=stride)
    (y,) = infer("Slice", (5,), start=start, shape=shape, stride=stride, mode=CLAMP)
    assert y.dims.same(shape)


def test_what_does_not_fit_is_named(infer):
    with pytest.raises(ShapeError, match="1 values of start"):
        infer("Slice", (5, 5), start=(0,), shape=(1, 1), stride=(1, 1))
    with pytest.raises(ShapeError, match="'starts'"):
        infer("Slice", (5,), of(1, dtype=DataType.INT32), shape=(1,), stride=(1,))
    with pytest.raises(ShapeError, match="no elements"):
        infer("Slice", (0,), start=(0,), shape=(1,), stride=(1,), mode=WRAP)
    with pytest.raises(DTypeError, match="these types"):
        infer("Slice", (5,), ints(0), ints(1, dtype=np.int64), stride=(1,))
    with pytest.raises(DTypeError, match="these types"):
        infer("Slice", (5,), None, None, None, ints(1), start=(0,), shape=(1,), stride=(1,), mode=FILL)


def test_contents_are_followed(infer):
    shape = of(4, dtype=DataType.INT32, values=tuple(DimsExprs((N, 3, 4, 5))))
    (y,) = infer("Slice", shape, start=(3,), shape=(2,), stride=(-3,))
    assert [str(e) for e in y.elements()] == ["5", "N"]


@pytest.mark.parametrize("mode", [STRICT, CLAMP])
def test_inputs_take_the_place_of_fields(mode):
    builder, network, config = new_network()
    x = network.add_input("x", trt.float32, (-1, 4))
    z = network.add_input("z", trt.float32, (-1, 2))
    layer = network.add_slice(x, (0, 0), (1, 1), (1, 1))
    layer.set_input(1, network.add_shape(z).get_output(0))
    layer.set_input(2, network.add_shape(z).get_output(0))
    layer.set_input(3, network.add_constant((2,), ints(-1, -1)).get_output(0))
    layer.mode = mode
    layer.get_output(0).name = "y"
    network.mark_output(layer.get_output(0))
    profile_of(builder, config, x=((1, 4), (3, 4), (5, 4)), z=((1, 2), (2, 2), (5, 2)))
    context = engine_of(builder, network, config).create_execution_context()
    x = np.random.default_rng(0).standard_normal((4, 4), dtype=np.float32)
    for n in (1, 3):
        y = context.run({"x": x, "z": np.zeros((n, 2), np.float32)})["y"]
        np.testing.assert_array_equal(y, x[n:0:-1, 2:0:-1])
    if mode == STRICT:
        with pytest.raises(ShapeError, match="beyond the bounds of axis 0"):
            context.run({"x": x, "z": np.zeros((4, 2), np.float32)})
    else:
        y = context.run({"x": x, "z": np.zeros((5, 2), np.float32)})["y"]
        np.testing.assert_array_equal(y[:2], x[3:, 2:0:-1].repeat(2, 0))
