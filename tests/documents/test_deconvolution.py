"""Every worked example of the page on the deconvolution layer, without the CUDA calls of its scripts."""

import numpy as np
import pytest
from matrices import PRINTED, matrix

import dovetail as trt

n_in, c_in, h_in, w_in = 1, 1, 3, 3
c_out, h_w, w_w = 1, 3, 3
shape = (n_in, c_in, h_in, w_in)
data = np.arange(1, 1 + n_in * c_in * h_in * w_in, dtype=np.float32).reshape(shape)
weight = np.power(10, range(4, -5, -1), dtype=np.float32)
bias = np.zeros(c_out, dtype=np.float32)

DEFAULT = matrix("""
    10000. 21000. 32100. 3200. 300.
    40010. 54021. 65432.1 6503.2 600.3
    70040.01 87054.021 98765.4321 9806.5032 900.6003
    70.04 87.054 98.7654 9.8065 0.9006
    0.07 0.087 0.0987 0.0098 0.0009
""")
STRIDE_2_2 = matrix("""
    10000.   1000.    20100.   2000.    30200.     3000.    300.
    10.      1.       20.1     2.       30.2       3.       0.3
    40000.01 4000.001 50400.02 5000.002 60500.03   6000.003 600.0003
    40.      4.       50.4     5.       60.5       6.       0.6
    70000.04 7000.004 80700.05 8000.005 90800.06   9000.006 900.0006
    70.      7.       80.7     8.       90.8       9.       0.90000004
    0.07     0.007    0.0807   0.008    0.09079999 0.009    0.0009
""")
STRIDE_2_1 = matrix("""
    10000.   21000.    32100.     3200.     300.
    10.      21.       32.1       3.2       0.3
    40000.01 54000.02  65400.035  6500.0034 600.0003
    40.      54.       65.4       6.5       0.6
    70000.04 87000.055 98700.07   9800.007  900.0006
    70.      87.       98.7       9.8       0.90000004
    0.07     0.087     0.09869999 0.0098    0.0009
""")
STRIDE_1_2 = matrix("""
    10000.   1000.    20100.   2000.    30200.     3000.    300.
    40010.   4001.    50420.1  5002.    60530.2    6003.    600.3
    70040.01 7004.001 80750.42 8005.002 90860.53   9006.003 900.6003
    70.04    7.004    80.7504  8.005    90.860504  9.006    0.9006
    0.07     0.007    0.0807   0.008    0.09079999 0.009    0.0009
""")
PADDING_1_1 = matrix("""
    54021.   65432.1   6503.2
    87054.02 98765.43  9806.503
    87.054   98.765396 9.8064995
""")
PADDING_1_0 = matrix("""
    40010.   54021.   65432.1   6503.2    600.3
    70040.01 87054.02 98765.43  9806.503  900.6003
    70.04    87.054   98.765396 9.8064995 0.9006
""")
PADDING_0_1 = matrix("""
    21000.   32100.     3200.
    54021.   65432.1    6503.2
    87054.02 98765.43   9806.503
    87.054   98.765396  9.8064995
    0.087    0.09869999 0.0098
""")
PADDING_2_2 = matrix("98765.43")
PRE_1_1 = matrix("""
    54021.   65432.1    6503.2    600.3
    87054.02 98765.43   9806.503  900.6003
    87.054   98.765396  9.8064995 0.9006
    0.087    0.09869999 0.0098    0.0009
""")
PRE_1_0 = matrix("""
    40010.   54021.   65432.1    6503.2    600.3
    70040.01 87054.02 98765.43   9806.503  900.6003
    70.04    87.054   98.765396  9.8064995 0.9006
    0.07     0.087    0.09869999 0.0098    0.0009
""")
PRE_0_1 = matrix("""
    21000.   32100.     3200.     300.
    54021.   65432.1    6503.2    600.3
    87054.02 98765.43   9806.503  900.6003
    87.054   98.765396  9.8064995 0.9006
    0.087    0.09869999 0.0098    0.0009
""")
POST_1_1 = matrix("""
    10000.   21000.   32100.    3200.
    40010.   54021.   65432.1   6503.2
    70040.01 87054.02 98765.43  9806.503
    70.04    87.054   98.765396 9.8064995
""")
POST_1_0 = matrix("""
    10000.   21000.   32100.    3200.     300.
    40010.   54021.   65432.1   6503.2    600.3
    70040.01 87054.02 98765.43  9806.503  900.6003
    70.04    87.054   98.765396 9.8064995 0.9006
""")
POST_0_1 = matrix("""
    10000.   21000.   32100.     3200.
    40010.   54021.   65432.1    6503.2
    70040.01 87054.02 98765.43   9806.503
    70.04    87.054   98.765396  9.8064995
    0.07     0.087    0.09869999 0.0098
""")
SAME_UPPER = matrix("""
    10000.   1000.    20100.   2000.    30200.   3000.
    10.      1.       20.1     2.       30.2     3.
    40000.01 4000.001 50400.02 5000.002 60500.03 6000.003
    40.      4.       50.4     5.       60.5     6.
    70000.04 7000.004 80700.05 8000.005 90800.06 9000.006
    70.      7.       80.7     8.       90.8     9.
""")
SAME_LOWER = matrix("""
    1.       20.1     2.       30.2       3.       0.3
    4000.001 50400.02 5000.002 60500.03   6000.003 600.0003
    4.       50.4     5.       60.5       6.       0.6
    7000.004 80700.05 8000.005 90800.06   9000.006 900.0006
    7.       80.7     8.       90.8       9.       0.90000004
    0.007    0.0807   0.008    0.09079999 0.009    0.0009
""")
# The page leaves out the fourth row: 10, 1 and 0 are what is left of the kernel's second row, 0 of its third.
INT8 = matrix("""
    127. 381.  735.  581.  300.
    518. 1164. 1829. 1265. 600.
    929. 1959. 2924. 1949. 900.
    70.  87.   98.   9.    0.
    0.   0.    0.    0.    0.
""")


