"""How layers sample a tensor between its cells and beyond its edges."""

from __future__ import annotations

from dovetail.core.named import Named


class InterpolationMode(Named):
    """How an element is interpolated: from one cell, linearly from two, or cubically from four, on each axis."""

    NEAREST = 0
    LINEAR = 1
    CUBIC = 2


class SampleMode(Named):
    """The value that is read beyond the edges."""

    STRICT_BOUNDS = 0  # nothing: it is an error
    DEFAULT = 0
    WRAP = 1
    CLAMP = 2
    FILL = 3
    REFLECT = 4
