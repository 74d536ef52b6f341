"""Choose one candidate a layer so that kernels and reformats together cost the least; exact where PBQP reduces.

What neighbours must agree on is a place: format and device. A copy between devices is a reformat like any other.
"""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise

import numpy as np

from dovetail.core.contract import Lookup
from dovetail.core.errors import FormatError
from dovetail.core.negotiation import Machine, Place
from dovetail.core.types import DeviceType
from dovetail.machine.builder.candidates import find_on
from dovetail.machine.builder.graph import Candidate, Graph, GraphLayer, GraphTensor
from dovetail.machine.builder.pbqp import Problem, solve
from dovetail.machine.builder.separate_outputs import new_layer
from dovetail.machine.builder.time_candidates import Timer

# Without timings, a candidate that stands earlier wins, and a reformat costs more than any order among candidates.
UNTIMED_STEP_NS = 1.0
UNTIMED_REFORMAT_NS = 1000.0


class Reformats:
    """Candidates and times of the reformats that a graph may need, each looked up once."""

    def __init__(self, lookup: Lookup, n_profiles: int, timer: Timer, machine: Machine) -> None:
        self.timer, self.machine = timer, machine
        self.graph = Graph("reformats", lookup, [], [], [], n_profiles, [])  # where its layers are looked up
        self._known: dict[tuple, float] = {}

    def layer(self, tensor: GraphTensor, source: Place, target: Place) -> GraphLayer:
        """A reformat layer of `tensor`, not yet in the graph."""
        a, b = (
            GraphTensor(
                tensor.name,
                tensor.dims,
                tensor.dtype,
                tensor.ranges,
                scale=tensor.scale,
                format=place.format,
                device=place.device,
            )
            for place in (source, target)
        )
        changes = [target.format.name] if source.format != target.format else []
        changes += [f"the {target.device.name}"] if source.device != target.device else []
        on_gpu = DeviceType.GPU in (source.device, target.device)
        device = DeviceType.GPU if on_gpu else DeviceType.CPU
        name = f"reformat {tensor.name} to {' on '.join(changes)}"
        return new_layer(self.graph, "reformat", name, [a], [b], device)

    def cost(self, tensor: GraphTensor, source: Place, target: Place) -> float:
        """Time in ns of getting there; 0 where nothing changes, infinite where nothing does it."""
        return self.route(tensor, source, target)[0]

    def route(self, tensor: GraphTensor, source: Place, target: Place) -> tuple[float, list[Place]]:
        """Time in ns, and the places that a tensor comes to on its way, the target last.

        Where format and device both change it may be two steps; which comes first, the cheaper way decides.
        """
        if source == target:
            return 0.0, []
        ways = [[target]]
        if source.format != target.format and source.device != target.device:
            ways += [
                [Place(source.format, target.device), target],
                [Place(target.format, source.device), target],
            ]
        costs = [sum(self._step(tensor, a, b) for a, b in pairwise([source, *way])) for way in ways]
        cheapest = min(range(len(ways)), key=costs.__getitem__)
        return costs[cheapest], ways[cheapest]

    def _step(self, tensor: GraphTensor, source: Place, target: Place) -> float:
        key = (tensor.ranges[0][1], tensor.dtype, source, target)
        if key not in self._known:
            self._known[key] = self.choose(self.layer(tensor, source, target))[1]
        return self._known[key]

    def choose(self, layer: GraphLayer) -> tuple[Candidate | None, float]:
        """The fastest way to run a layer that `layer` made, and its time in ns."""
        if not self.machine.has(layer.device):
            return None, math.inf
        find_on(layer.device, self.graph, layer, self.timer.config, self.machine)
        wanted = tuple(tensor.place for tensor in layer.tensors if tensor is not None)
        fitting = [c for c in layer.candidates if c.places == wanted]
        if self.timer.config.builder_optimization_level <= 0:
            return (fitting[0], UNTIMED_REFORMAT_NS) if fitting else (None, math.inf)
        timed = [(self.timer.time(layer, candidate), order, candidate) for order, candidate in enumerate(fitting)]
        if not timed:
            return None, math.inf
        best, _, candidate = min(timed)
        return candidate, best


