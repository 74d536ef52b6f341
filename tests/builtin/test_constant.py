"""Constant. Cases are shared by correctness, benchmark and the reference page."""

import numpy as np
import pytest

import dovetail as trt
from dovetail.core.errors import DTypeError, ShapeError
from dovetail.core.types import DataType


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int8, np.int32, np.bool_])
def test_the_type_is_that_of_the_weights(infer, dtype):
    (y,) = infer("Constant", shape=(2, 3), weights=np.zeros(6, dtype))
    assert (tuple(d.value for d in y.dims), trt.nptype(y.dtype)) == ((2, 3), dtype)


def test_contents_are_known_to_later_layers(infer):
    (y,) = infer("Constant", shape=(2, 2), weights=np.arange(4, dtype=np.float32))
    assert y.constant.tolist() == [[0, 1], [2, 3]]


def test_a_scalar(infer, compute):
    (y,) = infer("Constant", shape=(), weights=np.array([1], np.float32))
    assert (y.rank, y.dtype) == (0, DataType.FLOAT)
    assert compute("Constant", shape=(), weights=np.array([1], np.float32)).shape == ()


def test_a_wrong_number_of_values_names_both(infer):
    with pytest.raises(ShapeError) as error:
        infer("Constant", shape=(2, 3), weights=np.zeros(5, np.float32))
    assert (error.value.expected, error.value.got) == (6, 5)


def test_shape_and_weights_can_be_set_afterwards(network):
    layer = network.add_constant((2, 2), np.zeros(4, np.float32))
    layer.shape = (3,)
    layer.weights = np.zeros(3, np.int32)
    assert (tuple(layer.get_output(0).shape), layer.get_output(0).dtype) == ((3,), DataType.INT32)


def test_weights_objects_are_taken(network):
    layer = network.add_constant((2,), trt.Weights(np.array([1, 2], np.float32)))
    assert tuple(layer.get_output(0).shape) == (2,)


@pytest.mark.parametrize("set_later", [False, True])
def test_weights_objects_are_built(network, set_later):
    values = np.array([[1, -2], [3, 4]], np.float32)
    layer = network.add_constant((2, 2), trt.Weights(np.zeros(4, np.float32) if set_later else values))
    if set_later:
        layer.weights = trt.Weights(values)
    layer.get_output(0).name = "y"
    network.mark_output(layer.get_output(0))
    builder = trt.Builder(trt.Logger(trt.Logger.ERROR))
    engine = builder.build_engine(network, builder.create_builder_config())
    assert engine.create_execution_context().run({})["y"].tolist() == values.tolist()
    assert layer.weights.tolist() == values.tolist()


@pytest.mark.parametrize("values", [np.array([3.0]), [3.0], np.array([1j])], ids=["float64", "list", "complex"])
def test_values_of_a_type_that_is_not_here_are_refused_where_they_are_added(network, values):
    with pytest.raises(DTypeError, match="has no data type here"):
        network.add_constant((1,), values)
    assert network.num_layers == 0
