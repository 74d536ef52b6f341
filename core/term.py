"""The class of expressions over extents, `Expr`. The module to import is `expr`.

Equal expressions are one object, so that `same` and hashing are cheap. No function here recurses, so expressions may be
arbitrarily deep.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any
from weakref import WeakValueDictionary

from dovetail.core import algebra, floats
from dovetail.core.algebra import DIVISIONS, INT64_MAX, INT64_MIN, OPERATIONS, Interval, Poly
from dovetail.core.errors import DTypeError, ShapeError
from dovetail.core.expr_text import operands_first, operation_text, program_of, text_of
from dovetail.core.operators import Operators
from dovetail.core.types import DimensionOperation as Operation
from dovetail.core.types import FloatOperation


class _Answer(int):
    """A bool that can also be called: `expr.is_constant` here, `expr.is_constant()` in TensorRT's Python."""

    def __call__(self) -> bool:
        return bool(self)


@dataclass(frozen=True, eq=False)
class Leaf:
    """An integer unknown until run time: an extent or element of a network input, or a data-dependent extent."""

    input: int  # -1: known when the kernel has run
    axis: int  # of an element: its index; of a size tensor: the output that will hold it
    name: str = ""
    opt: Expr | None = None
    upper: Expr | None = None
    is_element: bool = False

    def __str__(self) -> str:
        if self.name or self.input < 0:
            return self.name or f"size{self.axis}"
        return f"in{self.input}{{{self.axis}}}" if self.is_element else f"in{self.input}[{self.axis}]"