def select_formats(graph: Graph, reformats: Reformats) -> Graph:
    """Set `layer.chosen` and the place of every tensor.

    Raises:
        FormatError: the candidates of neighbouring layers cannot be joined; both sides are named.
    """
    problem = Problem()
    for layer in graph.layers:
        problem.add_node(id(layer), [_cost(c, order) for order, c in enumerate(layer.candidates)])
    io_places = {id(tensor): _allowed(tensor) for tensor in [*graph.inputs, *graph.outputs]}
    for tensor in graph.inputs:
        problem.add_node(("input", id(tensor)), np.zeros(len(io_places[id(tensor)])))
    for tensor in graph.outputs:
        problem.add_node(("output", id(tensor)), np.zeros(len(io_places[id(tensor)])))
    consumers = graph.consumers()
    for tensor in graph.all_tensors():
        if not tensor.is_constant:
            _add_edges(problem, tensor, consumers.get(tensor, []), io_places, reformats)
    solution = solve(problem)
    if not math.isfinite(solution.cost):
        raise _cannot_join(graph, solution.choice)
    for layer in graph.layers:
        _choose(layer, layer.candidates[solution.choice[id(layer)]])
    for tensor in graph.inputs:
        tensor.format, tensor.device = io_places[id(tensor)][solution.choice[("input", id(tensor))]]
    optimal = "optimal" if solution.is_optimal else "best found, not proved optimal"
    graph.notes.append(f"formats: {solution.cost / 1e3:.1f} us for kernels and reformats together, {optimal}")
    return graph


def _cost(candidate: Candidate, order: int) -> float:
    return order * UNTIMED_STEP_NS if math.isnan(candidate.time_ns) else candidate.time_ns


def _allowed(tensor: GraphTensor) -> list[Place]:
    places = tensor.allowed_places
    if not places:
        hint = "Set tensor.allowed_formats = 1 << int(format)."
        raise FormatError(f"tensor '{tensor.name}' allows no format", hint=hint)
    return places


def _choose(layer: GraphLayer, candidate: Candidate) -> None:
    layer.chosen = candidate
    for tensor, place in zip(layer.outputs, candidate.places[len(layer.inputs) :], strict=True):
        tensor.format, tensor.device = place  # type: ignore[misc]


def _add_edges(
    problem: Problem,
    tensor: GraphTensor,
    consumers: list[GraphLayer],
    io_places: dict[int, list[Place]],
    reformats: Reformats,
) -> None:
    if tensor.producer is not None:
        source, index = id(tensor.producer), len(tensor.producer.inputs) + tensor.producer.outputs.index(tensor)
        given = [candidate.places[index] for candidate in tensor.producer.candidates]
    else:
        source, given = ("input", id(tensor)), list(io_places[id(tensor)])

    def join(target: object, wanted: list[Place | None]) -> None:
        costs = [[reformats.cost(tensor, a, b) for b in wanted] for a in given]  # type: ignore[arg-type]
        problem.add_edge(source, target, np.array(costs))

    for layer in consumers:
        for position, taken in enumerate(layer.inputs):
            if taken is tensor:
                join(id(layer), [candidate.places[position] for candidate in layer.candidates])
    if ("output", id(tensor)) in problem.nodes:
        join(("output", id(tensor)), list(io_places[id(tensor)]))


def _cannot_join(graph: Graph, choice: dict) -> FormatError:
    facts = []
    for layer in graph.layers:
        candidate = layer.candidates[choice[id(layer)]]
        names = " ".join("-" if f is None else f.name for f in candidate.formats)
        facts.append((layer.label, f"{candidate.row.label} {names} on the {candidate.device.name}"))
    return FormatError(
        "no choice of formats and devices joins the layers of this network",
        facts=facts[:8],
        hint="Load a library that reformats between them, or allow other formats on inputs and outputs.",
    )


