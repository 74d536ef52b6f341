"""Deconvolution."""

from __future__ import annotations

import warnings
from itertools import product
from math import prod

import numpy

from dovetail.plugins import deconvolution_extent
from dovetail.plugins.builtin._convolving import Convolving, onnx_convolved, onnx_inputs, onnx_window
from dovetail.plugins.onnx import Counts, channels, elementwise, extents, is_given, joined, onnx_op, rank_of, sliced


class Deconvolution(Convolving):
    """y[k, p * stride + r * dilation - padding] = bias[k] + sum over c, p, r of x[c, p] * kernel[c, k, r]

    Inputs    x       [..., C, spatial], two or three spatial dims, float16 | bfloat16 | float32, or
                      quantised int8
              kernel  [C, K / groups, window]
              bias    [K], optional
    Outputs   y       [..., K, spatial]; type of x, float32 for int8
    Numerics  padding trims the output; sums are float32 (int32 for int8) whatever the type;
              denormal bfloat16 elements may count as zeros (CPUs with AVX512-BF16);
              a kernel that is two or three times as long as its stride, not dilated, may run by
              Winograd's algorithm: errors relative to the largest output are about 1e-6 and 6e-6 at
              most for tiles of 3x3 and 5x5 outputs of a phase with 2x2 taps, and as those of
              Convolution with 3x3 taps. BuilderFlag.DISABLE_WINOGRAD forbids it
    Errors    ShapeError if channels, groups and weights disagree, or an output extent would be below 1
    Source    TensorRT 8.5 IDeconvolutionLayer
    """

    purpose = "Matrices and convolutions"

    def kernel_dims(self, channels):
        return (channels, self.num_output_maps // self.num_groups, *self.kernel_size_nd)

    def infer(self, x, kernel, bias):
        self.check_weights(x, kernel, bias)
        return self.output(x, [extent for extent, _ in self._extents(x.dims)])

    def _extents(self, dims):
        """(output extent, cells trimmed off the front) of each spatial axis."""
        return [
            deconvolution_extent(self.padding_mode, size, w.covered, w.stride, w.before, w.after)
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
        cells = x.reshape(prod(batch), groups, channels // groups, prod(size))
        kernel = kernel.reshape(groups, channels // groups, maps // groups, *self.kernel_size_nd)
        full = [max(0, s - 1) * w.stride + w.covered for s, w in zip(size, windows, strict=True)]
        y = numpy.zeros((cells.shape[0], groups, maps // groups, *full), x.dtype)
        for place in product(*(range(w.size) for w in windows)):
            at = [
                slice(r * w.dilation, r * w.dilation + (s - 1) * w.stride + 1, w.stride) if s else slice(0)
                for r, w, s in zip(place, windows, size, strict=True)
            ]
            spread = kernel[(..., *place)].swapaxes(-1, -2) @ cells  # [n, groups, k, positions]
            y[(..., *at)] += spread.reshape(*y.shape[:3], *size)
        kept = [slice(before, before + extent) for extent, before in extents]
        y = y[(..., *kept)]
        y = y.reshape(*batch, maps, *(extent for extent, _ in extents))
        return y if bias is None else y + bias.reshape(-1, *(1,) * self.spatial)

    @staticmethod
    def onnx():
        return (onnx_op("ConvTranspose", rewrite=conv_transpose),)

    @classmethod
    def add_deconvolution_nd(cls, network, input, num_output_maps, kernel_shape, kernel=None, bias=None):
        """A Deconvolution layer. Weights may be flat; `layer.set_input(1, tensor)` feeds an empty kernel."""
        return cls.make_layer(network, input, num_output_maps, kernel_shape, kernel, bias)

    @classmethod
    def add_deconvolution(cls, network, input, num_output_maps, kernel_shape, kernel=None, bias=None):
        """The older name of add_deconvolution_nd."""
        warnings.warn("Use add_deconvolution_nd instead.", DeprecationWarning, stacklevel=3)
        return cls.make_layer(network, input, num_output_maps, kernel_shape, kernel, bias)


# ---- ONNX


def conv_transpose(node):
    """ONNX ConvTranspose. `output_padding` makes the output longer behind, where nothing reaches it but the bias."""
    spatial, fields = onnx_window(node, node[1])
    fields["num_output_maps"] = node[1].shape[1] * fields["num_groups"]
    none = (0,) * (spatial == 1)
    longer = list(none + tuple(node.attr("output_padding", (0,) * spatial)))
    if node.attr("output_shape") is not None:
        wanted = tuple(node.attr("output_shape")[-spatial:])
        if len(wanted) != spatial:
            raise node.fail(f"output_shape needs {spatial} extents", output_shape=node.attr("output_shape"))
        if -1 in node[0].shape[2:]:
            return _cut_out(node, spatial, wanted, longer[len(none) :], fields)
        ones = (1,) * len(none)
        _pad_for(node, ones + tuple(node[0].shape[2:]), ones + wanted, longer, fields)
    elif "padding_mode" in fields and any(longer):  # at most stride times as long: one padding for all extents
        _pad_for(node, (1,) * len(longer), fields["stride_nd"], list(longer), fields)
    behind = fields.get("post_padding", (0,) * len(longer))
    if "padding_mode" not in fields:
        fields["post_padding"] = tuple(max(0, have - more) for more, have in zip(longer, behind, strict=True))
    missing = [max(0, more - have) for more, have in zip(longer, behind, strict=True)][-spatial:]
    if not any(missing):
        return onnx_convolved(node, "Deconvolution", spatial, onnx_inputs(node), **fields)
    y = onnx_convolved(node, "Deconvolution", spatial, [node[0], node[1]], **fields)
    more = [0] * (rank_of(y) - spatial) + missing
    return _part_with_bias(node, y, Counts(node, [0] * rank_of(y)), extents(node, y) + more)


def _part_with_bias(node, y, starts, sizes):
    """A part of y, 0 where that is beyond it, and the bias added."""
    y = sliced(node, y, starts, sizes, mode="FILL")
    return elementwise(node, "SUM", y, channels(node, node[2], rank_of(y), 1)) if is_given(node, 2) else y


def _cut_out(node, spatial, wanted, longer, fields):
    """An output of extents `wanted` out of one without padding, for extents that are not known yet."""
    fields.pop("padding_mode", None)
    fields |= {name: (0,) * len(fields["stride_nd"]) for name in ("pre_padding", "post_padding")}
    y = onnx_convolved(node, "Deconvolution", spatial, [node[0], node[1]], **fields)
    total = (extents(node, y)[2:] + longer - wanted).greatest(0)
    half = total // 2
    before = half if node.attr("auto_pad", "NOTSET") == "SAME_UPPER" else total - half
    sizes = joined(node, [extents(node, y)[:2], wanted])
    return _part_with_bias(node, y, joined(node, [[0, 0], before]), sizes)


def _pad_for(node, given, wanted, longer, fields):
    """Padding that makes outputs of extents `wanted` out of those given; an odd cell is behind only for SAME_UPPER.

    What no padding makes large enough grows in `longer`.
    """
    facts = zip(
        given, wanted, longer, fields["kernel_size_nd"], fields["stride_nd"], fields["dilation_nd"], strict=True
    )
    before, behind = [], []
    for axis, (extent, want, more, window, stride, dilation) in enumerate(facts):
        total = stride * (extent - 1) + more + (window - 1) * dilation + 1 - want
        longer[axis] += max(0, -total)
        total = max(0, total)
        less, is_upper = total // 2, node.attr("auto_pad", "NOTSET") == "SAME_UPPER"
        before.append(less if is_upper else total - less)
        behind.append(total - less if is_upper else less)
    fields.pop("padding_mode", None)
    fields |= {"pre_padding": tuple(before), "post_padding": tuple(behind)}
