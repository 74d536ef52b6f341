"""Ways to write an expression down: as text for people and as a postfix program for the plan.

Works on any term with `op`, `a`, `b`, `value`, `leaf`, `serial` and `text`.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import Any, overload

from dovetail.core import floats
from dovetail.core.errors import ShapeError
from dovetail.core.types import DimensionOperation as Operation
from dovetail.core.types import FloatOperation, Rounding

_MOST_WORDS = 100_000  # of one program that shares no parts with others
_LONGEST_PART = 120  # characters; longer operands are shown as "..."

# Opcodes of a program; an operation is 16 + its number.
CONSTANT, INPUT_DIM, INPUT_ELEMENT, SIZE, PROGRAM, OPERATION = 0, 1, 2, 3, 4, 16

# Precedence: operators that bind tighter have the higher number.
_COMPARISON, _SUM, _PRODUCT, _ATOM = 1, 2, 3, 4
_INFIX: dict[Any, tuple[str, int, int, int]] = {
    Operation.SUM: (
        " + ",
        _SUM,
        _SUM,
        _PRODUCT,
    ),  # text, own strength, least strength of the left and of the right operand
    Operation.SUB: (" - ", _SUM, _SUM, _PRODUCT),
    Operation.PROD: ("*", _PRODUCT, _PRODUCT, _ATOM),
    Operation.FLOOR_DIV: ("//", _PRODUCT, _PRODUCT, _ATOM),
    Operation.EQUAL: (" == ", _COMPARISON, _SUM, _SUM),
    Operation.LESS: (" < ", _COMPARISON, _SUM, _SUM),
}
for _width in (floats.FLOAT32, floats.FLOAT64):
    _INFIX |= {
        _width.sum: _INFIX[Operation.SUM],
        _width.sub: _INFIX[Operation.SUB],
        _width.prod: _INFIX[Operation.PROD],
    }
    _INFIX[_width.div] = ("/", _PRODUCT, _PRODUCT, _ATOM)


_ROUNDINGS = {Rounding.TO_ZERO: "trunc", Rounding.DOWN: "floor", Rounding.UP: "ceil", Rounding.TO_EVEN: "round"}


@overload
def operands_first(roots: Sequence[Any], known: Container[Any] = ()) -> list[Any]: ...


@overload
def operands_first(roots: Sequence[Any], known: Container[Any] = (), *, at_most: int) -> list[Any] | None: ...


def operands_first(roots: Sequence[Any], known: Container[Any] = (), at_most: int | None = None) -> list[Any] | None:
    """Each term once, operands before the terms that use them; the last root comes last unless it is known.

    Args:
        known: terms that are left out, together with their operands.
        at_most: None is returned if there are more terms than this.
    """
    order: list[Any] = []
    done: set[int] = set()
    stack = [(root, False) for root in reversed(roots)]
    while stack:
        term, is_open = stack.pop()
        if term.serial in done or term in known:
            continue
        if is_open or term.op is None:
            done.add(term.serial)
            order.append(term)
            if at_most is not None and len(order) > at_most:
                return None
        else:
            stack += [(term, True), (term.b, False), (term.a, False)]
    return order


def text_of(root: Any) -> str:
    """Python's notation with as few parentheses as it needs; `ceil(a/b)` is the quotient rounded up."""
    if root.op is None:
        return _leaf_text(root)[0]
    return operation_text(root.op, root.a, root.b)


def _operand(root: Any) -> tuple[str, int]:
    """Text and precedence, cached on each expression; "..." if it is too long for a part."""
    stack = [root]
    while stack:
        term = stack[-1]
        waiting = [] if term.op is None else [side for side in (term.a, term.b) if side.text is None]
        if waiting:
            stack += waiting
            continue
        stack.pop()
        text = _leaf_text(term) if term.op is None else _operation_text(term.op, term.a, term.b)
        term.text = ("...", _ATOM) if len(text[0]) > _LONGEST_PART else text
    found: tuple[str, int] = root.text
    return found


def operation_text(op: Operation | FloatOperation, a: Any, b: Any) -> str:
    """The text of `a op b`, even if that expression does not exist."""
    return _operation_text(op, a, b)[0]


def _leaf_text(term: Any) -> tuple[str, int]:
    if term.value is None:
        return str(term.leaf), _ATOM
    return str(term.value), _ATOM if term.value >= 0 else _SUM


def _operation_text(op: Operation | FloatOperation, a: Any, b: Any) -> tuple[str, int]:
    def operand(side: Any, least: int) -> str:
        text, strength = side.text or _operand(side)
        return text if strength >= least else f"({text})"

    if isinstance(op, FloatOperation):
        width, result = floats.width_of(op), floats.result_of(op)
        name = "float" if result is floats.FLOAT32 else "double"
        if op == width.of:
            divisor = "" if b.value == 1 else f", {operand(b, 0)}"
            return f"{name}({operand(a, 0)}{divisor})", _ATOM
        first = _number(a, width)
        if op in floats.CONVERSIONS or op == width.round:
            name = _ROUNDINGS.get(b.value, "?") if op == width.round else name
            return f"{name}({first or operand(a, 0)})", _ATOM
        sign, strength, left, right = _INFIX[op]
        return f"{first or operand(a, left)}{sign}{_number(b, width) or operand(b, right)}", strength
    if op in (Operation.MAX, Operation.MIN):
        return f"{op.name.lower()}({operand(a, 0)}, {operand(b, 0)})", _ATOM
    if op == Operation.CEIL_DIV:
        return f"ceil({operand(a, _PRODUCT)}/{operand(b, _ATOM)})", _ATOM
    if op == Operation.PROD and (a.value or 0) < 0:
        sign = "-" if a.value == -1 else f"{a.value}*"
        return f"{sign}{operand(b, _ATOM)}", _SUM
    if op == Operation.SUM and (b.value or 0) < 0:
        return f"{operand(a, _SUM)} - {-b.value}", _SUM
    sign, strength, left, right = _INFIX[op]
    return f"{operand(a, left)}{sign}{operand(b, right)}", strength


def _number(operand: Any, width: floats.Width) -> str:
    """A constant that encodes a float, in as few digits as identify it; "" for anything else."""
    if operand.value is None:
        return ""
    number = width.number_at(operand.value)
    return str(number) if number >= 0 else f"({number})"


def program_of(root: Any, sizes: Mapping[Any, int]) -> list[int]:
    """See `Expr.program`."""
    words: list[int] = []
    stack = [(root, False)]
    while stack:
        term, is_open = stack.pop()
        if is_open:
            words.append(OPERATION + term.op)
        elif term.op is not None:
            stack += [(term, True), (term.b, False), (term.a, False)]
        else:
            words += leaf_words(term, sizes)
        if len(words) > _MOST_WORDS:
            raise ShapeError(
                f"dimension {root} cannot be written as one program",
                facts=[("words", f"more than {_MOST_WORDS}")],
                hint="It contains the same parts many times; the programs of a plan share them.",
            )
    return words


def leaf_words(term: Any, sizes: Mapping[Any, int]) -> list[int]:
    """The instruction that looks up a constant or a leaf. Raises ShapeError for a size without a number."""
    if term.value is not None:
        return [CONSTANT, term.value]
    if term.leaf.input >= 0:
        return [INPUT_ELEMENT if term.leaf.is_element else INPUT_DIM, term.leaf.input, term.leaf.axis]
    if term in sizes:
        return [SIZE, sizes[term]]
    raise ShapeError(f"{term} is known only after the layer has run, so no program can compute it")
