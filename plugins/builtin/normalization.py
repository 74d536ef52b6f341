"""Normalization."""

from __future__ import annotations

import numpy

from dovetail.core.errors import ShapeError
from dovetail.core.expr import as_expr
from dovetail.core.types import FLOATS
from dovetail.plugins import Input, Output, Plugin, field, require_that
from dovetail.plugins.builtin._axes import axes_of


class Normalization(Plugin):
    """y = (x - mean) / sqrt(variance + epsilon) * scale + bias, mean and variance taken over `axes`

    Inputs    x            [N, C, ...], rank 1..8, float16 | bfloat16 | float32
              scale, bias  of one shape and the rank of x, each extent that of x or 1; on the axis of the channels also
                           num_groups: one value a group
    Outputs   y            dims and type of x
    Numerics  float32 whatever the type; the variance is the mean of (x - mean)^2, without Bessel's correction
    Errors    ShapeError if a bit of `axes` is no axis of x, if scale or bias do not spread over x, or if num_groups
              does not divide the channels
    Source    TensorRT 8.6 INormalizationLayer. Layer normalisation has the last axes, instance normalisation those
              behind the channels; group normalisation has these and num_groups > 1, and mean and variance are taken
              over the channels of a group too, which are neighbours on axis 1
    """

    x = Input(FLOATS)
    scale = Input(FLOATS, doc="Factor.")
    bias = Input(FLOATS, doc="Added last.")
    y = Output(like="x")
    axes: int = field(doc="Axes of mean and variance: bit i is axis i.", low=0, high=255)
    epsilon: float = field(1e-5, doc="Added to the variance.", low=0)
    num_groups: int = field(1, doc="Channels are split into so many groups, each normalised by itself.", low=1)

    type_rows = ("f32|f16|bf16|f16|bf16 f32|f16|bf16|f32|f32 f32|f16|bf16|f32|f32 -> f32|f16|bf16|f16|bf16",)

    def infer(self, x, scale, bias):
        axes_of(self.axes, x.rank, self.label)
        for name, tensor in (("scale", scale), ("bias", bias)):
            if tensor.rank != x.rank:
                raise ShapeError(
                    f"{self.label} cannot use a {name} of rank {tensor.rank} for x of rank {x.rank}",
                    facts=[("x", x.dims), (name, tensor.dims)],
                    hint="Put extents of 1 in front with a Shuffle layer.",
                    expected=x.rank,
                    got=tensor.rank,
                )
        if self.num_groups > 1:
            require_that(
                x.rank > 1 and as_expr(x.dims[1] % self.num_groups) == 0,
                f"{self.label} cannot split {x.dims[1] if x.rank > 1 else 'no'} channels into {self.num_groups} groups",
                [("x", x.dims), ("num_groups", self.num_groups)],
                hint="Channels are axis 1, and num_groups divides them.",
            )
        for axis, (extent, s, b) in enumerate(zip(x.dims, scale.dims, bias.dims, strict=True)):
            is_spread = (as_expr(s) == 1) + (as_expr(s) == extent)
            if axis == 1 and self.num_groups > 1:
                is_spread = is_spread + (as_expr(s) == self.num_groups)
            require_that(
                is_spread > 0,
                f"{self.label} cannot spread a scale of {scale.dims} over x of {x.dims}",
                [("axis", axis), ("extents", f"{s} and {extent}"), ("rule", "equal, or that of scale 1")],
                axis=axis,
            )
            require_that(
                as_expr(s) == as_expr(b),
                f"{self.label} needs scale and bias of one shape, got {scale.dims} and {bias.dims}",
                [("axis", axis), ("extents", f"{s} and {b}")],
                axis=axis,
            )
        return x.like()

    def reference(self, x, scale, bias):
        axes, dims = axes_of(self.axes, x.ndim, self.label), x.shape
        parameters = [scale, bias]
        if self.num_groups > 1:
            size = dims[1] // self.num_groups
            dims = (dims[0], self.num_groups, size, *dims[2:])
            axes = (2, *(axis + (axis > 0) for axis in axes if axis != 1))
            if scale.shape[1] == self.num_groups:
                parameters = [numpy.repeat(p, size, axis=1) for p in parameters]
        cells = x.reshape(dims)
        centered = cells - cells.mean(axis=axes, keepdims=True)
        variance = (centered * centered).mean(axis=axes, keepdims=True)
        y = (centered / numpy.sqrt(variance + self.epsilon)).reshape(x.shape)
        return (y * parameters[0] + parameters[1]).astype(x.dtype)

    @classmethod
    def add(cls, network, input, scale, bias, axesMask):  # noqa: N803  # TensorRT's name
        """A Normalization layer; epsilon and num_groups are set on it."""
        return network.add_plugin("Normalization", [input, scale, bias], {"axes": axesMask})
