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
