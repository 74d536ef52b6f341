"""Budgets: what exceeds one is left as it is, or is an error that says what and how much."""

import numpy as np
import pytest
from networks import engine_of, new_network

import dovetail as trt
from dovetail.core import errors
from dovetail.machine.budget import Budget


def filled(network, extents):
    """A tensor of these extents that is filled from constants alone."""
    return network.add_fill(extents, trt.FillOperation.LINSPACE).get_output(0)


def network_with_fill(extents):
    builder, network, config = new_network()
    x = network.add_input("x", trt.float32, tuple(1 for _ in extents))
    y = network.add_elementwise(x, filled(network, extents), trt.ElementWiseOperation.SUM).get_output(0)
    y.name = "y"
    network.mark_output(y)
    return builder, network, config


def test_a_result_within_the_budget_is_folded():
    builder, network, config = network_with_fill((4,))
    assert engine_of(builder, network, config).num_layers == 1


@pytest.mark.parametrize("budget", [Budget(bytes=15), Budget(layers=0), Budget(seconds=0)], ids=str)
def test_a_result_beyond_the_budget_is_computed_in_every_inference(budget):
    builder, network, config = network_with_fill((4,))
    config.folding_budget = budget
    engine = engine_of(builder, network, config)
    assert engine.num_layers == 2
    assert "is not folded into a constant" in engine.report() and "config.folding_budget." in engine.report()
    y = engine.create_execution_context().run({"x": np.ones(1, np.float32)})["y"]
    folded = engine_of(*network_with_fill((4,))).create_execution_context().run({"x": np.ones(1, np.float32)})["y"]
    np.testing.assert_array_equal(y, folded)


def test_results_no_larger_than_their_constants_cost_no_bytes():
    builder, network, config = new_network()
    config.folding_budget = Budget(bytes=0)
    x = network.add_input("x", trt.float32, (3, 2))
    weights = network.add_constant((2, 3), np.arange(6, dtype=np.float32).reshape(2, 3)).get_output(0)
    turned = network.add_shuffle(weights)
    turned.first_transpose = (1, 0)
    y = network.add_elementwise(x, turned.get_output(0), trt.ElementWiseOperation.SUM).get_output(0)
    network.mark_output(y)
    assert engine_of(builder, network, config).num_layers == 1


def test_many_that_are_not_folded_are_counted():
    builder, network, config = new_network()
    config.folding_budget = Budget(layers=0)
    y = network.add_input("x", trt.float32, (1,))
    for _ in range(20):
        y = network.add_elementwise(y, filled(network, (1,)), trt.ElementWiseOperation.SUM).get_output(0)
    network.mark_output(y)
    assert "12 more layers are not folded" in engine_of(builder, network, config).report()


def test_what_exceeds_a_budget_is_named_with_amount_and_limit():
    meter = Budget(bytes=100, layers=2).meter("parser.budget")
    meter.use("Tile 'a'", bytes=60, layers=1)
    with pytest.raises(errors.BuildError) as raised:
        meter.use("Tile 'b'", bytes=60)
    assert str(raised.value).splitlines()[0] == (
        "Tile 'b' exceeds the budget: it needs 60 bytes after 60 used before, more than parser.budget.bytes = 100"
    )
    assert meter.refusal(layers=2) == "it needs 2 layers after 1 used before, more than parser.budget.layers = 2"
    assert (meter.bytes, meter.layers, meter.refusal(bytes=40)) == (60, 1, "")


@pytest.mark.parametrize("limits", [{"bytes": -1}, {"layers": "many"}, {"seconds": float("nan")}], ids=str)
def test_a_budget_of_nonsense_is_refused(limits):
    with pytest.raises(errors.FieldValueError, match="a budget cannot have"):
        Budget(**limits)


def test_a_config_takes_a_budget_and_nothing_else():
    _, _, config = new_network()
    with pytest.raises(errors.DTypeError, match=r"config\.folding_budget takes a Budget, got int"):
        config.folding_budget = 3