@pytest.mark.filterwarnings("ignore:Use set_memory_pool_limit")
def test_the_first_script_with_addresses_of_arrays():
    np.set_printoptions(precision=8, linewidth=200, suppress=True)
    logger = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.EXPLICIT_BATCH))
    config = builder.create_builder_config()
    config.max_workspace_size = 1 << 30
    input_t0 = network.add_input("inputT0", trt.DataType.FLOAT, (n_in, c_in, h_in, w_in))
    layer = network.add_deconvolution_nd(input_t0, c_out, (h_w, w_w), weight, bias)
    network.mark_output(layer.get_output(0))
    engine_string = builder.build_serialized_network(network, config)
    engine = trt.Runtime(logger).deserialize_cuda_engine(engine_string)
    context = engine.create_execution_context()
    stream = 0

    input_h0 = np.ascontiguousarray(data.reshape(-1))
    output_h0 = np.empty(context.get_binding_shape(1), dtype=trt.nptype(engine.get_binding_dtype(1)))
    context.execute_async_v2([int(input_h0.ctypes.data), int(output_h0.ctypes.data)], stream)

    assert output_h0.shape == (1, 1, 5, 5)
    np.testing.assert_allclose(output_h0[0, 0], DEFAULT, **PRINTED)


def test_the_older_name_of_the_method_warns(script):
    page = script(shape)
    with pytest.warns(DeprecationWarning, match=r"^Use add_deconvolution_nd instead\.$"):
        layer = page.network.add_deconvolution(page.input, c_out, (h_w, w_w), weight, bias)
    np.testing.assert_allclose(page.run(layer, data)[0, 0], DEFAULT, **PRINTED)


def test_placeholders_are_replaced(script):
    page = script(shape)
    placeholder = np.zeros(1, dtype=np.float32)
    layer = page.network.add_deconvolution_nd(page.input, 1, (1, 1), placeholder)
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
        pytest.param("padding_nd", (2, 2), PADDING_2_2, id="padding by two"),
        pytest.param("pre_padding", (1, 1), PRE_1_1, id="in front both"),
        pytest.param("pre_padding", (1, 0), PRE_1_0, id="in front h"),
        pytest.param("pre_padding", (0, 1), PRE_0_1, id="in front w"),
        pytest.param("post_padding", (1, 1), POST_1_1, id="behind both"),
        pytest.param("post_padding", (1, 0), POST_1_0, id="behind h"),
        pytest.param("post_padding", (0, 1), POST_0_1, id="behind w"),
    ],
)
def test_an_attribute_set_after_the_layer_was_added(script, name, value, expected):
    page = script(shape)
    layer = page.network.add_deconvolution_nd(page.input, c_out, (h_w, w_w), weight, bias)
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
        ("EXPLICIT_ROUND_UP", STRIDE_2_2),
        ("EXPLICIT_ROUND_DOWN", STRIDE_2_2),
        ("CAFFE_ROUND_UP", STRIDE_2_2),
        ("CAFFE_ROUND_DOWN", STRIDE_2_2),
    ],
)
def test_padding_modes(script, mode, expected):
    page = script(shape)
    layer = page.network.add_deconvolution_nd(page.input, c_out, (h_w, w_w), weight, bias)
    layer.stride_nd = (2, 2)
    layer.padding_mode = trt.PaddingMode[mode]
    np.testing.assert_allclose(page.run(layer, data)[0, 0], expected, **PRINTED)


