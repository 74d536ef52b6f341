"""Layers: names, inputs, types and fields as attributes, each refused where it cannot be."""

import numpy as np
import pytest
from networks import new_network

import dovetail as trt
from dovetail.core.errors import DefinitionError, DovetailError, DTypeError, UnknownAttribute


@pytest.fixture
def network():
    return new_network()[1]


@pytest.fixture
def layer(network):
    x = network.add_input("x", trt.float32, (1, 3, 8, 8))
    made = network.add_convolution_nd(x, 4, (3, 3), np.ones((4, 3, 3, 3), np.float32))
    made.name = "stem"
    return made


def test_a_layer_is_called_by_its_op_and_its_name(layer):
    assert layer.label == "Convolution@1 'stem'"


def test_inputs_that_are_weights_are_none_among_the_tensors(layer):
    assert (layer.num_inputs, layer.num_outputs) == (1, 1)
    assert layer.get_input(0).name == "x"
    assert layer.get_input(7) is None and layer.get_output(1) is None


def test_a_fed_input_takes_the_place_of_weights(network, layer):
    kernel = network.add_input("kernel", trt.float32, (4, 3, 5, 5))
    layer.kernel_size_nd = (5, 5)
    layer.set_input(1, kernel)
    assert layer.num_inputs == 2 and layer.get_input(1).name == "kernel"
    assert tuple(layer.get_output(0).shape) == (1, 4, 4, 4)


def test_an_input_that_the_op_does_not_have_names_those_it_has(network, layer):
    with pytest.raises(DefinitionError, match=r"Convolution@1 'stem' has no input 9") as error:
        layer.set_input(9, layer.get_input(0))
    assert "0 " in str(error.value) and "1 " in str(error.value)


def test_a_tensor_of_another_network_is_refused(layer):
    foreign = new_network()[1].add_input("x", trt.float32, (1, 3, 8, 8))
    with pytest.raises(DefinitionError, match="input 0 of Convolution@1 'stem'"):
        layer.set_input(0, foreign)
    assert layer.get_input(0) is not foreign


def test_a_layer_cannot_be_fed_with_what_depends_on_it(network, layer):
    relu = network.add_activation(layer.get_output(0), trt.ActivationType.RELU)
    with pytest.raises(DefinitionError):
        layer.set_input(0, relu.get_output(0))
    assert layer.get_input(0).name == "x"


def test_a_precision_is_asked_for_and_taken_back(layer):
    assert (layer.precision, layer.precision_is_set) == (trt.float32, False)
    layer.precision = trt.float16
    assert (layer.precision, layer.precision_is_set) == (trt.float16, True)
    layer.reset_precision()
    assert (layer.precision, layer.precision_is_set) == (trt.float32, False)
    with pytest.raises(DTypeError, match="the precision of Convolution@1 'stem'"):
        layer.precision = "half a float"


def test_a_type_of_an_output_converts_it_and_is_taken_back(layer):
    layer.set_output_type(0, trt.float16)
    assert layer.output_type_is_set(0) and layer.get_output(0).dtype == trt.float16
    assert layer.own_type(0) == trt.float32  # what the layer computes
    layer.reset_output_type(0)
    assert not layer.output_type_is_set(0) and layer.get_output(0).dtype == trt.float32
    with pytest.raises(DefinitionError, match="has no output 3"):
        layer.set_output_type(3, trt.float16)


def test_fields_are_attributes_and_a_wrong_name_says_the_nearest(layer):
    layer.stride_nd = (2, 2)
    assert tuple(layer.get_output(0).shape) == (1, 4, 3, 3)
    with pytest.raises(UnknownAttribute, match="did you mean 'stride_nd'"):
        layer.strid_nd = (2, 2)


def test_a_value_that_is_refused_changes_nothing(layer):
    layer.stride_nd = (2, 2)
    with pytest.raises(DovetailError):
        layer.stride_nd = "fast"
    assert tuple(layer.stride_nd) == (2, 2)
