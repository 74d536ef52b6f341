"""Checks of profiles: extents that exist at their ends, conditions that hold, tensors that fit into memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from dovetail import _native
from dovetail.core.assignment import Values
from dovetail.core.errors import MemoryLimitError, ShapeError
from dovetail.core.expr import Expr, leaves_of
from dovetail.machine.builder.build import Build
from dovetail.machine.builder.graph import Graph, GraphTensor

CORNERS = ("min", "opt", "max")
_FARTHEST = 1 << 20  # how far beyond the profile's extents the search for working extents goes
_SHOWN_INPUTS = 4


def check_profiles(graph: Graph, build: Build) -> Graph:
    """Check every tensor, and the conditions of the layers, at min, opt and max of each profile.

    A condition that holds at opt but not at min or max is a note in the report, since some shapes work.

    Raises:
        ShapeError: an extent is negative or cannot be computed, or a requirement does not hold at opt.
        MemoryLimitError: a tensor is larger than any memory.
    """
    for label, tensor in _tensors(graph):
        _check_extents(graph, label, tensor)
        _check_size(label, tensor)
    _check_constraints(graph)
    return graph


def _tensors(graph: Graph) -> Iterator[tuple[str, GraphTensor]]:
    for tensor in graph.inputs:
        yield f"input '{tensor.name}'", tensor
    for layer in graph.all_layers():
        for tensor in layer.outputs:
            yield layer.label, tensor


def _is_told(dim: Expr) -> bool:
    """True if it depends on a data-dependent extent."""
    return any(leaf.is_size_tensor for leaf in dim.late)


def _check_extents(graph: Graph, label: str, tensor: GraphTensor) -> None:
    for axis, dim in enumerate(tensor.dims):
        if dim.op is None or _is_told(dim):
            continue
        for profile, extents in enumerate(graph.extents):
            for corner in range(3):
                value = _value(extents.corners[corner], dim)
                if value is None:
                    raise _impossible(graph, f"{label} cannot compute '{tensor.name}'", axis, dim, profile, corner)
                if value < 0:
                    raise _negative(graph, f"{label} cannot compute '{tensor.name}'", axis, dim, profile, corner, value)


def _value(values: Values, expr: Expr) -> int | None:
    """The value; None if it divides by zero or exceeds 64 bits."""
    try:
        return values.of(expr)
    except ShapeError:
        return None


def _impossible(graph: Graph, subject: str, axis: int, dim: Expr, profile: int, corner: int) -> ShapeError:
    try:
        graph.extents[profile].corners[corner].of(dim)
        reason = ""
    except ShapeError as error:
        reason = error.message
    return ShapeError(
        f"{subject} at the {CORNERS[corner]} extents of profile {profile}: {reason}",
        facts=[(f"dimension {axis}", str(dim)), *_at(graph, profile, corner)],
        hint=f"Change {CORNERS[corner]} in profile.set_shape(name, min, opt, max) of profile {profile}.",
        profile=profile,
    )


def _negative(graph: Graph, subject: str, axis: int, dim: Expr, profile: int, corner: int, value: int) -> ShapeError:
    works = list(_what_works(graph, profile, corner, lambda values: dim.evaluate(*values) >= 0, dim))
    return ShapeError(
        f"{subject} at the {CORNERS[corner]} extents of profile {profile}: dimension {axis} would be {value}",
        facts=[
            (f"dimension {axis}", str(dim)),
            *_at(graph, profile, corner),
            *(("works with", text) for text in works),
        ],
        hint=f"Change {CORNERS[corner]} in profile.set_shape(name, min, opt, max) of profile {profile}.",
        profile=profile,
        got=value,
        works_with=works,
    )


def _at(graph: Graph, profile: int, corner: int) -> list[tuple[str, str]]:
    """The extents and contents of the inputs that vary."""
    rows = []
    for tensor, extents, contents in zip(
        graph.inputs, graph.input_dims[profile], graph.input_contents[profile], strict=True
    ):
        if contents is not None:
            rows.append((tensor.name, f"{list(extents[corner])} holding {list(contents[corner])}"))
        elif -1 in tensor.static_dims:
            rows.append((tensor.name, str(list(extents[corner]))))
    more = [("", f"and {len(rows) - _SHOWN_INPUTS} more")] if len(rows) > _SHOWN_INPUTS else []
    return rows[:_SHOWN_INPUTS] + more


Given = tuple[list[list[int]], list[list[int] | None]]  # extents and contents of the inputs


def _what_works(graph: Graph, profile: int, corner: int, holds: Callable[[Given], bool], *exprs: Expr) -> Iterator[str]:
    """For each extent or element that decides: from or up to which value it is all right, the others as they are."""
    for leaf in leaves_of(*exprs):
        assert leaf.leaf is not None
        if leaf.leaf.input < 0:
            continue
        table, at = (1, leaf.leaf.axis) if leaf.leaf.is_element else (0, leaf.leaf.axis)
        given: Given = (
            [list(extents[corner]) for extents in graph.input_dims[profile]],
            [None if c is None else list(c[corner]) for c in graph.input_contents[profile]],
        )
        row = given[table][leaf.leaf.input]
        assert row is not None
        own = row[at]

        def fits(value: int, row: list[int] = row, at: int = at, given: Given = given) -> bool:
            row[at] = value
            try:
                return holds(given)
            except ShapeError:
                return False

        for sign, word in ((1, ">="), (-1, "<=")):
            limit = _FARTHEST if sign > 0 or leaf.leaf.is_element else own
            found = _nearest(lambda step, sign=sign, own=own, fits=fits: fits(own + sign * step), limit)  # type: ignore[misc]
            if found is not None:
                yield f"{leaf} {word} {own + sign * found}"
                break


def _nearest(fits: Callable[[int], bool], limit: int) -> int | None:
    """The smallest step in 1..limit that fits, assuming that all larger ones do; None if none was found."""
    step = 1
    while step <= limit and not fits(step):
        step *= 2
    if step > limit:
        return None
    low = step // 2
    while step - low > 1:
        middle = (low + step) // 2
        low, step = (low, middle) if fits(middle) else (middle, step)
    return step


def _check_size(label: str, tensor: GraphTensor) -> None:
    for profile, (_, _, high) in enumerate(tensor.ranges):
        n_bytes = math.prod(high) * tensor.dtype.bits // 8
        if max(n_bytes, *high, 0) > _native.MAX_BYTES:
            raise MemoryLimitError(
                f"{label}: tensor '{tensor.name}' is larger than any memory",
                facts=[
                    ("dims", f"{list(high)} {tensor.dtype.name}, at the max extents of profile {profile}"),
                    ("bytes", f"{n_bytes}, at most {_native.MAX_BYTES}"),
                ],
                got=n_bytes,
                expected=_native.MAX_BYTES,
            )


def _check_constraints(graph: Graph) -> None:
    for condition, text in graph.constraints:
        if _is_told(condition):
            continue
        for profile, extents in enumerate(graph.extents):
            broken = [corner for corner in (1, 0, 2) if not _value(extents.corners[corner], condition)]
            if broken and broken[0] == 1:
                facts = [("required", str(condition)), *_at(graph, profile, 1)]
                hint = f"Change opt in the shapes or values of profile {profile}, so that this holds."
                text = f"{text}, at the opt extents of profile {profile}"
                raise ShapeError(text, facts=facts, hint=hint, profile=profile)
            if broken:
                where = " and ".join(CORNERS[corner] for corner in broken)
                graph.notes.append(f"profile {profile}: not at its {where} extents: {text}")
