"""set_output_type and tensor.dtype: what a layer computes is converted behind it, as in TensorRT."""

import numpy as np
import pytest
from networks import engine_of, new_network

import dovetail as trt
from dovetail.core.errors import DefinitionError, DTypeError

X = np.array([[1.25, -2.5, 3e4], [0.1, 7.0, -0.0]], np.float32)


def outputs(builder, network, config, **inputs):
    return engine_of(builder, network, config).create_execution_context().run(inputs)


def activation(network, x):
    return network.add_activation(x, trt.ActivationType.RELU)


def convolution(network, x):
    image = network.add_shuffle(x)
    image.reshape_dims = (1, 1, 2, 3)
    return network.add_convolution_nd(image.get_output(0), 2, (1, 1), np.array([2.0, -1.0], np.float32))


def pooling(network, x):
    image = network.add_shuffle(x)
    image.reshape_dims = (1, 1, 2, 3)
    return network.add_pooling_nd(image.get_output(0), trt.PoolingType.MAX, (2, 2))


@pytest.mark.parametrize("make", [activation, convolution, pooling])
@pytest.mark.parametrize("dtype", [trt.float16, trt.int32])
def test_the_output_of_any_layer_has_the_type_that_is_asked_for(make, dtype):
    builder, network, config = new_network()
    plain = make(network, network.add_input("x", trt.float32, X.shape))
    plain.get_output(0).name = "plain"
    network.mark_output(plain.get_output(0))
    layer = make(network, network.get_input(0))
    layer.set_output_type(0, dtype)
    layer.get_output(0).name = "y"
    network.mark_output(layer.get_output(0))
    assert layer.get_output(0).dtype == layer.get_output_type(0) == dtype and layer.output_type_is_set(0)
    found = outputs(builder, network, config, x=X)
    assert found["y"].dtype == trt.nptype(dtype)
    np.testing.assert_array_equal(found["y"], found["plain"].astype(trt.nptype(dtype)))


def test_the_type_of_a_tensor_can_be_set_where_others_read_it():
    builder, network, config = new_network()
    layer = activation(network, network.add_input("x", trt.float32, X.shape))
    layer.get_output(0).dtype = trt.float16
    behind = network.add_unary(layer.get_output(0), trt.UnaryOperation.NEG)
    behind.get_output(0).name = "y"
    network.mark_output(behind.get_output(0))
    assert behind.get_output(0).dtype == trt.float16
    found = outputs(builder, network, config, x=X)["y"]
    np.testing.assert_array_equal(found, -np.maximum(X, 0).astype(np.float16))


def test_the_report_says_for_whom_a_conversion_was_inserted():
    builder, network, config = new_network()
    layer = activation(network, network.add_input("x", trt.float32, X.shape))
    layer.name = "act"
    layer.set_output_type(0, trt.float16)
    network.mark_output(layer.get_output(0))
    engine = engine_of(builder, network, config)
    assert "act, type of output 0" in engine.report()


def test_a_type_that_is_reset_is_the_layers_own_again():
    _, network, _ = new_network()
    for layer in (activation(network, network.add_input("x", trt.float32, X.shape)),
                  network.add_identity(network.get_input(0))):  # fmt: skip
        layer.set_output_type(0, trt.int32)
        assert layer.get_output(0).dtype == trt.int32
        layer.reset_output_type(0)
        assert layer.get_output(0).dtype == trt.float32 and not layer.output_type_is_set(0)


def test_extents_that_follow_from_a_converted_shape_are_known():
    builder, network, config = new_network()
    x = network.add_input("x", trt.float32, X.shape)
    shape = network.add_shape(x)
    shape.set_output_type(0, trt.int64)
    reshaped = network.add_shuffle(x)
    reshaped.set_input(1, shape.get_output(0))
    assert reshaped.get_output(0).shape == X.shape
    reshaped.get_output(0).name = "y"
    network.mark_output(reshaped.get_output(0))
    np.testing.assert_array_equal(outputs(builder, network, config, x=X)["y"], X)


def test_the_type_of_the_second_output_alone():
    builder, network, config = new_network()
    top = network.add_topk(network.add_input("x", trt.float32, X.shape), trt.TopKOperation.MAX, 1, 1 << 1)
    top.set_output_type(1, trt.int64)
    for index, name in enumerate(("values", "places")):
        top.get_output(index).name = name
        network.mark_output(top.get_output(index))
    found = outputs(builder, network, config, x=X)
    assert (found["values"].dtype, found["places"].dtype) == (np.float32, np.int64)
    assert found["places"].tolist() == [[2], [1]]


def test_a_type_without_a_conversion_and_an_output_that_is_not_there():
    _, network, _ = new_network()
    layer = activation(network, network.add_input("x", trt.float32, X.shape))
    with pytest.raises(DefinitionError, match="has no output 1"):
        layer.set_output_type(1, trt.float16)
    layer.set_output_type(0, trt.fp8)
    with pytest.raises(DTypeError, match="FP8"):
        _ = layer.get_output(0).dtype