@pytest.mark.parametrize(
    ("old", "new", "value", "expected"),
    [
        ("kernel_size", "kernel_size_nd", (3, 3), DEFAULT),
        ("stride", "stride_nd", (2, 2), STRIDE_2_2),
        ("padding", "padding_nd", (1, 1), PADDING_1_1),
    ],
)
def test_older_attributes_work_and_warn(script, old, new, value, expected):
    page = script(shape)
    layer = page.network.add_deconvolution_nd(page.input, c_out, (h_w, w_w), weight, bias)
    with pytest.warns(DeprecationWarning, match=rf"^Use {new} instead\.$"):
        setattr(layer, old, value)
    np.testing.assert_allclose(page.run(layer, data)[0, 0], expected, **PRINTED)


def run_groups(page, values):
    weights = np.power(10, range(4, -5, -1), dtype=np.float32)
    weights = np.concatenate([weights, -weights], 0)
    layer = page.network.add_deconvolution_nd(page.input, 2, (h_w, w_w), weights, np.zeros(2, dtype=np.float32))
    layer.num_groups = 2
    return page.run(layer, values)


def test_groups_as_printed(script):
    # The printed result needs 1..9 in both channels; the page's shape, (1,2,4,7), is the convolution's.
    output = run_groups(script((1, 2, h_in, w_in)), np.tile(data, (1, 2, 1, 1)))
    assert output.shape == (1, 2, 5, 5)
    np.testing.assert_allclose(output[0], [DEFAULT, -DEFAULT], **PRINTED)


def test_groups_as_written(script):
    # The script joins its data on the batch axis, so that the second channel holds 10..18: 9 more everywhere.
    values = np.arange(1, 19, dtype=np.float32).reshape(1, 2, h_in, w_in)
    values = np.concatenate([values, values], 0)
    output = run_groups(script((1, 2, h_in, w_in)), values)
    np.testing.assert_allclose(output[0, 0], DEFAULT, **PRINTED)
    nine = script(shape)
    layer = nine.network.add_deconvolution_nd(nine.input, c_out, (h_w, w_w), weight, bias)
    raised = nine.run(layer, np.full(shape, 9, dtype=np.float32))
    np.testing.assert_allclose(output[0, 1], -(DEFAULT + raised[0, 0]), **PRINTED)


def test_three_spatial_dims(script):
    page = script((n_in, 1, 2, h_in, w_in))
    values = np.tile(data.reshape(h_in, w_in), (2, 1, 1))
    weights = np.concatenate([weight, -weight], 0).reshape(2, h_w, w_w)
    layer = page.network.add_deconvolution_nd(page.input, c_out, weights.shape, weights, bias)
    output = page.run(layer, values)
    assert output.shape == (1, 1, 3, 5, 5)
    np.testing.assert_allclose(output[0, 0, 0], DEFAULT, **PRINTED)
    np.testing.assert_allclose(output[0, 0, 2], -DEFAULT, **PRINTED)
    # Zero but for rounding: the page's own figures reach 0.002. A term is at most 9e4, its last place 0.008.
    np.testing.assert_allclose(output[0, 0, 1], 0, atol=2 * 0.008)


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

    layer = network.add_deconvolution_nd(dequantize_layer0.get_output(0), c_out, (h_w, w_w), trt.Weights())
    layer.set_input(1, dequantize_layer1.get_output(0))
    np.testing.assert_array_equal(page.run(layer, data)[0, 0], INT8)
