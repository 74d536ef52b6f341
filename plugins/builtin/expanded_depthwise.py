"""ExpandedDepthwise."""

from __future__ import annotations

import numpy

from dovetail.core.errors import FieldValueError
from dovetail.core.types import DataType
from dovetail.plugins import Input, Output, Weights, field, known_extent
from dovetail.plugins.builtin._convolved import convolved, extents_of
from dovetail.plugins.builtin._convolving import Convolving

NO_LIMIT = float(numpy.finfo(numpy.float32).max)


class ExpandedDepthwise(Convolving):
    """y = depthwise convolution of f(v), where v[m, p] = expansion_bias[m] + sum over c of expansion[m, c] * x[c, p]

    Inputs    x       [..., C, rows, columns] or [..., C, planes, rows, columns], float32
              kernel  [M, 1, window] of the depthwise convolution
              bias    [M], optional
              expansion  [M, C, 1...]
              expansion_bias  [M], optional
    Outputs   y       x with M channels, and extents as of Convolution, float32
    Numerics  f(v) is v * sigmoid(v) where silu is set, else v, and then limited to low and high; the largest floats are
              no limits. Cells outside f(v) are 0; sums are float32
    Errors    ShapeError if channels and weights disagree, or an output extent would be below 1;
              FieldValueError if num_groups is not num_output_maps, or low is above high
    Source    the blocks of MobileNetV2: f(v) need not be stored. The builder makes such layers of two convolutions
              where that is measured to be faster
    """

    purpose = "Matrices and convolutions"
    role = "expanded depthwise convolution"
    x = Input(DataType.FLOAT, doc="[batch..., channels, spatial...]")
    kernel = Weights(DataType.FLOAT, doc="The kernel of the depthwise convolution.")
    bias = Weights(DataType.FLOAT, optional=True, doc="[num_output_maps], added last.")
    expansion = Weights(DataType.FLOAT, doc="[num_output_maps, channels, 1...].")
    expansion_bias = Weights(DataType.FLOAT, optional=True, doc="[num_output_maps], added in front of f.")
    y = Output(DataType.FLOAT, doc="[batch..., num_output_maps, spatial...]")
    silu: bool = field(False, doc="Is f(v) v * sigmoid(v), before it is limited?")
    low: float = field(-NO_LIMIT, doc="Lower limit of f(v).")
    high: float = field(NO_LIMIT, doc="Upper limit of f(v).")

    type_rows = ("f32 f32 f32 f32 f32 -> f32",)

    def weight_dims(self, x, kernel, bias, expansion=None, expansion_bias=None):
        channels = known_extent(self.label, "number of channels", x.dims[-self.spatial - 1])
        maps, ones = self.num_output_maps, (1,) * self.spatial
        return {
            "kernel": (maps, 1, *self.kernel_size_nd),
            "bias": (maps,),
            "expansion": (maps, channels, *ones),
            "expansion_bias": (maps,),
        }

    def infer(self, x, kernel, bias, expansion, expansion_bias):
        if self.num_groups != self.num_output_maps:
            raise FieldValueError(
                f"{self.label} has num_groups = {self.num_groups}",
                facts=[("num_output_maps", self.num_output_maps)],
                hint="A depthwise convolution has a group for each map.",
                expected=self.num_output_maps,
                got=self.num_groups,
            )
        if not self.low <= self.high:  # nan is neither
            raise FieldValueError(
                f"{self.label} has the limits low = {self.low:g} and high = {self.high:g}",
                hint="low is at most high, and neither is nan.",
                field="low",
                got=self.low,
            )
        self.check_weights(x, kernel, bias, expansion, expansion_bias)
        return self.output(x, [extent for extent, _ in extents_of(self, x.dims)])

    def reference(self, x, kernel, bias, expansion, expansion_bias):
        channel, by_channel = -self.spatial - 1, (-1, *(1,) * self.spatial)
        matrix = expansion.reshape(expansion.shape[:2])
        v = numpy.moveaxis(numpy.tensordot(matrix, x, (1, channel)), 0, channel)
        v = v if expansion_bias is None else v + expansion_bias.reshape(by_channel)
        if self.silu:
            v = v / (1 + numpy.exp(-v))
        low = -numpy.inf if self.low <= -NO_LIMIT else self.low
        v = numpy.maximum(low, numpy.minimum(numpy.inf if self.high >= NO_LIMIT else self.high, v))
        y = convolved(self, v.astype(x.dtype), kernel)
        return y if bias is None else y + bias.reshape(by_channel)
