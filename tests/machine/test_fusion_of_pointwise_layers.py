"""Chains and patterns of pointwise layers without a computing layer run as one step, with operands of any extents."""

import numpy as np
import pytest
from fusing import PROD, RELU, SIGMOID, SUM, Net, check_both, not_fused

import dovetail as trt
from dovetail.core.types import DataType
from dovetail.machine.testing import Case, make_layer, rows_of, run_row, truth
from dovetail.machine.testing_epilogues import Behind, absorbs

Unary, ElementWise, Activation = trt.UnaryOperation, trt.ElementWiseOperation, trt.ActivationType
DIMS = (2, 5, 9, 13)


def constant(net, dims, seed=3):
    values = np.random.default_rng(seed).uniform(0.5, 1.5, dims).astype(np.float32)
    return net.network.add_constant(dims, values).get_output(0)


HEADS = {
    "Activation": lambda net, x: net.activation(x, "head"),
    "Unary": lambda net, x: net.unary(x, Unary.ABS, "head"),
    "Scale": lambda net, x: net.scale(x, "head"),
    "ElementWise": lambda net, x: net.add(x, x, "head"),
    "ElementWise of a channel": lambda net, x: net.add(x, constant(net, (1, 5, 1, 1)), "head"),
    "ElementWise that repeats": lambda net, x: net.add(constant(net, (2, 5, 1, 13)), x, "head"),
    "Select": lambda net, x: net.named(
        net.network.add_select(net.add(x, net.number(0.0), "more", ElementWise.GREATER), x, constant(net, DIMS)), "head"
    ),
    "ParametricReLU": lambda net, x: net.named(net.network.add_parametric_relu(x, constant(net, (1, 5, 1, 1))), "head"),
}
SHAPES = [DIMS, (1, 1, 1, 1), (1, 5, 1, 1), (2, 5, 1, 1), (1, 1, 9, 13), (2, 1, 9, 13), (1, 1, 1, 13), (1, 1, 9, 1),
          (2, 1, 1, 13), (1, 5, 9, 1), (2, 5, 1, 13), (2, 1, 1, 1)]  # fmt: skip


@pytest.mark.parametrize("head", HEADS)
def test_every_pointwise_layer_takes_those_behind_it(head):
    net = Net(DIMS)
    y = net.activation(net.add(HEADS[head](net, net.x), net.x, "sum"), "relu")
    plan = net.plan(y)
    before = ["more"] if head == "Select" else []
    check_both(net, y, wanted=[*before, "head + sum + relu"])
    assert "head + sum + relu" in trt.build_report(plan)


@pytest.mark.parametrize("is_constant", [True, False], ids=["constant", "computed"])
@pytest.mark.parametrize("dims", SHAPES, ids=str)
def test_operands_may_be_repeated_along_any_axes(dims, is_constant):
    net = Net(DIMS)
    other = constant(net, dims)
    if not is_constant:
        other = net.named(net.network.add_softmax(other), "softmax")
    y = net.activation(net.add(net.activation(net.x, "head"), other, "product", PROD), "sigmoid", SIGMOID)
    check_both(net, y, wanted=[*([] if is_constant else ["softmax"]), "head + product + sigmoid"], folding_budget=NONE)


NONE = trt.Budget(bytes=0, layers=0, seconds=0.0)


def test_a_pattern_on_an_input_that_others_take_too():
    net = Net(DIMS)
    y = net.add(net.x, net.activation(net.x, "sigmoid", SIGMOID), "product", PROD)
    check_both(net, net.add(y, net.x, "sum"), wanted=["sigmoid + product + sum"])


def test_pieces_of_many_threads_and_of_unknown_extents():
    net = Net((4, 5, 33, 47), batch=(1, 2, 4))
    y = net.add(net.add(net.x, constant(net, (1, 5, 1, 47)), "head"), constant(net, (1, 1, 33, 1)), "rows", PROD)
    check_both(net, net.activation(y, "relu"), wanted=["head + rows + relu"])


# ---- what stays by itself


def test_layers_that_make_the_result_larger_begin_a_group_of_their_own():
    net = Net((1, 5, 1, 13))
    y = net.activation(net.add(net.activation(net.x, "small"), constant(net, (1, 5, 9, 13)), "grown"), "relu")
    plan = check_both(net, y, wanted=["small", "grown + relu"])
    assert any("grown is not fused into small: it gives" in line for line in not_fused(plan))


def test_results_that_are_outputs_or_taken_twice_stay():
    net = Net(DIMS)
    first = net.activation(net.x, "first")
    second = net.activation(first, "second", SIGMOID)
    third = net.conv(first, 5, "conv")
    check_both(net, second, third, wanted=["first", "second", "conv"])


