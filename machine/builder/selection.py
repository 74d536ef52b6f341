"""Chooses one candidate for each group, so that the total cost of kernels and reformats is minimal.

The choice is exact if the PBQP reduces. Neighbours must agree on a place: type, format and device. Conversions and
copies between devices are reformats.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from dovetail.core.errors import FormatError
from dovetail.core.negotiation import Place
from dovetail.core.types import DeviceType
from dovetail.machine.builder.graph import Candidate, Graph, GraphTensor, LayerGroup
from dovetail.machine.builder.pbqp import Problem, Solution, solve
from dovetail.machine.builder.reformats import Reformats

UNTIMED_STEP_NS = 1.0  # without timings, the earlier candidate wins
# Of the time of a kernel that absorbs. As much does a time vary from one measurement to the next, and what a fused step
# saves beyond it is not in the times of single steps: a barrier, and a result that leaves the caches in between.
FUSED_GAIN = 0.05
# By how much a busy machine may make a row seem slower with more layers absorbed than with fewer and steps behind it.
# In truth absorbing saves a step and its memory traffic. What seems worse than that is believed. Where steps take next
# to nothing, the barrier between them is more.
DOUBT, DOUBT_NS = 0.15, 1000.0


Rest = Callable[[int, Place | None], tuple[float, tuple[Candidate, ...]]]


@dataclass(frozen=True)
class Alternative:
    """A candidate with those for the layers that it does not absorb, the total cost, and the places of the group."""

    candidate: Candidate
    cost_ns: float
    places: Sequence[Place | None]  # of the group's tensors


class Selection:
    """Chooses for one build."""

    def __init__(self, reformats: Reformats) -> None:
        self._reformats = reformats

    def choose(self, graph: Graph) -> Solution:
        """Set `chosen` of every group, and the places of the inputs of the network and its blocks.

        Raises:
            FormatError: the candidates of neighbouring groups cannot be joined; both sides are named.
        """
        groups, blocks = list(graph.all_groups()), list(graph.each_block())
        offered = {id(group): self.alternatives(group) for group in groups}
        passed = [tensor for block in blocks for tensor in [*block.inputs, *block.outputs]]
        io_places = {id(tensor): allowed_places(tensor) for tensor in passed}
        solution = solve(self._problem(graph, offered, io_places))
        chosen = [(group, offered[id(group)][solution.choice[id(group)]].candidate) for group in groups]
        if not math.isfinite(solution.cost):
            raise _cannot_join(chosen)
        for group, candidate in chosen:
            group.chosen = candidate
        for tensor in [tensor for block in blocks for tensor in block.inputs]:
            tensor.chosen_place = io_places[id(tensor)][solution.choice["input", id(tensor)]]
        return solution

    def alternatives(self, group: LayerGroup) -> list[Alternative]:
        """The ways to run a group: each candidate, with the cheapest way to run the rest of the tail."""
        known: dict[tuple[int, Place | None], tuple[float, tuple[Candidate, ...]]] = {}
        cuts = group.cuts

        def rest(position: int, place: Place | None) -> tuple[float, tuple[Candidate, ...]]:
            """Costs and candidates of the tail from a cut on, if what it takes of the group is in `place`."""
            if position == len(group.tail):
                return 0.0, ()
            if (position, place) not in known:
                end = cuts[cuts.index(position) + 1]
                ways = []
                for order in range(len(group.found_alone[position].candidates)):
                    cost, ones = self._apart(group, position, end, place, order)
                    behind, others = rest(end, ones[-1].places[len(group.tail[end - 1].inputs)])
                    ways.append((cost + behind, len(ones) + len(others), order, (*ones, *others)))
                if position in group.behind:
                    ways += self._together(group, position, place, rest)
                best = min(ways, key=lambda way: way[:3])
                known[position, place] = best[0], best[3]
            return known[position, place]

        found = []
        for order, candidate in enumerate(group.candidates):
            behind, others = 0.0, ()
            if group.tail:
                behind, others = rest(candidate.n_absorbed, group.place_of_result(candidate))
            whole = replace(candidate, rest=others) if others else candidate
            found.append(Alternative(whole, _own_cost(candidate, order) + behind, group.places(whole)))
        return _without_contradictions(found)

    def _apart(
        self, group: LayerGroup, first: int, end: int, place: Place | None, order: int
    ) -> tuple[float, tuple[Candidate, ...]]:
        """Costs and candidates of the layers of the tail between two cuts, if the first runs by candidate `order`.

        The others follow in their order, each by the candidate that costs least with the reformats in front of it.
        """
        places = {group.layers[first].outputs[0]: place}
        chosen: list[Candidate] = []
        total = 0.0
        for layer, found in zip(group.tail[first:end], group.found_alone[first:end], strict=True):
            offered = list(enumerate(found.candidates))
            ways = []
            for at, one in offered if chosen else offered[order : order + 1]:
                before = sum(
                    self._reformats.cost(tensor, places[tensor], wanted)  # type: ignore[arg-type]
                    for tensor, wanted in zip(layer.inputs, one.places, strict=False)
                    if tensor in places
                )
                ways.append((before + _own_cost(one, at), at, one))
            cost, _, best = min(ways, key=lambda way: way[:2])
            total += cost
            chosen.append(best)
            places[layer.outputs[0]] = best.places[len(layer.inputs)]
        return total, tuple(chosen)

    def _together(
        self, group: LayerGroup, position: int, place: Place | None, rest: Rest
    ) -> list[tuple[float, int, int, tuple[Candidate, ...]]]:
        """(cost, number of steps, order, candidates) of the tail from a cut on, for each that absorbs layers behind."""
        behind, made, cuts = group.behind[position], group.layers[position].outputs[0], group.cuts
        ways = []
        for order, one in enumerate(behind.found.candidates):
            end = position + 1 + one.n_absorbed
            if end not in cuts:
                continue
            part = behind.part(one.n_absorbed)
            cost = _own_cost(one, order) + sum(
                self._reformats.cost(made, place, wanted)  # type: ignore[arg-type]
                for tensor, wanted in zip(part.inputs, part.places(one), strict=False)
                if tensor is made
            )
            further, others = rest(end, behind.place_of_result(one))
            ways.append((cost + further, 1 + len(others), order, (one, *others)))
        return ways

    def _problem(
        self, graph: Graph, offered: dict[int, list[Alternative]], io_places: dict[int, list[Place]]
    ) -> Problem:
        """Groups, inputs and outputs are variables; an edge costs the reformats between two of them."""
        problem = Problem()
        groups, blocks = list(graph.all_groups()), list(graph.each_block())
        for group in groups:
            problem.add_variable(id(group), np.array([one.cost_ns for one in offered[id(group)]]))
        for kind, tensors in (
            ("input", [tensor for block in blocks for tensor in block.inputs]),
            ("output", [tensor for block in blocks for tensor in block.outputs]),
        ):
            for tensor in tensors:
                problem.add_variable((kind, id(tensor)), np.zeros(len(io_places[id(tensor)])))
        makers = {id(tensor): (group, index) for group in groups for index, tensor in enumerate(group.outputs)}
        consumers = graph.consumers()
        for tensor in graph.all_tensors():
            if tensor.is_constant:
                continue
            source: object = ("input", id(tensor))
            given: list[Place | None] = list(io_places.get(id(tensor), []))
            if id(tensor) in makers:
                maker, index = makers[id(tensor)]
                source, at = id(maker), len(maker.inputs) + index
                given = [one.places[at] for one in offered[id(maker)]]
            for group in consumers.get(tensor, []):
                for position, taken in enumerate(group.inputs):
                    if taken is tensor:
                        wanted = [one.places[position] for one in offered[id(group)]]
                        problem.add_edge(source, id(group), self._ways(tensor, given, wanted))
            if ("output", id(tensor)) in problem.variables:
                wanted = list(io_places[id(tensor)])
                problem.add_edge(source, ("output", id(tensor)), self._ways(tensor, given, wanted))
        return problem

    def _ways(self, tensor: GraphTensor, given: Sequence[Place | None], wanted: Sequence[Place | None]) -> np.ndarray:
        """Costs of each pair. Candidates have few places among them, so each pair of places is looked up once."""
        sources, targets = list(dict.fromkeys(given)), list(dict.fromkeys(wanted))
        costs = np.array([[self._reformats.cost(tensor, a, b) for b in targets] for a in sources])  # type: ignore[arg-type]
        rows, columns = [sources.index(a) for a in given], [targets.index(b) for b in wanted]
        return costs[np.ix_(rows, columns)]


def _without_contradictions(found: list[Alternative]) -> list[Alternative]:
    """On the CPU those that absorb more cost at most what the same row costs that absorbs less, unless far more.

    Of two that cost the same, the one that absorbs more stands first and is chosen.
    """
    settled = []
    for one in found:
        is_fused = one.candidate.n_absorbed and one.candidate.device == DeviceType.CPU
        others = [less.cost_ns for less in found if is_fused and _absorbs_less(less, one)]
        limit = min(others, default=math.inf)
        is_doubtful = limit < one.cost_ns <= limit * (1 + DOUBT) + DOUBT_NS
        settled.append(replace(one, cost_ns=limit) if is_doubtful else one)
    return settled


def _absorbs_less(one: Alternative, other: Alternative) -> bool:
    """Is it the same row in the same places, with fewer layers absorbed?"""
    mine, its = one.candidate.row, other.candidate.row
    is_same = (mine.implementation.id, mine.row, mine.tactic) == (its.implementation.id, its.row, its.tactic)
    return is_same and one.candidate.n_absorbed < other.candidate.n_absorbed and one.places == other.places


def _own_cost(candidate: Candidate, order: int) -> float:
    if math.isnan(candidate.time_ns):
        return order * UNTIMED_STEP_NS
    return candidate.time_ns * (1 - FUSED_GAIN if candidate.n_absorbed else 1)


def allowed_places(tensor: GraphTensor) -> list[Place]:
    """The places that an input or output may have. Raises FormatError if there are none."""
    places = tensor.allowed_places
    if not places:
        hint = "Set tensor.allowed_formats = 1 << int(format)."
        raise FormatError(f"tensor '{tensor.name}' allows no format", hint=hint)
    return places


def _cannot_join(chosen: Sequence[tuple[LayerGroup, Candidate]]) -> FormatError:
    facts = []
    for group, candidate in chosen:
        words = " ".join(word or "-" for word in group.head.words_of(candidate))
        facts.append((group.label, f"{candidate.row.label} {words} on the {candidate.device.name}"))
    return FormatError(
        "no choice of formats and devices joins the layers of this network",
        facts=facts[:8],
        hint="Load a library that reformats between them, or allow other formats on inputs and outputs.",
    )
