"""Reads a node: which inputs are given, and integers and axes from an attribute or, in later opsets, an input."""

from __future__ import annotations

import numpy

from dovetail.core.types import DataType
from dovetail.plugins.onnx.arithmetic import cast
from dovetail.plugins.onnx.counts import MOST_KNOWN, Counts, rank_of
from dovetail.plugins.onnx.data_counts import as_extents
from dovetail.plugins.onnx.node import OnnxNode
from dovetail.plugins.shapes import axis_of


def is_given(node: OnnxNode, index: int) -> bool:
    """True if the input is given."""
    return index < len(node) and node.value(index) is not None


def integers(node: OnnxNode, index: int, name: str) -> tuple[int, ...] | None:
    """Integers of an attribute (older opsets) or of input `index`; None if there are none.

    Raises `node.fail` if they are known only at run time.
    """
    given = node.attr(name)
    if given is None:
        given = node.constant(index)
        if given is None:
            if node.get(index) is not None:
                raise node.fail(
                    f"its {name} must be known when the network is built: constants, or what follows from shapes",
                    **{name: f"input {index}, tensor '{node[index].name}' {node[index].shape}"},
                )
            return None
    return tuple(int(value) for value in numpy.asarray(given).reshape(-1))


def axes_given(node: OnnxNode, index: int, rank: int, name: str = "axes") -> list[int] | None:
    """The axes of an attribute or an input, counted from the front, in the order given; None if there are none.

    Raises:
        ShapeError: one of them is not an axis of a tensor with `rank` dims. Also the errors of `integers`.
    """
    given = integers(node, index, name)
    return None if given is None else [axis_of(axis, rank, node.op_type) for axis in given]


def axis_given(node: OnnxNode, rank: int, default: int) -> int:
    """The attribute axis, counted from the front. Raises ShapeError outside [-rank, rank)."""
    return axis_of(node.attr("axis", default), rank, node.op_type)


def counts_given(node: OnnxNode, index: int, name: str) -> Counts:
    """A list of integers, known or not, from an attribute or from input `index`.

    Raises `node.fail` if the input is not a list, or its length is unknown or very large.
    """
    given = node.attr(name)
    if given is None:
        given = node.constant(index)
    if given is not None:
        return Counts(node, given)
    tensor = node[index]
    if rank_of(tensor) != 1 or tensor.shape[0] < 0:
        raise node.fail(f"its {name} must be a list of known length", **{name: f"'{tensor.name}' {tensor.shape}"})
    if tensor.shape[0] > MOST_KNOWN:
        raise node.fail(f"its {name} is too long a list", **{name: f"'{tensor.name}' {tensor.shape}"})
    return Counts(node, as_extents(node, cast(node, tensor, DataType.INT64)))
