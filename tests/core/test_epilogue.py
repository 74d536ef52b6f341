"""Formulas as steps: what is compiled computes what the reference does, and what cannot be compiled says why."""

import numpy as np
import pytest

import dovetail as trt
from dovetail import _native
from dovetail.core.contract import OpSpec
from dovetail.core.epilogue import Given, NotAbsorbed, Operand, OperandKind, Program, StepOperation, extended
from dovetail.core.expr import DimsExprs, input_dim
from dovetail.core.functions import FUNCTIONS, converted
from dovetail.core.types import DataType

ActivationType, ElementWiseOperation, UnaryOperation = trt.ActivationType, trt.ElementWiseOperation, trt.UnaryOperation
FLOAT = DataType.FLOAT
DIMS = DimsExprs((2, 3, 4))
RNG = np.random.default_rng(0)
X = RNG.uniform(-3, 3, (2, 3, 4))
RESULT, STEP, CONSTANT, TENSOR = OperandKind
FORMULA = {value: formula for _, value, _, formula in _native.STEP_OPERATIONS}


def spec(name: str) -> OpSpec:
    return trt.get_plugin_registry().find(name)


def of(array, dtype=FLOAT, is_constant=True) -> Given:
    return Given(DimsExprs(array.shape), dtype, array if is_constant else None)


def added(program, name, values, inputs, made=0, dtype=FLOAT, result=DIMS):
    found = spec(name)
    places = made if isinstance(made, dict) else {made: program.n_layers - 1}
    return extended(program, found, {**found.defaults(), **values}, inputs, places, result, dtype)


def run(program: Program, result, tensors=()):
    """The program in NumPy."""
    known = []
    for step in program.steps:
        operands = []
        for operand in step.operands:
            if operand.kind == RESULT:
                operands.append(result)
            elif operand.kind == STEP:
                operands.append(known[operand.value])
            else:
                operands.append(np.float64(operand.value) if operand.kind == CONSTANT else tensors[operand.value])
        with np.errstate(all="ignore"):
            if step.operation == StepOperation.CAST:
                known.append(np.asarray(converted(np.asarray(operands[0], np.float64), step.dtype), np.float64))
            else:
                known.append(np.asarray(FUNCTIONS[FORMULA[step.operation]].of(*operands), np.float64))
    return known[-1]


@pytest.mark.parametrize("kind", ActivationType)
def test_every_activation_is_compiled(kind):
    values = {"type": kind, "alpha": 0.3, "beta": 0.8}
    program, taken = added(Program(FLOAT), "Activation", values, [of(X, is_constant=False)])
    assert not taken
    np.testing.assert_allclose(run(program, X), spec("Activation").reference(values, X), rtol=1e-9, atol=1e-12)


FLOATING = [op for op in UnaryOperation if FLOAT in op.types]


@pytest.mark.parametrize("op", FLOATING, ids=lambda op: op.name)
def test_every_function_of_floats_is_compiled(op):
    program, _ = added(Program(FLOAT), "Unary", {"op": op}, [of(X, is_constant=False)],
                       dtype=DataType.BOOL if op.is_question else FLOAT)  # fmt: skip
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(run(program, X), spec("Unary").reference({"op": op}, X).astype(float))


ON_FLOATS = [op for op in ElementWiseOperation if not op.is_on_bits and not op.is_logical]


@pytest.mark.parametrize("made", [0, 1])
@pytest.mark.parametrize("op", ON_FLOATS, ids=lambda op: op.name)
def test_every_operation_on_floats_is_compiled_on_either_side(op, made):
    other = RNG.uniform(0.5, 2, (1, 3, 1))
    inputs = [of(X, is_constant=False), of(other)]
    arrays = [X, other]
    if made:
        inputs.reverse()
        arrays.reverse()
    dtype = DataType.BOOL if op.is_comparison else FLOAT
    program, taken = added(Program(FLOAT), "ElementWise", {"op": op}, inputs, made, dtype)
    assert [one.index for one in taken] == [1 - made]
    with np.errstate(all="ignore"):
        wanted = spec("ElementWise").reference({"op": op}, *arrays).astype(float)
    np.testing.assert_allclose(run(program, X, [other]), wanted)


def test_values_along_an_axis_become_tensors_of_the_results_rank_and_single_ones_constants():
    scale, shift = RNG.uniform(1, 2, 3), np.array([0.5])
    inputs = [of(X, is_constant=False), of(scale), of(shift)]
    program, taken = added(Program(FLOAT), "Scale", {"mode": trt.ScaleMode.CHANNEL, "channel_axis": 1}, inputs)
    assert [(one.index, one.dims) for one in taken] == [(1, (1, 3, 1))]
    assert [s.operation.name for s in program.steps] == ["MUL", "ADD"]
    assert program.steps[1].operands[1] == Operand(CONSTANT, 0.5)
    np.testing.assert_allclose(run(program, X, [scale.reshape(1, 3, 1)]), X * scale[:, None] + 0.5)