def insert_reformats(graph: Graph, reformats: Reformats) -> Graph:
    """Put a reformat wherever a tensor is wanted in another place; one for each tensor and place."""
    made: dict[tuple[int, Place], GraphTensor] = {}
    layers: list[GraphLayer] = []

    def step(tensor: GraphTensor, wanted: Place) -> GraphTensor:
        if (id(tensor), wanted) not in made:
            layer = _reformat_layer(tensor, wanted, reformats)
            layers.append(layer)
            made[id(tensor), wanted] = layer.outputs[0]
        return made[id(tensor), wanted]

    def moved(tensor: GraphTensor, wanted: Place) -> GraphTensor:
        if tensor.is_constant:
            return made.setdefault((id(tensor), wanted), _constant_in(tensor, wanted))
        for place in reformats.route(tensor, tensor.place, wanted)[1]:
            tensor = step(tensor, place)
        return tensor

    for layer in graph.layers:
        for position, tensor in enumerate(layer.inputs):
            wanted = layer.chosen.places[position]  # type: ignore[union-attr]
            if tensor is not None and wanted is not None and wanted != tensor.place:
                layer.inputs[position] = moved(tensor, wanted)
        layers.append(layer)
    graph.layers = layers
    for index, tensor in enumerate(graph.outputs):
        allowed = _allowed(tensor)
        if tensor.place not in allowed:
            target = moved(tensor, min(allowed, key=lambda place: reformats.cost(tensor, tensor.place, place)))
            target.name, tensor.name = tensor.name, f"{tensor.name}{_suffix(target.place, tensor.place)}"
            graph.outputs[index] = target
    _note_devices(graph)
    return graph


def _reformat_layer(tensor: GraphTensor, wanted: Place, reformats: Reformats) -> GraphLayer:
    source = tensor.place
    layer = reformats.layer(tensor, source, wanted)
    candidate, cost = reformats.choose(layer)
    assert candidate is not None and math.isfinite(cost)
    layer.chosen = Candidate(candidate.row, candidate.object, cost)
    layer.inputs = [tensor]
    layer.outputs[0].name = f"{tensor.name}{_suffix(source, wanted)}"
    same_device = source.device == wanted.device
    layer.inserted_for = f"{source.format.name} -> {wanted.format.name}" if same_device else f"{source} -> {wanted}"
    return layer


def _suffix(before: Place, after: Place) -> str:
    """What is added to a tensor's name when it changes its place: ".chw32", ".gpu"."""
    device = f".{after.device.name.lower()}" if before.device != after.device else ""
    return device + (f".{after.format.name.lower()}" if before.format != after.format else "")


def _constant_in(tensor: GraphTensor, wanted: Place) -> GraphTensor:
    """A constant in another place: packed when the plan is written and put there at load, free at run time."""
    copy = GraphTensor(tensor.name, tensor.dims, tensor.dtype, tensor.ranges, constant=tensor.constant)
    copy.scale, copy.format, copy.device = tensor.scale, wanted.format, wanted.device
    return copy


def _note_devices(graph: Graph) -> None:
    """Say of each layer that left its device why, and what that costs."""
    moved = [layer for layer in graph.layers if layer.fell_back]
    if not moved:
        return
    consumers = graph.consumers()
    beside = Counter(layer for copy in filter(is_copy, graph.layers) for layer in _layers_beside(copy, consumers))
    for layer in moved:
        there, copies = layer.chosen.device.name, beside[layer]  # type: ignore[union-attr]
        what = "1 copy" if copies == 1 else f"{copies or 'no'} copies"
        graph.notes.append(
            f"{layer.label} runs on the {there}: nothing on the {layer.device.name} fits; {what} inserted"
        )


def is_copy(layer: GraphLayer) -> bool:
    """Was it inserted to bring a tensor to another device?"""
    return bool(layer.inserted_for) and len({tensor.device for tensor in layer.tensors if tensor is not None}) > 1


def _layers_beside(copy: GraphLayer, consumers: dict[GraphTensor, list[GraphLayer]]) -> set[GraphLayer]:
    """The layers between which and the copy stand nothing but reformats."""
    into = [copy.outputs[0]]  # what the copy feeds, through reformats
    fed: set[GraphLayer] = set()
    for tensor in into:
        for layer in consumers.get(tensor, []):
            fed.add(layer)
            into += layer.outputs if _is_reformat(layer) else []
    source = copy.inputs[0]
    while source is not None and source.producer is not None and _is_reformat(source.producer):
        source = source.producer.inputs[0]
    return fed | ({source.producer} if source is not None and source.producer is not None else set())


def _is_reformat(layer: GraphLayer) -> bool:
    return layer.spec.role == "reformat" and bool(layer.inserted_for)
