"""Expressions over the dims of the network's inputs: built, folded, bounded, printed, evaluated, stored.

An `Expr` is folded while it is built: `(N + 1) - N` is 1, `N*C//N` is C. Folding may remove a division by zero but
never adds one. It reorders sums, so near 2**63 an overflow may appear or disappear. A factor that is divided by itself
counts as non-zero: a flattened tensor keeps its known extent when the batch is empty.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

from dovetail.core.errors import FieldValueError, PlanCorrupt, ShapeError
from dovetail.core.expr_text import CONSTANT, INPUT_DIM, INPUT_ELEMENT, OPERATION, SIZE, operands_first
from dovetail.core.folding import operation
from dovetail.core.term import Expr, as_expr, constant, input_dim, input_element, no_size, size_tensor
from dovetail.core.types import MAX_RANK, Dims, FloatOperation
from dovetail.core.types import DimensionOperation as Operation

__all__ = [
    "Constraint",
    "DimsExprs",
    "Expr",
    "ExprBuilder",
    "IDimensionExpr",
    "as_expr",
    "ceil_div",
    "constant",
    "constraints",
    "from_program",
    "input_dim",
    "input_element",
    "leaves_of",
    "maximum",
    "minimum",
    "modulo",
    "no_size",
    "operation",
    "program",
    "require",
    "select",
    "size_tensor",
]

IDimensionExpr = Expr


# ---- functions for shape rules: they return an int if all arguments are ints, else an Expr


def minimum(first: Any, *rest: Any) -> Any:
    """The smallest of the arguments."""
    return _reduce(Operation.MIN, first, rest)


def maximum(first: Any, *rest: Any) -> Any:
    """The largest of the arguments."""
    return _reduce(Operation.MAX, first, rest)


def ceil_div(a: Any, b: Any) -> Any:
    """a / b rounded up, for negative numbers too."""
    return _reduce(Operation.CEIL_DIV, a, (b,))


def modulo(a: Any, b: Any) -> Any:
    """a - b * floor(a / b): of b's sign, as Python's %."""
    return a - b * _reduce(Operation.FLOOR_DIV, a, (b,))


def select(condition: Any, a: Any, b: Any) -> Any:
    """a if the condition is not 0, else b. Both are computed: a division by zero in either is an error."""
    if not isinstance(condition, Expr) or condition.value is not None:
        return a if condition else b
    if condition.range != (0, 1):
        condition = condition != 0
    if isinstance(a, Expr) and a.same(b):
        return a
    return condition * a + (1 - condition) * b


def _reduce(op: Operation, first: Any, rest: Iterable[Any]) -> Any:
    total = first
    for item in rest:
        folded = operation(op, total, item)
        is_plain = not isinstance(total, Expr) and not isinstance(item, Expr)
        total = folded.value if is_plain else folded
    return total


class ExprBuilder:
    """IExprBuilder: V2 plugins build their output dims with it."""

    def constant(self, value: int) -> Expr:
        return constant(value)

    def operation(self, op: Operation, first: Expr, second: Expr) -> Expr:
        """Raises FieldValueError for an unknown operation, ShapeError for a division by the constant zero."""
        try:
            op = Operation(op)
        except ValueError:
            known = ", ".join(f"{item.name} {int(item)}" for item in Operation)
            raise FieldValueError(f"{op!r} is not an operation on dims", facts=[("known", known)], got=op) from None
        return operation(op, first, second)

    def declare_size_tensor(self, output_index: int, opt: Expr, upper: Expr) -> Expr:
        """An extent that the kernel writes to the 0-D output `output_index`: likely `opt`, at most `upper`."""
        return size_tensor(output_index, as_expr(opt), as_expr(upper))


IExprBuilder = ExprBuilder


# ---- constraints


class Constraint(NamedTuple):
    """A condition that must not be 0 once the real dims are known."""

    condition: Expr
    text: str


_recorder: ContextVar[list[Constraint] | None] = ContextVar("dovetail_constraints", default=None)


@contextmanager
def constraints() -> Iterator[list[Constraint]]:
    """Collects the conditions that `require` could not decide; the plan stores them and checks them at run time."""
    found: list[Constraint] = []
    token = _recorder.set(found)
    try:
        yield found
    finally:
        _recorder.reset(token)


def require(condition: Any, text: str) -> None:
    """States that the condition holds: checked now if it is known, else recorded for run time.

    Raises:
        ShapeError: it does not hold; or it is not known yet, and nothing records it.
    """
    condition = as_expr(condition)
    if condition.value is not None:
        if condition.value == 0:
            raise ShapeError(text)
        return
    if condition.range[0] > 0:
        return
    found = _recorder.get()
    if found is None:
        raise ShapeError(
            f"`{condition}` is not known until run time, and nothing records it",
            facts=[("required", text)],
            hint="Infer inside `with constraints() as found:`.",
            condition=condition,
        )
    if not any(known.condition is condition and known.text == text for known in found):
        found.append(Constraint(condition, text))


# ---- programs


def program(expr: Any, sizes: Mapping[Expr, int] | None = None) -> list[int]:
    """The postfix program that computes it, flat; see `Expr.program`."""
    return as_expr(expr).program(sizes)


def leaves_of(*exprs: Any) -> list[Expr]:
    """The leaves of the expressions: extents and elements of inputs, and sizes, each once."""
    return [term for term in operands_first([as_expr(expr) for expr in exprs]) if term.leaf is not None]


def from_program(
    words: Sequence[int], names: Mapping[tuple[int, int], str] | None = None, sizes: Sequence[Expr] = ()
) -> Expr:
    """The expression that a program computes. `names` maps (input, axis) to names for messages; `sizes` are by number.

    Raises:
        PlanCorrupt: it is not a program.
    """
    stack: list[Expr] = []
    at = 0
    try:
        while at < len(words):
            opcode = words[at]
            if opcode == CONSTANT:
                stack.append(constant(words[at + 1]))
            elif opcode == INPUT_DIM:
                key = (words[at + 1], words[at + 2])
                stack.append(input_dim(*key, (names or {}).get(key, "")))
            elif opcode == INPUT_ELEMENT:
                stack.append(input_element(words[at + 1], words[at + 2]))
            elif opcode == SIZE:
                stack.append(sizes[words[at + 1]])
            else:
                b, a = stack.pop(), stack.pop()
                stack.append(operation(_operation_of(opcode - OPERATION), a, b))
            at += {CONSTANT: 2, INPUT_DIM: 3, INPUT_ELEMENT: 3, SIZE: 2}.get(opcode, 1)
        (expr,) = stack
    except (IndexError, ValueError, TypeError) as error:
        where = [("word", f"{at} of {len(words)}"), ("because", error)]
        raise PlanCorrupt("a dims program cannot be read", facts=where, position=at) from error
    return expr


def _operation_of(number: int) -> Operation | FloatOperation:
    """Raises ValueError if there is none."""
    return FloatOperation(number) if number in FloatOperation._value2member_map_ else Operation(number)


class DimsExprs(tuple[Any, ...]):
    """The dims of a tensor whose extents may be unknown: Exprs, made from Exprs or ints.

    `==` on SymbolicDims returns a bool: are all extents the same expressions? `a[0] == b[0]` returns an Expr.
    """

    __slots__ = ()

    def __new__(cls, dims: Iterable[Any] = ()) -> DimsExprs:
        items = tuple(as_expr(d) for d in dims)
        if len(items) > MAX_RANK:
            raise ShapeError(f"{list(items)} has {len(items)} dims; {MAX_RANK} is the most", expected=MAX_RANK)
        return super().__new__(cls, items)

    require = staticmethod(require)

    @property
    def is_constant(self) -> bool:
        """True if all extents are known."""
        return all(d.value is not None for d in self)

    @property
    def volume(self) -> Expr:
        """Number of elements."""
        total = constant(1)
        for d in self:
            total = total * d
        return total

    def known(self) -> Dims:
        """Plain dims, -1 where the extent is unknown."""
        return Dims(-1 if d.value is None else d.value for d in self)

    def evaluate(self, inputs: Sequence[Sequence[int]]) -> Dims:
        """Plain dims for these dims of the network's inputs. Raises ShapeError as `Expr.evaluate` does."""
        return Dims(d.evaluate(inputs) for d in self)

    def replaced(self, axis: int, extent: Any) -> DimsExprs:
        """These dims with another extent on one axis."""
        items: list[Any] = list(self)
        items[axis] = extent
        return DimsExprs(items)

    def same(self, other: Any) -> bool:
        """True if all extents are the same expressions; `other` may be a list or tuple of ints."""
        is_list = isinstance(other, (tuple, list, Dims))
        return is_list and len(self) == len(other) and all(map(Expr.same, self, other))

    def __eq__(self, other: object) -> bool:
        return self.same(other)

    def __ne__(self, other: object) -> bool:
        return not self.same(other)

    def __hash__(self) -> int:
        return tuple.__hash__(self)

    def __add__(self, other: Iterable[Any]) -> DimsExprs:
        return DimsExprs((*self, *other))

    def __radd__(self, other: Iterable[Any]) -> DimsExprs:
        return DimsExprs((*other, *self))

    def __getitem__(self, index: Any) -> Any:
        found = super().__getitem__(index)
        return DimsExprs(found) if isinstance(index, slice) else found

    def __repr__(self) -> str:
        return f"[{', '.join(map(str, self))}]"
