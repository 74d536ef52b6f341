"""The graph that passes are handed: one layer in the place of another."""

from types import SimpleNamespace

import numpy as np
import pytest
from networks import engine_of, new_network

import dovetail as trt
from dovetail.core.errors import BuildError, FieldValueError, PluginNotFound
from dovetail.machine.builder.pipeline import PassOffers, run


@pytest.fixture
def graph(graph_after):
    _, network, config = new_network()
    x = network.add_input("x", trt.float32, (2, -1))
    config_profile = trt.IOptimizationProfile()
    config_profile.set_shape("x", (2, 1), (2, 3), (2, 8))
    config.add_optimization_profile(config_profile)
    network.mark_output(network.add_unary(x, trt.UnaryOperation.ABS).get_output(0))
    return graph_after("fold_constants", network, config)


def test_a_layer_takes_over_place_outputs_and_device(graph):
    old = graph.layers[0]
    new = graph.substitute(old, "Activation@1", old.inputs, type=trt.ActivationType.RELU)
    assert graph.layers == [new] and graph.outputs[0].producer is new
    assert (new.name, new.device, new.outputs) == (old.name, old.device, old.outputs)
    assert (new.values["type"], new.values["alpha"]) == (trt.ActivationType.RELU, 0.0)


@pytest.mark.parametrize(
    ("op", "fields", "fact"),
    [("Cast@1", {"to_type": trt.float16}, "HALF [2, x.1]"), ("Shape@1", {}, "INT32 [2]")],
)
def test_one_that_makes_other_outputs_is_refused_with_both(graph, op, fields, fact):
    old = graph.layers[0]
    with pytest.raises(BuildError, match=f"{op} cannot replace Unary@1") as error:
        graph.substitute(old, op, old.inputs, **fields)
    assert error.value.facts == [("its outputs", fact), ("needed", "FLOAT [2, x.1]")]
    assert graph.layers == [old]


def test_an_unknown_op_and_an_unknown_field_are_named(graph):
    old = graph.layers[0]
    with pytest.raises(PluginNotFound):
        graph.substitute(old, "acme::Swish@1", old.inputs)
    with pytest.raises(FieldValueError, match="has no field 'gain'"):
        graph.substitute(old, "Activation@1", old.inputs, gain=1.0)


def test_a_layer_that_tells_an_extent_stays(graph_after):
    _, network, config = new_network()
    x = network.add_input("x", trt.float32, (4,))
    network.mark_output(network.add_non_zero(x).get_output(0))
    graph = graph_after("infer_shapes", network, config)
    (old,) = (layer for layer in graph.layers if layer.spec.name == "NonZero")
    with pytest.raises(BuildError, match="which writes a data-dependent extent"):
        graph.substitute(old, "NonZero@1", old.inputs)


def test_a_network_runs_with_what_was_put_in(monkeypatch):
    def use_relu(graph, build):
        for layer in list(graph.layers):
            if layer.spec.name == "Unary":
                graph.substitute(layer, "Activation@1", layer.inputs, type=trt.ActivationType.RELU)
        return graph

    offers = PassOffers()
    offers.add_pass(use_relu, after="fold_constants")
    monkeypatch.setattr("dovetail.machine.builder.pipeline.with_plugins", lambda lookup: offers.pipeline)
    builder, network, config = new_network()
    layer = network.add_unary(network.add_input("x", trt.float32, (3,)), trt.UnaryOperation.ABS)
    layer.get_output(0).name = "y"
    network.mark_output(layer.get_output(0))
    engine = engine_of(builder, network, config)
    assert engine.create_execution_context().run({"x": np.float32([-1, 0, 2])})["y"].tolist() == [0, 0, 2]


@pytest.mark.parametrize(("given", "shown"), [(None, "nothing"), ([], "a list")])
def test_a_pass_that_returns_no_graph_is_named(given, shown):
    with pytest.raises(BuildError, match=f"pass 'mine' returned {shown}, not a graph"):
        run(SimpleNamespace(network=new_network()[1]), [("mine", lambda graph, build: given)])
