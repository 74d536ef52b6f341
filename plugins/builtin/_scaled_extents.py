"""floor(extent * scale) as torch, ONNX Runtime and TensorRT compute it: the product is rounded to float32."""

from __future__ import annotations

from typing import Any

import numpy

from dovetail.core.types import Rounding
from dovetail.plugins.builtin._fractions import Ratio, constant


def scaled(size: Any, scale: float) -> Any:
    """floor(size * scale) in float32, so that 10 * 0.7 is 7, though the float32 next to 0.7 is a little less.

    Args:
        size: an int, or an expression.
        scale: finite; the float32 next to it is taken.
    """
    single = numpy.float32(scale)
    if single == 1:
        return size
    known = size if isinstance(size, int) else size.value
    if known is not None:
        return int(numpy.floor(numpy.float32(known) * single))
    return (Ratio(size) * constant(float(single))).whole(Rounding.DOWN)
