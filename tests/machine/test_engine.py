"""Engines: what their tensors and profiles are, and what is refused."""

import os

import pytest
from networks import engine_of, new_network, profile_of

import dovetail as trt
from dovetail.core.errors import BindingError, PlanCorrupt, ProfileError, ShapeError


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


# ---- names of files


@pytest.mark.parametrize("name", ["plain", b"not UTF-8 \xff", "\u00e4\u6f22"])
def test_a_plan_is_found_by_any_name_that_a_file_can_have(engine, tmp_path, name):
    path = os.path.join(os.fspath(tmp_path), os.fsdecode(name))
    with open(path, "wb") as file:
        file.write(engine.serialize())
    assert trt.Runtime(trt.Logger()).deserialize_cuda_engine(path).name == "two profiles"


def test_a_name_that_no_file_can_have_is_refused(engine, tmp_path):
    """What stands before a zero byte is the name of a file, which is not the one that was asked for."""
    path = os.fspath(tmp_path / "a.plan")
    with open(path, "wb") as file:
        file.write(engine.serialize())
    with trt.raise_on_error(True):
        for wrong in (path + "\0.plan", "\ud800"):
            with pytest.raises(PlanCorrupt, match="cannot be read"):
                trt.Runtime(trt.Logger(trt.Logger.INTERNAL_ERROR)).deserialize_cuda_engine(wrong)


@pytest.mark.parametrize("index", [2, -1, 2**31, 2**63, 2**70])
def test_a_profile_of_any_number_that_is_missing_is_refused(engine, index):
    context = engine.create_execution_context()
    with trt.raise_on_error(True), pytest.raises((ProfileError, ShapeError), match=str(index)):
        context.set_optimization_profile_async(index, 0)
    with pytest.raises(BindingError, match=str(2**70)):
        context.set_device_memory(4096, 2**70)
