"""Ways to write an expression down: as text for people and as a postfix program for the plan.

Works on any node with `op`, `a`, `b`, `value`, `leaf`, `serial` and `size`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dovetail.core.errors import ShapeError
from dovetail.core.types import DimensionOperation as Op

MAX_PROGRAM_NODES = 100_000
_LONGEST_PART = 120  # characters; longer operands are shown as "..."

# Opcodes of a program; an operation is 16 + its number.
CONSTANT, INPUT_DIM, INPUT_ELEMENT, SIZE, OPERATION = 0, 1, 2, 3, 16

# What binds tighter has the higher number.
_COMPARISON, _SUM, _PRODUCT, _ATOM = 1, 2, 3, 4
_INFIX = {
    Op.SUM: (
        " + ",
        _SUM,
        _SUM,
        _PRODUCT,
    ),  # text, own strength, least strength of the left and of the right operand
    Op.SUB: (" - ", _SUM, _SUM, _PRODUCT),
    Op.PROD: ("*", _PRODUCT, _PRODUCT, _ATOM),
    Op.FLOOR_DIV: ("//", _PRODUCT, _PRODUCT, _ATOM),
    Op.EQUAL: (" == ", _COMPARISON, _SUM, _SUM),
    Op.LESS: (" < ", _COMPARISON, _SUM, _SUM),
}


def operands_first(roots: Sequence[Any]) -> list[Any]:
    """Each node once, operands before what is made of them; the last root, if new, comes last."""
    order: list[Any] = []
    done: set[int] = set()
    stack = [(root, False) for root in reversed(roots)]
    while stack:
        node, is_open = stack.pop()
        if node.serial in done:
            continue
        if is_open or node.op is None:
            done.add(node.serial)
            order.append(node)
        else:
            stack += [(node, True), (node.b, False), (node.a, False)]
    return order


def text_of(root: Any) -> str:
    """Python's notation with as few parentheses as it needs; `ceil(a/b)` is the quotient rounded up."""
    return _text_and_strength(root)[0]


def _text_and_strength(root: Any) -> tuple[str, int]:
    texts: dict[int, tuple[str, int]] = {}
    for node in operands_first([root]):
        text = _leaf_text(node) if node.op is None else _operation_text(node.op, node.a, node.b, texts)
        is_long = len(text[0]) > _LONGEST_PART and node is not root
        texts[node.serial] = ("...", _ATOM) if is_long else text
    return texts[root.serial]


def operation_text(op: Op, a: Any, b: Any) -> str:
    """The text of `a op b`, whether or not there is such an expression."""
    return _operation_text(op, a, b, {side.serial: _text_and_strength(side) for side in (a, b)})[0]


def _leaf_text(node: Any) -> tuple[str, int]:
    if node.value is None:
        return str(node.leaf), _ATOM
    return str(node.value), _ATOM if node.value >= 0 else _SUM


def _operation_text(op: Op, a: Any, b: Any, texts: dict[int, tuple[str, int]]) -> tuple[str, int]:
    def operand(side: Any, least: int) -> str:
        text, strength = texts[side.serial]
        return text if strength >= least else f"({text})"

    if op in (Op.MAX, Op.MIN):
        return f"{op.name.lower()}({operand(a, 0)}, {operand(b, 0)})", _ATOM
    if op == Op.CEIL_DIV:
        return f"ceil({operand(a, _PRODUCT)}/{operand(b, _ATOM)})", _ATOM
    if op == Op.PROD and (a.value or 0) < 0:
        sign = "-" if a.value == -1 else f"{a.value}*"
        return f"{sign}{operand(b, _ATOM)}", _SUM
    if op == Op.SUM and (b.value or 0) < 0:
        return f"{operand(a, _SUM)} - {-b.value}", _SUM
    sign, strength, left, right = _INFIX[op]
    return f"{operand(a, left)}{sign}{operand(b, right)}", strength


def program_of(root: Any, sizes: Mapping[Any, int]) -> list[int]:
    """See `Expr.program`."""
    if root.size > MAX_PROGRAM_NODES:
        raise ShapeError(
            f"dimension {root} cannot be stored in a plan",
            facts=[("operations", root.size), ("at most", MAX_PROGRAM_NODES)],
            hint="It uses its own parts again and again; give the extent as a network input of its own.",
        )
    words: list[int] = []
    stack = [(root, False)]
    while stack:
        node, is_open = stack.pop()
        if is_open:
            words.append(OPERATION + node.op)
        elif node.op is not None:
            stack += [(node, True), (node.b, False), (node.a, False)]
        elif node.value is not None:
            words += [CONSTANT, node.value]
        elif node.leaf.input >= 0:
            words += [INPUT_ELEMENT if node.leaf.is_element else INPUT_DIM, node.leaf.input, node.leaf.axis]
        elif node in sizes:
            words += [SIZE, sizes[node]]
        else:
            raise ShapeError(f"{node} is known only after the layer has run, so no program can compute it")
    return words
