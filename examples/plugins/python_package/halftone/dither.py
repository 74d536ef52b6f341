"""Dither."""

import numpy as np

from dovetail.core.types import DataType
from dovetail.plugins import Input, Output, Plugin, field

# Bayer's matrix, thresholds in the middle of sixteenths.
BAYER = (np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]]) + 0.5) / 16


class Dither(Plugin):
    """y[r, c] = floor(min(max(x[r, c], 0), 1) * (levels - 1) + t[r % 4, c % 4]) / (levels - 1), t in 0..1.

    Inputs    x  [..., H, W], float32
    Outputs   y  dims of x, one of `levels` values in 0..1
    Source    Bayer, "An optimum method for two-level rendition of continuous-tone pictures", 1973
    """

    namespace = "halftone"
    x = Input((DataType.FLOAT,))
    y = Output(like="x")
    levels: int = field(2, low=2, high=256, doc="How many values are left.")

    def infer(self, x):
        return x.like()

    def reference(self, x):
        rows, columns = (np.arange(extent) % 4 for extent in x.shape[-2:])
        steps = self.levels - 1
        return (np.floor(np.clip(x, 0, 1) * steps + BAYER[rows[:, None], columns]) / steps).astype(x.dtype)
