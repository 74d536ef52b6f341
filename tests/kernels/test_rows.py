"""Every row of the pointwise layers against float64 numpy, over formats, types, broadcasts and extents."""

import math
from itertools import permutations

import ml_dtypes
import numpy as np
import pytest

from dovetail.core.tensor import TensorDesc, as_type
from dovetail.core.types import DataType, from_numpy, nptype

FLOAT_TYPES = [np.float32, np.float16, ml_dtypes.bfloat16]
# Odd extents, channels that are no multiple of any block, empty tensors, ranks too low for blocked formats.
SHAPES = [
    (1, 3, 5, 7),
    (2, 17, 3, 9),
    (1, 16, 6, 6),
    (3, 33, 1, 1),
    (0, 5, 2, 2),
    (2, 0, 3, 3),
    (7,),
    (),
    (2, 20, 3, 4, 5),
]


def close(dtype):
    """Tolerances: a few units in the last place of the stored type."""
    return {
        np.float32: dict(rtol=3e-6, atol=3e-7),
        np.float16: dict(rtol=1e-3, atol=1e-6),
        ml_dtypes.bfloat16: dict(rtol=8e-3, atol=1e-6),
    }[dtype]


def compare(results, expected, **tolerance):
    for tactic, y in results.items():
        np.testing.assert_allclose(
            y.astype(np.float64), expected.astype(np.float64), err_msg=tactic, equal_nan=True, **tolerance
        )


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def spread(values, x, axis):
    return values.astype(np.float64).reshape((-1,) + (1,) * (x.ndim - axis - 1))


