"""Ways to run a layer: all rows that fit, the reference where nothing else does, and why others do not count."""

import numpy as np
import pytest
from networks import new_network

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
