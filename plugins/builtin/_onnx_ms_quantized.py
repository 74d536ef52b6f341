"""com.microsoft operators on quantised numbers, as written by onnxruntime's quantiser, except products."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dovetail.plugins.builtin._onnx_ms import microsoft
from dovetail.plugins.onnx import ELEMENT_TYPES, channels_first, channels_last, given_attrs

WINDOW = ("auto_pad", "ceil_mode", "dilations", "kernel_shape", "pads", "strides")


def real(node: Any, index: int) -> Any:
    """Input `index` as float32; its scale and zero point are the two inputs behind it."""
    return node.onnx("DequantizeLinear", [node.value(index), node.value(index + 1), node.value(index + 2)])


def stored(node: Any, y: Any, scale: int, like: int = 0) -> Any:
    """Real numbers in the type of input `like`, with the scale of input `scale` and the zero point behind it."""
    zero = node.value(scale + 1)
    if zero is not None:
        return node.onnx("QuantizeLinear", [y, node.value(scale), zero])
    return node.onnx("QuantizeLinear", [y, node.value(scale)], output_dtype=ELEMENT_TYPES[node.type_name(like)])


def one_scale(node: Any, *indices: int) -> None:
    """Raises the error to raise if a scale or zero point has more than one element."""
    for index in indices:
        value = node.value(index)
        if value is not None and any(extent != 1 for extent in value.shape):
            raise node.fail(f"its input {index} must have one element", shape=tuple(value.shape))


def unary(op_type: str, *attrs: str, opset: int = 21) -> Callable[[Any], Any]:
    """x, x_scale, x_zero_point, y_scale, y_zero_point: an operator of ONNX between them."""

    def rewrite(node: Any) -> Any:
        one_scale(node, 1, 2, 3, 4)
        is_last = bool(node.attr("channels_last", 0))
        x = channels_first(node, real(node, 0)) if is_last else real(node, 0)
        y = node.onnx(op_type, [x], opset=opset, **given_attrs(node, *attrs))
        return stored(node, channels_last(node, y) if is_last else y, 3)

    return rewrite


def binary(op_type: str) -> Callable[[Any], Any]:
    """a and b with scale and zero point each, then those of the result."""

    def rewrite(node: Any) -> Any:
        one_scale(node, 1, 2, 4, 5, 6, 7)
        return stored(node, node.onnx(op_type, [real(node, 0), real(node, 3)]), 6)

    return rewrite


def q_linear_leaky_relu(node: Any) -> Any:
    one_scale(node, 1, 2, 3, 4)
    return stored(node, node.onnx("LeakyRelu", [real(node, 0)], alpha=node.attr("alpha", 0.01)), 3)


def q_linear_softmax(node: Any) -> Any:
    """Up to opset 12 all axes from `axis` on are one."""
    one_scale(node, 1, 2, 3, 4)
    opset = node.attr("opset", 13)
    if opset < 1:
        raise node.fail("its attribute opset is not a version", opset=opset)
    y = node.onnx("Softmax", [real(node, 0)], opset=12 if opset < 13 else 13, axis=node.attr("axis", -1))
    return stored(node, y, 3)


def q_linear_concat(node: Any) -> Any:
    """y_scale, y_zero_point, then x, scale and zero point of each part."""
    if len(node) % 3 != 2:
        raise node.fail("its parts are not x, scale and zero point each", inputs=len(node))
    one_scale(node, 0, 1)
    parts = [real(node, index) for index in range(2, len(node), 3)]
    return stored(node, node.onnx("Concat", parts, axis=node.attr("axis")), 0, like=2)


def q_linear_where(node: Any) -> Any:
    one_scale(node, 2, 3, 5, 6, 7, 8)
    y = node.onnx("Where", [node.value(0), real(node, 1), real(node, 4)])
    return stored(node, y, 7, like=1)


def quantize(node: Any) -> Any:
    inputs = [node.value(index) for index in range(3)]
    return node.onnx("QuantizeLinear", inputs, axis=node.attr("axis", 1))


def dequantize(node: Any) -> Any:
    inputs = [node.value(index) for index in range(3)]
    return node.onnx("DequantizeLinear", inputs, axis=node.attr("axis", 1))


def centred(node: Any, index: int, zero: int) -> Any:
    """Input `index` less the zero point of input `zero`, in int32."""
    x = node.onnx("Cast", [node.value(index)], to=ELEMENT_TYPES["INT32"])
    if node.value(zero) is None:
        return x
    return node.onnx("Sub", [x, node.onnx("Cast", [node.value(zero)], to=ELEMENT_TYPES["INT32"])])


def mul_integer(node: Any) -> Any:
    """a, a_zero_point, b, b_zero_point."""
    one_scale(node, 1, 3)
    return node.onnx("Mul", [centred(node, 0, 1), centred(node, 2, 3)])


def reduce_sum_integer(node: Any) -> Any:
    x = node.onnx("Cast", [node.value(0)], to=ELEMENT_TYPES["INT32"])
    return node.onnx("ReduceSum", [x], opset=11, axes=node.attr("axes"), keepdims=node.attr("keepdims", 1))


def q_linear_conv(node: Any) -> Any:
    """ONNX QLinearConv, of [N, ..., C] with channels_last; kernels are [M, C / group, ...] in both."""
    inputs = [node.value(index) for index in range(len(node))]
    attrs = given_attrs(node, "auto_pad", "dilations", "group", "kernel_shape", "pads", "strides")
    if not node.attr("channels_last", 0):
        return node.onnx("QLinearConv", inputs, **attrs)
    y = node.onnx("QLinearConv", [channels_first(node, node[0]), *inputs[1:]], **attrs)
    return channels_last(node, y)


def nhwc_max_pool(node: Any) -> Any:
    y = node.onnx("MaxPool", [channels_first(node, node[0])], **given_attrs(node, *WINDOW))
    return channels_last(node, y)


POOL = ("auto_pad", "ceil_mode", "count_include_pad", "kernel_shape", "pads", "strides")
AVERAGED = f"{' '.join(POOL)} channels_last"

rewrites = (
    microsoft("QuantizeLinear", quantize, (2, 3), "axis"),
    microsoft("DequantizeLinear", dequantize, (2, 3), "axis"),
    microsoft("QLinearAdd", binary("Add"), (7, 8), optional=(2, 5)),
    microsoft("QLinearMul", binary("Mul"), (7, 8), optional=(2, 5)),
    microsoft("QLinearSigmoid", unary("Sigmoid"), (4, 5), optional=(2,)),
    microsoft("QLinearLeakyRelu", q_linear_leaky_relu, (4, 5), "alpha", optional=(2,)),
    microsoft("QLinearSoftmax", q_linear_softmax, (4, 5), "axis opset", optional=(2,)),
    microsoft("QLinearAveragePool", unary("AveragePool", *POOL, opset=19), (4, 5), AVERAGED, optional=(2,)),
    microsoft("QLinearGlobalAveragePool", unary("GlobalAveragePool"), (4, 5), "channels_last", optional=(2,)),
    microsoft(
        "QLinearReduceMean", unary("ReduceMean", "axes", "keepdims", opset=13), (4, 5), "axes keepdims", optional=(2,)
    ),
    microsoft("QLinearConcat", q_linear_concat, (5, None), needs="axis"),
    microsoft("QLinearWhere", q_linear_where, (8, 9)),
    microsoft("QLinearConv", q_linear_conv, (8, 9), "auto_pad channels_last dilations group kernel_shape pads strides"),
    microsoft("MulInteger", mul_integer, (3, 4), optional=(1,)),
    microsoft("ReduceSumInteger", reduce_sum_integer, (1, 1), "axes keepdims"),
    microsoft("NhwcMaxPool", nhwc_max_pool, (1, 1), " ".join(WINDOW)),
)