def test_operations_on_integers_stay():
    net = Net(DIMS)
    whole = net.named(net.network.add_cast(net.x, trt.int32), "cast")
    y = net.named(net.network.add_cast(net.add(net.add(whole, whole, "sum"), whole, "again"), trt.float32), "back")
    check_both(net, y, wanted=["cast", "sum", "again", "back"])


# ---- every row, every format

ROWS = {
    "Activation": Case("pieces", x=(2, 18, 9, 13), type=RELU),
    "Unary": Case("pieces", x=(2, 18, 9, 13), op=Unary.ABS),
    "Scale": Case("pieces", x=(2, 18, 9, 13), scale=(18,), shift=(18,), mode=trt.ScaleMode.CHANNEL, channel_axis=1),
    "ElementWise": Case("pieces", a=(2, 18, 9, 13), b=(2, 18, 9, 13), op=SUM),
    "ParametricReLU": Case("pieces", x=(2, 18, 9, 13), slopes=(2, 18, 9, 13)),
}
FORMULAS = {
    "row": ("x * w",),
    "channel": ("x * g + along(s, 1)", "tanh(x)"),
    "all forms": ("x * w + along(t, 1)", "max(x, r)", "x * sigmoid(x)"),
}


@pytest.mark.parametrize("formulas", FORMULAS)
@pytest.mark.parametrize("op", ROWS)
def test_every_row_computes_operands_of_every_form(op, formulas):
    lookup = trt.get_plugin_registry()
    arrays, values = ROWS[op].arrays(lookup, f"{op}@1", DataType.FLOAT)
    layer = make_layer(lookup, f"{op}@1", arrays, values)
    behind = Behind(layer, FORMULAS[formulas])
    rows = [row for row in rows_of(lookup, layer)[0] if absorbs(row)]
    assert len({row.formats[-1] for row in rows}) > 5
    wanted = behind.truth(truth(layer, arrays)[0])
    for row in rows:
        assert behind.is_absorbed(row), row.row.label
        got = run_row(layer, row, arrays, 2, behind)[0]
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5, err_msg=row.row.label)


FUNCTIONS = {
    "exp(x)": np.exp,
    "expm1(x)": np.expm1,
    "softplus(x)": lambda x: np.logaddexp(x, 0),
    "x ** 2": lambda x: x**2,
    "x ** 3": lambda x: x**3,
    "x ** 4": lambda x: x**4,
    "x ** 2.5": lambda x: x**2.5,
}


@pytest.mark.parametrize("formula", FUNCTIONS)
def test_functions_of_all_floats(formula):
    """Behind max(x, x), over all numbers, infinities and nan; in units in the last place of normal numbers."""
    rng = np.random.default_rng(2)
    every = rng.integers(0, 2**32, 4000, dtype=np.uint64).astype(np.uint32).view(np.float32)
    own = [rng.uniform(low, -low, 2000) for low in (-110, -1, -1e-3)]
    ends = [0, -0.0, np.inf, -np.inf, np.nan, 88.6, 88.73, 89, -87.4, -104]
    x = np.concatenate([*own, every, ends], dtype=np.float32, casting="same_kind")
    x = x[: len(x) // 10 * 10].reshape(2, 5, 1, -1)
    lookup = trt.get_plugin_registry()
    layer = make_layer(lookup, "ElementWise@1", [x, x], {"op": ElementWise.MAX})
    behind = Behind(layer, (formula,))
    with np.errstate(all="ignore"):
        exact = FUNCTIONS[formula](x.astype(np.float64))
        wanted = exact.astype(np.float32)
    rows = [row for row in rows_of(lookup, layer)[0] if absorbs(row)]
    assert rows
    for row in rows:
        got = run_row(layer, row, [x, x], 1, behind)[0]
        np.testing.assert_array_equal(np.isnan(got), np.isnan(wanted), row.row.label)
        is_far = np.isinf(wanted)
        np.testing.assert_array_equal(got[is_far], wanted[is_far], row.row.label)
        rest = ~is_far & ~np.isnan(wanted)
        unit = np.spacing(np.abs(wanted[rest])).astype(np.float64)
        error = np.abs(got[rest].astype(np.float64) - exact[rest])
        assert (error <= np.maximum(8 * unit, 2.0**-125)).all(), (row.row.label, x[rest][(error / unit).argmax()])


def test_halves_are_not_absorbed_since_they_would_be_rounded_between():
    lookup = trt.get_plugin_registry()
    arrays, values = ROWS["Activation"].arrays(lookup, "Activation@1", DataType.HALF)
    layer = make_layer(lookup, "Activation@1", arrays, values)
    behind = Behind(layer, ("x * sigmoid(x)",))
    rows = [row for row in rows_of(lookup, layer)[0] if absorbs(row)]
    assert rows and not any(behind.is_absorbed(row) for row in rows)
