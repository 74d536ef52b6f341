"""MatrixMultiply. Cases are shared by correctness, benchmark and the reference page."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import engine_of, new_network, profile_of

import dovetail as trt
from dovetail.core.contract import SymbolicTensor
from dovetail.core.errors import DTypeError, ShapeError
from dovetail.core.expr import DimsExprs, constraints, input_dim
from dovetail.core.types import FLOATS, DataType, DeviceType, nptype
from dovetail.machine.testing import Case, check, check_case, describe, make_layer, rows_of, run_row
from dovetail.machine.testing_epilogues import Behind, absorbs
from dovetail.registry.loader import default_registry

NONE, TRANSPOSE, VECTOR = 0, 1, 2
NUMBERS = (*FLOATS, DataType.INT32, DataType.INT64)


def case(name, a, b, op0=NONE, op1=NONE, **more):
    return Case(name, a=a, b=b, op0=op0, op1=op1, **more)


CASES = [
    case("matrices", (5, 7), (7, 9), dtypes=NUMBERS),
    case("both transposed", (7, 5), (9, 7), TRANSPOSE, TRANSPOSE, dtypes=NUMBERS),
    case("a transposed", (70, 33), (70, 41), TRANSPOSE, dtypes=FLOATS),
    case("b transposed", (33, 70), (41, 70), op1=TRANSPOSE, dtypes=FLOATS),
    case("a vector on the left", (3, 40), (3, 40, 19), VECTOR, dtypes=NUMBERS),
    case("a vector on the right", (2, 150, 40), (2, 40), op1=VECTOR, dtypes=NUMBERS),
    case("a vector and transposed matrices", (2, 40), (2, 19, 40), VECTOR, TRANSPOSE, dtypes=FLOATS),
    case("transposed matrices and a vector", (2, 40, 19), (2, 40), TRANSPOSE, VECTOR, dtypes=FLOATS),
    case("two vectors", (4, 300), (4, 300), VECTOR, VECTOR, dtypes=NUMBERS),
    case("two vectors alone", (300,), (300,), VECTOR, VECTOR),
    case("one row", (1, 300), (300, 517), dtypes=FLOATS),
    case("one column", (517, 300), (300, 1), dtypes=FLOATS),
    case("one summed element", (13, 1), (1, 37), dtypes=FLOATS),
    case("one element", (1, 1), (1, 1)),
    case("a batch", (2, 3, 5, 7), (2, 3, 7, 9), dtypes=NUMBERS),
    case("b repeated", (2, 3, 5, 7), (1, 1, 7, 9), dtypes=FLOATS),
    case("a repeated", (1, 1, 5, 7), (2, 3, 7, 9), dtypes=FLOATS),
    case("each repeated on one axis", (2, 1, 5, 7), (1, 3, 7, 9), dtypes=FLOATS),
    case("the inner axis repeated", (2, 1, 130, 70), (2, 3, 70, 65), dtypes=FLOATS),
    case("many small ones", (50, 8, 8), (50, 8, 8)),
    case("nothing summed", (3, 0), (0, 4), dtypes=NUMBERS),
    case("nothing summed, halves", (30, 0), (0, 40), dtypes=FLOATS),
    case("no row", (0, 3), (3, 4)),
    case("no batch element", (0, 2, 3), (1, 3, 4)),
    case("larger than a block", (131, 300), (300, 201), dtypes=FLOATS),
    case("several pieces of k", (30, 1100), (1100, 70), dtypes=FLOATS),
    case("many columns", (57, 531), (531, 789), dtypes=FLOATS),
    case("many columns, a transposed", (270, 45), (270, 900), TRANSPOSE, dtypes=FLOATS),
    case("more rows than a block", (390, 30), (30, 450)),
    case("few rows", (4, 300), (300, 301)),
    case("b in place, with columns left over", (2, 70, 300), (2, 300, 77), dtypes=FLOATS),
    case("b packed, rows in place", (37, 300), (300, 203), dtypes=FLOATS),
    case("rows half a page apart", (30, 512), (512, 150), dtypes=FLOATS),
    case("a transposed, with squares left over", (301, 45), (301, 150), TRANSPOSE, dtypes=FLOATS),
    case("b transposed, with squares left over", (2, 45, 301), (2, 150, 301), op1=TRANSPOSE, dtypes=FLOATS),
    case("one row of each matrix, b transposed", (3, 1, 64), (3, 50, 64), op1=TRANSPOSE, dtypes=FLOATS),
    case("one longer row of each matrix, b transposed", (2, 1, 256), (2, 133, 256), op1=TRANSPOSE, dtypes=FLOATS),
    case("a batch of rows that threads share", (3, 101, 190), (3, 190, 97), dtypes=FLOATS),
    case("a long row", (1, 5000), (5000, 1100), dtypes=FLOATS),
    case("a long row of a transposed matrix", (1, 5000), (130, 5000), op1=TRANSPOSE, dtypes=FLOATS),
    case("attention", (8, 128, 64), (8, 128, 64), op1=TRANSPOSE, bench=True),
    case("square", (256, 256), (256, 256), bench=True),
]
test_kernels = check("MatrixMultiply@1", CASES)


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(*[st.integers(0, 40)] * 3),
    st.lists(st.tuples(st.integers(1, 3), st.sampled_from("abn")), max_size=3),
    st.sampled_from([0, 1, 2]),
    st.sampled_from([0, 1, 2]),
    st.sampled_from(NUMBERS),
)
def test_random(extents, batch, op0, op1, dtype):
    m, n, k = extents
    left = [1 if who == "a" else size for size, who in batch]
    right = [1 if who == "b" else size for size, who in batch]
    a = (*left, *{NONE: (m, k), TRANSPOSE: (k, m), VECTOR: (k,)}[op0])
    b = (*right, *{NONE: (k, n), TRANSPOSE: (n, k), VECTOR: (k,)}[op1])
    check_case(default_registry(), "MatrixMultiply@1", case("random", a, b, op0, op1), dtype, 2)


def test_tiles_of_every_size():
    for rows in range(14, 31):
        made = case("tile", (rows, 37), (37, 410))
        check_case(default_registry(), "MatrixMultiply@1", made, DataType.FLOAT, 1)


# A bias, alone and with more behind it; what looks like one but is not all that is made of the sums; and a gate.
BEHIND = (
    (),
    ("x + w",),
    ("w + x", "x * c", "x + r"),
    ("x + w", "x * (1 + erf(x * 0.7071))"),
    ("x * (x + w)",),
    ("x - w",),
    ("x * w", "x + w"),
)


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5, 29, 61])
@pytest.mark.parametrize("dtype", FLOATS)
def test_packed_constants_on_every_row_that_absorbs(rows, dtype):
    """Weights are packed while building, and what comes behind is computed in the product."""
    rng = np.random.default_rng(rows)
    registry = default_registry()
    for k, n in ((7, 5), (300, 203), (531, 130), (67, 803)):
        arrays = [rng.uniform(-1, 1, shape).astype(np.float32).astype(nptype(dtype)) for shape in ((rows, k), (k, n))]
        layer = make_layer(registry, "MatrixMultiply@1", arrays, {"op0": NONE, "op1": NONE})
        layer.inputs[1].constant = arrays[1]
        exact = np.matmul(*(array.astype(np.float64) for array in arrays))
        candidates, _ = rows_of(registry, layer, DeviceType.CPU)
        for formulas in BEHIND:
            behind = Behind(layer, formulas) if formulas else None
            wanted = behind.truth(exact) if behind else exact
            bound = {DataType.FLOAT: 2e-6, DataType.HALF: 2e-3, DataType.BF16: 2e-2}[dtype] * np.abs(wanted).max()
            absorbing = [one for one in candidates if not behind or (absorbs(one) and behind.is_absorbed(one))]
            assert absorbing
            for candidate in absorbing:
                got = run_row(layer, candidate, arrays, 2, behind)[0].astype(np.float64)
                np.testing.assert_allclose(got, wanted, atol=bound, rtol=0, err_msg=describe(candidate.row))


def of(*dims, dtype=DataType.FLOAT):
    return SymbolicTensor(DimsExprs(dims), dtype)


@pytest.mark.parametrize(
    ("a", "op0", "b", "op1", "dims"),
    [
        ((2, 3), NONE, (3, 4), NONE, (2, 4)),
        ((3, 2), TRANSPOSE, (4, 3), TRANSPOSE, (2, 4)),
        ((5, 3), VECTOR, (5, 3, 4), NONE, (5, 4)),
        ((5, 2, 3), NONE, (1, 3), VECTOR, (5, 2)),
        ((3,), VECTOR, (3,), VECTOR, ()),
    ],
)
def test_dims(infer, a, op0, b, op1, dims):
    (y,) = infer("MatrixMultiply", a, b, op0=op0, op1=op1)
    assert y.dims.known() == dims


def test_quantised_data_gives_float(infer):
    (y,) = infer("MatrixMultiply", of(2, 3, dtype=DataType.INT8), of(3, 4, dtype=DataType.INT8))
    assert y.dtype == DataType.FLOAT


def test_unknown_extents_are_checked_when_they_are_bound(infer):
    with constraints() as found:
        (y,) = infer("MatrixMultiply", of(input_dim(0, 0, "N"), 2, input_dim(0, 2, "K")), (8, 3, 4))
    assert y.dims.evaluate([[1, 2, 3]]) == (8, 2, 4)
    good = [all(c.condition.evaluate([dims]) for c in found) for dims in ([1, 2, 3], [8, 2, 3], [1, 2, 5], [2, 2, 3])]
    assert good == [True, True, False, False]


def test_summed_extents_that_differ_are_named(infer):
    with pytest.raises(ShapeError, match="got 3 and 4") as error:
        infer("MatrixMultiply", (2, 3), (4, 5))
    assert "NONE of [2, 3]" in str(error.value)


def test_too_few_dims_are_named(infer):
    with pytest.raises(ShapeError, match="2 dims or more for a with NONE, got 1") as error:
        infer("MatrixMultiply", (3,), (3, 5))
    assert (error.value.expected, error.value.got) == (2, 1)


def test_batches_must_agree(infer):
    with pytest.raises(ShapeError, match="batch of MatrixMultiply"):
        infer("MatrixMultiply", (2, 4, 3), (5, 3, 4))
    with pytest.raises(ShapeError, match="different rank"):
        infer("MatrixMultiply", (2, 4, 3), (3, 4))


def test_types_must_agree(infer):
    with pytest.raises(DTypeError, match="FLOAT with HALF"):
        infer("MatrixMultiply", of(2, 3), of(3, 4, dtype=DataType.HALF))


def engine_with_constant(constant, op0, op1, constant_first, dims, shapes=None):
    """An engine for x times a constant, or the other way round; `shapes` is the profile of x."""
    builder, network, config = new_network()
    x = network.add_input("x", trt.float32, dims)
    c = network.add_constant(constant.shape, constant).get_output(0)
    left, right = (c, x) if constant_first else (x, c)
    layer = network.add_matrix_multiply(left, trt.MatrixOperation(op0), right, trt.MatrixOperation(op1))
    layer.get_output(0).name = "y"
    network.mark_output(layer.get_output(0))
    if shapes:
        profile_of(builder, config, x=shapes)
    return engine_of(builder, network, config)


@pytest.mark.parametrize("constant_first", [False, True])
@pytest.mark.parametrize("op0", [NONE, TRANSPOSE])
@pytest.mark.parametrize("op1", [NONE, TRANSPOSE])
@pytest.mark.parametrize(
    "extents",
    [(3, 5, 7), (40, 300, 70), (1, 300, 70), (40, 300, 1), (1, 9, 300), (2, 531, 150), (3, 600, 301), (4, 513, 129)],
)
def test_constants_are_packed(constant_first, op0, op1, extents):
    m, k, n = extents
    rng = np.random.default_rng(3)
    a = rng.uniform(-1, 1, (m, k) if op0 == NONE else (k, m)).astype(np.float32)
    b = rng.uniform(-1, 1, (k, n) if op1 == NONE else (n, k)).astype(np.float32)
    wanted = (a if op0 == NONE else a.T).astype(np.float64) @ (b if op1 == NONE else b.T)
    x, constant = (b, a) if constant_first else (a, b)
    context = engine_with_constant(constant, op0, op1, constant_first, x.shape).create_execution_context()
    np.testing.assert_allclose(context.run({"x": x})["y"], wanted, atol=1e-4)


@pytest.mark.parametrize("op1", [NONE, TRANSPOSE])
@pytest.mark.parametrize("constant_first", [False, True])
def test_extents_of_the_run(op1, constant_first):
    rng = np.random.default_rng(4)
    constant = rng.uniform(-1, 1, (1, 60, 60)).astype(np.float32)
    dims, shapes = (-1, -1, 60), ((1, 1, 60), (4, 30, 60), (8, 90, 60))
    if constant_first:
        dims, shapes = (-1, 60, 60), ((1, 60, 60), (4, 60, 60), (8, 60, 60))
    context = engine_with_constant(constant, NONE, op1, constant_first, dims, shapes).create_execution_context()
    for batch, rows in ((1, 1), (1, 90), (3, 1), (8, 90), (2, 17)):
        x = rng.uniform(-1, 1, (batch, 60 if constant_first else rows, 60)).astype(np.float32)
        left, right = (constant, x) if constant_first else (x, constant)
        wanted = left.astype(np.float64) @ (right if op1 == NONE else right.swapaxes(1, 2))
        np.testing.assert_allclose(context.run({"x": x})["y"], wanted, atol=1e-4)


def test_int8_is_absorbed():
    rng = np.random.default_rng(5)
    a, b = rng.integers(-128, 128, (3, 40), np.int8), rng.integers(-128, 128, (40, 50), np.int8)
    builder, network, config = new_network()
    tensors = []
    for name, array, scale in (("a", a, 0.5), ("b", b, 0.25)):
        step = network.add_constant((1,), np.array([scale], np.float32)).get_output(0)
        source = network.add_input(name, trt.int8, array.shape)
        tensors.append(network.add_dequantize(source, step).get_output(0))
    layer = network.add_matrix_multiply(tensors[0], trt.MatrixOperation.NONE, tensors[1], trt.MatrixOperation.NONE)
    layer.get_output(0).name = "y"
    network.mark_output(layer.get_output(0))
    engine = engine_of(builder, network, config)
    assert engine.num_layers == 1
    y = engine.create_execution_context().run({"a": a, "b": b})["y"]
    np.testing.assert_array_equal(y, (a.astype(np.int32) @ b.astype(np.int32)).astype(np.float32) * np.float32(0.125))


@pytest.mark.parametrize(("transpose0", "transpose1"), [(False, False), (True, False), (True, True)])
def test_the_older_method_says_with_bools_what_is_transposed(network, transpose0, transpose1):
    dims = [(3, 2) if transpose0 else (2, 3), (4, 3) if transpose1 else (3, 4)]
    a, b = (network.add_input(name, trt.float32, shape) for name, shape in zip("ab", dims, strict=True))
    with pytest.warns(DeprecationWarning, match="add_matrix_multiply"):
        layer = network.add_matrix_multiply_deprecated(a, transpose0, b, transpose1)
    assert layer.get_output(0).shape == (2, 4)
    assert (layer.op0 == trt.MatrixOperation.TRANSPOSE, layer.op1 == trt.MatrixOperation.TRANSPOSE) == (
        transpose0,
        transpose1,
    )
