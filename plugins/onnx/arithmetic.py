"""Arithmetic in rewrites of ONNX nodes: each function adds one layer and returns its output."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy

from dovetail.core.floats import FLOAT64
from dovetail.core.types import FLOATS, DataType, nptype
from dovetail.plugins.onnx.node import OnnxNode


def combined(node: OnnxNode, op: str, a: Any, b: Any) -> Any:
    """An operation of ElementWise, by name; a number gets the type of the other operand."""
    if isinstance(a, (int, float)):
        a = number_like(b, a)
    if isinstance(b, (int, float)):
        b = number_like(a, b)
    return node.add("ElementWise", [a, b], op=op)


def applied(node: OnnxNode, op: str, x: Any) -> Any:
    """An operation of Unary, by name."""
    return node.add("Unary", [x], op=op)


def reduced(node: OnnxNode, op: str, x: Any, axes: Iterable[int], keep_dims: bool = True) -> Any:
    """An operation of Reduce, by name, over axes counted from the front."""
    return node.add("Reduce", [x], op=op, axes=mask_of(axes), keep_dims=keep_dims)


def norm_order(node: OnnxNode) -> float:
    """The attribute p of a norm. Raises `node.fail` if it is below 1."""
    p: float = node.attr("p", 2)
    if not p >= 1:
        raise node.fail("an Lp norm has a p of 1 or more", p=p)
    return p


def lp_norm(node: OnnxNode, x: Any, axes: Iterable[int], p: float, keep_dims: bool = True) -> Any:
    """(sum of |x|^p)^(1/p)."""
    if p == 2:
        return applied(node, "SQRT", reduced(node, "SUM", combined(node, "PROD", x, x), axes, keep_dims))
    size = applied(node, "ABS", x)
    if p == 1:
        return reduced(node, "SUM", size, axes, keep_dims)
    return combined(node, "POW", reduced(node, "SUM", combined(node, "POW", size, p), axes, keep_dims), 1 / p)


def cast(node: OnnxNode, x: Any, dtype: DataType) -> Any:
    """x converted to a type; x itself if it has that type."""
    return x if x.dtype == dtype else node.add("Cast", [x], to_type=dtype)


def as_float64(node: OnnxNode, x: Any) -> Any:
    """x as FLOAT; extents that are computed from it are rounded as float64."""
    symbolic = x.symbolic
    known = symbolic.values is not None or symbolic.fractions is not None or symbolic.constant is not None
    return node.add("Cast", [x], to_type=DataType.FLOAT, in_float64=True) if known else cast(node, x, DataType.FLOAT)


def as_float32(node: OnnxNode, x: Any) -> Any:
    """x as FLOAT; extents that are computed from it are rounded as float32."""
    is_wide = any(number.width is FLOAT64 for number in x.symbolic.fractions or ())
    return node.add("Cast", [x], to_type=DataType.FLOAT) if is_wide else cast(node, x, DataType.FLOAT)


def number_like(x: Any, value: float) -> numpy.ndarray:
    """A constant with one number, of x's type and rank."""
    return numpy.full((1,) * len(x.shape), value, nptype(x.dtype))


def mask_of(axes: Iterable[int]) -> int:
    """Bit i is axis i."""
    return sum(1 << axis for axis in set(axes))


def in_float(node: OnnxNode, x: Any) -> Any:
    """x, converted to float32 if its type is narrower."""
    return cast(node, x, DataType.FLOAT) if x.dtype in FLOATS else x
