"""Scalar formulas: what they say, what is refused, and that the proof finds a formula that says something else."""

import ast
from dataclasses import replace
from enum import IntEnum

import numpy as np
import pytest

import dovetail as trt
from dovetail.core.contract import OpSpec
from dovetail.core.errors import DefinitionError
from dovetail.core.scalar import evaluate, parse, prove, resolved
from dovetail.core.types import FLOATS, DataType
from dovetail.plugins import Input, Output, Plugin, Weights, field


class Curve(IntEnum):
    """Which curve."""

    LINE = 0
    SQUARE = 1


class Bend(Plugin):
    """y = a * x + b, or its square"""

    x = Input(FLOATS)
    offset = Weights(FLOATS, optional=True)
    y = Output(like="x")
    curve: Curve = field(Curve.LINE, doc="Which.")
    a: float = field(2.0, doc="Factor.")
    axis: int = field(1, doc="Axis of the offsets.")

    scalar = "choice(curve, LINE=a * x + along(offset, axis), SQUARE=(a * x + along(offset, axis)) ** 2)"

    def infer(self, x, offset):
        return x.like()

    def reference(self, x, offset):
        y = self.a * x
        if offset is not None:
            y = y + offset.reshape((-1,) + (1,) * (x.ndim - self.axis - 1))
        return y * y if self.curve == Curve.SQUARE else y


SPEC = Bend.dovetail_spec
X = np.linspace(-2, 2, 24).reshape(2, 3, 4).astype(np.float32)
OFFSET = np.array([1, 2, 3], np.float32)


def values(**changed):
    return {**SPEC.defaults(), **changed}


def test_a_formula_of_a_layer_has_its_fields_and_drops_what_is_absent():
    term = resolved(SPEC, values(), ("x",))
    np.testing.assert_array_equal(evaluate(term, {"x": X}), 2 * X)
    term = resolved(SPEC, values(curve=Curve.SQUARE, axis=-2), ("x", "offset"))
    np.testing.assert_array_equal(evaluate(term, {"x": X, "offset": OFFSET}), (2 * X + OFFSET[:, None]) ** 2)


def test_numbers_take_the_type_of_what_they_are_combined_with():
    term = resolved(SPEC, values(), ("x",))
    assert evaluate(term, {"x": X.astype(np.float16)}).dtype == np.float16
    assert evaluate(parse("1 if x > 0 else -1"), {"x": X}).dtype == np.float32
    assert evaluate(parse("x + 1"), {"x": np.int8([1])}).dtype == np.int8


@pytest.mark.parametrize(
    ("formula", "dtype", "x", "y"),
    [
        ("x / -2", np.int32, [-7, 7], [3, -3]),
        ("x // -2", np.int32, [-7, 7], [3, -4]),
        ("x / 0", np.int32, [-7, 7], [0, 0]),
        ("x % 0", np.int64, [-7, 7], [0, 0]),
        ("x % 3", np.float32, [-7, 7], [2, 1]),
        ("fmod(x, 3)", np.float32, [-7, 7], [-1, 1]),
        ("x << 31", np.int32, [1, 2], [-(2**31), 0]),
        ("x >> 40", np.int32, [-1, 5], [-1, 0]),
        ("max(x, 0)", np.float32, [np.nan, -1], [np.nan, 0]),
        ("sigmoid(x)", np.float32, [-1000, 1000], [0, 1]),
        ("softplus(x)", np.float32, [-1000, 1000], [0, 1000]),
        ("round(x)", np.float32, [0.5, 1.5], [0, 2]),
        ("not x", np.bool_, [True, False], [False, True]),
    ],
)
def test_meanings(formula, dtype, x, y):
    got = evaluate(parse(formula), {"x": np.asarray(x, dtype)})
    np.testing.assert_array_equal(got, np.asarray(y, dtype))


@pytest.mark.parametrize(
    ("formula", "part"),
    [
        ("x +", "cannot be parsed"),
        ("x.y", "Attribute is not a term"),
        ("x['a']", "Subscript is not a term"),
        ("'text'", "a str"),
        ("floor(x, 2)", "takes 1 argument, got 2"),
        ("expp(x)", "there is no function expp"),
        ("0 < x < 1", "two terms"),
        ("choice(1, A=x)", "takes a field"),
        ("along(x + 1, 0)", "takes an input and an axis"),
        ("along(x, 0.5)", "an axis is a whole number"),
        ("exp(x=1)", "takes no keywords"),
        ("__import__('os')", "there is no function __import__"),
        ("(lambda: x)()", "Call is not a term"),
    ],
)
def test_what_is_not_of_the_language_is_refused(formula, part):
    with pytest.raises(DefinitionError, match="scalar formula") as error:
        parse(formula)
    assert part in str(error.value)


@pytest.mark.parametrize(
    ("formula", "part"),
    [
        ("x + z", "names 'z', which is neither an input nor a field"),
        ("along(a, axis) + x", "lays 'a' along an axis, which is not an input"),
        ("choice(a, LINE=x, SQUARE=x)", "chooses by 'a', which is not a field with an enumeration"),
        ("choice(curve, LINE=x)", "SQUARE"),
        ("choice(curve, LINE=x, SQUARE=x, CUBE=x)", "CUBE"),
    ],
)
def test_a_class_whose_formula_names_what_it_does_not_have_is_refused_at_its_line(formula, part):
    with pytest.raises(DefinitionError) as error:
        type("Wrong", (Bend,), {"scalar": formula, "__doc__": "y = x"})
    assert part in str(error.value)
    assert "defined at" in str(error.value)


