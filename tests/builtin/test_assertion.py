"""Assertion: nothing is computed; the condition becomes one of the plan's."""

import numpy as np
import pytest

import dovetail as trt
from dovetail.core.errors import ShapeError


def constant(network, values):
    array = np.array(values)
    return network.add_constant(array.shape, array).get_output(0)


def test_what_is_known_to_hold_is_nothing(network):
    layer = network.add_assertion(constant(network, [True, True]), "never said")
    assert layer.num_outputs == 0
    assert layer.infer() == []


def test_what_is_known_not_to_hold_is_refused_with_the_message(network):
    with pytest.raises(ShapeError, match="batches must be equal"):
        network.add_assertion(constant(network, [True, False]), "batches must be equal")


def test_data_cannot_be_asserted(network):
    with pytest.raises(ShapeError, match="cannot tell the contents of its condition"):
        network.add_assertion(network.add_input("c", trt.bool, (2,)), "c holds")
