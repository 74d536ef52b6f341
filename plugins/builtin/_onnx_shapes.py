"""Extents in rewrites of ONNX nodes: known ones are numbers, the others are computed by layers of the network."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy

from dovetail.core.types import DataType
from dovetail.plugins import axis_of
from dovetail.plugins.builtin._onnx_counts import as_extents
from dovetail.plugins.builtin._onnx_math import cast

MOST_KNOWN = 1 << 16  # elements of an array that is made while importing; what is larger is computed by a layer


class Counts:
    """A list of integers, known as an int64 array or computed as a tensor [n] of the network.

    + - * // (rounding down), `least` and `greatest` work element by element, with numbers too; one is repeated.
    What follows from known ones is known.
    """

    def __init__(self, node: Any, value: Any) -> None:
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
        """The single ones, None where they are not known."""
        if self.known is not None:
            return self.known.tolist()
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
        return (self + (divisor - 1)) // divisor

    def __getitem__(self, places: int | slice | Sequence[int]) -> Counts:
        """Those at some places; always a list, of one for a single place."""
        places = numpy.arange(len(self))[places].reshape(-1)
        if self.known is not None or not len(places):
            return Counts(self.node, [] if self.known is None else self.known[places])
        if len(places) == len(self) and (places == numpy.arange(len(self))).all():
            return self
        return Counts(self.node, self.node.add("Gather", [self.value, places], axis=0))

    def product(self) -> Counts:
        """A list of one."""
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


def joined(node: Any, parts: Iterable[Any]) -> Counts:
    """Lists, numbers and Counts one behind the other."""
    lists = [part if isinstance(part, Counts) else Counts(node, part) for part in parts]
    lists = [part for part in lists if len(part)]
    if all(part.known is not None for part in lists):
        return Counts(node, numpy.concatenate([part.known for part in lists]) if lists else [])
    return lists[0] if len(lists) == 1 else Counts(node, node.add("Concatenation", [p.value for p in lists], axis=0))


def replaced(counts: Counts, places: Sequence[int], values: Counts) -> Counts:
    """`counts` with others at some places, all different."""
    order = list(range(len(counts)))
    for new, place in enumerate(places):
        order[place] = len(counts) + new
    return joined(counts.node, [counts, values])[order]


def extents(node: Any, x: Any) -> Counts:
    """The dims of a tensor."""
    dims = [dim.value for dim in x.symbolic.dims]
    if None not in dims:
        return Counts(node, dims)
    return Counts(node, node.add("Shape", [x], to=int(DataType.INT64)))


# ---- what a node says


def rank_of(x: Any) -> int:
    return len(x.shape)


def is_given(node: Any, index: int) -> bool:
    """Is the input there?"""
    return index < len(node) and node.value(index) is not None


def integers(node: Any, index: int, name: str) -> tuple[int, ...] | None:
    """Integers of an attribute, as older opsets have it, or else of input `index`; None if there are none.

    Raises the error to raise where they are known only at run time.
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


def axes_given(node: Any, index: int, rank: int, name: str = "axes") -> list[int] | None:
    """The axes of an attribute or an input, counted from the front, in the order given; None if there are none."""
    given = integers(node, index, name)
    return None if given is None else [axis_of(axis, rank, node.op_type) for axis in given]


def axis_given(node: Any, rank: int, default: int) -> int:
    """The attribute axis, counted from the front."""
    return axis_of(node.attr("axis", default), rank, node.op_type)


def counts_given(node: Any, index: int, name: str) -> Counts:
    """A list of integers, known or not, from an attribute or from input `index`."""
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


# ---- layers


def off_diagonal(node: Any, dims: Counts) -> Any:
    """column - row of a matrix with these two extents: an array where they are known and few, else a tensor."""
    if dims.known is not None and math.prod(dims.known.tolist()) <= MOST_KNOWN:
        rows, columns = (numpy.arange(extent) for extent in dims.known)
        return columns - rows[:, None]
    steps = {"alphas": numpy.zeros((), numpy.int64), "betas": numpy.array([-1, 1])}
    return node.add("Fill", [dims.tensor(), *steps.values()], operation="LINSPACE", to_type=DataType.INT64)


def reshaped(node: Any, x: Any, dims: Any) -> Any:
    """x in other dims, which Counts or a list of numbers and Counts say."""
    dims = dims if isinstance(dims, Counts) else joined(node, dims)
    if dims.known is not None:
        return node.add("Shuffle", [x], reshape_dims=tuple(dims.known.tolist()), zero_is_placeholder=False)
    elements = dims.each()
    others = [element for element in elements if element is not None]
    if len(others) == len(elements) - 1 and min(others, default=1) > 0:  # -1 says it without a computation
        plain = tuple(-1 if element is None else element for element in elements)
        return node.add("Shuffle", [x], reshape_dims=plain, zero_is_placeholder=False)
    return node.add("Shuffle", [x, dims.value], zero_is_placeholder=False)


def with_extent(node: Any, x: Any, axis: int, extent: int, rule: str) -> Any:
    """x with an extent that something else tells, where x itself has an unknown one; others are refused by `rule`."""
    if x.shape[axis] >= 0 or extent < 0:
        return x
    dims = extents(node, x)
    same = node.add("ElementWise", [dims[axis].tensor(), Counts(node, [extent]).tensor()], op="EQUAL")
    node.network.add_plugin("Assertion", [same], {"message": rule})
    return reshaped(node, x, replaced(dims, [axis], Counts(node, [extent])))


def transposed(node: Any, x: Any, order: Sequence[int]) -> Any:
    """Axis i of the result is axis order[i] of x."""
    return x if list(order) == list(range(rank_of(x))) else node.add("Shuffle", [x], first_transpose=tuple(order))


def with_rank(node: Any, x: Any, rank: int) -> Any:
    """x with extents of 1 in front. A constant is seen anew: weights are large, and a layer would copy them."""
    missing = rank - rank_of(x)
    if missing <= 0:
        return x
    known = x if isinstance(x, numpy.ndarray) else x.symbolic.constant
    if known is not None:
        dims = (1,) * missing + known.shape
        return node.network.add_constant(dims, known.reshape(dims)).get_output(0)
    return node.add("Unsqueeze", [x, numpy.arange(missing)])


def sliced(
    node: Any, x: Any, starts: Counts, sizes: Counts, strides: Any = None, mode: str = "DEFAULT", value: Any = None
) -> Any:
    """A Slice of x, with what is known as fields; one element of `value` where FILL fills."""
    strides = Counts(node, [1] * rank_of(x)) if strides is None else strides
    fields: dict[str, Any] = {"mode": mode}
    inputs: list[Any] = [x]
    for name, counts in (("start", starts), ("shape", sizes), ("stride", strides)):
        if counts.known is not None:
            fields[name] = tuple(counts.known.tolist())
        inputs.append(None if counts.known is not None else counts.value)
    inputs.append(value)
    while inputs[-1] is None:
        inputs.pop()
    return node.add("Slice", inputs, **fields)


def part(node: Any, x: Any, axis: int, start: Any, size: Any) -> Any:
    """Elements start up to start + size of one axis; both are numbers or Counts of one."""
    dims, zeros = extents(node, x), Counts(node, [0] * rank_of(x))
    as_counts = [value if isinstance(value, Counts) else Counts(node, value) for value in (start, size)]
    return sliced(node, x, replaced(zeros, [axis], as_counts[0]), replaced(dims, [axis], as_counts[1]))
