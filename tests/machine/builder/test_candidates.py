"""Ways to run a layer: all rows that fit, the reference where nothing else does, and why others do not count."""

import numpy as np
import pytest
from networks import convolution_chain, new_network

import dovetail as trt
from dovetail.machine.builder.candidates import REFERENCE
from dovetail.machine.testing import make_layer

CPU, GPU = trt.DeviceType.CPU, trt.DeviceType.GPU


@pytest.fixture
def relu():
    lookup = trt.get_plugin_registry()
    layer = make_layer(lookup, "Activation@1", [np.ones((2, 3), np.float32)], lookup.find("Activation").defaults())
    layer.name = "relu"
    return layer


@pytest.fixture
def candidates():
    """candidates(config): the service of a build with this config."""
    from dovetail.machine.builder.build import build_of

    return lambda config: build_of(new_network()[1], config).candidates


def test_every_row_that_fits_is_one_and_the_reference_is_refused(relu, candidates):
    found = candidates(new_network()[2]).of(relu)
    assert {one.row.implementation.name for one in found.candidates} == {"cpu"}
    assert len({one.row.tactic for one in found.candidates}) >= 1
    (refusal,) = (one for one in found.trace.refused if one.implementation == f"Activation@1#{REFERENCE}")
    assert refusal.reason == "other implementations fit"


def test_a_pinned_reference_is_the_only_one(relu, candidates):
    config = new_network()[2]
    config.pin_implementation("relu", "#reference")
    found = candidates(config).of(relu)
    assert {one.row.implementation.name for one in found.candidates} == {REFERENCE}


def test_nothing_is_found_for_a_device_that_no_implementation_is_for(relu, candidates):
    service = candidates(new_network()[2])
    assert service.on(GPU, relu).candidates == []
    assert service.on(CPU, relu).candidates != []
    assert not service.may_fall_back_to(GPU)


def _absorbing_network():
    builder, network, config = new_network()
    x = network.add_input("x", trt.float32, (1, 4, 8, 8))
    conv = network.add_convolution_nd(x, 8, (3, 3), np.ones((8, 4, 3, 3), np.float32))
    conv.name = "conv"
    network.mark_output(network.add_activation(conv.get_output(0), trt.ActivationType.RELU).get_output(0))
    return builder, network, config


def _failing_in_absorb(monkeypatch, fails):
    from dovetail.core.errors import PluginFailed
    from dovetail.machine.builder import candidates as module

    ask = module.n_absorbed

    def asked(group, candidate):
        if fails(candidate.row):
            raise PluginFailed("it failed in absorb", plugin=candidate.row.implementation.id)
        return ask(group, candidate)

    monkeypatch.setattr(module, "n_absorbed", asked)
    return PluginFailed


def test_a_row_that_fails_in_absorb_is_left_out_and_noted(monkeypatch):
    builder, network, config = _absorbing_network()
    chosen = trt.build_report(builder.build_serialized_network(network, config), "conv").split(" by ")[1].split(",")[0]
    _failing_in_absorb(monkeypatch, lambda row: chosen == f"{row.implementation.id}:{row.tactic}")
    report = trt.build_report(builder.build_serialized_network(network, config))
    assert "failed and was left out: it failed in absorb" in report
    assert f" {chosen} " not in report


def test_rows_that_all_fail_in_absorb_end_the_build(monkeypatch):
    builder, network, config = _absorbing_network()
    failed = _failing_in_absorb(monkeypatch, lambda row: True)
    with pytest.raises(failed, match="it failed in absorb"):
        builder.build_serialized_network(network, config)


def asked(monkeypatch, network, config, what="negotiate"):
    """(row and number of absorbed layers of each candidate by group, how often rows were asked `what`)."""
    from dovetail.machine.builder import candidates as module
    from dovetail.machine.builder.build import build_of
    from dovetail.machine.builder.pipeline import run, with_plugins

    calls = []
    plain = getattr(module, what)
    with monkeypatch.context() as patch:
        patch.setattr(module, what, lambda *given: calls.append(given) or plain(*given))
        graph = run(build_of(network, config), with_plugins(network.lookup), until="list_candidates")
    groups = graph.computing_groups()
    return {group.name: [(one.row, one.n_absorbed) for one in group.candidates] for group in groups}, len(calls)


def test_equal_layers_are_negotiated_once_with_the_same_answer(monkeypatch):
    _, network, config = convolution_chain(4)
    config.allow_fusion = False
    rows, n_calls = asked(monkeypatch, network, config)
    monkeypatch.setattr("dovetail.machine.builder.candidates._question", lambda *given: None)
    apart, n_apart = asked(monkeypatch, network, config)
    assert rows == apart and n_calls < n_apart


@pytest.mark.parametrize(("second", "is_equal"), [((2, 3), True), ((3, 2), False)])
def test_small_constants_are_part_of_the_question(monkeypatch, second, is_equal):
    """What rows answer may follow from them."""
    _, network, config = new_network()
    x = network.add_input("x", trt.int32, (4, 6))
    for contents in ((2, 3), second):
        y = network.add_constant((1, 2), np.array([contents], np.int32)).get_output(0)
        indices = network.add_gather(x, y, 1)
        network.mark_output(indices.get_output(0))
    _, once = asked(monkeypatch, network, config)
    monkeypatch.setattr("dovetail.machine.builder.candidates._question", lambda *given: None)
    _, every = asked(monkeypatch, network, config)
    assert (once < every) == is_equal


@pytest.mark.parametrize(("second", "is_equal"), [("RELU", True), ("TANH", False)])
def test_equal_groups_are_asked_once_what_they_absorb(monkeypatch, second, is_equal):
    """Groups differ if a layer of the tail does."""
    _, network, config = new_network()
    x = network.add_input("x", trt.float32, (1, 4, 8, 8))
    for kind in ("RELU", second):
        conv = network.add_convolution_nd(x, 8, (3, 3), np.ones((8, 4, 3, 3), np.float32))
        activation = network.add_activation(conv.get_output(0), trt.ActivationType[kind])
        network.mark_output(activation.get_output(0))
    found, n_calls = asked(monkeypatch, network, config, "n_absorbed")
    assert all(max(n for _, n in ways) == 1 for ways in found.values())
    monkeypatch.setattr("dovetail.machine.builder.candidates._question", lambda *given: None)
    apart, n_apart = asked(monkeypatch, network, config, "n_absorbed")
    assert found == apart
    assert n_calls == (n_apart // 2 if is_equal else n_apart)
