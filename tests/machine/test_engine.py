"""Engines: what their tensors and profiles are, and what is refused."""

import pytest
from networks import engine_of, new_network, profile_of

import dovetail as trt
from dovetail.core.errors import BindingError


@pytest.fixture(scope="module")
def engine():
    """y = relu(x), x of 1..8 rows in the one profile and 16..32 in the other."""
    builder, network, config = new_network()
    x = network.add_input("x", trt.float32, (-1, 5))
    y = network.add_activation(x, trt.ActivationType.RELU).get_output(0)
    y.name = "y"
    network.mark_output(y)
    network.name = "two profiles"
    profile_of(builder, config, x=((1, 5), (4, 5), (8, 5)))
    profile_of(builder, config, x=((16, 5), (16, 5), (32, 5)))
    return engine_of(builder, network, config)


def test_its_tensors_are_named_with_mode_type_and_shape(engine):
    assert engine.name == "two profiles"
    assert [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)] == ["x", "y"]
    assert [engine.get_tensor_mode(name) for name in "xy"] == [trt.TensorIOMode.INPUT, trt.TensorIOMode.OUTPUT]
    assert engine.get_tensor_dtype("x") == trt.float32
    assert [tuple(engine.get_tensor_shape(name)) for name in "xy"] == [(-1, 5), (-1, 5)]


def test_a_profile_has_three_shapes_for_each_input(engine):
    assert engine.num_optimization_profiles == 2
    shapes = [[tuple(dims) for dims in engine.get_tensor_profile_shape("x", profile)] for profile in (0, 1)]
    assert shapes == [[(1, 5), (4, 5), (8, 5)], [(16, 5), (16, 5), (32, 5)]]


def test_outputs_have_no_shapes_in_profiles(engine):
    with pytest.raises(BindingError, match="'y' is an output"):
        engine.get_tensor_profile_shape("y", 0)


def test_a_profile_that_is_missing_says_which_there_are(engine):
    with pytest.raises(BindingError, match="the engine has no profile 2") as error:
        engine.get_tensor_profile_shape("x", 2)
    assert "0..1" in str(error.value)


def test_a_name_that_is_missing_says_which_there_are(engine):
    with pytest.raises(BindingError, match="'z'") as error:
        engine.get_tensor_dtype("z")
    assert "x" in str(error.value) and "y" in str(error.value)


def test_what_is_stored_is_the_same_engine(engine):
    again = trt.Runtime(trt.Logger()).deserialize_cuda_engine(engine.serialize())
    assert (again.name, again.num_layers) == (engine.name, engine.num_layers)
    assert str(again) == str(engine)
