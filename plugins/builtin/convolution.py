"""Convolution."""

from __future__ import annotations

import warnings
from itertools import product
from math import prod

import numpy

from dovetail.core.types import DataType
from dovetail.plugins import convolution_extent
from dovetail.plugins.builtin._convolving import Convolving, onnx_convolved, onnx_inputs, onnx_window
from dovetail.plugins.onnx import cast, centred, channels, elementwise, is_given, onnx_op, rank_of, requantized


class Convolution(Convolving):
    """y[k, p] = bias[k] + sum over c, r of x[c, p * stride + r * dilation - padding] * kernel[k, c, r]

    Inputs    x       [..., C, spatial], two or three spatial dims, float16 | bfloat16 | float32, or
                      quantised int8
              kernel  [K, C / groups, window]; not flipped
              bias    [K], optional
    Outputs   y       [..., K, spatial]; type of x, float32 for int8
    Numerics  cells outside x are 0; sums are float32 (int32 for int8) whatever the type;
              denormal bfloat16 elements may count as zeros (CPUs with AVX512-BF16);
              3x3 kernels may run by Winograd's algorithm: errors relative to the largest output are
              about 5e-7, 2e-6 and 2e-5 at most for tiles of 2x2, 4x4 and 6x6 outputs, and an infinite
              x makes a whole tile nan. BuilderFlag.DISABLE_WINOGRAD forbids it
    Errors    ShapeError if channels, groups and weights disagree, or an output extent would be below 1
    Source    TensorRT 8.5 IConvolutionLayer
    """

    purpose = "Matrices and convolutions"

    def kernel_dims(self, channels):
        return (self.num_output_maps, channels // self.num_groups, *self.kernel_size_nd)

    def infer(self, x, kernel, bias):
        self.check_weights(x, kernel, bias)
        return self.output(x, [extent for extent, _ in self._extents(x.dims)])

    def _extents(self, dims):
        """(output extent, padding in front) of each spatial axis."""
        return [
            convolution_extent(self.padding_mode, size, w.covered, w.stride, w.before, w.after)
            for size, w in zip(dims[-self.spatial :], self.windows(), strict=True)
        ]

    def reference(self, x, kernel, bias):
        windows, extents = list(self.windows()), self._extents(x.shape)
        batch, channels, size = (
            x.shape[: -self.spatial - 1],
            x.shape[-self.spatial - 1],
            x.shape[-self.spatial :],
        )
        groups, maps = self.num_groups, self.num_output_maps
        # Windows may reach beyond the padding behind (ROUND_UP): pad until the last one fits.
        behind = [
            max(0, (extent - 1) * w.stride + w.covered - s - before)
            for (extent, before), w, s in zip(extents, windows, size, strict=True)
        ]
        pads = [(before, after) for (_, before), after in zip(extents, behind, strict=True)]
        cells = x.reshape(prod(batch), groups, channels // groups, *size)
        cells = numpy.pad(cells, [(0, 0)] * 3 + pads)
        kernel = kernel.reshape(groups, maps // groups, channels // groups, *self.kernel_size_nd)
        out = tuple(extent for extent, _ in extents)
        y = numpy.zeros((cells.shape[0], groups, maps // groups, prod(out)), x.dtype)
        for place in product(*(range(w.size) for w in windows)):
            at = [
                slice(r * w.dilation, r * w.dilation + (extent - 1) * w.stride + 1, w.stride) if extent else slice(0)
                for r, w, extent in zip(place, windows, out, strict=True)
            ]
            seen = cells[(..., *at)].reshape(*cells.shape[:3], prod(out))  # [n, groups, c, positions]
            y += kernel[(..., *place)] @ seen
        y = y.reshape(*batch, maps, *out)
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


def conv_integer(node):
    """ONNX ConvInteger."""
    return cast(node, exact_sums(node, node[0], node[1], 2, 3), DataType.INT32)


def q_linear_conv(node):
    """ONNX QLinearConv, whose bias counts in steps of both scales."""
    sums = exact_sums(node, node[0], node[3], 2, 5)
    if is_given(node, 8):
        sums = elementwise(node, "SUM", sums, channels(node, cast(node, node[8], DataType.FLOAT), rank_of(sums), 1))
    return requantized(node, sums, (1, 4, 6), 7, 1)
