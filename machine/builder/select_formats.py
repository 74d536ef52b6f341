"""Choose one candidate a layer so that kernels and reformats together cost the least; exact where PBQP reduces."""

from __future__ import annotations

import math

import numpy as np

from dovetail.core.contract import Lookup
from dovetail.core.errors import FormatError
from dovetail.core.types import TensorFormat
from dovetail.machine.builder.candidates import find_candidates
from dovetail.machine.builder.graph import Candidate, Graph, GraphLayer, GraphTensor
from dovetail.machine.builder.pbqp import Problem, solve
from dovetail.machine.builder.separate_outputs import new_layer
from dovetail.machine.builder.time_candidates import Timer

# Without timings, a candidate that stands earlier wins, and a reformat costs more than any order among candidates.
UNTIMED_STEP_NS = 1.0
UNTIMED_REFORMAT_NS = 1000.0


class Reformats:
    """Candidates and times of the reformats that a graph may need, each looked up once."""

    def __init__(self, lookup: Lookup, n_profiles: int, timer: Timer, features: frozenset[str]) -> None:
        self.timer, self.features = timer, features
        self.graph = Graph("reformats", lookup, [], [], [], n_profiles, [])  # where its layers are looked up
        self._known: dict[tuple, tuple[Candidate | None, float]] = {}

    def layer(self, tensor: GraphTensor, source: TensorFormat, target: TensorFormat) -> GraphLayer:
        """A reformat layer of `tensor`, not yet in the graph; its candidate is set if there is one."""
        a = GraphTensor(tensor.name, tensor.dims, tensor.dtype, tensor.ranges, format=source, scale=tensor.scale)
        b = GraphTensor(tensor.name, tensor.dims, tensor.dtype, tensor.ranges, format=target, scale=tensor.scale)
        return new_layer(self.graph, "reformat", f"reformat {tensor.name} to {target.name}", [a], [b])

    def cost(self, tensor: GraphTensor, source: TensorFormat, target: TensorFormat) -> float:
        """Time in ns; 0 where nothing changes, infinite where nothing does it."""
        if source == target:
            return 0.0
        key = (tensor.ranges[0][1], tensor.dtype, source, target)
        if key not in self._known:
            layer = self.layer(tensor, source, target)
            self._known[key] = self.choose(layer, source, target)
        return self._known[key][1]

    def choose(self, layer: GraphLayer, source: TensorFormat, target: TensorFormat) -> tuple[Candidate | None, float]:
        find_candidates(self.graph, layer, self.timer.config, self.features)
        fitting = [c for c in layer.candidates if c.formats == (source, target)]
        if self.timer.config.builder_optimization_level <= 0:
            return (fitting[0], UNTIMED_REFORMAT_NS) if fitting else (None, math.inf)
        timed = [(self.timer.time(layer, candidate), order, candidate) for order, candidate in enumerate(fitting)]
        if not timed:
            return None, math.inf
        best, _, candidate = min(timed)
        return candidate, best


def select_formats(graph: Graph, reformats: Reformats) -> Graph:
    """Set `layer.chosen` and the format of every tensor.

    Raises:
        FormatError: the candidates of neighbouring layers cannot be joined; both sides are named.
    """
    problem = Problem()
    for layer in graph.layers:
        problem.add_node(id(layer), [_cost(c, order) for order, c in enumerate(layer.candidates)])
    io_formats = {id(tensor): _allowed(tensor) for tensor in [*graph.inputs, *graph.outputs]}
    for tensor in graph.inputs:
        problem.add_node(("input", id(tensor)), np.zeros(len(io_formats[id(tensor)])))
    for tensor in graph.outputs:
        problem.add_node(("output", id(tensor)), np.zeros(len(io_formats[id(tensor)])))
    for tensor in graph.all_tensors():
        if not tensor.is_constant:
            _add_edges(graph, problem, tensor, io_formats, reformats)
    solution = solve(problem)
    if not math.isfinite(solution.cost):
        raise _cannot_join(graph, solution.choice)
    for layer in graph.layers:
        _choose(layer, layer.candidates[solution.choice[id(layer)]])
    for tensor in graph.inputs:
        tensor.format = io_formats[id(tensor)][solution.choice[("input", id(tensor))]]
    optimal = "optimal" if solution.is_optimal else "best found, not proved optimal"
    graph.notes.append(f"formats: {solution.cost / 1e3:.1f} us for kernels and reformats together, {optimal}")
    return graph


