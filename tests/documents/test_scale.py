"""Every worked example of the page on the scale layer, without the CUDA calls of its scripts."""

import numpy as np
import pytest

import dovetail as trt

n_in, c_in, h_in, w_in = 1, 3, 3, 3
shape = (n_in, c_in, h_in, w_in)
data = np.arange(1, 1 + n_in * c_in * w_in * h_in, dtype=np.float32).reshape(shape)

UNIFORM = np.arange(-6.5, 7, 0.5).reshape(shape)
CHANNEL = np.tile(np.arange(-2, 2.5, 0.5).reshape(h_in, w_in), (1, c_in, 1, 1))


def test_the_first_script_with_addresses_of_arrays():
    np.set_printoptions(precision=8, linewidth=200, suppress=True)
    logger = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.EXPLICIT_BATCH))
    config = builder.create_builder_config()
    input_t0 = network.add_input("inputT0", trt.DataType.FLOAT, (n_in, c_in, h_in, w_in))
    scale = np.array([0.5], dtype=np.float32)
    shift = np.array([-7.0], dtype=np.float32)
    power = np.array([1.0], dtype=np.float32)
    scale_layer = network.add_scale(input_t0, trt.ScaleMode.UNIFORM, shift, scale, power)
    network.mark_output(scale_layer.get_output(0))
    engine_string = builder.build_serialized_network(network, config)
    engine = trt.Runtime(logger).deserialize_cuda_engine(engine_string)
    context = engine.create_execution_context()
    stream = 0

    input_h0 = np.ascontiguousarray(data.reshape(-1))
    output_h0 = np.empty(context.get_binding_shape(1), dtype=trt.nptype(engine.get_binding_dtype(1)))
    context.execute_async_v2([int(input_h0.ctypes.data), int(output_h0.ctypes.data)], stream)

    np.testing.assert_array_equal(output_h0, UNIFORM)


def test_values_set_after_the_layer_was_added(script):
    page = script(shape)
    one = np.array([1], dtype=np.float32)
    layer = page.network.add_scale(page.input, trt.ScaleMode.UNIFORM, one, one, one)
    layer.scale = np.array([0.5], dtype=np.float32)
    layer.shift = np.array([-7.0], dtype=np.float32)
    layer.power = np.array([1.0], dtype=np.float32)
    np.testing.assert_array_equal(page.run(layer, data), UNIFORM)


def test_values_may_be_overwritten_afterwards(script):
    page = script(shape)
    scale = np.array([0.5], dtype=np.float32)
    shift = np.array([-7.0], dtype=np.float32)
    layer = page.network.add_scale(page.input, trt.ScaleMode.UNIFORM, shift, scale, None)
    scale[:] = shift[:] = 100
    np.testing.assert_array_equal(page.run(layer, data), UNIFORM)


def test_one_value_a_channel(script):
    page = script(shape)
    shift = np.array([-2.5, -7.0, -11.5], dtype=np.float32)
    scale = np.full(3, 0.5, dtype=np.float32)
    power = np.ones(3, dtype=np.float32)
    layer = page.network.add_scale(page.input, trt.ScaleMode.CHANNEL, shift, scale, power)
    assert tuple(layer.get_output(0).shape) == shape
    np.testing.assert_array_equal(page.run(layer, data), CHANNEL)


def test_one_value_an_element(script):
    page = script(shape)
    shift = np.full([c_in, h_in, w_in], -7.0, dtype=np.float32)
    scale = np.full([c_in, h_in, w_in], 0.5, dtype=np.float32)
    power = np.ones([c_in, h_in, w_in], dtype=np.float32)
    layer = page.network.add_scale(page.input, trt.ScaleMode.ELEMENTWISE, shift, scale, power)
    np.testing.assert_array_equal(page.run(layer, data), UNIFORM)


@pytest.mark.parametrize("axis", [0, 1])
def test_the_axis_of_the_channels(script, axis):
    page = script((2, 2, 3, 4))
    scale = np.array([1.0, 1.0], dtype=np.float32)
    shift = np.array([2.0, 3.0], dtype=np.float32)
    power = np.array([1.0, 1.0], dtype=np.float32)
    layer = page.network.add_scale_nd(page.input, trt.ScaleMode.CHANNEL, shift, scale, power, 0)
    layer.channel_axis = axis
    output = page.run(layer, np.zeros((2, 2, 3, 4), dtype=np.float32))
    expected = np.moveaxis(np.full((2, 2, 3, 4), 2.0), axis, 0)
    expected[1] = 3.0
    np.testing.assert_array_equal(output, np.moveaxis(expected, 0, axis))
