"""Leaves out candidates that are not worth timing; the trace says so."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from dovetail.core.negotiation import Refusal
from dovetail.core.types import TensorFormat
from dovetail.machine.builder.build import Build
from dovetail.machine.builder.graph import Candidate, Found, Graph, GraphLayer

EXHAUSTIVE_LEVEL = 5  # builder_optimization_level at which nothing is left out
FEW_FORMATS = 4  # a layer that offers more formats than these, or is pointwise, takes whatever its neighbours have
MOST_PADDING = 6  # such a layer does not take formats that make a tensor more times as large
LANES = {"avx512": 16, "avx2": 8}  # of vectors of float32 and of sums of integers; widest first
TILE = 2  # vectors side by side that kernels keep in registers
MOST_WASTE = 1.1  # of a tile over an extent, against one of narrower vectors


def prune_candidates(graph: Graph, build: Build) -> Graph:
    """Leave out candidates that are not worth timing; the trace says so.

    A format matters only if an input, an output, or a layer that does not offer all formats needs it.
    The others have no use for one that is mostly padding, as where one channel fills 32 lanes. Of rows of one
    implementation with the same formats those that any processor can run are left out where another uses the vector
    instructions of this one. So are those of narrower vectors, where one of the same name but for its instruction set
    has wider ones and fills them: what is computed beside an extent is all that narrower ones save.
    """
    if build.config.builder_optimization_level >= EXHAUSTIVE_LEVEL:
        return graph
    bound = {TensorFormat.LINEAR, None}
    for tensor in [t for block in graph.each_block() for t in [*block.inputs, *block.outputs]]:
        bound |= {f for f in TensorFormat if tensor.allowed_formats >> int(f) & 1}
    for layer, found in _units(graph):
        if not _is_flexible(layer, found):
            bound |= _formats_of(found)
    for layer, found in _units(graph):
        is_flexible = _is_flexible(layer, found)
        kept: list[Candidate] = []
        with_vectors = {_kind(candidate) for candidate in found.candidates if _uses_vectors(candidate)}
        stems = [_stem(candidate) for candidate in found.candidates]
        widest = _widest(found.candidates, stems)
        for candidate, stem in zip(found.candidates, stems, strict=True):
            row = candidate.row
            if not set(candidate.formats) <= bound:
                reason = "no other layer is bound to these formats"
            elif is_flexible and _padding(layer, candidate) > MOST_PADDING:
                reason = f"padding makes a tensor more than {MOST_PADDING} times as large"
            elif _kind(candidate) in with_vectors and not _uses_vectors(candidate):
                reason = "it computes without the vector instructions that a row like it uses"
            elif _cannot_win(layer, candidate, widest[stem]):
                reason = "a row like it has wider vectors, and tensors fill them"
            else:
                kept.append(candidate)
                continue
            reason += f" (not timed below builder_optimization_level {EXHAUSTIVE_LEVEL})"
            found.trace.refused.append(Refusal(row.implementation.id, row.tactic, -1, reason))
        found.candidates = kept or found.candidates
    return graph


def _units(graph: Graph) -> Iterator[tuple[GraphLayer, Found]]:
    """Each layer with the candidates that start at it."""
    for group in graph.computing_groups():
        yield from zip(group.layers, [group.found, *group.found_alone], strict=True)
        yield from ((behind.head, behind.found) for behind in group.behind.values())


def _kind(candidate: Candidate) -> tuple:
    """Rows of one kind differ in how they compute only."""
    return candidate.row.implementation.id, candidate.places, candidate.n_absorbed


def _uses_vectors(candidate: Candidate) -> bool:
    """True if it uses vector instructions that not every processor has; they compute 4 to 64 numbers at once."""
    return bool(_needs(candidate))


def _needs(candidate: Candidate) -> tuple[str, ...]:
    return candidate.row.implementation.needs_of_rows.get(candidate.row.row, ())


def _stem(candidate: Candidate) -> tuple:
    """Rows of one stem differ in the instruction set only, which their names say."""
    words = [word for word in candidate.row.tactic.split("_") if not any(map(word.startswith, LANES))]
    return *_kind(candidate), tuple(words)


def _lanes(candidate: Candidate) -> int:
    """Of the vectors that it computes with; 0: not known."""
    needs = _needs(candidate)
    return next((lanes for name, lanes in LANES.items() if name in needs), 0)


def _widest(candidates: Sequence[Candidate], stems: Sequence[tuple]) -> dict[tuple, int]:
    widest: dict[tuple, int] = {}
    for candidate, stem in zip(candidates, stems, strict=True):
        widest[stem] = max(widest.get(stem, 0), _lanes(candidate))
    return widest


def _cannot_win(layer: GraphLayer, candidate: Candidate, widest: int) -> bool:
    """True if a row of the same stem has wider vectors and computes hardly more beside the extents than this one."""
    lanes = _lanes(candidate)
    if not 0 < lanes < widest:
        return False
    extents = _vector_extents(layer, candidate)
    return all(_rounded(n, TILE * widest) <= MOST_WASTE * _rounded(n, TILE * lanes) for n in extents)


def _vector_extents(layer: GraphLayer, candidate: Candidate) -> list[int]:
    """Along which a kernel may have its vectors, at the likeliest extents of the outputs."""
    found: list[int] = []
    for tensor, format_ in list(zip(layer.tensors, candidate.formats, strict=True))[len(layer.inputs) :]:
        if tensor is None or format_ is None:
            continue
        dims = tensor.ranges[0][1]
        axis = format_.channel_axis(len(dims))
        if layer.spec.scalar:
            found.append(math.prod(dims))
        elif axis is not None:
            found.append(-(-dims[axis] // format_.lanes) * format_.lanes)
        else:
            found += [math.prod(dims[-1:]), *([math.prod(dims[2:])] if len(dims) > 2 else [])]  # images may be one row
    return found


def _rounded(n: int, step: int) -> int:
    return -(-n // step) * step


def _formats_of(found: Found) -> set[TensorFormat | None]:
    return {format_ for candidate in found.candidates for format_ in candidate.formats}


def _is_flexible(layer: GraphLayer, found: Found) -> bool:
    """True if it can use the formats of its neighbours, whatever they are; pointwise layers can."""
    return bool(layer.spec.scalar) or len(_formats_of(found)) > FEW_FORMATS


def _padding(layer: GraphLayer, candidate: Candidate) -> float:
    """By how much its formats make a tensor larger, at most, at the likeliest extents."""
    worst = 1.0
    for tensor, format_ in zip(layer.tensors, candidate.formats, strict=True):
        axis = None if tensor is None or format_ is None else format_.channel_axis(len(tensor.dims))
        if axis is not None:
            channels = tensor.ranges[0][1][axis]  # type: ignore[union-attr]
            worst = max(worst, -(-channels // format_.lanes) * format_.lanes / max(channels, 1))  # type: ignore[union-attr]
    return worst
