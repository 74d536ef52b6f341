"""The builder: choices are explained, pinned, and made for the network as a whole."""

import re

import numpy as np
import pytest
from networks import convolution_chain, engine_of, new_network

import dovetail as trt
from dovetail.core import errors
from dovetail.machine.builder.measurements import Measurements
from dovetail.machine.plan import read_plan


def test_the_report_names_what_runs_and_what_lost():
    builder, network, config = convolution_chain(2)
    plan = builder.build_serialized_network(network, config)
    report = trt.build_report(plan)
    assert "Convolution@1#cpu" in report and " lost" in report and "arena" in report
    layer = network.get_layer(0).name
    assert "runs on" in trt.build_report(plan, layer)


def test_a_pinned_implementation_runs():
    builder, network, config = convolution_chain(1)
    plan = read_plan(builder.build_serialized_network(network, config))
    rows = {step["runs_on"] for step in plan["report"]["steps"]}
    lost = [loser.split()[0] for step in plan["report"]["steps"] for loser in step["lost"] if "Convolution" in loser]
    losers = [row for row in lost if row not in rows]  # the one that runs may have lost in other formats
    assert losers
    config.pin_implementation(network.get_layer(0).name, losers[-1])
    again = read_plan(builder.build_serialized_network(network, config))
    assert losers[-1] in {step["runs_on"] for step in again["report"]["steps"]}


def test_the_reference_runs_where_it_is_asked_for_and_agrees():
    builder, network, config = convolution_chain(1)
    fast = engine_of(builder, network, config)
    config.pin_implementation(network.get_layer(0).name, "#reference")
    slow = engine_of(builder, network, config)
    assert "#reference" in slow.report() and "#reference" not in fast.report()
    x = np.random.default_rng(0).standard_normal((1, 3, 24, 24), dtype=np.float32)
    np.testing.assert_allclose(
        slow.create_execution_context().run({"x": x})["y"],
        fast.create_execution_context().run({"x": x})["y"],
        rtol=1e-4,
        atol=5e-5,  # of values up to 5: Winograd may be fastest
    )


def test_constants_are_folded():
    builder, network, config = new_network()
    x = network.add_input("x", trt.float32, (2, 2))
    two = network.add_constant((1, 1), np.full((1, 1), 2, np.float32)).get_output(0)
    four = network.add_elementwise(two, two, trt.ElementWiseOperation.PROD).get_output(0)
    y = network.add_elementwise(x, four, trt.ElementWiseOperation.PROD).get_output(0)
    y.name = "y"
    network.mark_output(y)
    engine = engine_of(builder, network, config)
    assert engine.num_layers == 1
    np.testing.assert_array_equal(engine.create_execution_context().run({"x": np.ones((2, 2), np.float32)})["y"], 4)


def test_dead_layers_are_dropped():
    builder, network, config = convolution_chain(1)
    network.add_activation(network.get_input(0), trt.ActivationType.TANH)
    assert "TANH" not in engine_of(builder, network, config).report()
    assert engine_of(builder, network, config).num_layers <= 4


def test_an_input_and_a_constant_may_be_outputs():
    builder, network, config = new_network()
    x = network.add_input("x", trt.float32, (2, 3))
    constant = network.add_constant((2,), np.array([3, 4], np.float32)).get_output(0)
    constant.name = "c"
    network.mark_output(x)
    network.mark_output(constant)
    context = engine_of(builder, network, config).create_execution_context()
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    results = list(context.run({"x": array}).values())
    np.testing.assert_array_equal(results[0], array)
    np.testing.assert_array_equal(results[1], [3, 4])


def test_workspace_limit_refuses_with_both_numbers():
    builder, network, config = convolution_chain(1)
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, 0)
    try:
        builder.build_serialized_network(network, config)
    except errors.NoImplementation as error:
        assert "limit 0" in str(error)


def test_an_obeyed_precision_that_nobody_has():
    builder, network, config = convolution_chain(1)
    network.get_layer(0).precision = trt.float16
    builder.build_serialized_network(network, config)
    config.set_flag(trt.BuilderFlag.OBEY_PRECISION_CONSTRAINTS)
    with pytest.raises(errors.NoImplementation, match="HALF"):
        builder.build_serialized_network(network, config)