class Expr(Operators):
    """An integer that may be known only at run time. `+ - * // %` and comparisons return further expressions.

    A comparison, `==` included, is an Expr too, with the value 0 or 1. `same` says whether two expressions are the
    same. `if` and `int()` need a known value, and otherwise raise ShapeError.
    """

    __slots__ = ("__weakref__", "a", "b", "late", "leaf", "op", "poly", "range", "serial", "text", "value")

    op: Operation | FloatOperation | None
    a: Expr
    b: Expr
    value: int | None
    leaf: Leaf | None
    poly: Poly | None  # None: one opaque factor
    range: Interval  # valid for all inputs
    late: frozenset[Expr]  # elements of inputs and sizes that it depends on, which extents of inputs do not determine
    text: tuple[str, int] | None  # text as an operand, computed on first use
    serial: int

    @property
    def is_constant(self) -> _Answer:
        return _Answer(self.value is not None)

    @property
    def is_size_tensor(self) -> _Answer:
        return _Answer(self.leaf is not None and self.leaf.input < 0)

    def get_constant_value(self) -> int:
        """The value, or the lowest int64 if it is unknown, as in TensorRT."""
        return INT64_MIN if self.value is None else self.value

    @staticmethod
    def constant(value: int) -> Expr:
        """A known integer. Raises ShapeError beyond int64."""
        return constant(value)

    def same(self, other: Any) -> bool:
        """True if `other` is the same expression (or, for a constant, the same int)."""
        return other is self or (isinstance(other, int) and self.value is not None and self.value == other)

    def evaluate(
        self,
        inputs: Sequence[Sequence[int]],
        contents: Sequence[Sequence[int] | None] = (),
        sizes: Mapping[Expr, int] | None = None,
    ) -> int:
        """The value when input i's axis k is `inputs[i][k]`, and its element k is `contents[i][k]`.

        Args:
            sizes: values of data-dependent extents; None: their upper bounds.

        Raises:
            ShapeError: a division by zero, a value beyond int64, an input or axis that does not exist.
        """
        values: dict[int, int] = {}
        for term in operands_first([self]):
            if term.op is None:
                values[term.serial] = term._leaf_value(inputs, contents, sizes)
            else:
                values[term.serial] = compute(term.op, term.a, term.b, values[term.a.serial], values[term.b.serial])
        return values[self.serial]

    def bounds(
        self, ranges: Sequence[Sequence[Interval | int]], contents: Sequence[Sequence[Interval] | None] = ()
    ) -> Interval:
        """(lowest, highest) that the value can have when input i's axis k is within `ranges[i][k]`, as elements are.

        Always valid, not always tight. A division by zero is an error and not included.
        """

        return algebra.bounds(operands_first([self]), lambda leaf: leaf.leaf_range(ranges, contents))

    def leaf_range(self, ranges: Sequence[Sequence[Interval | int]], contents: Sequence[Any] = ()) -> Interval:
        """(lowest, highest) of a constant or a leaf."""
        if self.leaf is None:
            return self.range
        if self.leaf.upper is not None:
            return 0, max(0, self.leaf.upper.bounds(ranges, contents)[1])
        found = self._look_up(contents if self.leaf.is_element else ranges)
        return (found, found) if isinstance(found, int) else (int(found[0]), int(found[1]))

    def program(self, sizes: Mapping[Expr, int] | None = None) -> list[int]:
        """Postfix: [0, v] a constant, [1, input, axis] an extent of an input, [2, input, index] an element of one,
        [3, n] a size, [16 + op] an operation on two.

        Args:
            sizes: numbers of the data-dependent extents.

        Raises:
            ShapeError: it contains a size without a number, or is too long unless parts of it are shared.
        """
        return program_of(self, sizes or {})

    def as_poly(self) -> Poly:
        """As a polynomial whose factors are expressions that are not expanded further."""
        if self.value is not None:
            return {(): self.value} if self.value else {}
        return {(self,): 1} if self.poly is None else self.poly

    def _leaf_value(
        self, inputs: Sequence[Sequence[int]], contents: Sequence[Any], sizes: Mapping[Expr, int] | None
    ) -> int:
        if self.value is not None:
            return self.value
        assert self.leaf is not None
        if self.leaf.upper is not None:
            if sizes is None:
                return max(0, self.leaf.upper.evaluate(inputs, contents))
            if self not in sizes:
                raise ShapeError(f"{self} is known only after the layer has run", dimension=self)
            return sizes[self]
        return int(self._look_up(contents if self.leaf.is_element else inputs))

    def _look_up(self, table: Sequence[Sequence[Any]]) -> Any:
        assert self.leaf is not None
        try:
            return table[self.leaf.input][self.leaf.axis]
        except (IndexError, TypeError):
            what = "element" if self.leaf.is_element else "axis"
            raise ShapeError(
                f"dimension {self} cannot be looked up",
                facts=[("wanted", f"input {self.leaf.input}, {what} {self.leaf.axis}"), ("given", list(table))],
                dimension=self,
            ) from None

    def __eq__(self, other: Any) -> Any:  # __hash__ below belongs to it
        return super().__eq__(other)

    def __hash__(self) -> int:
        return hash(("Expr", self.serial)) if self.value is None else hash(self.value)

    def __bool__(self) -> bool:
        return bool(
            self._known_value(
                "cannot decide an `if`",
                "Use select(condition, a, b), minimum or maximum; or state it: require(condition, text).",
            )
        )

    def __index__(self) -> int:
        return self._known_value(
            "cannot become an int",
            "Compute with extents as they are: + - * // % and minimum, maximum, ceil_div of dovetail.core.expr; "
            "or ask for one that is known: known_extent(self.label, name, extent).",
        )

    __int__ = __index__

    def _known_value(self, what_not: str, hint: str) -> int:
        if self.value is not None:
            return self.value
        leaves = [str(term) for term in operands_first([self]) if term.leaf is not None]
        is_one = len(leaves) == 1
        what = f"dimension {leaves[0]} is" if is_one else f"dimensions {', '.join(leaves)} are"
        raise ShapeError(
            f"{what} not known until run time, so {'it' if is_one else 'they'} {what_not}",
            facts=[("wanted", f"the value of {self}")],
            hint=hint,
            dimension=self,
            leaves=leaves,
        )

    def __str__(self) -> str:
        return text_of(self)

    __repr__ = __str__

    def __copy__(self) -> Expr:
        return self

    def __deepcopy__(self, memo: Any) -> Expr:
        return self

    def __reduce__(self) -> Any:
        raise TypeError("an Expr is stored as a program: program(expr), from_program(words)")


_NONE: frozenset[Any] = frozenset()
_serials = count()
_known: WeakValueDictionary[tuple[Any, ...], Expr] = WeakValueDictionary()
_lock = threading.RLock()  # reentrant, because garbage collection may call this module


