"""Every worked example of the page on the convolution layer, without the CUDA calls of its scripts."""

import numpy as np
import pytest
from matrices import PRINTED, matrix

import dovetail as trt

n_in, c_in, h_in, w_in = 1, 1, 6, 9
c_out, h_w, w_w = 1, 3, 3
shape = (n_in, c_in, h_in, w_in)
block = np.arange(1, 1 + h_w * w_w, dtype=np.float32).reshape(h_w, w_w)
data = np.tile(block, (c_in, h_in // h_w, w_in // w_w)).reshape(shape)
weight = np.power(10, range(4, -5, -1), dtype=np.float32).reshape(c_out, h_w, w_w)
bias = np.zeros(c_out, dtype=np.float32)

DEFAULT = matrix("""
    12345.6789 23156.4897 31264.5978 12345.6789 23156.4897 31264.5978 12345.6789
    45678.9123 56489.7231 64597.8312 45678.9123 56489.7231 64597.8312 45678.9123
    78912.3456 89723.1564 97831.2645 78912.3456 89723.1564 97831.2645 78912.3456
    12345.6789 23156.4897 31264.5978 12345.6789 23156.4897 31264.5978 12345.6789
""")
STRIDE_2_2 = matrix("""
    12345.679 31264.598 23156.49 12345.679
    78912.34  97831.27  89723.16 78912.34
""")
STRIDE_2_1 = matrix("""
    12345.679 23156.49 31264.598 12345.679 23156.49 31264.598 12345.679
    78912.34  89723.16 97831.27  78912.34  89723.16 97831.27  78912.34
""")
STRIDE_1_2 = matrix("""
    12345.679 31264.598 23156.49  12345.679
    45678.914 64597.832 56489.723 45678.914
    78912.34  97831.27  89723.16  78912.34
    12345.679 31264.598 23156.49  12345.679
""")
PADDING_1_1 = matrix("""
    1.2045    12.3456   23.1564   31.2645   12.3456   23.1564   31.2645   12.3456   23.056
    1204.5078 12345.679 23156.49  31264.598 12345.679 23156.49  31264.598 12345.679 23056.09
    4507.801  45678.914 56489.723 64597.832 45678.914 56489.723 64597.832 45678.914 56089.023
    7801.2046 78912.34  89723.16  97831.27  78912.34  89723.16  97831.27  78912.34  89023.055
    1204.5078 12345.679 23156.49  31264.598 12345.679 23156.49  31264.598 12345.679 23056.09
    4507.8    45678.9   56489.7   64597.8   45678.9   56489.7   64597.8   45678.9   56089.
""")
PADDING_1_0 = matrix("""
    12.3456   23.1564   31.2645   12.3456   23.1564   31.2645   12.3456
    12345.679 23156.49  31264.598 12345.679 23156.49  31264.598 12345.679
    45678.914 56489.723 64597.832 45678.914 56489.723 64597.832 45678.914
    78912.34  89723.16  97831.27  78912.34  89723.16  97831.27  78912.34
    12345.679 23156.49  31264.598 12345.679 23156.49  31264.598 12345.679
    45678.9   56489.7   64597.8   45678.9   56489.7   64597.8   45678.9
""")
PADDING_0_1 = matrix("""
    1204.5078 12345.679 23156.49  31264.598 12345.679 23156.49  31264.598 12345.679 23056.09
    4507.801  45678.914 56489.723 64597.832 45678.914 56489.723 64597.832 45678.914 56089.023
    7801.2046 78912.34  89723.16  97831.27  78912.34  89723.16  97831.27  78912.34  89023.055
    1204.5078 12345.679 23156.49  31264.598 12345.679 23156.49  31264.598 12345.679 23056.09
""")
PRE_1_1 = matrix("""
    1.2045    12.3456   23.1564   31.2645   12.3456   23.1564   31.2645   12.3456
    1204.5078 12345.679 23156.49  31264.598 12345.679 23156.49  31264.598 12345.679
    4507.801  45678.914 56489.723 64597.832 45678.914 56489.723 64597.832 45678.914
    7801.2046 78912.34  89723.16  97831.27  78912.34  89723.16  97831.27  78912.34
    1204.5078 12345.679 23156.49  31264.598 12345.679 23156.49  31264.598 12345.679
""")
PRE_1_0 = matrix("""
    12.3456   23.1564   31.2645   12.3456   23.1564   31.2645   12.3456
    12345.679 23156.49  31264.598 12345.679 23156.49  31264.598 12345.679
    45678.914 56489.723 64597.832 45678.914 56489.723 64597.832 45678.914
    78912.34  89723.16  97831.27  78912.34  89723.16  97831.27  78912.34
    12345.679 23156.49  31264.598 12345.679 23156.49  31264.598 12345.679
""")
PRE_0_1 = matrix("""
    1204.5078 12345.679 23156.49  31264.598 12345.679 23156.49  31264.598 12345.679
    4507.801  45678.914 56489.723 64597.832 45678.914 56489.723 64597.832 45678.914
    7801.2046 78912.34  89723.16  97831.27  78912.34  89723.16  97831.27  78912.34
    1204.5078 12345.679 23156.49  31264.598 12345.679 23156.49  31264.598 12345.679
""")
POST_1_1 = matrix("""
    12345.679 23156.49  31264.598 12345.679 23156.49  31264.598 12345.679 23056.09
    45678.914 56489.723 64597.832 45678.914 56489.723 64597.832 45678.914 56089.023
    78912.34  89723.16  97831.27  78912.34  89723.16  97831.27  78912.34  89023.055
    12345.679 23156.49  31264.598 12345.679 23156.49  31264.598 12345.679 23056.09
    45678.9   56489.7   64597.8   45678.9   56489.7   64597.8   45678.9   56089.
""")
POST_1_0 = matrix("""
    12345.679 23156.49  31264.598 12345.679 23156.49  31264.598 12345.679
    45678.914 56489.723 64597.832 45678.914 56489.723 64597.832 45678.914
    78912.34  89723.16  97831.27  78912.34  89723.16  97831.27  78912.34
    12345.679 23156.49  31264.598 12345.679 23156.49  31264.598 12345.679
    45678.9   56489.7   64597.8   45678.9   56489.7   64597.8   45678.9
""")
POST_0_1 = matrix("""
    12345.679 23156.49  31264.598 12345.679 23156.49  31264.598 12345.679 23056.09
    45678.914 56489.723 64597.832 45678.914 56489.723 64597.832 45678.914 56089.023
    78912.34  89723.16  97831.27  78912.34  89723.16  97831.27  78912.34  89023.055
    12345.679 23156.49  31264.598 12345.679 23156.49  31264.598 12345.679 23056.09
""")
SAME_UPPER = matrix("""
    1204.5078 23156.49 12345.679 31264.598 23056.09
    7801.2046 89723.16 78912.34  97831.27  89023.055
    4507.8    56489.7  45678.9   64597.8   56089.
""")
SAME_LOWER = matrix("""
    1.2045    23.1564   12.3456   31.2645   23.056
    4507.801  56489.723 45678.914 64597.832 56089.023
    1204.5078 23156.49  12345.679 31264.598 23056.09
""")
ROUND_UP = matrix("""
    12345.679 31264.598 23156.49 12345.679
    78912.34  97831.27  89723.16 78912.34
    45678.9   64597.8   56489.7  45678.9
""")
# The page leaves out the second row of the next two: rows 1, 3 and 5 of the input.
DILATION_2_2 = matrix("""
    13279.847  21387.955  32198.766  13279.847  21387.955
    46513.2798 54621.3879 65432.1987 46513.2798 54621.3879
""")
DILATION_2_1 = matrix("""
    12378.946  23189.756  31297.865  12378.946  23189.756  31297.865  12378.946
    45612.3789 56423.1897 64531.2978 45612.3789 56423.1897 64531.2978 45612.3789
""")
DILATION_1_2 = matrix("""
    13246.58  21354.688 32165.498 13246.58  21354.688
    46579.816 54687.918 65498.734 46579.816 54687.918
    79813.25  87921.35  98732.17  79813.25  87921.35
    13246.58  21354.688 32165.498 13246.58  21354.688
""")
INT8 = matrix("""
    726.  791.  772.  726.  791.  772.  726.
    1821. 1886. 1867. 1821. 1886. 1867. 1821.
    2817. 2882. 2863. 2817. 2882. 2863. 2817.
    726.  791.  772.  726.  791.  772.  726.
""")


def test_the_first_script_with_addresses_of_arrays():
    np.set_printoptions(precision=8, linewidth=200, suppress=True)
    logger = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.EXPLICIT_BATCH))
    config = builder.create_builder_config()
    input_t0 = network.add_input("inputT0", trt.DataType.FLOAT, (n_in, c_in, h_in, w_in))
    layer = network.add_convolution_nd(input_t0, c_out, (h_w, w_w), weight, bias)
    network.mark_output(layer.get_output(0))
    engine_string = builder.build_serialized_network(network, config)
    engine = trt.Runtime(logger).deserialize_cuda_engine(engine_string)
    context = engine.create_execution_context()
    stream = 0

    input_h0 = np.ascontiguousarray(data.reshape(-1))
    output_h0 = np.empty(context.get_binding_shape(1), dtype=trt.nptype(engine.get_binding_dtype(1)))
    context.execute_async_v2([int(input_h0.ctypes.data), int(output_h0.ctypes.data)], stream)

    assert output_h0.shape == (1, 1, 4, 7)
    np.testing.assert_allclose(output_h0[0, 0], DEFAULT, **PRINTED)


