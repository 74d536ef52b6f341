"""com.microsoft products of quantised matrices, and the LSTM with quantised weights."""

from __future__ import annotations

from typing import Any

import numpy

from dovetail.plugins.builtin._onnx_ms import microsoft
from dovetail.plugins.builtin._onnx_ms_quantized import one_scale, stored
from dovetail.plugins.onnx import ELEMENT_TYPES, added, given_attrs, in_float32, rank_of


def scaled_product(node: Any, a: Any, b: Any, scales: tuple[Any, Any], zeros: tuple[Any, Any], bias: Any) -> Any:
    """(a - zero) @ (b - zero), exact in int32, times both scales, plus bias; of the scales' type.

    Those of b have one value or one for each of its columns.
    """
    sums = node.onnx("MatMulInteger", [a, b, *zeros])
    factor = node.onnx("Mul", [in_float32(node, scale) for scale in scales])
    y = node.onnx("Mul", [in_float32(node, sums), factor])
    return node.onnx("CastLike", [added(node, y, bias if bias is None else in_float32(node, bias)), scales[1]])


def mat_mul_integer_to_float(node: Any) -> Any:
    """a, b, a_scale, b_scale, a_zero_point, b_zero_point, bias."""
    one_scale(node, 2, 4)
    a, b, a_scale, b_scale, a_zero, b_zero, bias = (node.value(index) for index in range(7))
    return scaled_product(node, a, b, (a_scale, b_scale), (a_zero, b_zero), bias)


def dynamic_quantize_mat_mul(node: Any) -> Any:
    """a, b, b_scale, b_zero_point, bias: a is quantised as ONNX DynamicQuantizeLinear does it."""
    a, scale, zero = node.onnx("DynamicQuantizeLinear", [node.value(0)], n_outputs=3)
    b, b_scale, b_zero, bias = (node.value(index) for index in range(1, 5))
    return scaled_product(node, a, b, (scale, b_scale), (zero, b_zero), bias)


def q_gemm(node: Any) -> Any:
    """a, b with scale and zero point each, c in int32 with the scale of the products, y_scale, y_zero_point."""
    one_scale(node, 1, 2, 7, 8)
    a, b = node.value(0), node.value(3)
    if rank_of(a) != 2 or rank_of(b) != 2:
        raise node.fail("a and b are not matrices", a=tuple(a.shape), b=tuple(b.shape))
    a = node.onnx("Transpose", [a], perm=[1, 0]) if node.attr("transA", 0) else a
    b = node.onnx("Transpose", [b], perm=[1, 0]) if node.attr("transB", 0) else b
    sums = added(node, node.onnx("MatMulInteger", [a, b, node.value(2), node.value(5)]), node.value(6))
    factor = node.onnx("Mul", [node.value(1), node.value(4)])
    y = node.onnx("Mul", [in_float32(node, sums), factor])
    if node.attr("alpha", 1.0) != 1.0:
        y = node.onnx("Mul", [y, numpy.float32(node.attr("alpha"))])
    return y if node.value(7) is None else stored(node, y, 7)


def mat_mul_integer_16(node: Any) -> Any:
    sides = [node.onnx("Cast", [node.value(index)], to=ELEMENT_TYPES["INT32"]) for index in range(2)]
    return node.onnx("MatMul", sides)


RECURRENT = ("activation_alpha", "activation_beta", "activations", "clip", "direction", "hidden_size", "input_forget")


def dynamic_quantize_lstm(node: Any) -> Any:
    """The inputs of ONNX LSTM, then scale and zero point of w and of r, which are [directions, inputs, 4 hidden].

    Products are taken in float32, of the weights as they are stored: x and h, which onnxruntime rounds to 8 bits for
    speed, keep their digits.
    """
    w, r = (_weights(node, index, scale) for index, scale in ((1, 8), (2, 10)))
    inputs = [node.value(0), w, r, *(node.value(index) for index in range(3, 8))]
    return list(node.onnx("LSTM", inputs, n_outputs=3, opset=14, **given_attrs(node, *RECURRENT)))


def _weights(node: Any, index: int, scale: int) -> Any:
    """[directions, rows, 4 hidden] as real numbers in the dims of ONNX LSTM, [directions, 4 hidden, rows]."""
    directions = node.value(index).shape[0]
    spread = []
    for place in (scale, scale + 1):
        value = node.value(place)
        if value is None or rank_of(value) not in (1, 2) or value.shape[0] != directions:
            shape = None if value is None else tuple(value.shape)
            raise node.fail(f"its input {place} is not [directions] or [directions, 4 * hidden_size]", shape=shape)
        axes = [1, 2] if rank_of(value) == 1 else [1]
        spread.append(node.onnx("Unsqueeze", [in_float32(node, value), numpy.array(axes)]))
    real = node.onnx("Mul", [node.onnx("Sub", [in_float32(node, node.value(index)), spread[1]]), spread[0]])
    return node.onnx("Transpose", [real], perm=[0, 2, 1])


rewrites = (
    microsoft("MatMulIntegerToFloat", mat_mul_integer_to_float, (4, 7)),
    microsoft("DynamicQuantizeMatMul", dynamic_quantize_mat_mul, (3, 5)),
    microsoft("QGemm", q_gemm, (6, 9), "alpha transA transB", optional=(2, 5)),
    microsoft("MatMulInteger16", mat_mul_integer_16, (2, 2)),
    microsoft(
        "DynamicQuantizeLSTM", dynamic_quantize_lstm, (12, 12), " ".join(RECURRENT), outputs=3, optional=range(3, 8)
    ),
)
