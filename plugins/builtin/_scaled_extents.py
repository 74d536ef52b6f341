"""floor(extent * scale) as torch, ONNX Runtime and TensorRT compute it: the product is rounded to float32."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy

MOST = 1 << 16  # extents up to here are exact where they are expressions
DENOMINATORS = (1, 10, 100, 1000)  # of scales as people write them


def scaled(size: Any, scale: float) -> Any:
    """floor(size * scale) in float32, so that 10 * 0.7 is 7, though the float32 next to 0.7 is a little less.

    Args:
        size: an int, or an expression; a result in whole numbers has the same value for extents up to `MOST`.
    """
    single = numpy.float32(scale)
    known = size if isinstance(size, int) else size.value
    if single == 1:
        return size
    if known is not None:
        return int(numpy.floor(numpy.float32(known) * single))
    top, bottom, steps = _in_whole_numbers(float(single))
    product = size * top
    rounded = product
    for least, more in steps:
        rounded = rounded + (product >= least) * more
    return rounded // bottom if bottom != 1 else rounded


@lru_cache(maxsize=256)
def _in_whole_numbers(scale: float) -> tuple[int, int, tuple[tuple[int, int], ...]]:
    """(t, b, steps): floor of the float32 product is (n t + the sum of `more` for each `least` <= n t) // b."""
    n = numpy.arange(MOST + 1, dtype=numpy.int64)
    wanted = numpy.floor(n.astype(numpy.float32) * numpy.float32(scale)).astype(numpy.int64)
    exact = Fraction(scale)
    for most in DENOMINATORS:
        near = exact.limit_denominator(most)
        if near and (n * near.numerator // near.denominator == wanted).all():
            return near.numerator, near.denominator, ()
    if not wanted.any():
        return 0, 1, ()
    if exact.numerator * MOST >= 1 << 61:
        return exact.numerator, exact.denominator, ()  # beyond what an extent can be
    # A product of b bits is rounded to a multiple of 2^(b - 24). Only half of that, added before the floor, matters:
    # a tie below a whole number goes up to it, since that is the even one.
    products, steps, half = n * exact.numerator, [], 0
    for bits in range(25, 62):
        least, needed = 1 << (bits - 1), 1 << (bits - 25)
        here = products[(products >= least) & (products < 2 * least)]
        if ((here + needed) // exact.denominator != (here + half) // exact.denominator).any():
            steps.append((least, needed - half))
            half = needed
    return exact.numerator, exact.denominator, tuple(steps)
