"""Chooses values of data-dependent extents for timing: the largest ones that fit together."""

from __future__ import annotations

from collections.abc import Iterator

from dovetail.core.assignment import Values
from dovetail.core.errors import ShapeError
from dovetail.core.expr import Expr
from dovetail.core.expr_text import operands_first
from dovetail.machine.builder.build import Build
from dovetail.machine.builder.graph import Graph, GraphTensor

_ROUNDS = 4  # reducing a size for one condition may break another


def choose_likely_sizes(graph: Graph, build: Build) -> Graph:
    """Compute the opt extents of all tensors from sizes that satisfy the layers' conditions.

    Two tensors of at most 20 and 30 rows that are added up have 20, since one size of at most 30 may be that, too.
    """
    if not graph.sizes:
        return graph
    for profile, extents in enumerate(graph.extents):
        bounds = extents.corners[1]
        sizes = {leaf: bounds.of(leaf) for leaf in graph.sizes}
        if not _fit(graph, profile, sizes):
            continue
        extents.use_sizes(sizes)
        for tensor in graph.all_tensors():
            if _is_told(tensor):
                tensor.ranges[profile] = extents.of(tensor.dims)
    return graph


def _is_told(tensor: GraphTensor) -> bool:
    return any(leaf.is_size_tensor for dim in tensor.dims for leaf in dim.late)


def _fit(graph: Graph, profile: int, sizes: dict[Expr, int]) -> bool:
    """Change `sizes` until they satisfy the conditions, as far as possible. True if any changed."""
    conditions = [c for c, _ in graph.constraints if any(leaf in sizes for leaf in c.late)]
    before = dict(sizes)
    for _ in range(_ROUNDS):
        broken = [condition for condition in conditions if not _holds(graph, profile, condition, sizes)]
        for condition in broken:
            if not _holds(graph, profile, condition, sizes):
                sizes |= next(
                    (
                        new
                        for new in _others(graph, profile, condition, sizes)
                        if _holds(graph, profile, condition, new)
                    ),
                    {},
                )
        if not broken:
            break
    return sizes != before


def _holds(graph: Graph, profile: int, condition: Expr, sizes: dict[Expr, int]) -> bool:
    try:
        return bool(_values(graph, profile, sizes).of(condition))
    except ShapeError:
        return False


def _values(graph: Graph, profile: int, sizes: dict[Expr, int]) -> Values:
    contents = [None if given is None else given[1] for given in graph.input_contents[profile]]
    return Values([opt for _, opt, _ in graph.input_dims[profile]], contents, sizes)


def _others(graph: Graph, profile: int, condition: Expr, sizes: dict[Expr, int]) -> Iterator[dict[Expr, int]]:
    """Sizes that may meet the condition: all as large as the smallest; one as large as what it is compared with."""
    involved = sorted((leaf for leaf in condition.late if leaf in sizes), key=lambda leaf: leaf.serial)
    least = min(sizes[leaf] for leaf in involved)
    yield sizes | dict.fromkeys(involved, least)
    try:
        values = _values(graph, profile, sizes)
        found = {values.of(term) for term in operands_first([condition])}
    except ShapeError:
        return
    for leaf in involved:
        for value in sorted(found, reverse=True):
            if 0 <= value < sizes[leaf]:
                yield sizes | {leaf: value}