@pytest.mark.parametrize("dtype", FLOAT_TYPES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("mode", [0, 1, 2])
def test_scale(rows, rng, dtype, shape, mode):
    axis = 1 if len(shape) < 5 else 2  # the channels of 2-D formats are third from the end
    if mode and len(shape) < 2:
        pytest.skip("no channels")
    x = rng.uniform(0.5, 2, shape).astype(dtype)
    n = {0: 1, 1: shape[axis] if mode else 1, 2: math.prod(shape[axis:])}[mode]
    for present, weight_type, threads in [
        ("sbp", np.float32, 1),
        ("s", dtype, 2),
        ("b", dtype, 1),
        ("", dtype, 2),
    ]:
        weights = [rng.uniform(0.5, 1.5, n).astype(weight_type) if k in present else None for k in "sbp"]
        values = [(), (-1,) + (1,) * (x.ndim - axis - 1), x.shape[axis:]][mode]
        shaped = [w if w is None else w.astype(np.float64).reshape(values) for w in weights]
        y = x.astype(np.float64)
        y = y if shaped[0] is None else y * shaped[0]
        y = y if shaped[1] is None else y + shaped[1]
        y = y if shaped[2] is None else y ** shaped[2]
        got = rows("Scale").run(
            {"mode": mode, "channel_axis": axis}, [x, *weights], shape, from_numpy(dtype), threads=threads
        )
        compare(got, y, **close(dtype))


ACTIVATIONS = {
    0: lambda x, a, b: np.maximum(x, 0),
    1: lambda x, a, b: 1 / (1 + np.exp(-x)),
    2: lambda x, a, b: np.tanh(x),
    3: lambda x, a, b: np.where(x >= 0, x, a * x),
    4: lambda x, a, b: np.where(x >= 0, x, a * np.expm1(x)),
    5: lambda x, a, b: b * np.where(x > 0, x, a * np.expm1(x)),
    6: lambda x, a, b: x / (1 + abs(x)),
    7: lambda x, a, b: a * np.logaddexp(0, b * x),
    8: lambda x, a, b: np.maximum(a, np.minimum(b, x)),
    9: lambda x, a, b: np.clip(a * x + b, 0, 1),
    10: lambda x, a, b: a * np.tanh(b * x),
    11: lambda x, a, b: np.where(x > a, x, np.where(np.isnan(x), x, 0)),
}


@pytest.mark.parametrize("dtype", FLOAT_TYPES)
@pytest.mark.parametrize("kind", ACTIVATIONS)
@pytest.mark.parametrize("shape", [(1, 19, 5, 7), (2, 3, 64, 65), (0, 4, 2, 2), ()])
def test_activation(rows, rng, dtype, kind, shape):
    x = rng.normal(0, 4, shape).astype(dtype)
    alpha, beta = (-1.0, 2.0) if kind == 8 else (0.3, 0.7)
    expected = ACTIVATIONS[kind](x.astype(np.float64), np.float32(alpha).astype(float), np.float32(beta).astype(float))
    got = rows("Activation").run({"type": kind, "alpha": alpha, "beta": beta}, [x], shape, from_numpy(dtype), threads=2)
    compare(got, expected, **close(dtype))


@pytest.mark.parametrize("kind", ACTIVATIONS)
def test_activation_extremes(rows, kind):
    x = np.array([np.nan, np.inf, -np.inf, 0, -0.0, 1e-30, -1e-30, 88, -88, 104, -104, 3e38, -3e38, 1e-42], np.float32)
    with np.errstate(all="ignore"):
        expected = ACTIVATIONS[kind](x.astype(np.float64), 0.5, 1.0).astype(np.float32)
        if kind == 6:
            expected[1:3] = np.nan  # inf / inf
    got = rows("Activation").run({"type": kind, "alpha": 0.5, "beta": 1.0}, [x], x.shape, DataType.FLOAT)
    compare(got, expected, rtol=3e-6, atol=3e-45)


def quotient(a, b):
    with np.errstate(all="ignore"):
        return np.where(b == 0, 0, np.trunc(a.astype(np.longdouble) / np.where(b == 0, 1, b)))


def integer_power(a, b):
    powers = [
        int(p) ** int(q) if q >= 0 else int(float(p) ** int(q)) if p else 0 for p, q in zip(a.flat, b.flat, strict=True)
    ]
    return np.array(powers, object).reshape(a.shape)


OPERATIONS = {
    0: np.add, 1: np.multiply, 2: np.maximum, 3: np.minimum, 4: np.subtract, 5: np.divide, 6: np.power,
    7: lambda a, b: np.floor(a / b), 8: np.logical_and, 9: np.logical_or, 10: np.logical_xor, 11: np.equal,
    12: np.greater, 13: np.less,
}  # fmt: skip
PAIRS = [
    ((2, 19, 3, 5), (2, 19, 3, 5)),
    ((2, 19, 3, 5), (2, 19, 1, 1)),
    ((1, 19, 1, 1), (2, 19, 3, 5)),
    ((2, 1, 3, 1), (1, 4, 1, 5)),
    ((3, 1), (1, 4)),
    ((1, 1, 1, 1), (2, 3, 4, 5)),
    ((64, 300), (1, 300)),
    ((64, 300), (64, 1)),
    ((), ()),
    ((0, 3), (1, 3)),
    ((2, 1, 2, 1, 2, 1, 2, 1), (1, 2, 1, 2, 1, 2, 1, 2)),
]


@pytest.mark.parametrize("op", OPERATIONS)
@pytest.mark.parametrize("dtype", [*FLOAT_TYPES, np.int32, np.int64, np.bool_])
def test_elementwise(rows, rng, op, dtype):
    if (op in (8, 9, 10)) != (dtype == np.bool_) and not (op == 11 and dtype == np.bool_):
        return
    is_float = dtype in FLOAT_TYPES
    for i, (left, right) in enumerate(PAIRS):
        if is_float:
            a, b = rng.uniform(0.5, 3, left).astype(dtype), rng.uniform(0.5, 3, right).astype(dtype)
        elif dtype == np.bool_:
            a, b = rng.random(left) > 0.5, rng.random(right) > 0.5
        else:
            a, b = rng.integers(-9, 9, left, dtype), rng.integers(-5, 6, right, dtype)
        p, q = np.broadcast_arrays(a, b)
        out = DataType.BOOL if op >= 8 else from_numpy(dtype)
        if is_float:
            expected = OPERATIONS[op](p.astype(np.float64), q.astype(np.float64))
            if op == 7:  # the quotient is rounded to float32 before it is rounded down
                expected = np.floor(p.astype(np.float32) / q.astype(np.float32))
        elif op == 5:
            expected = quotient(p, q)
        elif op == 6:
            expected = integer_power(p, q)
        elif op == 7:
            expected = np.where(q == 0, 0, p // np.where(q == 0, 1, q))
        else:
            expected = OPERATIONS[op](p, q)
        got = rows("ElementWise").run({"op": op}, [a, b], p.shape, out, threads=1 + i % 2)
        tolerance = close(dtype) if is_float and op < 8 else {"rtol": 0, "atol": 0}
        compare(got, np.asarray(expected), **tolerance)


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_elementwise_integers_at_their_limits(rows, dtype):
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    a, b = (
        np.array([low, low, high, 7, -7, 7, -7, 0], dtype),
        np.array([-1, 0, high, 2, 2, -2, -2, -3], dtype),
    )
    with np.errstate(all="ignore"):
        wanted = {0: a + b, 1: a * b, 4: a - b, 5: np.array([low, 0, 1, 3, -3, -3, 3, 0], dtype)}
    wanted[7] = np.array([low, 0, 1, 3, -4, -4, 3, 0], dtype)
    for op, expected in wanted.items():
        for y in rows("ElementWise").run({"op": op}, [a, b], a.shape, from_numpy(dtype)).values():
            assert (y == expected).all(), op


def test_elementwise_nan(rows):
    a, b = np.array([np.nan, 1, np.nan], np.float32), np.array([1, np.nan, np.nan], np.float32)
    for op in (2, 3):
        for y in rows("ElementWise").run({"op": op}, [a, b], (3,), DataType.FLOAT).values():
            assert np.isnan(y).all()


ALL_TYPES = [*FLOAT_TYPES, np.int8, np.uint8, np.bool_, np.int32, np.int64]


@pytest.mark.parametrize("source", ALL_TYPES)
@pytest.mark.parametrize("target", ALL_TYPES)
def test_identity(rows, rng, source, target):
    for shape in [(2, 19, 3, 5), (0, 3), (), (2, 3, 2, 3, 3)]:
        x = rng.uniform(0, 100, shape)
        x = (x > 50) if source == np.bool_ else (x if target == np.uint8 else x - 50).astype(source)
        if source in FLOAT_TYPES and target not in FLOAT_TYPES:
            expected = x.astype(np.float64) != 0 if target == np.bool_ else np.trunc(x.astype(np.float64))
        elif target in FLOAT_TYPES:
            expected = x.astype(np.float32).astype(target)
        else:
            expected = x.astype(target)
        got = rows("Identity").run({}, [x], shape, from_numpy(target), threads=2)
        compare(got, expected, rtol=0, atol=0)


def test_identity_limits(rows):
    x = np.array([np.nan, np.inf, -np.inf, 300, -300, 127.9, -128.9, 3e9, -3e9, 1e19, -1e19, 0.9, -0.9], np.float32)
    for target in (np.int8, np.uint8, np.int32, np.int64):
        limits = np.iinfo(target)
        whole = [0 if v != v else int(max(min(v, 1e30), -1e30)) for v in x.tolist()]
        expected = np.array([min(max(v, limits.min), limits.max) for v in whole], target)
        for tactic, y in rows("Identity").run({}, [x], x.shape, from_numpy(target)).items():
            assert (y == expected).all(), (tactic, target, y)


def test_halves_are_exact(rows):
    """Every float16 to float32, and floats half-way between two float16, on every instruction set."""
    every = np.arange(65536, dtype=np.uint16).view(np.float16)
    between = np.linspace(-70000, 70000, 100001).astype(np.float32)
    tiny = np.linspace(-1e-4, 1e-4, 100001).astype(np.float32)
    with np.errstate(over="ignore"):
        for x, target in [
            (every, np.float32),
            (between, np.float16),
            (tiny, np.float16),
            (between, ml_dtypes.bfloat16),
        ]:
            expected = x.astype(target)
            for tactic, y in rows("Identity").run({}, [x], x.shape, from_numpy(target), only="linear").items():
                np.testing.assert_array_equal(y.astype(np.float64), expected.astype(np.float64), err_msg=tactic)


@pytest.mark.parametrize("dtype", FLOAT_TYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_quantize_and_dequantize(rows, rng, dtype, shape):
    x = rng.normal(0, 2, shape).astype(dtype)
    stored = rng.integers(-128, 128, shape, np.int8)
    axes = [None, *range(len(shape))]
    for threads, axis in enumerate(axes):
        n = 1 if axis is None else shape[axis]
        for kind in {dtype, np.float32}:
            scale = rng.uniform(0.01, 0.05, n).astype(kind)
            wide = scale.astype(np.float32) if n == 1 else spread(scale, x, axis).astype(np.float32)
            expected = np.rint(np.clip(x.astype(np.float32) / wide, -128, 127)).reshape(shape)
            fields = {"axis": -1 if axis is None else axis}
            compare(
                rows("Quantize").run(fields, [x, scale], shape, DataType.INT8, threads=1 + threads % 2),
                expected, rtol=0, atol=0,
            )  # fmt: skip
            got = rows("Dequantize").run(fields, [stored, scale], shape, from_numpy(dtype))
            compare(got, (stored * wide.astype(np.float64)).reshape(shape), **close(dtype))


def test_quantize_rounds_to_even(rows):
    x = np.array([0.5, 1.5, 2.5, -0.5, -1.5, 126.5, 127.5, 1e9, -1e9, np.nan], np.float32)
    expected = np.array([0, 2, 2, 0, -2, 126, 127, 127, -128, 0], np.int8)
    for y in rows("Quantize").run({"axis": -1}, [x, np.ones(1, np.float32)], x.shape, DataType.INT8).values():
        assert (y == expected).all()


@pytest.mark.parametrize("dtype", [DataType.FLOAT, DataType.HALF, DataType.INT8, DataType.INT64])
def test_reformat(rows, rng, dtype):
    for shape in [
        (1, 3, 5, 7),
        (2, 37, 4, 9),
        (2, 16, 17, 31),
        (1, 20, 3, 4, 5),
        (0, 3, 2, 2),
        (2, 64, 1, 1),
        (1, 130, 8, 16),  # more than one tile of channels and of positions
        (2, 3, 40, 64),
        (3, 1, 5, 7),
        (1, 70, 1, 90),
    ]:
        x = rng.integers(-100, 100, shape).astype(nptype(dtype))
        for tactic, y in rows("Reformat").run({}, [x], shape, dtype, threads=2).items():
            assert (x == y).all(), tactic


CONVERTED = list(permutations([t for t in DataType if t != DataType.FP8], 2))
CONVERTED_SHAPES = [
    (1, 3, 5, 7),
    (2, 37, 4, 9),
    (2, 64, 1, 1),
    (3, 1, 5, 7),
    (1, 20, 3, 4, 5),
    (1, 130, 2, 135),  # more than one tile of channels and of positions
    (5, 7),
]


@pytest.mark.parametrize("turn", range(3))
def test_reformat_converts(rows, rng, turn):
    """Every pair of types in some shape and by some instruction set, between all formats."""
    offered = rows("Reformat").candidates([DataType.FLOAT], [DataType.HALF])
    isas = sorted({tactic.rpartition("_")[2] for _, tactic, _ in offered if "_converting" in tactic})
    for number, (own, to) in enumerate(CONVERTED):
        if number % 3 != turn:
            continue
        shape = CONVERTED_SHAPES[number % len(CONVERTED_SHAPES)]
        x = as_type(rng.uniform(-300, 300, shape).astype(np.float32), DataType.FLOAT, own)
        expected = as_type(x, own, to)
        only = f"_{isas[number // 3 % len(isas)]}"
        for tactic, y in rows("Reformat").run({}, [x], shape, to, threads=1 + number % 2, only=only).items():
            np.testing.assert_array_equal(y.view(np.uint8), expected.view(np.uint8), f"{own} to {to}, {tactic}")


@pytest.mark.parametrize("real", [DataType.FLOAT, DataType.HALF, DataType.BF16])
def test_reformat_converts_int8_with_a_scale_as_quantize_and_dequantize_do(rows, rng, real):
    scale, shape = 0.03, (2, 19, 3, 5)
    x = as_type(rng.uniform(-5, 5, shape).astype(np.float32), DataType.FLOAT, real)
    x[0, 0, 0] = as_type(np.array([np.nan, np.inf, -np.inf, 0.045, 0.015], np.float32), DataType.FLOAT, real)
    steps = x.astype(np.float32) / np.float32(scale)
    stored = np.nan_to_num(np.rint(np.clip(steps, -128, 127))).astype(np.int8)
    for tactic, y in rows("Reformat").run({}, [x], shape, DataType.INT8, result_scale=scale).items():
        np.testing.assert_array_equal(y, stored, tactic)
    back = (stored.astype(np.float32) * np.float32(scale)).astype(x.dtype)
    for tactic, y in rows("Reformat").run({}, [stored], shape, real, scales=[scale]).items():
        np.testing.assert_array_equal(y, back, tactic)


def test_reformat_refuses_int8_with_a_scale_where_it_means_nothing(rows):
    native = rows("Reformat").native
    obj = native.create("layer", [])

    def reasons(own, to, scale, result_scale):
        x = TensorDesc((2, 3), own, scale=scale)
        y = TensorDesc((2, 3), to, scale=result_scale)
        found = {native.fits(obj, index, [x], [y]) for index, row in enumerate(native.rows) if takes(row, own, to)}
        return found

    def takes(row, own, to):
        before, after = (side.split("|") for side in row["types"].split(" -> "))
        return (own.short, to.short) in zip(before, after, strict=True)

    only_floats, other = "converts INT8 with a scale to and from floats only", "does not change the scale of INT8"
    assert reasons(DataType.INT8, DataType.INT32, 0.1, -1) == {only_floats}
    assert reasons(DataType.BOOL, DataType.INT8, -1, 0.1) == {only_floats}
    assert reasons(DataType.INT8, DataType.INT32, -1, -1) == {None}
    assert reasons(DataType.INT8, DataType.HALF, 0.1, -1) == {None}
    assert other in reasons(DataType.INT8, DataType.INT8, 0.1, 0.2)
    assert other not in reasons(DataType.INT8, DataType.INT8, 0.1, 0.1)


def test_constant(rows):
    for values in (
        np.arange(6, dtype=np.int64).reshape(2, 3),
        np.zeros((0, 4), np.float32),
        np.array(3, np.int8),
    ):
        got = rows("Constant").run({"weights": values}, [], values.shape, from_numpy(values.dtype))
        assert all((y == values).all() for y in got.values())
