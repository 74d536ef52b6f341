"""Convolution."""

from __future__ import annotations

import warnings

import numpy

from dovetail.core.types import DataType
from dovetail.plugins.builtin._convolved import convolved, extents_of
from dovetail.plugins.builtin._convolving import Convolving, onnx_convolved, onnx_inputs, onnx_window
from dovetail.plugins.onnx import (
    BYTES,
    ELEMENT_TYPES,
    cast,
    centred,
    channels,
    elementwise,
    factor_of,
    given_attrs,
    has_no_zero_point,
    is_given,
    is_single,
    onnx_op,
    rank_of,
    requantized,
)


class Convolution(Convolving):
    """y[k, p] = bias[k] + sum over c, r of x[c, p * stride + r * dilation - padding] * kernel[k, c, r]

    Inputs    x       [..., C, spatial], two or three spatial dims, float16 | bfloat16 | float32, or
                      quantised int8
              kernel  [K, C / groups, window]; not flipped
              bias    [K], optional
    Outputs   y       [..., K, spatial]; type of x, float32 for int8
    Numerics  cells outside x are 0; sums are float32 (int32 for int8) whatever the type;
              denormal bfloat16 elements may count as zeros (CPUs with AVX512-BF16);
              3x3 kernels, also dilated, may run by Winograd's algorithm: errors relative to the largest output are
              about 5e-7, 2e-6 and 2e-5 at most for tiles of 2x2, 4x4 and 6x6 outputs, and an infinite
              x makes a whole tile nan. BuilderFlag.DISABLE_WINOGRAD forbids it
    Errors    ShapeError if channels, groups and weights disagree, or an output extent would be below 1
    Source    TensorRT 8.5 IConvolutionLayer
    """

    purpose = "Matrices and convolutions"
    role = "convolution"

    def kernel_dims(self, channels):
        return (self.num_output_maps, channels // self.num_groups, *self.kernel_size_nd)

    def infer(self, x, kernel, bias):
        self.check_weights(x, kernel, bias)
        return self.output(x, [extent for extent, _ in extents_of(self, x.dims)])

    def reference(self, x, kernel, bias):
        y = convolved(self, x, kernel)
        return y if bias is None else y + bias.reshape(-1, *(1,) * self.spatial)

    @staticmethod
    def onnx():
        return (
            onnx_op("Conv", rewrite=conv),
            onnx_op("ConvInteger", rewrite=conv_integer),
            onnx_op("QLinearConv", rewrite=q_linear_conv),
        )

    @classmethod
    def add_convolution_nd(cls, network, input, num_output_maps, kernel_shape, kernel=None, bias=None):
        """A Convolution layer. Weights may be flat; `layer.set_input(1, tensor)` feeds an empty kernel."""
        return cls.make_layer(network, input, num_output_maps, kernel_shape, kernel, bias)

    @classmethod
    def add_convolution(cls, network, input, num_output_maps, kernel_shape, kernel=None, bias=None):
        """The older name of add_convolution_nd."""
        warnings.warn("Use add_convolution_nd instead.", DeprecationWarning, stacklevel=3)
        return cls.make_layer(network, input, num_output_maps, kernel_shape, kernel, bias)


# ---- ONNX


def conv(node):
    """ONNX Conv."""
    spatial, fields = onnx_window(node, node[1])
    return onnx_convolved(node, "Convolution", spatial, onnx_inputs(node), num_output_maps=node[1].shape[0], **fields)


def exact_sums(node, x, kernel, x_zero, kernel_zero):
    """A convolution of integers less their zero points, in float32: exact below 2**24."""
    spatial, fields = onnx_window(node, kernel)
    inputs = [cast(node, centred(node, *pair), DataType.FLOAT) for pair in ((x, x_zero), (kernel, kernel_zero))]
    return onnx_convolved(node, "Convolution", spatial, inputs, num_output_maps=kernel.shape[0], **fields)


def bytes_convolved(node, x, kernel, zeros, bias=None, *more, to_type=DataType.INT32):
    """QuantizedConvolution of two inputs with zero points, and `more` behind them; None if it is another one.

    That has a window of one or two dims, x of 8 bits with one zero point, and a kernel that is int8 without one, or is
    known and can be stored so.
    """
    x_zero, kernel_zero = zeros
    stored, zero_of_kernel = _int8_kernel(node, kernel, kernel_zero)
    has_zero = not is_given(node, x_zero) or is_single(node[x_zero])
    if stored is None or not has_zero or node.type_name(x) not in BYTES or rank_of(node[kernel]) not in (3, 4):
        return None
    spatial, fields = onnx_window(node, node[kernel])
    zero = None if has_no_zero_point(node, x_zero) else node[x_zero]
    inputs = [node[x], stored, bias, zero, *more]
    if zero_of_kernel is not None:
        inputs += [None] * (6 - len(inputs)) + [zero_of_kernel]
    maps = node[kernel].shape[0]
    return onnx_convolved(
        node, "QuantizedConvolution", spatial, inputs, num_output_maps=maps, to_type=to_type, **fields
    )


def _int8_kernel(node, kernel, zero):
    """The kernel as int8, and its zero point if that is not 0; (None, None) if no layer takes it so."""
    type_name = node.type_name(kernel)
    if type_name == "INT8" and has_no_zero_point(node, zero):
        return node[kernel], None
    known, middle = node.constant(kernel), numpy.zeros(1, numpy.int16)
    if is_given(node, zero):
        middle = node.constant(zero)
    if type_name not in BYTES or known is None or middle is None:
        return None, None
    moved = 128 if type_name == "UINT8" else 0
    stored, middle = ((a.astype(numpy.int16) - moved).astype(numpy.int8) for a in (known, middle))
    if not middle.any():
        return node.as_tensor(stored), None
    groups, is_dilated = node.attr("group", 1), any(step != 1 for step in node.attr("dilations", ()))
    is_depthwise = groups == known.shape[0] and known.shape[1] == 1 and known[0].size > 1 and not is_dilated
    if known.ndim != 4 or not (groups == 1 or is_depthwise) or middle.size not in (1, known.shape[0]):
        return None, None
    return node.as_tensor(stored), node.as_tensor(middle.reshape(-1))


def conv_integer(node):
    """ONNX ConvInteger."""
    y = bytes_convolved(node, 0, 1, (2, 3))
    return cast(node, exact_sums(node, node[0], node[1], 2, 3), DataType.INT32) if y is None else y


def _has_one_zero(node):
    """True of a QLinearConv whose tensors have one scale and zero point each, and whose kernel and bias are known."""
    is_known = node.constant(3) is not None and (not is_given(node, 8) or node.constant(8) is not None)
    has_one = all(not is_given(node, index) or is_single(node[index]) for index in (1, 2, 4, 5, 6, 7))
    return is_known and has_one and all(node.type_name(index) in BYTES for index in (0, 3, 7))


def _real_convolved(node):
    """QLinearConv between DequantizeLinear and QuantizeLinear, which the builder turns into sums of integers again."""
    x, kernel = (
        node.onnx("DequantizeLinear", [node.value(index) for index in range(first, first + 3)]) for first in (0, 3)
    )
    inputs = [x, kernel]
    if is_given(node, 8):
        steps = node.onnx("Cast", [node.value(8)], to=ELEMENT_TYPES["FLOAT"])
        inputs.append(node.onnx("Mul", [steps, node.onnx("Mul", [node.value(1), node.value(4)])]))
    attrs = given_attrs(node, "auto_pad", "dilations", "group", "kernel_shape", "pads", "strides")
    y = node.onnx("Conv", inputs, **attrs)
    return node.onnx("QuantizeLinear", [y, node.value(6), node.value(7)])


def q_linear_conv(node):
    """ONNX QLinearConv, whose bias counts in steps of both scales."""
    y = None
    if node.type_name(7) in BYTES and all(is_single(node[index]) for index in (1, 6, 7)) and rank_of(node[4]) < 2:
        bias = node[8] if is_given(node, 8) else None
        more = factor_of(node, (1, 4, 6)), node[7]
        y = bytes_convolved(node, 0, 3, (2, 5), bias, *more, to_type=DataType[node.type_name(7)])
        if y is not None:
            return y
    if y is None and _has_one_zero(node):
        return _real_convolved(node)
    sums = exact_sums(node, node[0], node[3], 2, 5)
    if is_given(node, 8):
        sums = elementwise(node, "SUM", sums, channels(node, cast(node, node[8], DataType.FLOAT), rank_of(sums), 1))
    return requantized(node, sums, (1, 4, 6), 7, 1)
