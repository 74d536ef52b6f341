"""Leaves out candidates that are not worth timing; the trace says so."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator

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
    known: dict[tuple, tuple[list[Candidate], list[str]]] = {}  # equal layers have the same rows: see `Candidates`
    for layer, found in _units(graph):
        key = tuple([(id(candidate.row), candidate.n_absorbed) for candidate in found.candidates])
        if key not in known:
            rows = _Rows(layer, found)
            known[key] = found.candidates, [rows.reason_against(candidate, bound) for candidate in found.candidates]
        kept: list[Candidate] = []
        for candidate, reason in zip(found.candidates, known[key][1], strict=True):
            if not reason:
                kept.append(candidate)
                continue
            row = candidate.row
            reason += f" (not timed below builder_optimization_level {EXHAUSTIVE_LEVEL})"
            found.trace.refused.append(Refusal(row.implementation.id, row.tactic, -1, reason))
        found.candidates = kept or found.candidates
    return graph


def _units(graph: Graph) -> Iterator[tuple[GraphLayer, Found]]:
    """Each layer with the candidates that start at it."""
    for group in graph.computing_groups():
        yield from zip(group.layers, [group.found, *group.found_alone], strict=True)
        yield from ((behind.head, behind.found) for behind in group.behind.values())


class _Rows:
    """The rows of the candidates of a layer. Each is looked at once: candidates are rows times lengths of epilogues."""

    def __init__(self, layer: GraphLayer, found: Found) -> None:
        self._layer, self._is_flexible = layer, _is_flexible(layer, found)
        rows = {id(candidate.row): candidate for candidate in found.candidates}
        kinds: dict[tuple, int] = {}  # rows of one kind differ in how they compute only
        self._kinds = {
            key: kinds.setdefault((one.row.implementation.id, one.places), len(kinds)) for key, one in rows.items()
        }
        self._lanes = {key: _lanes(one) for key, one in rows.items()}
        self._reasons: dict[int, str] = {}
        self._with_vectors: set[tuple] = set()
        self._widest: dict[tuple, int] = {}
        for one in found.candidates:
            stem, lanes = self._stem(one), self._lanes[id(one.row)]
            self._widest[stem] = max(self._widest.get(stem, 0), lanes)
            if _needs(one):
                self._with_vectors.add(self._kind(one))

    def reason_against(self, candidate: Candidate, bound: set[TensorFormat | None]) -> str:
        """Why it is not worth timing; "" if it is."""
        key = id(candidate.row)
        if key not in self._reasons:
            self._reasons[key] = ""
            if not set(candidate.formats) <= bound:
                self._reasons[key] = "no other layer is bound to these formats"
            elif self._is_flexible and _padding(self._layer, candidate) > MOST_PADDING:
                self._reasons[key] = f"padding makes a tensor more than {MOST_PADDING} times as large"
        if self._reasons[key]:
            return self._reasons[key]
        if not _needs(candidate) and self._kind(candidate) in self._with_vectors:
            return "it computes without the vector instructions that a row like it uses"
        lanes, widest = self._lanes[key], self._widest[self._stem(candidate)]
        if 0 < lanes < widest and _are_filled(self._layer, candidate, lanes, widest):
            return "a row like it has wider vectors, and tensors fill them"
        return ""

    def _kind(self, candidate: Candidate) -> tuple:
        return self._kinds[id(candidate.row)], candidate.n_absorbed

    def _stem(self, candidate: Candidate) -> tuple:
        """Rows of one stem differ in the instruction set only, which their names say."""
        return *self._kind(candidate), _without_isa(candidate.row.tactic)


@functools.lru_cache(maxsize=4096)
def _without_isa(tactic: str) -> tuple[str, ...]:
    return tuple(word for word in tactic.split("_") if not any(map(word.startswith, LANES)))


def _needs(candidate: Candidate) -> tuple[str, ...]:
    """Instructions that not every processor has: vectors of 4 to 64 numbers."""
    declared = candidate.row.declared
    return () if declared is None else declared.needs


def _lanes(candidate: Candidate) -> int:
    """Of the vectors that it computes with; 0: not known."""
    needs = _needs(candidate)
    return next((lanes for name, lanes in LANES.items() if name in needs), 0)


def _are_filled(layer: GraphLayer, candidate: Candidate, lanes: int, widest: int) -> bool:
    """True if tiles of the widest vectors compute hardly more beside the extents than those of this row."""
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
    rows = {id(candidate.row): candidate.row for candidate in found.candidates}.values()
    return {format_ for row in rows for format_ in row.formats}


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
