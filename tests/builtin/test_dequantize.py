"""Dequantize. Cases are shared by correctness, benchmark and the reference page."""

import numpy as np
import pytest

import dovetail as trt
from dovetail.core.contract import SymbolicTensor
from dovetail.core.errors import DTypeError, FieldValueError
from dovetail.core.expr import DimsExprs
from dovetail.core.types import DataType
from dovetail.machine.testing import Case, check

INT8 = (DataType.INT8,)
SCALES = np.array([0.02, 0.05, 0.1], np.float32)

CASES = [
    Case("one scale", x=(3, 37), scale=np.array(0.03, np.float32), dtypes=INT8),
    Case("one scale a channel", x=(2, 3, 5, 7), scale=SCALES, axis=1, dtypes=INT8),
    Case("one scale a row", x=(3, 40), scale=SCALES, axis=0, dtypes=INT8),
    Case("float16 scales", x=(3, 37), scale=np.array(0.03, np.float16), dtypes=INT8),
    Case("no element", x=(0, 8), scale=np.array(1, np.float32), dtypes=INT8),
]
test_kernels = check("Dequantize@1", CASES)


def of(dtype, *dims):
    return SymbolicTensor(DimsExprs(dims), dtype)


def test_real_is_stored_times_scale(compute):
    x = np.array([[-128, 127], [1, 0]], np.int8)
    assert compute("Dequantize", x, np.array([0.5, 2.0]), axis=0).tolist() == [[-64, 63.5], [2, 0]]


@pytest.mark.parametrize("dtype", [DataType.FLOAT, DataType.HALF, DataType.BF16])
def test_the_output_has_the_type_of_the_scale(infer, dtype):
    (y,) = infer("Dequantize", of(DataType.INT8, 2, 3), of(dtype))
    assert y.dtype == dtype


def test_only_int8_is_taken(infer):
    with pytest.raises(DTypeError, match="cannot take FLOAT on input 'x'"):
        infer("Dequantize", (2, 3), ())


def test_quantising_twice_changes_nothing(compute):
    scale = np.array(0.07)
    q = compute("Quantize", np.linspace(-8, 8, 999), scale)
    assert (compute("Quantize", compute("Dequantize", q, scale), scale) == q).all()


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
    x = network.add_input("x", trt.int8, (3, 2))
    scale = network.add_constant((), np.array(0.5, np.float32)).get_output(0)
    for zero_point, text in (
        (network.add_constant((), np.int8(3)).get_output(0), "zero point other than 0"),
        (network.add_input("z", trt.int8, ()), "zero point that is not a constant"),
    ):
        layer = network.add_dequantize(x, scale)
        layer.set_input(2, zero_point)
        with pytest.raises(FieldValueError, match=text):
            _ = layer.get_output(0).shape
