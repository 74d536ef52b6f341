"""Normalization."""

from __future__ import annotations

import numpy

from dovetail.core.arguments import shape_of
from dovetail.core.errors import DTypeError, ShapeError
from dovetail.core.expr import as_expr
from dovetail.core.types import FLOATS, DataType
from dovetail.plugins import Input, Output, Plugin, axis_of, field, require_that
from dovetail.plugins.builtin._axes import axes_of
from dovetail.plugins.onnx import (
    applied,
    axis_given,
    cast,
    combined,
    in_float,
    is_given,
    lp_norm,
    mask_of,
    norm_order,
    number_like,
    onnx_op,
    rank_of,
    reduced,
    reshaped,
    with_rank,
)


class Normalization(Plugin):
    """y = (x - mean) / sqrt(variance + epsilon) * scale + bias, mean and variance taken over `axes`

    Inputs    x            [N, C, ...], rank 1..8, float16 | bfloat16 | float32
              scale, bias  of one shape and the rank of x, each extent that of x or 1; on the axis of the channels also
                           num_groups: one value a group
    Outputs   y            dims and type of x
    Numerics  float32 whatever the type; the variance is the mean of (x - mean)^2, without Bessel's correction;
              without `centered` the mean is taken for 0: y = x / sqrt(mean of x^2 + epsilon) * scale + bias
    Errors    ShapeError if a bit of `axes` is not an axis of x, if scale or bias do not spread over x, or if num_groups
              does not divide the channels; DTypeError if scale and bias are neither of x's type nor FLOAT
    Source    TensorRT 8.6 INormalizationLayer. Layer normalisation has the last axes, instance normalisation those
              behind the channels; group normalisation has these and num_groups > 1, and mean and variance are taken
              over the channels of a group too, which are neighbours on axis 1. RMS normalisation: Zhang and Sennrich,
              2019, and ONNX RMSNormalization
    """

    purpose = "Normalisation"
    x = Input(FLOATS)
    scale = Input(FLOATS, doc="Factor.")
    bias = Input(FLOATS, doc="Added last.")
    y = Output(like="x")
    axes: int = field(doc="Axes of mean and variance: bit i is axis i.", low=0, high=255)
    epsilon: float = field(1e-5, doc="Added to the variance.", low=0)
    num_groups: int = field(1, doc="Number of groups of channels; each is normalised separately.", low=1)
    centered: bool = field(True, doc="Subtract the mean? False: RMS normalisation, by the mean of x^2.")

    type_rows = ("f32|f16|bf16|f16|bf16 f32|f16|bf16|f32|f32 f32|f16|bf16|f32|f32 -> f32|f16|bf16|f16|bf16",)

    def infer(self, x, scale, bias):
        axes_of(self.axes, x.rank, self.label)
        self._check_types(x, scale, bias)
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

    def _check_types(self, x, scale, bias):
        if scale.dtype == bias.dtype and scale.dtype in (x.dtype, DataType.FLOAT):
            return
        raise DTypeError(
            f"{self.label} cannot normalise {x.dtype.name} with scale {scale.dtype.name} and bias {bias.dtype.name}",
            facts=[("x", x.dtype.name), ("scale", scale.dtype.name), ("bias", bias.dtype.name)],
            hint="Scale and bias have one type, that of x or FLOAT: convert them with Cast layers.",
            expected=(x.dtype, DataType.FLOAT),
            got=(scale.dtype, bias.dtype),
        )

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
        centered = cells - cells.mean(axis=axes, keepdims=True) if self.centered else cells
        variance = (centered * centered).mean(axis=axes, keepdims=True)
        y = (centered / numpy.sqrt(variance + self.epsilon)).reshape(x.shape)
        return (y * parameters[0] + parameters[1]).astype(x.dtype)

    @staticmethod
    def onnx():
        return (
            onnx_op("LayerNormalization", mixes_types=True, rewrite=layer_normalization),
            onnx_op("InstanceNormalization", mixes_types=True, rewrite=instance_normalization),
            onnx_op("GroupNormalization", mixes_types=True, rewrite=group_normalization),
            onnx_op("RMSNormalization", mixes_types=True, rewrite=rms_normalization),
            onnx_op("LpNormalization", rewrite=lp_normalization),
            onnx_op("MeanVarianceNormalization", rewrite=mean_variance_normalization),
        )

    @classmethod
    def add(cls, network, input, scale, bias, axesMask):  # noqa: N803  # TensorRT's name
        """A Normalization layer; epsilon and num_groups are set on it.

        Scale and bias of other types than x get Cast layers to FLOAT.
        """
        for what, tensor in (("input", input), ("scale", scale), ("bias", bias)):
            shape_of(f"the {what} of add_normalization", tensor)
        if any(tensor.dtype != input.dtype for tensor in (scale, bias)):
            scale, bias = (
                tensor
                if tensor.dtype == DataType.FLOAT
                else network.add_plugin("Cast", [tensor], {"to_type": DataType.FLOAT}).get_output(0)
                for tensor in (scale, bias)
            )
        return network.add_plugin("Normalization", [input, scale, bias], {"axes": axesMask})


