"""Moves between dequantise and quantise layers move integers; functions of 8 bits are looked up in tables."""

import numpy as np
import pytest
from onnx import TensorProto, helper
from quantized_models import Model, ops_after
from quantized_models import near as near_at

import dovetail as trt

SHAPE = (1, 19, 8, 9)
PASSED = "find_byte_tables"
LEVEL = 1  # from which the passes run


@pytest.fixture
def ops(graph_after):
    return lambda model: ops_after(graph_after, PASSED, model)


def near(model, x, step):
    near_at(model, x, step, LEVEL)


def start(dims=SHAPE, scale=0.031, zero=97):
    """A model, and a tensor between the Q and DQ in front of which an activation computes."""
    model = Model()
    return model, model.through(model.input("x", dims), scale, np.uint8(zero))


def picture(dims=SHAPE):
    return np.random.default_rng(7).uniform(-3, 5, dims).astype(np.float32)


def ends(model, y, scale=0.031, zero=97, dtype=np.uint8):
    model.output(model.quantize(y, scale, dtype(zero)))
    return model


MOVES = {
    "Shuffle": lambda model, x: model.add("Transpose", x, perm=[0, 2, 3, 1]),
    "Pooling": lambda model, x: model.add("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4),
    "Slice": lambda model, x: model.add("Slice", x, *(model.constant(np.int64([v])) for v in (1, 7, 2))),
}


@pytest.mark.parametrize("kind", MOVES)
def test_a_move_of_one_scale_moves_integers(ops, kind):
    model, x = start()
    ends(model, MOVES[kind](model, x))
    assert ops(model) == ["AffineQuantize", kind]
    near(model, picture(), 0)


@pytest.mark.parametrize("kind", MOVES)
def test_a_move_to_another_scale_looks_its_result_up(ops, kind):
    model, x = start()
    ends(model, MOVES[kind](model, x), 0.04, -5, np.int8)
    assert ops(model) == ["AffineQuantize", kind, "ByteTable"]
    near(model, picture(), 1)


def test_signed_numbers_without_zero_points_move_too(ops):
    model = Model()
    x = model.through(model.input("x", SHAPE), 0.031, np.int8(0))
    ends(model, MOVES["Pooling"](model, x), 0.031, 0, np.int8)
    assert ops(model) == ["Quantize", "Pooling"]
    near(model, picture(), 0)


def test_a_dequantise_layer_goes_behind_a_move_of_which_real_numbers_are_needed(ops):
    model, x = start()
    model.output(model.add("Neg", MOVES["Shuffle"](model, x)))
    assert ops(model) == ["AffineQuantize", "Shuffle", "AffineDequantize", "Unary"]
    near(model, picture(), 0)


def test_a_quantise_layer_goes_in_front_of_a_move(ops):
    model = Model()
    ends(model, MOVES["Pooling"](model, model.add("Neg", model.input("x", SHAPE))))
    assert ops(model) == ["Unary", "AffineQuantize", "Pooling"]
    near(model, picture(), 0)


def test_a_move_whose_real_result_is_an_output_is_not_quantised_first(ops):
    model = Model()
    y = MOVES["Pooling"](model, model.add("Neg", model.input("x", SHAPE)))
    ends(model, y)
    model.output(y)
    assert ops(model) == ["Unary", "Pooling", "AffineQuantize"]


@pytest.mark.parametrize("kind", ["Squeeze", "Unsqueeze"])
def test_axes_that_are_known_move_integers(ops, kind):
    model, x = start((1, 19, 1, 9))
    ends(model, model.add(kind, x, model.constant(np.int64([2]))), 0.04, -5, np.int8)
    found = ops(model)
    assert found[0] == "AffineQuantize" and found[-1] == "ByteTable" and "AffineDequantize" not in found
    near(model, picture((1, 19, 1, 9)), 1)


@pytest.mark.parametrize("kind", ["Squeeze", "Unsqueeze"])
def test_a_quantise_layer_goes_in_front_of_axes_that_are_known(ops, kind):
    model = Model()
    x = model.add("Neg", model.input("x", (1, 19, 1, 9)))
    ends(model, model.add(kind, x, model.constant(np.int64([2]))))
    assert ops(model)[:2] == ["Unary", "AffineQuantize"]
    near(model, picture((1, 19, 1, 9)), 0)


@pytest.mark.parametrize("zero", [0, 3])
def test_rows_of_quantised_constants_are_gathered_as_integers_where_0_stands_for_0(ops, zero):
    model = Model()
    table = model.dequantize(
        model.constant(np.random.default_rng(2).integers(-128, 128, (30, 8)).astype(np.int8)), 0.1, np.int8(zero)
    )
    places = model.add("Cast", model.input("x", (2, 5)), to=TensorProto.INT64)
    model.output(model.add("Neg", model.add("Gather", table, places)))
    found = ops(model)
    assert (found.index("Gather") < found.index("Dequantize" if zero == 0 else "AffineDequantize")) == (zero == 0)
    near(model, np.float32([[0, 29, 3, -1, -30], [30, -31, 7, 8, 9]]), 0)


def test_activations_are_gathered_as_integers(ops):
    model, x = start(scale=0.031, zero=0)
    ends(model, model.add("Gather", x, model.constant(np.int64([3, 1])), axis=1), zero=0)
    assert ops(model) == ["AffineQuantize", "Gather"]
    near(model, picture(), 0)


def test_averages_are_no_moves(ops):
    model, x = start()
    ends(model, model.add("AveragePool", x, kernel_shape=[2, 2]))
    assert ops(model) == ["AffineQuantize", "AffineDequantize", "Pooling", "AffineQuantize"]


def test_windows_of_padding_alone_stay_real(ops):
    model, x = start()
    ends(model, model.add("MaxPool", x, kernel_shape=[2, 2], pads=[2] * 4))
    assert "AffineDequantize" in ops(model)


@pytest.mark.parametrize("scales", [(0.031, 0.031), (0.031, 0.05)])
def test_parts_are_joined_as_integers(ops, scales):
    model = Model()
    x = model.input("x", SHAPE)
    parts = [
        model.through(one, scale, np.uint8(97)) for one, scale in zip((x, model.add("Neg", x)), scales, strict=True)
    ]
    ends(model, model.add("Concat", *parts, axis=1))
    found = ops(model)
    assert found[-1] == "Concatenation" and "AffineDequantize" not in found
    assert found.count("ByteTable") == (scales[0] != scales[1])
    near(model, picture(), 1)


def test_parts_of_which_one_is_real_are_joined_as_real_numbers(ops):
    model, x = start()
    ends(model, model.add("Concat", x, model.input("z", SHAPE), axis=1))
    assert "AffineDequantize" in ops(model)


FUNCTIONS = {
    "sigmoid": lambda model, x: model.add("Sigmoid", x),
    "leaky": lambda model, x: model.add("LeakyRelu", x, alpha=0.2),
    "hard swish": lambda model, x: model.add("HardSwish", x),
    "a sum": lambda model, x: model.add("Add", model.add("Tanh", x), model.constant(np.float32(0.5))),
    "x * sigmoid(x)": lambda model, x: model.add("Mul", x, model.add("Sigmoid", x)),
    "a quantised constant": lambda model, x: model.add(
        "Mul", x, model.dequantize(model.constant(np.uint8([[7]])), 0.1, np.uint8(2))
    ),
    "quantised in between": lambda model, x: model.add(
        "Mul", x, model.through(model.add("Sigmoid", x), 1 / 255, np.uint8(0))
    ),
}


def gelu(model, x):
    """Quantised behind each operation."""
    inner = model.through(model.add("Div", x, model.constant(np.float32(2**0.5))), 0.05, np.uint8(90))
    inner = model.through(model.add("Erf", inner), 2 / 255, np.uint8(127))
    inner = model.through(model.add("Add", inner, model.constant(np.float32(1))), 2 / 255, np.uint8(0))
    return model.add("Mul", model.add("Mul", x, inner), model.constant(np.float32(0.5)))


FUNCTIONS["GELU, quantised behind each operation"] = gelu


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_of_one_tensor_are_looked_up(ops, name):
    model, x = start()
    ends(model, FUNCTIONS[name](model, x), 0.04, 20)
    assert ops(model) == ["AffineQuantize", "ByteTable"]
    near(model, picture(), 1)


def test_a_function_that_is_needed_elsewhere_is_looked_up_too(ops):
    model, x = start()
    y = FUNCTIONS["sigmoid"](model, x)
    ends(model, y, 0.004, 0)
    model.output(y)
    found = ops(model)
    assert "ByteTable" in found and "Activation" in found
    near(model, picture(), 1)


def test_functions_of_two_tensors_stay(ops):
    model, x = start()
    z = model.through(model.input("z", SHAPE), 0.02, np.uint8(3))
    ends(model, model.add("Mul", x, z), 0.04)
    assert "ByteTable" not in ops(model)


def test_functions_with_several_constants_stay(ops):
    model, x = start()
    ends(model, model.add("Mul", x, model.constant(np.arange(9, dtype=np.float32))), 0.04)
    assert "ByteTable" not in ops(model)


def test_functions_that_repeat_their_input_stay(ops):
    model, x = start((1, 19, 1, 1))
    ends(model, model.add("Add", x, model.constant(np.zeros((1, 19, 2, 1), np.float32))), 0.04)
    assert "ByteTable" not in ops(model)


def test_layers_with_a_precision_stay(graph_after):
    model, x = start()
    ends(model, FUNCTIONS["sigmoid"](model, MOVES["Shuffle"](model, x)))
    found = ops_after(graph_after, PASSED, model, precision=trt.float32)
    assert found == ["AffineQuantize", "AffineDequantize", "Shuffle", "Activation", "AffineQuantize"]


def test_largest_bytes_are_found_without_conversions(ops):
    model = Model()
    model.inputs.append(helper.make_tensor_value_info("x", TensorProto.UINT8, SHAPE))
    model.output(MOVES["Pooling"](model, "x"))
    assert ops(model) == ["Pooling"]
    near(model, np.random.default_rng(0).integers(0, 256, SHAPE).astype(np.uint8), 0)