def test_layers_follow_each_other_and_parts_are_prefixes():
    program, _ = added(Program(FLOAT), "Activation", {"type": ActivationType.SIGMOID}, [of(X, is_constant=False)])
    other = RNG.uniform(-1, 1, X.shape)
    program, taken = added(program, "ElementWise", {"op": ElementWiseOperation.PROD},
                           [of(other, is_constant=False), of(X, is_constant=False)], made=1)  # fmt: skip
    assert ([s.layer for s in program.steps], program.n_tensors) == ([0, 1], (0, 1))
    assert [(one.index, one.dims) for one in taken] == [(0, None)]
    np.testing.assert_allclose(run(program, X, [other]), other / (1 + np.exp(-X)))
    assert program.first(1).steps == program.steps[:1]
    assert [program.layers_in(n) for n in range(3)] == [0, 1, 2]


def test_a_value_that_is_used_twice_is_computed_once():
    program, _ = added(Program(FLOAT), "Activation", {"type": ActivationType.HARD_SIGMOID, "alpha": 1.0, "beta": 0.0},
                       [of(X, is_constant=False)])  # fmt: skip
    leaky, _ = added(
        program, "Activation", {"type": ActivationType.LEAKY_RELU, "alpha": 0.1}, [of(X, is_constant=False)]
    )
    before = len(program.steps) - 1
    uses = [o.value for s in leaky.steps[before + 1 :] for o in s.operands if o.kind == STEP]
    assert uses.count(before) == 3
    np.testing.assert_allclose(run(leaky, X), np.clip(X, 0, 1))


def test_conversions_are_steps():
    inputs = [of(X, is_constant=False), of(np.array(0.05))]
    program, _ = added(Program(FLOAT), "Quantize", {}, inputs, dtype=DataType.INT8)
    assert program.steps[-1].operation == StepOperation.CAST
    back = [of(X, DataType.INT8, is_constant=False), of(np.array(0.05))]
    program, _ = added(program, "Dequantize", {}, back)
    np.testing.assert_allclose(run(program, X), np.clip(np.rint(np.float32(X) / np.float32(0.05)), -128, 127) * 0.05)
    program, _ = added(Program(FLOAT), "Cast", {"to_type": FLOAT}, [of(X, is_constant=False)])
    assert [s.operation for s in program.steps] == [StepOperation.CAST]


BATCH = DimsExprs((input_dim(0, 0, "batch"), 3, 4))
HIDDEN = of(X, is_constant=False)


@pytest.mark.parametrize(
    ("name", "values", "inputs", "dtype", "reason"),
    [
        ("SoftMax", {}, [HIDDEN], FLOAT, "has no scalar formula"),
        ("ElementWise", {"op": ElementWiseOperation.BIT_AND}, [HIDDEN, of(X)], FLOAT, "computes '&'"),
        ("Cast", {"to_type": DataType.INT32}, [HIDDEN], DataType.INT32, "gives INT32"),
        ("ElementWise", {"op": ElementWiseOperation.SUM}, [HIDDEN, of(X, DataType.INT32)], FLOAT, "takes INT32 as 'b'"),
        (
            "ElementWise",
            {"op": ElementWiseOperation.SUM},
            [HIDDEN, of(X[0], FLOAT, False)],
            FLOAT,
            "2 dims",
        ),
        ("ElementWise", {"op": ElementWiseOperation.SUM}, [HIDDEN, of(np.zeros((2, 2, 4)))], FLOAT, "is not repeated"),
        ("Dequantize", {"axis": 1}, [HIDDEN, of(np.ones(3), FLOAT, False)], FLOAT, "which is not a constant"),
    ],
)
def test_what_cannot_be_a_step_says_why(name, values, inputs, dtype, reason):
    with pytest.raises(NotAbsorbed) as error:
        added(Program(FLOAT), name, values, inputs, dtype=dtype)
    assert reason in str(error.value)


def test_an_operand_of_unknown_extents_fits_where_they_are_the_same():
    same = Given(BATCH, FLOAT)
    program, _ = added(Program(FLOAT), "ElementWise", {"op": ElementWiseOperation.SUM}, [Given(BATCH, FLOAT), same],
                       result=BATCH)  # fmt: skip
    assert len(program.steps) == 1
    other = Given(DimsExprs((input_dim(1, 0, "others"), 3, 4)), FLOAT)
    with pytest.raises(NotAbsorbed, match="is not repeated"):
        added(Program(FLOAT), "ElementWise", {"op": ElementWiseOperation.SUM}, [Given(BATCH, FLOAT), other],
              result=BATCH)  # fmt: skip


def test_a_program_over_a_result_of_another_type_gives_that_type_where_it_gave_the_former_one():
    program, _ = added(Program(FLOAT), "Activation", {"type": ActivationType.RELU}, [of(X, is_constant=False)])
    program, _ = added(program, "Cast", {"to_type": DataType.BOOL}, [of(X, is_constant=False)], dtype=DataType.BOOL)
    half = program.retyped(DataType.HALF)
    assert (half.result_type, half.steps[0].dtype, half.steps[-1].dtype) == (
        DataType.HALF,
        DataType.HALF,
        DataType.BOOL,
    )
    assert [step.operation for step in half.steps] == [step.operation for step in program.steps]
    assert program.retyped(FLOAT) is program
