"""Integers of 8 bits and their zero points, for tests of quantised layers."""

import numpy as np

from dovetail.core.types import DataType, nptype

INT8, UINT8 = DataType.INT8, DataType.UINT8
LIMITS = {INT8: (-128, 127), UINT8: (0, 255)}


def integers(rng, dtype, shape):
    """All values of a type, the two extremes more often than others."""
    low, high = LIMITS[dtype]
    values = rng.integers(low - 20, high + 21, shape)
    return np.asarray(np.clip(values, low, high), nptype(dtype))


def zero_point(rng, dtype, n):
    return integers(rng, dtype, (n,))
