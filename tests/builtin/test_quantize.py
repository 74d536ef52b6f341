"""Quantize. Cases are shared by correctness, benchmark and the reference page."""

import numpy as np
import pytest

import dovetail as trt
from dovetail.core.errors import FieldValueError, ShapeError
from dovetail.core.types import FLOATS, DataType
from dovetail.machine.testing import Case, check

SCALES = np.array([0.02, 0.05, 0.1], np.float32)

CASES = [
    Case("one scale", x=(3, 37), scale=np.array(0.03, np.float32), low=-5, high=5, dtypes=FLOATS),
    Case("one scale in a list", x=(3, 37), scale=np.array([0.03], np.float32), axis=0, low=-5, high=5),
    Case("one scale a channel", x=(2, 3, 5, 7), scale=SCALES, axis=1, low=-5, high=5, dtypes=FLOATS),
    Case("one scale a row", x=(3, 40), scale=SCALES, axis=0, low=-5, high=5),
    Case(
        "ties",
        x=np.array([0.5, 1.5, 2.5, -0.5, -1.5, 126.5, 127.5], np.float32),
        scale=np.array(1, np.float32),
    ),
    Case("no element", x=(0, 8), scale=np.array(1, np.float32)),
]
test_kernels = check("Quantize@1", CASES)


def test_ties_go_to_even_and_ends_are_clipped(compute):
    x = np.array([0.5, 1.5, 2.5, -0.5, -1.5, 127.4, 200, -127.5, -200, np.inf, -np.inf])
    y = compute("Quantize", x, np.array(1.0))
    assert (y.tolist(), y.dtype) == ([0, 2, 2, 0, -2, 127, 127, -128, -128, 127, -128], np.int8)


def test_nan_gives_zero(compute):
    assert compute("Quantize", np.array([np.nan]), np.array(1.0)).tolist() == [0]


def test_a_scale_for_each_channel(compute):
    y = compute("Quantize", np.ones((1, 2, 1)), np.array([0.5, 0.25]), axis=1)
    assert y.reshape(-1).tolist() == [2, 4]


def test_several_scales_need_an_axis(infer):
    with pytest.raises(ShapeError, match=r"Set layer\.axis"):
        infer("Quantize", (2, 3), (3,))


def test_scales_that_do_not_fit_name_both(infer):
    with pytest.raises(ShapeError) as error:
        infer("Quantize", (2, 3), (4,), axis=1)
    assert (error.value.expected, error.value.got) == (3, 4)


def test_a_scale_that_is_not_positive_is_refused(infer):
    with pytest.raises(FieldValueError, match="cannot use the scale 0"):
        infer("Quantize", (2, 3), np.array(0, np.float32))


def test_the_output_is_int8(infer):
    (y,) = infer("Quantize", (2, 3), ())
    assert y.dtype == DataType.INT8


@pytest.mark.parametrize("zero", [np.int8(0), np.zeros(1, np.int8), np.zeros(3, np.int32), np.float32(0)])
def test_a_zero_point_of_zeros_is_taken_as_in_tensorrt(network, zero):
    x = network.add_input("x", trt.float32, (3, 2))
    scale = network.add_constant((), np.array(0.5, np.float32)).get_output(0)
    zero_point = network.add_constant(np.shape(zero), np.asarray(zero)).get_output(0)
    quantised = network.add_quantize(x, scale)
    restored = network.add_dequantize(quantised.get_output(0), scale)
    for layer in (quantised, restored):
        layer.set_input(2, zero_point)
        assert layer.num_inputs == 3 and layer.get_input(2) is zero_point
    restored.get_output(0).name = "y"
    network.mark_output(restored.get_output(0))
    builder = trt.Builder(trt.Logger(trt.Logger.ERROR))
    context = builder.build_engine(network, builder.create_builder_config()).create_execution_context()
    y = context.run({"x": np.array([[0.6, -1.4]] * 3, np.float32)})["y"]
    assert y.tolist() == [[0.5, -1.5]] * 3


def test_another_zero_point_is_refused(network):
    x = network.add_input("x", trt.float32, (3, 2))
    scale = network.add_constant((), np.array(0.5, np.float32)).get_output(0)
    for zero_point, text in (
        (network.add_constant((), np.int8(3)).get_output(0), "zero point other than 0"),
        (network.add_input("z", trt.int8, ()), "zero point that is not a constant"),
    ):
        layer = network.add_quantize(x, scale)
        layer.set_input(2, zero_point)
        with pytest.raises(FieldValueError, match=text):
            _ = layer.get_output(0).shape
