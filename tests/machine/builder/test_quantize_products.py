"""What stands between dequantise and quantise layers works on the stored integers, and nothing else does."""

import numpy as np
import pytest
from onnx import TensorProto, helper
from quantized_models import Model, near, ops_after, run

CONVOLVED, MULTIPLIED, ADDED = "QuantizedConvolution", "QuantizedMatrixMultiply", "QuantizedAddition"


@pytest.fixture
def ops(graph_after):
    return lambda model, **settings: ops_after(graph_after, "quantize_products", model, **settings)


def convolved(model, x, relu=False, **attrs):
    y = model.add("Conv", x, model.weights((20, 19, 3, 3), axis=0), model.bias(20), pads=[1] * 4, **attrs)
    return model.add("Relu", y) if relu else y


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


@pytest.mark.parametrize("axis", [0, None])
@pytest.mark.parametrize("window", [1, 3])
def test_a_convolution_of_one_dim_is_one_layer(ops, axis, window):
    model = Model()
    x = model.through(model.input("x", (2, 20, 31)), 0.031, np.uint8(97))
    y = model.add("Conv", x, model.weights((20, 20, window), axis=axis), model.bias(20), pads=[1, 1])
    model.output(model.quantize(y, 0.9, np.uint8(3)))
    found = ops(model)
    assert found.count(CONVOLVED) == 1 and "Convolution" not in found
    near(model, picture((2, 20, 31)), 1, level=1)


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


@pytest.mark.parametrize("groups, channels", [(1, 19), (20, 1)])
def test_weights_of_unsigned_numbers_keep_their_zero_point(ops, groups, channels):
    model = Model()
    x = model.through(model.input("x", (1, groups * channels, 8, 9)), 0.031, np.uint8(97))
    y = model.add("Conv", x, model.weights((20, channels, 3, 3), zero=77, dtype=np.uint8), group=groups)
    model.output(model.quantize(y, 0.9, np.uint8(3)))
    assert CONVOLVED in ops(model)
    near(model, picture((1, groups * channels, 8, 9)), 1)


def test_weights_with_a_zero_point_and_several_groups_stay(ops):
    model = Model()
    x = model.through(model.input("x", (1, 20, 8, 9)), 0.031, np.uint8(97))
    y = model.add("Conv", x, model.weights((20, 10, 3, 3), zero=77, dtype=np.uint8), group=2)
    model.output(model.quantize(y, 0.9, np.uint8(3)))
    assert CONVOLVED not in ops(model)


def residual(model, relu=False, addend=np.uint8):
    """x -> convolution -> plus x; also what the convolution gives, between its Q and DQ."""
    x = model.input("x", (1, 20, 8, 9))
    kernel = model.weights((20, 20, 3, 3), axis=0)
    y = model.add("Conv", model.through(x, 0.031, np.uint8(97)), kernel, model.bias(20), pads=[1] * 4)
    middle = model.through(y, 0.7, np.uint8(120))
    y = model.add("Add", model.through(model.add("Neg", x), 0.02, addend(10)), middle)
    y = model.add("Relu", y) if relu else y
    model.output(model.quantize(y, 0.9, np.uint8(10)))
    return middle


@pytest.mark.parametrize("relu", [False, True])
def test_a_convolution_adds_what_is_added_to_its_result(ops, relu):
    model = Model()
    residual(model, relu)
    found = ops(model)
    assert found.count(CONVOLVED) == 1 and ADDED not in found and "Activation" not in found
    near(model, picture((1, 20, 8, 9)), 1)


def test_the_later_one_of_two_convolutions_adds(ops):
    model = Model()
    x = model.through(model.input("x", (1, 19, 8, 9)), 0.031, np.uint8(97))
    parts = [model.through(convolved(model, x), scale, np.uint8(120)) for scale in (0.7, 0.8)]
    model.output(model.quantize(model.add("Add", *parts), 0.9, np.uint8(10)))
    found = ops(model)
    assert found.count(CONVOLVED) == 2 and ADDED not in found
    near(model, picture(), 1)


def test_a_convolution_whose_result_is_needed_elsewhere_adds_nothing(ops):
    model = Model()
    model.output(model.add("Neg", residual(model)))
    assert ADDED in ops(model)


def test_a_convolution_whose_result_is_an_output_adds_nothing(ops):
    model = Model()
    model.output(residual(model))
    assert ADDED in ops(model)


@pytest.mark.parametrize("pins", [(), ("conv",)], ids=["free", "pinned"])
def test_a_convolution_that_is_pinned_adds_nothing(ops, pins):
    """It would run under another name."""
    model = Model()
    stored = model.quantize(model.input("x", (1, 16, 5, 6)), 0.031, np.uint8(97))
    kernel = model.constant(model.rng.integers(-127, 128, (16, 16, 1, 1)).astype(np.int8))
    steps = [model.constant(np.float32(scale)) for scale in (0.031, 0.01, 0.05)]
    zeros = [model.constant(zero) for zero in (np.uint8(97), np.int8(0), np.uint8(120))]
    given = [stored, steps[0], zeros[0], kernel, steps[1], zeros[1], steps[2], zeros[2]]
    model.nodes.append(helper.make_node("QLinearConv", given, ["conv"], "conv"))
    sides = [
        model.add("DequantizeLinear", *one) for one in (("conv", steps[2], zeros[2]), (stored, steps[0], zeros[0]))
    ]
    model.output(model.quantize(model.add("Add", *sides), 0.06, np.uint8(110)))
    found = ops(model, pins=pins)
    assert (found.count(CONVOLVED), found.count(ADDED)) == (1, len(pins))
    near(model, picture((1, 16, 5, 6)), 1)


def test_a_convolution_adds_no_tensor_of_another_type(ops):
    model = Model()
    residual(model, addend=np.int8)
    assert ADDED in ops(model)


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
    near(model, picture((3, 5, 33)), 1e-2)  # a step of x is worth 0.04; a bias may be added by a fused operation


def test_sums_that_are_needed_elsewhere_stay(ops):
    model = Model()
    a = model.constant(model.rng.integers(0, 256, (4, 33)).astype(np.uint8))
    x = model.quantize(model.input("x", (33, 18)), 0.1, np.int8(0))
    sums = model.add("MatMulInteger", a, x)
    y = model.add("Mul", model.add("Cast", sums, to=TensorProto.FLOAT), model.constant(np.float32([0.01])))
    model.output(y, sums)
    assert "Cast" in ops(model)


@pytest.mark.parametrize("op", ["Add", "MatMul"])
def test_layers_whose_factor_would_be_infinite_stay(ops, op):
    model = Model()
    x = model.through(model.input("x", (5, 5)), 1e20, np.uint8(97))
    model.output(model.quantize(model.add(op, x, x), 1e-20, np.uint8(10)))
    assert not {ADDED, MULTIPLIED} & set(ops(model))
    values = np.zeros((5, 5), np.float32)
    values[1:, :2] = 1e22
    wide = values.astype(np.float64)
    real = wide + wide if op == "Add" else wide @ wide
    np.testing.assert_array_equal(run(model, x=values)[0], np.where(real > 0, 255, 10))