def made(key: tuple[Any, ...], **slots: Any) -> Expr:
    """The only expression with this key."""
    with _lock:
        expr = _known.get(key)
        if expr is None:
            expr = Expr()
            expr.op = expr.value = expr.leaf = expr.poly = expr.text = None
            expr.late, expr.serial = _NONE, next(_serials)
            for name, content in slots.items():
                setattr(expr, name, content)
            if expr.leaf is not None and (expr.leaf.is_element or expr.leaf.input < 0):
                expr.late = frozenset([expr])
            _known[key] = expr
        return expr


def constant(value: int) -> Expr:
    """A known integer. Raises ShapeError beyond int64."""
    value = int(value)
    if not algebra.fits(value):
        raise ShapeError(f"{value} does not fit into 64 bits", facts=[("at most", INT64_MAX)], got=value)
    return made(("constant", value), value=value, range=(value, value))


def input_dim(input: int, axis: int, name: str = "") -> Expr:
    """The extent of one axis of a network input, never negative. `name`, shown in messages, is part of its identity."""
    return made(("input", input, axis, name), leaf=Leaf(input, axis, name), range=(0, INT64_MAX))


def input_element(input: int, index: int, name: str = "") -> Expr:
    """One element of the contents of a network input that is a shape; `name` as with `input_dim`."""
    leaf = Leaf(input, index, name, is_element=True)
    return made(("element", input, index, name), leaf=leaf, range=(INT64_MIN, INT64_MAX))


def size_tensor(output: int, opt: Expr, upper: Expr, name: str = "") -> Expr:
    """An extent that a kernel writes to its 0-D output `output`; each call returns a new one.

    Raises:
        ShapeError: for all inputs, `upper` is negative or `opt` is not within 0..upper.
    """
    if upper.range[1] < 0 or opt.range[1] < 0 or (opt - upper).range[0] > 0:
        raise no_size(name or f"of output {output}", str(opt), str(upper))
    range_ = (0, upper.range[1])
    return made(("size", next(_serials)), leaf=Leaf(-1, output, name, opt, upper), range=range_)


def no_size(name: str, opt: str, upper: str, facts: Sequence[tuple[str, str]] = ()) -> ShapeError:
    """The error for a size that is declared with impossible bounds."""
    return ShapeError(
        f"the size {name} is declared as likely {opt}, at most {upper}, which no size can be",
        facts=[("rule", "0 <= opt <= upper"), *facts],
        hint="upper is the largest size that the kernel may write, and opt the likeliest one.",
        got=(opt, upper),
    )


def as_expr(value: Any) -> Expr:
    """An Expr as it is, an integer as a constant. Raises DTypeError for anything else."""
    if isinstance(value, Expr):
        return value
    if hasattr(value, "__index__"):
        return constant(value.__index__())
    raise DTypeError(
        f"{value!r} cannot be an extent",
        facts=[("wanted", "an integer or an expression"), ("got", type(value).__name__)],
        hint="Write a factor such as 0.5 as a fraction: extent * 1 // 2." if isinstance(value, float) else "",
        got=value,
    )


def compute(op: Operation | FloatOperation, a: Expr, b: Expr, x: int, y: int) -> int:
    """x op y. If it fails, the error names the expressions that have these values."""
    if y == 0 and op in DIVISIONS:
        raise ShapeError(
            f"dimension {operation_text(op, a, b)} divides by zero",
            facts=[] if b.value == 0 else [("dividend", _with_value(a, x)), ("divisor", _with_value(b, y))],
            dimension=b,
        )
    value = OPERATIONS[op](x, y)
    if not algebra.fits(value):
        raise ShapeError(
            f"dimension {operation_text(op, a, b)} does not fit into {_width(op)}",
            facts=[("left", _with_value(a, x)), ("right", _with_value(b, y)), *_beyond(op, value)],
            got=value,
        )
    return value


def _width(op: Operation | FloatOperation) -> str:
    if isinstance(op, FloatOperation) and op not in floats.ROUNDS:
        return floats.result_of(op).name
    return "64 bits"


def _beyond(op: Operation | FloatOperation, value: int) -> list[tuple[str, int]]:
    return [] if isinstance(op, FloatOperation) else [("value", value)]


def _with_value(expr: Expr, value: int) -> str:
    return str(value) if expr.value is not None else f"{expr} = {value}"
