"""Padding modes, and the output extents that they give, for ints and for expressions."""

from __future__ import annotations

from typing import Any

from dovetail.core.expr import ceil_div, maximum, minimum
from dovetail.core.named import Named


class PaddingMode(Named):
    """How padding and rounding determine the output extent. The SAME modes ignore explicit padding."""

    EXPLICIT_ROUND_DOWN = 0
    EXPLICIT_ROUND_UP = 1
    SAME_UPPER = 2
    SAME_LOWER = 3
    CAFFE_ROUND_DOWN = 4
    CAFFE_ROUND_UP = 5

    @property
    def is_same(self) -> bool:
        return self in (PaddingMode.SAME_UPPER, PaddingMode.SAME_LOWER)

    def split(self, total: Any) -> tuple[Any, Any]:
        """(before, after) of a SAME mode: an odd element of padding goes after for UPPER, before for LOWER."""
        half = total // 2
        return (half, total - half) if self == PaddingMode.SAME_UPPER else (total - half, half)


def dilated(window: int, dilation: int) -> int:
    """Extent that a dilated window covers: 1 + dilation * (window - 1)."""
    return 1 + dilation * (window - 1)


def convolution_extent(
    mode: PaddingMode, size: Any, window: int, stride: int, before: int, after: int
) -> tuple[Any, Any]:
    """(output extent, padding in front) along one axis; `window` is dilated.

    Elements after the input that a window of a ROUND_UP mode reads beyond `after` are zero too.
    """
    if mode.is_same:
        # TensorRT's formula can be negative if stride > window; no window reads outside then.
        total = maximum((size - 1) // stride * stride + window - size, 0)
        return ceil_div(size, stride), mode.split(total)[0]
    is_caffe = mode in (PaddingMode.CAFFE_ROUND_DOWN, PaddingMode.CAFFE_ROUND_UP)
    room = size + (2 * before if is_caffe else before + after) - window
    rounds_up = mode in (PaddingMode.EXPLICIT_ROUND_UP, PaddingMode.CAFFE_ROUND_UP)
    return (ceil_div(room, stride) if rounds_up else room // stride) + 1, before


def deconvolution_extent(
    mode: PaddingMode, size: Any, window: int, stride: int, before: int, after: int
) -> tuple[Any, Any]:
    """(output extent, elements cut off in front) along one axis; `window` is dilated."""
    full = (size - 1) * stride + window
    if mode.is_same:
        return minimum(size * stride, full), mode.split(max(window - stride, 0))[0]
    return full - (before + after), before


def pooling_extent(
    mode: PaddingMode, size: Any, window: int, stride: int, before: int, after: int
) -> tuple[Any, Any, Any]:
    """(output extent, padding in front, padding behind) along one axis.

    The CAFFE modes drop the last window if it starts after the end of the input plus its front padding.
    """
    if mode.is_same:
        extent, front = convolution_extent(mode, size, window, stride, before, after)
        return extent, front, maximum((size - 1) // stride * stride + window - size, 0) - front
    room = size + (before + after) - window
    rounds_up = mode in (PaddingMode.EXPLICIT_ROUND_UP, PaddingMode.CAFFE_ROUND_UP)
    extent = (ceil_div(room, stride) if rounds_up else room // stride) + 1
    if mode in (PaddingMode.CAFFE_ROUND_DOWN, PaddingMode.CAFFE_ROUND_UP):
        extent = extent - ((extent - 1) * stride >= size + before)
    return extent, before, after
