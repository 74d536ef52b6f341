"""What stands between dequantise and quantise layers works on the stored integers, and nothing else does."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx_models import parsed

import dovetail as trt

CONVOLVED, MULTIPLIED, ADDED = "QuantizedConvolution", "QuantizedMatrixMultiply", "QuantizedAddition"


class Model:
    """A model that is written node by node. Names of tensors are those of the nodes that make them."""

    def __init__(self, seed=0):
        self.nodes, self.known, self.inputs, self.outputs = [], [], [], []
        self.rng = np.random.default_rng(seed)

    def constant(self, array):
        name = f"constant {len(self.known)}"
        self.known.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def input(self, name, dims):
        self.inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, dims))
        return name

    def add(self, op, *inputs, **attrs):
        name = f"{op} {len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [name], name, **attrs))
        return name

    def quantize(self, x, scale, zero):
        return self.add("QuantizeLinear", x, self.constant(np.float32(scale)), self.constant(zero))

    def dequantize(self, x, scale, zero, **attrs):
        return self.add("DequantizeLinear", x, self.constant(np.float32(scale)), self.constant(zero), **attrs)

    def through(self, x, scale, zero):
        return self.dequantize(self.quantize(x, scale, zero), scale, zero)

    def weights(self, dims, axis=None, zero=0, dtype=np.int8):
        """Random ones, with a scale for each element of an axis if one is given."""
        info = np.iinfo(dtype)
        stored = self.constant(self.rng.integers(info.min, info.max + 1, dims).astype(dtype))
        if axis is None:
            return self.dequantize(stored, 0.01, dtype(zero))
        scales = self.rng.uniform(0.005, 0.02, dims[axis])
        return self.dequantize(stored, scales, np.full(dims[axis], zero, dtype), axis=axis)

    def bias(self, n):
        stored = self.constant(self.rng.integers(-5000, 5000, n).astype(np.int32))
        return self.dequantize(stored, 0.0005, np.int32(0))

    def output(self, *names):
        self.outputs += [helper.make_tensor_value_info(name, 0, None) for name in names]

    def made(self):
        graph = helper.make_graph(self.nodes, "graph", self.inputs, self.outputs, self.known)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


@pytest.fixture
def ops(graph_after):
    """Names of the ops of a model's layers after the pass."""

    def ask(model):
        builder, network, errors = parsed(model.made())
        assert not errors, errors
        config = builder.create_builder_config()
        config.default_device_type = trt.DeviceType.CPU
        return [layer.spec.name for layer in graph_after("quantize_products", network, config).layers]

    return ask


def run(model, unchanged=False, **feeds):
    """Outputs; `unchanged`: with the layers as the model has them."""
    builder, network, errors = parsed(model.made())
    assert not errors, errors
    config = builder.create_builder_config()
    config.default_device_type, config.builder_optimization_level = trt.DeviceType.CPU, 0
    if unchanged:
        for layer in network:
            layer.precision = trt.float32
    plan = builder.build_serialized_network(network, config)
    context = trt.Runtime(builder.logger).deserialize_cuda_engine(plan).create_execution_context()
    return [np.array(array) for array in context.run(feeds).values()]


def convolved(model, x, relu=False, **attrs):
    y = model.add("Conv", x, model.weights((20, 19, 3, 3), axis=0), model.bias(20), pads=[1] * 4, **attrs)
    return model.add("Relu", y) if relu else y


def near(model, x, step):
    """The same as without the pass, but for numbers in the middle of two steps."""
    got, wanted = run(model, x=x)[0], run(model, unchanged=True, x=x)[0]
    off = np.abs(got.astype(np.float64) - wanted)
    assert off.max() <= step * 1.001
    assert (off > step * 0.001).mean() < 0.01


def picture(dims=(1, 19, 8, 9)):
    return np.random.default_rng(7).uniform(-3, 5, dims).astype(np.float32)


@pytest.mark.parametrize("zero", [np.uint8(97), np.int8(-20), np.int8(0), np.uint8(0)])
@pytest.mark.parametrize("relu", [False, True])
def test_a_convolution_with_limits_is_one_layer(ops, zero, relu):
    model = Model()
    y = convolved(model, model.through(model.input("x", (1, 19, 8, 9)), 0.031, zero), relu)
    model.output(model.quantize(y, 0.9, zero))
    found = ops(model)
    assert found.count(CONVOLVED) == 1 and "Convolution" not in found and "Activation" not in found
    near(model, picture(), 1)


def test_a_convolution_without_a_quantise_layer_gives_float32(ops):
    model = Model()
    model.output(convolved(model, model.through(model.input("x", (1, 19, 8, 9)), 0.031, np.uint8(97))))
    assert CONVOLVED in ops(model)
    np.testing.assert_allclose(
        run(model, x=picture())[0], run(model, unchanged=True, x=picture())[0], rtol=1e-4, atol=1e-3
    )


@pytest.mark.parametrize("weights", [{"axis": 1}, {}, {"zero": 128, "dtype": np.uint8}, {"zero": 3, "dtype": np.uint8}])
def test_a_product_and_its_bias_are_one_layer(ops, weights):
    model = Model()
    x = model.through(model.input("x", (2, 7, 33)), 0.031, np.uint8(97))
    y = model.add("Add", model.add("MatMul", x, model.weights((33, 18), **weights)), model.bias(18))
    model.output(model.quantize(y, 0.4, np.uint8(120)))
    found = ops(model)
    assert found.count(MULTIPLIED) == 1 and "MatrixMultiply" not in found and "ElementWise" not in found
    near(model, picture((2, 7, 33)), 1)