def test_the_older_name_of_the_method_warns(script):
    page = script(shape)
    with pytest.warns(DeprecationWarning, match=r"^Use add_convolution_nd instead\.$"):
        layer = page.network.add_convolution(page.input, c_out, (h_w, w_w), weight, bias)
    np.testing.assert_allclose(page.run(layer, data)[0, 0], DEFAULT, **PRINTED)


def test_placeholders_are_replaced(script):
    page = script(shape)
    placeholder = np.zeros(1, dtype=np.float32)
    layer = page.network.add_convolution_nd(page.input, 1, (1, 1), placeholder)
    layer.num_output_maps = c_out
    layer.kernel_size_nd = (h_w, w_w)
    layer.kernel = weight
    layer.bias = bias
    np.testing.assert_allclose(page.run(layer, data)[0, 0], DEFAULT, **PRINTED)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        pytest.param("stride_nd", (2, 2), STRIDE_2_2, id="stride both"),
        pytest.param("stride_nd", (2, 1), STRIDE_2_1, id="stride h"),
        pytest.param("stride_nd", (1, 2), STRIDE_1_2, id="stride w"),
        pytest.param("padding_nd", (1, 1), PADDING_1_1, id="padding both"),
        pytest.param("padding_nd", (1, 0), PADDING_1_0, id="padding h"),
        pytest.param("padding_nd", (0, 1), PADDING_0_1, id="padding w"),
        pytest.param("pre_padding", (1, 1), PRE_1_1, id="in front both"),
        pytest.param("pre_padding", (1, 0), PRE_1_0, id="in front h"),
        pytest.param("pre_padding", (0, 1), PRE_0_1, id="in front w"),
        pytest.param("post_padding", (1, 1), POST_1_1, id="behind both"),
        pytest.param("post_padding", (1, 0), POST_1_0, id="behind h"),
        pytest.param("post_padding", (0, 1), POST_0_1, id="behind w"),
        pytest.param("dilation_nd", (2, 2), DILATION_2_2, id="dilation both"),
        pytest.param("dilation_nd", (2, 1), DILATION_2_1, id="dilation h"),
        pytest.param("dilation_nd", (1, 2), DILATION_1_2, id="dilation w"),
    ],
)
def test_an_attribute_set_after_the_layer_was_added(script, name, value, expected):
    page = script(shape)
    layer = page.network.add_convolution_nd(page.input, c_out, (h_w, w_w), weight, bias)
    setattr(layer, name, value)
    assert getattr(layer, name) == value
    output = page.run(layer, data)
    assert output.shape == (1, 1, *expected.shape)
    np.testing.assert_allclose(output[0, 0], expected, **PRINTED)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("SAME_UPPER", SAME_UPPER),
        ("SAME_LOWER", SAME_LOWER),
        ("EXPLICIT_ROUND_UP", ROUND_UP),
        ("EXPLICIT_ROUND_DOWN", STRIDE_2_2),
        ("CAFFE_ROUND_UP", ROUND_UP),
        ("CAFFE_ROUND_DOWN", STRIDE_2_2),
    ],
)
def test_padding_modes(script, mode, expected):
    page = script(shape)
    layer = page.network.add_convolution_nd(page.input, c_out, (h_w, w_w), weight, bias)
    layer.stride_nd = (2, 2)
    layer.padding_mode = trt.PaddingMode[mode]
    np.testing.assert_allclose(page.run(layer, data)[0, 0], expected, **PRINTED)


