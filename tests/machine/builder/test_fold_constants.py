"""Layers of constants become constants, as far as the budget reaches."""

import numpy as np
import pytest
from networks import new_network

import dovetail as trt

WEIGHTS = np.array([[-2.0, 0.5, 3.0]], np.float32)


@pytest.fixture
def given():
    """y = x + relu(weights), and z = relu(x)."""
    _, network, config = new_network()
    x = network.add_input("x", trt.float32, (1, 3))
    constant = network.add_constant((1, 3), WEIGHTS)
    constant.name = "weights"
    relu = network.add_activation(constant.get_output(0), trt.ActivationType.RELU)
    relu.name = "of weights"
    total = network.add_elementwise(x, relu.get_output(0), trt.ElementWiseOperation.SUM)
    network.mark_output(total.get_output(0))
    kept = network.add_activation(x, trt.ActivationType.RELU)
    kept.name = "of x"
    network.mark_output(kept.get_output(0))
    return network, config


def test_what_depends_on_constants_alone_is_computed(given, graph_after):
    graph = graph_after("fold_constants", *given)
    assert "of weights" not in [layer.name for layer in graph.layers]
    assert "of x" in [layer.name for layer in graph.layers]
    (total,) = (layer for layer in graph.layers if layer.spec.name == "ElementWise")
    np.testing.assert_array_equal(total.inputs[1].constant, np.maximum(WEIGHTS, 0))
    assert total.inputs[1].producer is None


def test_what_exceeds_the_budget_stays_and_is_named(given, graph_after):
    network, config = given
    config.folding_budget = trt.Budget(layers=0)
    graph = graph_after("fold_constants", network, config)
    assert "of weights" in [layer.name for layer in graph.layers]
    (note,) = (note for note in graph.notes if "'of weights'" in note)
    assert "is not folded into a constant" in note and "layers" in note


def test_many_refusals_are_counted_and_not_listed(graph_after):
    _, network, config = new_network()
    total = network.add_input("x", trt.float32, (1, 3))
    for _ in range(11):
        relu = network.add_activation(network.add_constant((1, 3), WEIGHTS).get_output(0), trt.ActivationType.RELU)
        total = network.add_elementwise(total, relu.get_output(0), trt.ElementWiseOperation.SUM).get_output(0)
    network.mark_output(total)
    config.folding_budget = trt.Budget(layers=0)
    notes = graph_after("fold_constants", network, config).notes
    named = [note for note in notes if "is not folded into a constant" in note]
    (counted,) = (note for note in notes if "more layers are not folded" in note)
    assert len(named) + int(counted.split()[0]) >= 11
    assert len(named) == 8