def test_a_class_may_leave_its_reference_to_the_formula():
    class Doubled(Plugin):
        """y = 2 * x"""

        x = Input(FLOATS)
        y = Output(like="x")
        scalar = "2 * x"

    np.testing.assert_array_equal(Doubled.dovetail_spec.reference({}, X), 2 * X)
    assert [i.id for i in Doubled.dovetail_implementations] == ["Doubled@1#reference"]


def test_the_proof_takes_a_right_formula_and_names_where_a_wrong_one_differs():
    prove(SPEC, values(), [X, OFFSET])
    prove(SPEC, values(), [X])
    wrong = replace(SPEC, scalar=SPEC.scalar.replace("LINE=a * x +", "LINE=a * x -"))
    with pytest.raises(DefinitionError, match="is not what its reference computes") as error:
        prove(wrong, values(), [X, OFFSET])
    text = str(error.value)
    assert all(part in text for part in ("formula gives", "reference gives", "inputs at [0, 0, 0]", "curve LINE"))


def test_the_proof_tries_the_members_that_no_case_names():
    wrong = replace(SPEC, scalar=SPEC.scalar.replace("** 2", "** 3"))
    with pytest.raises(DefinitionError, match="curve SQUARE"):
        prove(wrong, values(), [X, OFFSET])


def test_the_proof_tries_nan_and_infinities():
    class Positive(Plugin):
        """y = max(x, 0)"""

        x = Input(FLOATS)
        y = Output(like="x")
        scalar = "x if x > 0 else 0"  # gives 0 for nan

        def reference(self, x):
            return np.maximum(x, 0)

    with pytest.raises(DefinitionError, match="is not what its reference computes"):
        prove(Positive.dovetail_spec, {}, [X])


# ---- the built-in specs

SPECS = [s for s in trt.get_plugin_registry().specs() if s.scalar]


def inputs_of(spec: OpSpec, dtype: DataType) -> list:
    """Small arrays for every port, per-channel ones where the formula lays them along an axis."""
    arrays = []
    for port in spec.inputs:
        own = dtype if not port.types or dtype in port.types else port.types[0]
        shape = (3,) if f"along({port.name}" in spec.scalar else (2, 3, 4)
        array = np.random.default_rng(1).uniform(0.5, 2, shape)
        arrays.append(None if port.checked else array.astype(trt.nptype(own)))
    return arrays


def values_of(spec: OpSpec) -> dict:
    required = {f.name: next(iter(f.enum)) if f.enum else DataType.INT32 for f in spec.fields}
    fixed = {"axis": 1, "mode": 1, "channel_axis": 1, "alpha": 0.3, "beta": 0.8, "to_type": DataType.INT32}
    return {**required, **spec.defaults(), **{n: v for n, v in fixed.items() if spec.field_named(n)}}


@pytest.mark.parametrize("spec", SPECS, ids=lambda s: s.id)
def test_every_built_in_formula_is_what_its_reference_computes(spec):
    prove(spec, values_of(spec), inputs_of(spec, DataType.FLOAT))


OTHERS = {
    ast.Add: ast.Sub(),
    ast.Sub: ast.Add(),
    ast.Mult: ast.Add(),
    ast.Div: ast.Mult(),
    ast.Pow: ast.Mult(),
    ast.GtE: ast.Lt(),
    ast.Gt: ast.Lt(),
    ast.LtE: ast.Gt(),
}
FUNCTIONS = {"max": "min", "min": "max", "tanh": "sigmoid", "sigmoid": "tanh", "expm1": "exp", "softplus": "exp"}
FUNCTIONS |= {"abs": "negated", "round": "floor"}


def changed(formula: str) -> list[str]:
    """The formula with each of its operators and functions exchanged for another, one at a time."""
    found = []
    for i in range(len(list(ast.walk(ast.parse(formula))))):
        tree = ast.parse(formula, mode="eval")
        node = list(ast.walk(tree))[i] if i < len(list(ast.walk(tree))) else None
        if isinstance(node, ast.BinOp) and type(node.op) in OTHERS:
            node.op = OTHERS[type(node.op)]
        elif isinstance(node, ast.Compare) and type(node.ops[0]) in OTHERS:
            node.ops = [OTHERS[type(node.ops[0])]]
        elif isinstance(node, ast.Call) and node.func.id in FUNCTIONS:
            node.func.id = FUNCTIONS[node.func.id].replace("negated", "sqrt")
        elif isinstance(node, ast.IfExp):
            node.body, node.orelse = node.orelse, node.body
        else:
            continue
        found.append(ast.unparse(tree))
    return found


PROVED = [s for s in SPECS if not s.reference.is_by_formula]


@pytest.mark.parametrize(
    ("spec", "formula"),
    [pytest.param(s, f, id=f"{s.name}-{i}") for s in PROVED for i, f in enumerate(changed(s.scalar))],
)
def test_no_other_formula_passes_for_a_built_in_one(spec, formula):
    with pytest.raises(DefinitionError, match="is not what its reference computes"):
        prove(replace(spec, scalar=formula), values_of(spec), inputs_of(spec, DataType.FLOAT))


def test_formulas_are_proved_against_other_references_than_themselves():
    assert {"Activation", "Scale", "ParametricReLU", "Select", "Quantize", "Dequantize"} <= {s.name for s in PROVED}
