"""QuantizedMatrixMultiply. Cases are shared by correctness, benchmark and the reference page."""

import numpy as np
import pytest
from quantized import INT8, UINT8, integers, zero_point

from dovetail.core.errors import DTypeError, FieldValueError, ShapeError
from dovetail.core.types import DataType
from dovetail.machine.testing import Case, check

FLOAT, INT32 = DataType.FLOAT, DataType.INT32


def case(name, a, b, to=INT32, types=(UINT8, INT8), zeros=(True, False), bias=False, seed=0, **fields):
    """Random integers of all values; `zeros`: of a, and one of b, or one for each column if it is "columns"."""
    rng = np.random.default_rng(seed)
    n = b[-1]
    given = {"a": integers(rng, types[0], a), "b": integers(rng, types[1], b)}
    if zeros[0]:
        given["a_zero"] = zero_point(rng, types[0], 1)
    if zeros[1]:
        given["b_zero"] = zero_point(rng, types[1], n if zeros[1] == "columns" else 1)
    if to != INT32:
        spread = 100 if to == FLOAT else 0.004 / np.sqrt(a[-1])
        given["factor"] = (rng.uniform(0.1, 1, n if seed % 2 else 1) * spread).astype(np.float32)
    if bias:
        given["bias"] = rng.uniform(-1e4, 1e4, n).astype(np.float32 if to == FLOAT else np.int32)
    if to in (INT8, UINT8):
        given["y_zero"] = zero_point(rng, to, 1)
    return Case(name, dtypes=(types[0],), to_type=to, **given, **fields)


PAIRS = [(INT8, INT8), (UINT8, INT8), (INT8, UINT8), (UINT8, UINT8)]
CASES = [
    case(f"{a.name} by {b.name} to {to.name}", (3, 37), (37, 21), to, (a, b), (True, "columns"), True, seed)
    for seed, (a, b) in enumerate(PAIRS)
    for to in (INT32, FLOAT, INT8, UINT8)
]
CASES += [
    case("one row", (1, 768), (768, 50)),
    case("one column", (33, 16), (16, 1), UINT8, bias=True),
    case("k of one", (5, 1), (1, 40), zeros=(True, True)),
    case("more rows than registers hold", (45, 64), (64, 48), FLOAT, bias=True),
    case("many rows", (311, 20), (20, 70), UINT8, seed=1),
    case("rows where they lie", (77, 192), (192, 90), INT8, (INT8, UINT8), (True, "columns"), True),
    case("a batch of rows where they lie", (3, 20, 128), (3, 128, 40), UINT8, (UINT8, INT8)),
    case("a batch by one matrix", (2, 3, 5, 24), (1, 1, 24, 9), FLOAT, zeros=(True, "columns"), bias=True),
    case("batches", (3, 4, 18), (3, 18, 33), INT8, (INT8, INT8), zeros=(False, False)),
    case("repeated matrices", (2, 1, 7, 12), (1, 3, 12, 5), types=(UINT8, UINT8), zeros=(True, True)),
    case("no zero points", (4, 48), (48, 32), types=(INT8, INT8), zeros=(False, False)),
    case("the middle of uint8 is int8", (4, 40), (40, 17), UINT8, (UINT8, UINT8), (True, False), bias=True),
    case("limits", (9, 30), (30, 20), UINT8, low=20, high=200),
    case("nothing", (0, 16), (16, 4)),
    case("no columns", (3, 16), (16, 0)),
    case("no k", (3, 0), (0, 4), FLOAT, bias=True),
    case("long k", (2, 20000), (20000, 18), zeros=(True, "columns"), types=(UINT8, UINT8)),
    Case(
        "the largest products",
        dtypes=(UINT8,),
        a=np.full((15, 1000), 255, np.uint8),
        b=np.where(np.arange(34) % 2, 127, -128).astype(np.int8) * np.ones((1000, 1), np.int8),
    ),
    Case(
        "the lowest by the lowest",
        dtypes=(INT8,),
        a=np.full((2, 1003), -128, np.int8),
        b=np.full((1003, 3), -128, np.int8),
        a_zero=np.int8([127]),
        b_zero=np.int8([127, -128, 0]),
    ),
]
test_kernels = check("QuantizedMatrixMultiply@1", CASES)


def test_sums_wrap_round_beyond_int32(compute):
    k = 100_000
    y = compute("QuantizedMatrixMultiply", np.full((1, k), 255, np.uint8), np.full((k, 1), 127, np.int8), *[None] * 5)
    assert y.item() == (255 * 127 * k + 2**31) % 2**32 - 2**31


@pytest.mark.parametrize("quotient, stored", [(0.5, 0), (1.5, 2), (2.5, 2), (-0.5, 0), (-1.5, -2), (300, 127)])
def test_ties_go_to_even_and_what_is_too_large_is_limited(compute, quotient, stored):
    a, b = np.uint8([[1]]), np.int8([[1]])
    factor = np.float32([quotient])
    y = compute("QuantizedMatrixMultiply", a, b, None, None, factor, None, None, to_type=INT8)
    assert y.item() == stored


def test_inputs_must_agree(network_of):
    a, b, one = (2, 3), (3, 4), np.float32([1])
    with pytest.raises(ShapeError, match="needs a factor"):
        network_of(a, b, to_type=FLOAT)
    with pytest.raises(ShapeError, match="takes no factor"):
        network_of(a, b, factor=one)
    with pytest.raises(ShapeError, match="takes no y_zero"):
        network_of(a, b, factor=one, y_zero=np.uint8([1]), to_type=FLOAT)
    with pytest.raises(ShapeError, match="cannot use a bias"):
        network_of(a, b, bias=np.int32([1, 2, 3]))
    with pytest.raises(DTypeError, match="takes a bias of INT32"):
        network_of(a, b, bias=np.float32([1, 2, 3, 4]))
    for name, zero, type_ in (("a_zero", np.int8, "UINT8"), ("b_zero", np.uint8, "INT8"), ("y_zero", np.int8, "UINT8")):
        with pytest.raises(DTypeError, match=f"needs a {name} of {type_}"):
            network_of(a, b, factor=one, to_type=DataType.UINT8, **{name: zero([1])})
    with pytest.raises(ShapeError, match="equal rank"):
        network_of((1, *a), b)
    with pytest.raises(FieldValueError, match="cannot give HALF"):
        network_of(a, b, to_type=DataType.HALF)
    with pytest.raises(FieldValueError, match="above high = "):
        network_of(a, b, low=3, high=2)


@pytest.fixture
def network_of(infer):
    """Dims of y for dims of a and b, and what else the layer takes."""

    def ask(a, b, to_type=INT32, low=-128, high=255, **inputs):
        given = [np.zeros(a, np.uint8), np.zeros(b, np.int8)]
        given += [inputs.get(name) for name in ("a_zero", "b_zero", "factor", "bias", "y_zero")]
        return infer("QuantizedMatrixMultiply", *given, to_type=to_type, low=low, high=high)

    return ask