# ---- ONNX


def _normalized(node, x, axes, scale, bias, **fields):
    """The layer; scale and bias of any dims that spread over x, or None."""
    fields |= {"axes": mask_of(axes), "epsilon": float(node.attr("epsilon", 1e-5))}
    given = [parameter for parameter in (scale, bias) if parameter is not None]
    if any(parameter.dtype != x.dtype for parameter in given):  # mixtures that no row has, in float32
        scale, bias = (value if value is None else cast(node, value, DataType.FLOAT) for value in (scale, bias))
    if scale is not None and bias is not None and tuple(scale.shape) == tuple(bias.shape):
        return node.add("Normalization", [x, scale, bias], **fields)
    y = node.add("Normalization", [x, number_like(x, 1), number_like(x, 0)], **fields)
    y = y if scale is None else combined(node, "PROD", y, cast(node, scale, x.dtype))
    return y if bias is None else combined(node, "SUM", y, cast(node, bias, x.dtype))


def layer_normalization(node):
    """ONNX LayerNormalization: over the axes from `axis` on; mean and 1 / deviation where they are asked for."""
    x = node[0]
    rank = rank_of(x)
    axes = range(axis_given(node, rank, -1), rank)
    scale, bias = (with_rank(node, node[i], rank) if is_given(node, i) else None for i in (1, 2))
    results = [_normalized(node, x, axes, scale, bias)]
    if node.n_outputs > 1:
        wide = cast(node, x, DataType.FLOAT)
        mean = reduced(node, "AVG", wide, axes)
        centered = combined(node, "SUB", wide, mean)
        variance = reduced(node, "AVG", combined(node, "PROD", centered, centered), axes)
        results += [mean, _inverse_root(node, variance)]
    return results


def _inverse_root(node, x):
    """1 / sqrt(x + epsilon)."""
    return applied(node, "RECIP", applied(node, "SQRT", combined(node, "SUM", x, float(node.attr("epsilon", 1e-5)))))


def _by_channel(node, index):
    """A list of values as a tensor that spreads over the channels."""
    return reshaped(node, node[index], (1, -1, *(1,) * (rank_of(node[0]) - 2)))


def instance_normalization(node):
    """ONNX InstanceNormalization: over what is behind the channels."""
    return _normalized(node, node[0], range(2, rank_of(node[0])), _by_channel(node, 1), _by_channel(node, 2))


def group_normalization(node):
    """ONNX GroupNormalization: scale and bias have one value a group, from opset 21 on one a channel."""
    n_groups, rank = node.attr("num_groups"), rank_of(node[0])
    axes = range(1 if n_groups == 1 else 2, rank)
    return _normalized(node, node[0], axes, _by_channel(node, 1), _by_channel(node, 2), num_groups=n_groups)


def rms_normalization(node):
    """ONNX RMSNormalization: x / sqrt(mean(x^2) + epsilon) * scale."""
    x = in_float(node, node[0])
    rank = rank_of(x)
    y = _normalized(node, x, range(axis_given(node, rank, -1), rank), None, None, centered=False)
    return combined(node, "PROD", cast(node, y, node[1].dtype), with_rank(node, node[1], rank))


def lp_normalization(node):
    """ONNX LpNormalization: x / norm(x), 0 where that is 0."""
    x = in_float(node, node[0])
    norm = lp_norm(node, x, [axis_given(node, rank_of(x), -1)], norm_order(node))
    infinite = number_like(x, numpy.inf)
    norm = node.add("Select", [combined(node, "EQUAL", norm, 0.0), infinite, norm])
    return cast(node, combined(node, "DIV", x, norm), node[0].dtype)


def mean_variance_normalization(node):
    """ONNX MeanVarianceNormalization: (x - mean) / (deviation + 1e-9)."""
    x, axes = in_float(node, node[0]), node.attr("axes", (0, 2, 3))
    axes = [axis_of(axis, rank_of(x), node.op_type) for axis in axes]
    centered = combined(node, "SUB", x, reduced(node, "AVG", x, axes))
    deviation = applied(node, "SQRT", reduced(node, "AVG", combined(node, "PROD", centered, centered), axes))
    return cast(node, combined(node, "DIV", centered, combined(node, "SUM", deviation, 1e-9)), node[0].dtype)
