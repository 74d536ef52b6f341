"""Reformat layers between two places, and their costs."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

from dovetail.core.negotiation import Place
from dovetail.core.types import DeviceType
from dovetail.machine.builder.candidates import Candidates
from dovetail.machine.builder.graph import Candidate, GraphTensor, LayerGroup
from dovetail.machine.builder.measurements import Measurements, broke_guards
from dovetail.machine.builder.own_layers import reformat
from dovetail.machine.timing_cache import Key

UNTIMED_NS = 1000.0  # cost of a reformat if nothing is timed: outweighs the order of candidates
# A reformat on the CPU costs more than its time alone: a barrier, and a tensor that takes room in the caches of its
# neighbours. Times vary, too. So it is inserted only where it saves clearly more than it was measured to take.
IN_NETWORK, BARRIER_NS = 1.25, 2000.0


class Reformats:
    """Candidates and times of the reformats that a graph may need, each looked up once."""

    def __init__(self, candidates: Candidates, measurements: Measurements) -> None:
        self._candidates, self._measurements = candidates, measurements
        self._known: dict[tuple, float] = {}
        self.notes: list[str] = []  # for the report
        self.losses: dict[Key, tuple[LayerGroup, Candidate, Exception, str]] = {}  # and while they were what

    def group(self, tensor: GraphTensor, source: Place, target: Place) -> LayerGroup:
        """A reformat of a tensor like this one, not in any graph. It is not chosen for yet."""
        a, b = (
            GraphTensor(tensor.name, tensor.dims, tensor.dtype, tensor.ranges, scale=tensor.scale, chosen_place=place)
            for place in (source, target)
        )
        pairs = ((source.dtype, target.dtype), (source.format, target.format))
        made = " ".join(new.name for old, new in pairs if old != new)
        changes = [made] if made else []
        changes += [f"the {target.device.name}"] if source.device != target.device else []
        on_gpu = DeviceType.GPU in (source.device, target.device)
        device = DeviceType.GPU if on_gpu else DeviceType.CPU
        name = f"reformat {tensor.name} to {' on '.join(changes)}"
        return LayerGroup(reformat(self._candidates.lookup, a, b, name, device))

    def cost(self, tensor: GraphTensor, source: Place, target: Place) -> float:
        """Cost in ns of a reformat; 0 if nothing changes, infinite if no implementation can do it."""
        return self.route(tensor, source, target)[0]

    def route(self, tensor: GraphTensor, source: Place, target: Place) -> tuple[float, list[Place]]:
        """Time in ns, and the places that a tensor comes to on its way, the target last.

        Type and format change in one step. Where the device changes too it may be two; which comes first, the cheaper
        way decides.
        """
        if source == target:
            return 0.0, []
        ways = [[target]]
        if source[:2] != target[:2] and source.device != target.device:
            ways += [
                [source.on(target.device), target],
                [target.on(source.device), target],
            ]
        costs = [sum(self._step(tensor, a, b) for a, b in pairwise([source, *way])) for way in ways]
        cheapest = min(range(len(ways)), key=costs.__getitem__)
        return costs[cheapest], ways[cheapest]

    def _step(self, tensor: GraphTensor, source: Place, target: Place) -> float:
        key = (tensor.ranges[0][1], tensor.dtype, tensor.scale > 0, source, target)
        if key not in self._known:
            candidate = self.fastest(self.group(tensor, source, target))
            self._known[key] = math.inf if candidate is None else self._cost_of(candidate)
        return self._known[key]

    def _cost_of(self, candidate: Candidate) -> float:
        is_timed = self._candidates.config.builder_optimization_level > 0
        if not is_timed or candidate.device == DeviceType.GPU:
            return candidate.time_ns
        return candidate.time_ns * IN_NETWORK + BARRIER_NS

    def fastest(self, group: LayerGroup, is_watched: bool = False) -> Candidate | None:
        """The fastest way to run what `group` made, with its time; None if nothing does it.

        A candidate that fails loses, and is in `losses`.

        Args:
            is_watched: where nothing is timed, run those of third parties once under the guards of timing; one that
                fails otherwise stays, since the contents are not those that it will get.

        Raises:
            Exception: of the candidates that there are, all failed; the first error.
        """
        if not self._candidates.target.has(group.head.device):
            return None
        wanted = tuple(tensor.place for tensor in group.tensors if tensor is not None)
        fitting = self._candidates.on(group.head.device, group.head, wanted).candidates
        if self._candidates.config.builder_optimization_level <= 0:
            return self._first(group, fitting, is_watched)
        timed: list[Candidate] = []
        errors: list[Exception] = []
        for candidate, time in zip(fitting, self._measurements.times([(group, c) for c in fitting]), strict=True):
            if isinstance(time, Exception):
                errors.append(time)
                self._lost(group, candidate, time, "timed")
            else:
                timed.append(replace(candidate, time_ns=time.ns, n_runs=time.runs))
        if errors and not timed:
            raise errors[0]
        return min(timed, key=lambda candidate: candidate.time_ns, default=None)

    def _first(self, group: LayerGroup, fitting: list[Candidate], is_watched: bool) -> Candidate | None:
        errors: list[Exception] = []
        for candidate in fitting:
            error = None
            if is_watched and self._measurements.is_strange(candidate):
                error = self._measurements.watch(group, candidate)
            if error is None or not broke_guards(error):
                if error is not None:
                    self.notes.append(f"{group.label}: {candidate.row.label} failed while watched, and stays: {error}")
                return replace(candidate, time_ns=UNTIMED_NS)
            errors.append(error)
            self._lost(group, candidate, error, "watched")
        if errors:
            raise errors[0]
        return None

    def _lost(self, group: LayerGroup, candidate: Candidate, error: Exception, while_: str) -> None:
        self.losses.setdefault(self._measurements.key(group, candidate), (group, candidate, error, while_))
