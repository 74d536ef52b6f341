"""Helpers for shape rules: axes, broadcasting, conditions that are decided at run time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from dovetail.core.errors import ShapeError
from dovetail.core.expr import DimsExprs, Expr, as_expr, require, select
from dovetail.core.types import DimensionOperation as Operation


def axis_of(axis: int, rank: int, label: str = "layer") -> int:
    """`axis` counted from the front; negative ones count from the end.

    Raises:
        ShapeError: outside [-rank, rank), naming both numbers.
    """
    if not -rank <= axis < rank:
        allowed = f"{-rank}..{rank - 1}" if rank else "none, the tensor has no axes"
        raise ShapeError(
            f"{label} cannot use axis {axis} of a tensor with {rank} dims",
            facts=[("axis", str(axis)), ("allowed", allowed)],
            expected=allowed,
            got=axis,
        )
    return axis % rank


def require_that(
    condition: Any, message: str, facts: Iterable[tuple[str, Any]] = (), hint: str = "", **attributes: Any
) -> None:
    """State a condition. It is decided now if it is known, else the plan checks it when shapes are bound.

    Raises:
        ShapeError: it does not hold; with the facts and hint.
    """
    value = as_expr(condition).value
    if value is None:
        require(condition, message)
    elif not value:
        raise ShapeError(message, facts=[(left, str(right)) for left, right in facts], hint=hint, **attributes)


def require_equal(label: str, left: tuple[str, Any], right: tuple[str, Any], hint: str = "") -> None:
    """State that two named extents are equal: `require_equal(label, ("channels", c), ("biases", n))`."""
    (left_name, a), (right_name, b) = left, right
    require_that(
        as_expr(a) == as_expr(b),
        f"{label} needs {left_name} and {right_name} to be equal, got {a} and {b}",
        [(left_name, a), (right_name, b)],
        hint,
        expected=_plain(a),
        got=_plain(b),
    )


def all_equal(left: Sequence[Any], right: Sequence[Any]) -> Any:
    """1 if all extents are equal, 0 if some differ; an expression if that is not known yet."""
    result: Any = 1
    for a, b in zip(left, right, strict=True):
        result = result * (as_expr(a) == as_expr(b))
    return result


def refuse_negative(label: str, output: str, dims: Sequence[Any], method: str) -> None:
    """Raises ShapeError if an extent that `method` of a plugin returned is known to be negative."""
    if all(as_expr(dim).value is None or as_expr(dim).value >= 0 for dim in dims):  # type: ignore[operator]
        return
    raise ShapeError(
        f"{label} cannot have a negative extent",
        facts=[(output, f"[{', '.join(map(str, dims))}]"), ("said by", method)],
        hint="-1 does not mean an unknown extent: compute extents from those of the inputs, known or not.",
        got=tuple(str(dim) for dim in dims),
    )


def known_extent(label: str, name: str, extent: Any) -> int:
    """An extent that must be known when the network is built. Raises ShapeError that names it."""
    value = as_expr(extent).value
    if value is None:
        raise ShapeError(
            f"{label} needs to know the {name} when it is built",
            facts=[(name, f"{extent}, known at run time only")],
            hint="Give this dimension of the network's input a number instead of -1.",
        )
    return value


def broadcast(label: str, *shapes: Sequence[Any]) -> DimsExprs:
    """Dims of the broadcast result of tensors of equal rank.

    Raises:
        ShapeError: ranks differ, or extents that are neither equal nor 1.
    """
    ranks = {len(shape) for shape in shapes}
    shown = ", ".join(f"[{', '.join(map(str, shape))}]" for shape in shapes)
    if len(ranks) > 1:
        raise ShapeError(
            f"{label} cannot combine tensors of different rank",
            facts=[(f"input {i}", f"rank {len(s)}, [{', '.join(map(str, s))}]") for i, s in enumerate(shapes)],
            hint="Put extents of 1 in front of the smaller one, with a Shuffle layer.",
            got=tuple(len(shape) for shape in shapes),
        )
    result: list[Any] = []
    for axis, extents in enumerate(zip(*shapes, strict=True)):
        total = as_expr(extents[0])
        for extent in extents[1:]:
            other = as_expr(extent)
            if _parts_of(other) <= _parts_of(total):
                continue
            require_that(
                select(total == 1, 1, select(other == 1, 1, total == other)),
                f"{label} cannot combine {shown}: extents {total} and {other} on axis {axis}",
                [("axis", axis), ("extents", f"{total} and {other}"), ("rule", "equal, or one of them 1")],
                axis=axis,
                got=(_plain(total), _plain(other)),
            )
            total = _wider(total, other)
        result.append(total)
    return DimsExprs(result)


def _wider(a: Any, b: Any) -> Any:
    """The extent that is not 1, which need not be the larger (it may be 0). A known extent other than 1 wins."""
    for known, other in ((a, b), (b, a)):
        if known.value is not None:
            return other if known.value == 1 else known
    for whole, cut in ((a, b), (b, a)):
        if _is_cut(cut, whole):  # as positions cut from a table are: min(n, 512) is n or 1 where n is 1
            return whole
    parts = _parts_of(a) | _parts_of(b)
    if parts == _parts_of(b):
        return b
    wider = select(a == 1, b, a)
    _parts[wider] = parts
    return wider


def _is_cut(extent: Any, whole: Any) -> bool:
    """True if an extent is the lesser of another one and a number of at least 1."""
    if extent.op is not Operation.MIN:
        return False
    operands = (extent.a, extent.b)
    return any(a is whole and b.value is not None and b.value >= 1 for a, b in (operands, operands[::-1]))


# Results of broadcasting: combining one of them again with one of its operands does not change it.
_parts: WeakKeyDictionary[Expr, frozenset[int]] = WeakKeyDictionary()


def _parts_of(extent: Expr) -> frozenset[int]:
    return _parts.get(extent) or frozenset([extent.serial])


def _plain(extent: Any) -> Any:
    value = as_expr(extent).value
    return str(extent) if value is None else value