def _cost(candidate: Candidate, order: int) -> float:
    return order * UNTIMED_STEP_NS if math.isnan(candidate.time_ns) else candidate.time_ns


def _allowed(tensor: GraphTensor) -> list[TensorFormat]:
    formats = [f for f in TensorFormat if tensor.allowed_formats >> int(f) & 1]
    if not formats:
        hint = "Set tensor.allowed_formats = 1 << int(format)."
        raise FormatError(f"tensor '{tensor.name}' allows no format", hint=hint)
    return formats


def _choose(layer: GraphLayer, candidate: Candidate) -> None:
    layer.chosen = candidate
    for tensor, format_ in zip(layer.outputs, candidate.formats[len(layer.inputs) :], strict=True):
        tensor.format = format_  # type: ignore[assignment]


def _add_edges(
    graph: Graph, problem: Problem, tensor: GraphTensor, io_formats: dict[int, list[TensorFormat]], reformats: Reformats
) -> None:
    if tensor.producer is not None:
        source, index = id(tensor.producer), len(tensor.producer.inputs) + tensor.producer.outputs.index(tensor)
        given = [candidate.formats[index] for candidate in tensor.producer.candidates]
    else:
        source, given = ("input", id(tensor)), list(io_formats[id(tensor)])

    def join(target: object, wanted: list[TensorFormat | None]) -> None:
        costs = [[reformats.cost(tensor, a, b) for b in wanted] for a in given]  # type: ignore[arg-type]
        problem.add_edge(source, target, np.array(costs))

    for layer in graph.consumers(tensor):
        for position, taken in enumerate(layer.inputs):
            if taken is tensor:
                join(id(layer), [candidate.formats[position] for candidate in layer.candidates])
    if any(tensor is output for output in graph.outputs):
        join(("output", id(tensor)), list(io_formats[id(tensor)]))


def _cannot_join(graph: Graph, choice: dict) -> FormatError:
    facts = []
    for layer in graph.layers:
        candidate = layer.candidates[choice[id(layer)]]
        names = " ".join("-" if f is None else f.name for f in candidate.formats)
        facts.append((layer.label, f"{candidate.row.label} {names}"))
    return FormatError(
        "no choice of formats joins the layers of this network",
        facts=facts[:8],
        hint="Load a library that reformats between them, or allow other formats on inputs and outputs.",
    )


def insert_reformats(graph: Graph, reformats: Reformats) -> Graph:
    """Put a reformat wherever a tensor is wanted in another format; one for each tensor and format."""
    made: dict[tuple[int, TensorFormat], GraphTensor] = {}
    layers: list[GraphLayer] = []

    def in_format(tensor: GraphTensor, wanted: TensorFormat) -> GraphTensor:
        if (id(tensor), wanted) not in made:
            layer = reformats.layer(tensor, tensor.format, wanted)
            candidate, cost = reformats.choose(layer, tensor.format, wanted)
            assert candidate is not None and math.isfinite(cost)
            layer.chosen = Candidate(candidate.row, candidate.object, cost)
            layer.inputs = [tensor]
            layer.outputs[0].name = f"{tensor.name}.{wanted.name.lower()}"
            layer.inserted_for = f"{tensor.format.name} -> {wanted.name}"
            layers.append(layer)
            made[id(tensor), wanted] = layer.outputs[0]
        return made[id(tensor), wanted]

    for layer in graph.layers:
        for position, tensor in enumerate(layer.inputs):
            wanted = layer.chosen.formats[position]  # type: ignore[union-attr]
            if tensor is None or wanted is None or wanted == tensor.format:
                continue
            layer.inputs[position] = _constant_in(tensor, wanted) if tensor.is_constant else in_format(tensor, wanted)
        layers.append(layer)
    graph.layers = layers
    for index, tensor in enumerate(graph.outputs):
        allowed = _allowed(tensor)
        if tensor.format not in allowed:
            target = in_format(tensor, min(allowed, key=lambda f: reformats.cost(tensor, tensor.format, f)))
            target.name, tensor.name = tensor.name, f"{tensor.name}.{tensor.format.name.lower()}"
            graph.outputs[index] = target
    return graph


def _constant_in(tensor: GraphTensor, wanted: TensorFormat) -> GraphTensor:
    """A constant in another format: packed when the plan is written, free at run time."""
    copy = GraphTensor(tensor.name, tensor.dims, tensor.dtype, tensor.ranges, constant=tensor.constant)
    copy.scale, copy.format = tensor.scale, wanted
    return copy