def test_the_report_has_the_sum_and_where_it_is_asked_for_the_network():
    builder, network, config = convolution_chain(2)
    plan = builder.build_serialized_network(network, config)
    assert re.search(r"steps add up to \d+\.\d+ ms\n", str(plan)) and "the network takes" not in str(plan)
    config.time_network = True
    config.set_timing_cache(config.create_timing_cache(b""))
    plan = builder.build_serialized_network(network, config)
    assert re.search(r"steps add up to [\d.]+ ms; the network takes [\d.]+ ms, [\d.]+ times as long", str(plan))
    assert read_plan(plan)["report"]["network_ns"] > 0
    assert bytes(builder.build_serialized_network(network, config)) == bytes(plan)  # its time is in the cache, too


def test_a_dynamic_network_is_timed_at_its_opt_extents():
    builder, network, config = new_network()
    x = network.add_input("x", trt.float32, (-1, 3))
    network.mark_output(network.add_activation(x, trt.ActivationType.RELU).get_output(0))
    profile = builder.create_optimization_profile()
    profile.set_shape("x", (1, 3), (2, 3), (4, 3))
    config.add_optimization_profile(profile)
    config.time_network = True
    assert read_plan(builder.build_serialized_network(network, config))["report"]["network_ns"] > 0
    config.builder_optimization_level = 0  # nothing is timed
    assert "network_ns" not in read_plan(builder.build_serialized_network(network, config))["report"]


def test_intermediate_tensors_share_memory():
    builder, network, config = convolution_chain(8)
    document = read_plan(builder.build_serialized_network(network, config))
    for profile in document["profiles"]:
        assert profile["arena_bytes"] <= 1.02 * profile["lower_bound"]


def test_formats_of_inputs_and_outputs_can_be_chosen():
    builder, network, config = convolution_chain(1)
    network.get_output(0).allowed_formats = 1 << int(trt.TensorFormat.CHW16)
    engine = engine_of(builder, network, config)
    assert engine.get_tensor_format("y") == trt.TensorFormat.CHW16
    assert engine.get_tensor_components_per_element("y") == 16
    builder, network, config = convolution_chain(1)
    plain = engine_of(builder, network, config)
    x = np.random.default_rng(0).standard_normal((1, 3, 24, 24), dtype=np.float32)
    from dovetail.core.tensor import unpack

    blocked = engine.create_execution_context().run({"x": x})["y"]
    got = unpack(blocked, (1, 32, 24, 24), trt.float32, trt.TensorFormat.CHW16)
    np.testing.assert_allclose(got, plain.create_execution_context().run({"x": x})["y"], rtol=1e-4, atol=1e-5)


class Chooser:
    """A plugin that answers hooks, registered for one test."""

    def __init__(self, answer=None, after=None):
        self.answer, self.after, self.seen = answer, after, []

    @trt.hookimpl
    def dovetail_choose_implementation(self, layer, candidates):
        self.seen.append((layer.name, [one.id for one in candidates]))
        return self.answer

    @trt.hookimpl
    def dovetail_graph_passes(self, registry):
        if self.after is not None:
            registry.add_pass(self.count_layers, after=self.after)

    def count_layers(self, graph, build):
        self.seen.append(len(graph.layers))
        return graph


@pytest.fixture
def hook():
    manager = trt.get_plugin_registry().plugins
    added = []

    def add(plugin):
        manager.register(plugin)
        added.append(plugin)
        return plugin

    yield add
    for plugin in added:
        manager.unregister(plugin)


def test_a_plugins_pass_runs_where_it_asked_to(hook):
    builder, network, config = convolution_chain(2)
    plugin = hook(Chooser(after="fold_constants"))
    builder.build_serialized_network(network, config)
    assert 4 in plugin.seen


def test_a_pass_after_one_that_does_not_exist(hook):
    builder, network, config = convolution_chain(1)
    hook(Chooser(after="fold"))
    with pytest.raises(errors.BuildError, match="fold_constants"):
        builder.build_serialized_network(network, config)


def test_kernels_of_dovetails_own_are_not_watched_at_level_0(monkeypatch):
    def watch(self, group, candidate):
        raise AssertionError(f"{candidate.row.label} was watched")

    monkeypatch.setattr(Measurements, "watch", watch)
    builder, network, config = convolution_chain(2)
    config.builder_optimization_level = 0
    assert builder.build_serialized_network(network, config) is not None
