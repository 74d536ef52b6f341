"""Conversions between the types of ONNX models, including types that networks represent by wider ones."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from dovetail.core.types import DataType
from dovetail.plugins.onnx.arithmetic import applied, as_float32, as_float64, cast
from dovetail.plugins.onnx.node import OnnxNode
from dovetail.plugins.onnx.pointwise import aligned, elementwise, scalar, wrapped

# Integer types and their ranges.
LIMITS = {
    "INT8": (-128, 127),
    "UINT8": (0, 255),
    "INT16": (-32768, 32767),
    "UINT16": (0, 65535),
    "INT4": (-8, 7),
    "UINT4": (0, 15),
    "INT2": (-2, 1),
    "UINT2": (0, 3),
}
BELOW_A_BYTE = ("INT4", "UINT4", "INT2", "UINT2")


class Narrow(NamedTuple):
    """A narrow float type: bits of the fraction, exponent of its smallest normal number, its largest number."""

    bits: int
    least: int
    largest: float
    beyond: float = math.nan  # the result for numbers that are too large, without saturation


NARROW_FLOATS = {
    "FLOAT8E4M3FN": Narrow(3, -6, 448.0),
    "FLOAT8E4M3FNUZ": Narrow(3, -7, 240.0),
    "FLOAT8E5M2": Narrow(2, -14, 57344.0, math.inf),
    "FLOAT8E5M2FNUZ": Narrow(2, -15, 57344.0),
    "FLOAT4E2M1": Narrow(1, 0, 6.0),
}


def converted_to(node: OnnxNode, x: Any, type_name: str, saturate: int = 1) -> Any:
    """x converted to the model's type of this name, limited to its range if the network uses a wider type."""
    if type_name in NARROW_FLOATS:
        return narrowed(node, cast(node, x, DataType.FLOAT), NARROW_FLOATS[type_name], bool(saturate))
    if type_name == "FLOAT8E8M0":
        return to_power_of_two(node, cast(node, x, DataType.FLOAT), node.attr("round_mode", "up"))
    if type_name in ("FLOAT", "DOUBLE"):
        node.carrier(type_name)  # warns if it is DOUBLE
        return as_float64(node, x) if type_name == "DOUBLE" else as_float32(node, x)
    work = DataType.INT32 if type_name in BELOW_A_BYTE else node.carrier(type_name)
    return cast(node, wrapped(node, cast(node, x, work), type_name), node.carrier(type_name))


def narrowed(node: OnnxNode, x: Any, kind: Narrow, saturate: bool) -> Any:
    """float32 numbers rounded to the nearest number of the narrow type, ties to even."""
    unit = elementwise(node, "PROD", power_below(node, x, kind.least, 127), scalar(x, 2.0**-kind.bits))
    y = elementwise(node, "PROD", applied(node, "ROUND", elementwise(node, "DIV", x, unit)), unit)
    if saturate:
        return node.add("Activation", [y], type="CLIP", alpha=-kind.largest, beta=kind.largest)
    is_beyond = elementwise(node, "GREATER", applied(node, "ABS", y), scalar(y, kind.largest))
    beyond = scalar(y, kind.beyond)
    signed = elementwise(node, "PROD", y, beyond) if math.isinf(kind.beyond) else beyond
    return node.add("Select", aligned(node, is_beyond, signed, y))


def to_power_of_two(node: OnnxNode, x: Any, mode: str) -> Any:
    """Positive float32 numbers rounded to powers of two: up, down, or to the nearest."""
    below = power_below(node, x, -127, 127)
    if mode == "down":
        return below
    limit = below if mode == "up" else elementwise(node, "PROD", below, scalar(x, 1.5))
    goes_up = elementwise(node, "GREATER", x, limit)
    if mode == "nearest":
        goes_up = elementwise(node, "OR", goes_up, elementwise(node, "EQUAL", x, limit))
    above = elementwise(node, "MIN", elementwise(node, "PROD", below, scalar(x, 2.0)), scalar(x, 2.0**127))
    return node.add("Select", [goes_up, above, below])


def power_below(node: OnnxNode, x: Any, least: int, most: int) -> Any:
    """The largest power of two that is not above |x|, with its exponent limited to a range."""
    size = applied(node, "ABS", x)
    exponent = elementwise(node, "PROD", applied(node, "LOG", size), scalar(x, 1 / math.log(2)))
    exponent = applied(node, "FLOOR", exponent)
    exponent = node.add("Activation", [exponent], type="CLIP", alpha=float(least), beta=float(most))
    power = elementwise(node, "POW", scalar(x, 2.0), exponent)
    # The logarithm is rounded: close to a power of two the exponent may be one too large or too small.
    halved = elementwise(node, "MAX", elementwise(node, "PROD", power, scalar(x, 0.5)), scalar(x, 2.0**least))
    power = node.add("Select", [elementwise(node, "GREATER", power, size), halved, power])
    doubled = elementwise(node, "MIN", elementwise(node, "PROD", power, scalar(x, 2.0)), scalar(x, 2.0**most))
    return node.add("Select", [elementwise(node, "GREATER", doubled, size), power, doubled])