@pytest.mark.parametrize(
    ("old", "new", "value", "expected"),
    [
        ("kernel_size", "kernel_size_nd", (3, 3), DEFAULT),
        ("stride", "stride_nd", (2, 2), STRIDE_2_2),
        ("padding", "padding_nd", (1, 1), PADDING_1_1),
        ("dilation", "dilation_nd", (2, 2), DILATION_2_2),
    ],
)
def test_older_attributes_work_and_warn(script, old, new, value, expected):
    page = script(shape)
    layer = page.network.add_convolution_nd(page.input, c_out, (h_w, w_w), weight, bias)
    with pytest.warns(DeprecationWarning, match=rf"^Use {new} instead\.$"):
        setattr(layer, old, value)
    assert getattr(layer, new) == value
    np.testing.assert_allclose(page.run(layer, data)[0, 0], expected, **PRINTED)


def test_groups_with_flat_weights(script):
    page = script((1, 2, h_in, w_in))
    both = np.tile(block, (2, h_in // h_w, w_in // w_w)).reshape(2, h_in, w_in)
    weights = np.power(10, range(4, -5, -1), dtype=np.float32)
    weights = np.concatenate([weights, -weights], 0)
    layer = page.network.add_convolution_nd(page.input, 2, (h_w, w_w), weights, np.zeros(2, dtype=np.float32))
    layer.num_groups = 2
    output = page.run(layer, both)
    assert output.shape == (1, 2, 4, 7)
    np.testing.assert_allclose(output[0], [DEFAULT, -DEFAULT], **PRINTED)


def test_three_spatial_dims(script):
    page = script((n_in, 1, 2, h_in, w_in))
    both = np.tile(block, (2, h_in // h_w, w_in // w_w)).reshape(2, h_in, w_in)
    weights = np.concatenate([weight, -weight], 0)
    layer = page.network.add_convolution_nd(page.input, c_out, weights.shape, weights, bias)
    output = page.run(layer, both)
    assert output.shape == (1, 1, 1, 4, 7)
    # Zero but for rounding: the page's own figures reach 0.009. A term is at most 9e4, its last place 0.008.
    np.testing.assert_allclose(output, 0, atol=2 * 0.008)


def test_a_quantised_kernel_through_set_input(script):
    page = script(shape)
    network = page.network
    page.config.flags = 1 << int(trt.BuilderFlag.INT8)
    constant_layer0 = network.add_constant([], np.array([1], dtype=np.float32))
    constant_layer1 = network.add_constant([], np.array([1], dtype=np.float32))
    weight_layer = network.add_constant([c_out, c_in, h_w, w_w], weight)

    quantize_layer0 = network.add_quantize(page.input, constant_layer0.get_output(0))
    quantize_layer0.axis = 0
    dequantize_layer0 = network.add_dequantize(quantize_layer0.get_output(0), constant_layer1.get_output(0))
    dequantize_layer0.axis = 0
    quantize_layer1 = network.add_quantize(weight_layer.get_output(0), constant_layer0.get_output(0))
    quantize_layer1.axis = 0
    dequantize_layer1 = network.add_dequantize(quantize_layer1.get_output(0), constant_layer1.get_output(0))
    dequantize_layer1.axis = 0

    layer = network.add_convolution_nd(dequantize_layer0.get_output(0), c_out, (h_w, w_w), trt.Weights())
    layer.set_input(1, dequantize_layer1.get_output(0))
    np.testing.assert_array_equal(page.run(layer, data)[0, 0], INT8)