@pytest.mark.parametrize("transposed", [0, 1])
def test_a_gemm_is_one_layer(ops, transposed):
    model = Model()
    x = model.through(model.input("x", (7, 33)), 0.031, np.uint8(97))
    kernel = model.weights((18, 33), axis=0) if transposed else model.weights((33, 18), axis=1)
    model.output(model.quantize(model.add("Gemm", x, kernel, model.bias(18), transB=transposed), 0.4, np.uint8(120)))
    found = ops(model)
    assert found.count(MULTIPLIED) == 1 and "MatrixMultiply" not in found
    near(model, picture((7, 33)), 1)


def test_a_product_of_two_results_is_one_layer(ops):
    model = Model()
    a = model.through(model.input("x", (2, 6, 33)), 0.031, np.uint8(97))
    b = model.add("Transpose", a, perm=[0, 2, 1])
    model.output(model.quantize(model.add("MatMul", a, model.through(b, 0.03, np.uint8(3))), 0.9, np.uint8(120)))
    assert MULTIPLIED in ops(model)
    near(model, picture((2, 6, 33)), 1)


@pytest.mark.parametrize("relu", [False, True])
def test_an_addition_is_one_layer(ops, relu):
    model = Model()
    x = model.input("x", (1, 19, 8, 9))
    y = model.add("Add", model.through(x, 0.031, np.uint8(97)), model.through(model.add("Neg", x), 0.02, np.int8(5)))
    model.output(model.quantize(model.add("Relu", y) if relu else y, 0.017, np.uint8(10)))
    found = ops(model)
    assert found.count(ADDED) == 1 and "Activation" not in found
    near(model, picture(), 1)


def test_a_result_that_is_needed_elsewhere_stays(ops):
    model = Model()
    y = convolved(model, model.through(model.input("x", (1, 19, 8, 9)), 0.031, np.uint8(97)))
    model.output(model.quantize(y, 0.9, np.uint8(3)), model.add("Neg", y))
    found = ops(model)  # the sums become float32, and are quantised by a layer of their own
    assert CONVOLVED in found and "AffineQuantize" in found[found.index(CONVOLVED) :]


def test_an_output_in_the_middle_stays(ops):
    model = Model()
    y = model.add("Add", *(model.through(model.input(name, (2, 3)), 0.1, np.uint8(9)) for name in "xz"))
    model.output(y, model.quantize(y, 0.9, np.uint8(3)))
    assert ADDED not in ops(model)


def test_other_functions_stay(ops):
    model = Model()
    y = model.add("Sigmoid", convolved(model, model.through(model.input("x", (1, 19, 8, 9)), 0.031, np.uint8(97))))
    model.output(model.quantize(y, 0.004, np.uint8(3)))
    found = ops(model)
    assert "Activation" in found and "AffineQuantize" in found


def test_weights_with_scales_of_another_axis_stay(ops):
    model = Model()
    x = model.through(model.input("x", (7, 33)), 0.031, np.uint8(97))
    model.output(model.quantize(model.add("MatMul", x, model.weights((33, 18), axis=0)), 0.4, np.uint8(120)))
    assert MULTIPLIED not in ops(model)


def test_weights_that_are_no_int8_stay(ops):
    model = Model()
    x = model.through(model.input("x", (1, 19, 8, 9)), 0.031, np.uint8(97))
    y = model.add("Conv", x, model.weights((20, 19, 3, 3), zero=77, dtype=np.uint8))
    model.output(model.quantize(y, 0.9, np.uint8(3)))
    assert CONVOLVED not in ops(model)


def test_an_addition_that_repeats_an_input_stays(ops):
    model = Model()
    x, z = model.input("x", (1, 19, 8, 9)), model.input("z", (1, 19, 1, 1))
    y = model.add("Add", *(model.through(one, 0.031, np.uint8(97)) for one in (x, z)))
    model.output(model.quantize(y, 0.017, np.uint8(10)))
    assert ADDED not in ops(model)


@pytest.mark.parametrize("bias", [False, True])
def test_dynamic_quantisation_is_three_layers(ops, bias):
    model = Model()
    x = model.input("x", (3, 5, 33))
    model.nodes.append(helper.make_node("DynamicQuantizeLinear", [x], ["y", "scale", "zero"], "quantised"))
    kernel = model.constant(model.rng.integers(-127, 128, (33, 18)).astype(np.int8))
    sums = model.add("MatMulInteger", "y", kernel, "zero")
    factor = model.add("Mul", "scale", model.constant(np.float32([0.01])))
    y = model.add("Mul", model.add("Cast", sums, to=TensorProto.FLOAT), factor)
    if bias:
        y = model.add("Add", y, model.constant(model.rng.uniform(-1, 1, 18).astype(np.float32)))
    model.output(y)
    found = ops(model)
    assert found.count(MULTIPLIED) == 1 and "Cast" not in found
    near(model, picture((3, 5, 33)), 1e-4)


def test_sums_that_are_needed_elsewhere_stay(ops):
    model = Model()
    a = model.constant(model.rng.integers(0, 256, (4, 33)).astype(np.uint8))
    x = model.quantize(model.input("x", (33, 18)), 0.1, np.int8(0))
    sums = model.add("MatMulInteger", a, x)
    y = model.add("Mul", model.add("Cast", sums, to=TensorProto.FLOAT), model.constant(np.float32([0.01])))
    model.output(y, sums)
    assert "Cast" in ops(model)
