"""Extents in rewrites of ONNX nodes: known ones are numbers, others are computed by layers of the network."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy

from dovetail.core.types import DataType
from dovetail.plugins.onnx.node import OnnxNode

MOST_KNOWN = 1 << 16  # most elements of an array made while importing; larger results are computed by a layer


class Counts:
    """A list of integers, known as an int64 array or computed as a tensor [n] of the network.

    + - * // (rounding down), `least` and `greatest` work element by element, also with numbers; a single element is
    broadcast. The result is known if the operands are.

    Raises:
        Exception: made by `node.fail`, if a known result exceeds 64 bits.
    """

    def __init__(self, node: OnnxNode, value: Any) -> None:
        self.node = node
        if not hasattr(value, "symbolic"):
            value = numpy.asarray(value, numpy.int64).reshape(-1)
        else:
            elements = value.symbolic.elements()
            if elements is not None and all(element.value is not None for element in elements):
                value = numpy.array([element.value for element in elements], numpy.int64)
        self.value = value

    @property
    def known(self) -> numpy.ndarray | None:
        return self.value if isinstance(self.value, numpy.ndarray) else None

    def each(self) -> list[int | None]:
        """The elements as a list; None if they are not known."""
        if self.known is not None:
            return [int(value) for value in self.known]
        elements = self.value.symbolic.elements()
        return [None] * len(self) if elements is None else [element.value for element in elements]

    def __len__(self) -> int:
        return int(self.value.shape[0])

    def tensor(self) -> Any:
        """As a tensor of the network."""
        return self.node.as_tensor(self.value) if self.known is not None else self.value

    def _with(self, other: Any, op: str, function: Any) -> Counts:
        other = other if isinstance(other, Counts) else Counts(self.node, other)
        if self.known is not None and other.known is not None:
            found = function(self.known.astype(object), other.known.astype(object))  # Python's integers do not wrap
            beyond = [number for number in found.reshape(-1).tolist() if not -(2**63) <= number < 2**63]
            if beyond:
                raise self.node.fail("an extent is beyond 64 bits", extent=beyond[0])
            return Counts(self.node, found.astype(numpy.int64))
        return Counts(self.node, self.node.add("ElementWise", [self.value, other.value], op=op))

    def __add__(self, other: Any) -> Counts:
        return self._with(other, "SUM", numpy.add)

    def __sub__(self, other: Any) -> Counts:
        return self._with(other, "SUB", numpy.subtract)

    def __mul__(self, other: Any) -> Counts:
        return self._with(other, "PROD", numpy.multiply)

    def __floordiv__(self, other: Any) -> Counts:
        return self._with(other, "FLOOR_DIV", numpy.floor_divide)

    def least(self, other: Any) -> Counts:
        return self._with(other, "MIN", numpy.minimum)

    def greatest(self, other: Any) -> Counts:
        return self._with(other, "MAX", numpy.maximum)

    def ceil_div(self, divisor: Any) -> Counts:
        """Rounded up."""
        found: Counts = (self + (divisor - 1)) // divisor
        return found

    def __getitem__(self, places: int | slice | Sequence[int]) -> Counts:
        """The elements at some positions, always as a list."""
        chosen = numpy.arange(len(self))[places].reshape(-1)
        if self.known is not None or not len(chosen):
            return Counts(self.node, [] if self.known is None else self.known[chosen])
        if len(chosen) == len(self) and (chosen == numpy.arange(len(self))).all():
            return self
        return Counts(self.node, self.node.add("Gather", [self.value, chosen], axis=0))

    def product(self) -> Counts:
        """Their product, as a list of one."""
        if self.known is not None:
            product = math.prod(self.known.tolist())
            if abs(product) >= 2**63:
                raise self.node.fail("a product of extents is beyond 64 bits", extents=self.known.tolist())
            return Counts(self.node, [product])
        return (
            self
            if len(self) == 1
            else Counts(self.node, self.node.add("Reduce", [self.value], op="PROD", axes=1, keep_dims=True))
        )


def joined(node: OnnxNode, parts: Iterable[Any]) -> Counts:
    """Lists, numbers and Counts joined to one list."""
    lists = [part if isinstance(part, Counts) else Counts(node, part) for part in parts]
    lists = [part for part in lists if len(part)]
    if all(part.known is not None for part in lists):
        return Counts(node, numpy.concatenate([part.known for part in lists]) if lists else [])
    return lists[0] if len(lists) == 1 else Counts(node, node.add("Concatenation", [p.value for p in lists], axis=0))


def replaced(counts: Counts, places: Sequence[int], values: Counts) -> Counts:
    """`counts` with other elements at some positions, all different."""
    order = list(range(len(counts)))
    for new, place in enumerate(places):
        order[place] = len(counts) + new
    return joined(counts.node, [counts, values])[order]


def extents(node: OnnxNode, x: Any) -> Counts:
    """The dims of a tensor."""
    dims = [dim.value for dim in x.symbolic.dims]
    if None not in dims:
        return Counts(node, dims)
    return Counts(node, node.add("Shape", [x], to=int(DataType.INT64)))


def rank_of(x: Any) -> int:
    """Number of dims of a tensor or an array."""
    return len(x.shape)
