"""Measure candidates on this machine. Layers of one signature share their measurements."""

from __future__ import annotations

import logging
import time
from typing import Any

import numpy as np

from dovetail.core.errors import DovetailError, MemoryLimitError
from dovetail.core.negotiation import Machine
from dovetail.core.types import DataType, DeviceType, nptype
from dovetail.machine.builder.graph import Candidate, Graph, GraphTensor, LayerGroup
from dovetail.machine.builder.run_group import run_candidate
from dovetail.machine.config import IBuilderConfig

_log = logging.getLogger("dovetail")
TARGET_NS = 2_000_000  # repeat a candidate until it has run for this long, or
MOST_REPEATS = 50  # this often


class Measurements:
    """Times of candidates and reformats, by signature."""

    def __init__(self, config: IBuilderConfig, machine: Machine) -> None:
        self.config, self.machine = config, machine
        self.n_threads = config.num_threads
        self.known: dict[Any, float] = {}
        self.watched: set[Any] = set()
        self.spent_s = 0.0

    def time(self, group: LayerGroup, candidate: Candidate) -> float:
        """Shortest time of one execution, in ns, at the first profile's likeliest extents."""
        key = self.signature(group, candidate)
        if key not in self.known:
            started = time.perf_counter()
            self.known[key] = self._measure(group, candidate)
            self.spent_s += time.perf_counter() - started
        return self.known[key]

    def watch(self, group: LayerGroup, candidate: Candidate) -> Exception | None:
        """Run it once as it would be timed; what it failed with, if it did."""
        key = self.signature(group, candidate)
        if key not in self.watched:
            try:
                run_candidate(group, candidate, _samples(group), self.n_threads)
            except Exception as error:
                return error
            self.watched.add(key)
        return None

    def signature(self, group: LayerGroup, candidate: Candidate) -> tuple:
        row = candidate.row
        fields = tuple((name, repr(value)) for name, _, value in group.head.wire_fields())
        tensors = tuple(
            None if t is None else (t.ranges[0][1], t.dtype, place, t.is_constant)
            for t, place in zip(group.tensors, group.places(candidate), strict=True)
        )
        device = (self.machine.device_name, self.machine.sm) if candidate.device == DeviceType.GPU else self.n_threads
        # A V2 object's state is in the object, not in fields that can be compared.
        identity = id(candidate.object) if row.implementation.native.uses_op_object else None
        return (row.implementation.id, row.tactic, candidate.device, device, fields, tensors, identity)

    def _measure(self, group: LayerGroup, candidate: Candidate) -> float:
        arrays = _samples(group)
        _, times = run_candidate(group, candidate, arrays, self.n_threads, repeat=2)
        once = min(times)
        if once * 2 >= TARGET_NS:
            return float(once)
        repeat = int(min(MOST_REPEATS, max(3, TARGET_NS // max(once, 1))))
        _, times = run_candidate(group, candidate, arrays, self.n_threads, repeat=repeat)
        return float(min(times))


def _samples(group: LayerGroup) -> list[np.ndarray | None]:
    return [None if tensor is None else _sample(tensor) for tensor in group.inputs]


def _sample(tensor: GraphTensor) -> np.ndarray:
    """Contents to time with: the constant itself, else small values, the same in every build."""
    if tensor.constant is not None:
        return tensor.constant
    rng = np.random.default_rng(0)
    dims, dtype = tensor.ranges[0][1], nptype(tensor.dtype)
    if tensor.dtype in (DataType.FLOAT, DataType.HALF, DataType.BF16):
        return rng.uniform(-1, 1, dims).astype(np.float32).astype(dtype)
    return rng.integers(0, 2 if tensor.dtype == DataType.BOOL else 8, dims).astype(dtype)


def note_loss(graph: Graph, group: LayerGroup, candidate: Candidate, error: Exception, while_: str) -> None:
    graph.notes.append(f"{group.label}: {candidate.row.label} failed while {while_} and lost: {error}")
    if trespassed(error):  # elsewhere it may damage what nobody watches
        _log.warning("%s", graph.notes[-1])


def named(error: Exception, group: LayerGroup) -> Exception:
    """The error of a layer whose candidates all failed."""
    if group.head.converted and isinstance(error, DovetailError):
        error.facts.append(("converted", group.head.converted))
    return error


def broke_guards(error: Exception) -> bool:
    """Did the candidate write where it may not, or leave outputs unwritten?"""
    return bool(getattr(error, "guard", ""))


def trespassed(error: Exception) -> bool:
    return getattr(error, "guard", "") == "red zone"


def no_memory(group: LayerGroup) -> MemoryLimitError:
    facts = [
        (tensor.name, f"{list(tensor.ranges[0][1])} {tensor.dtype.name}")
        for tensor in group.tensors
        if tensor is not None
    ]
    return MemoryLimitError(
        f"{group.label} cannot be timed: there is no memory for its tensors",
        facts=facts,
        hint="Give smaller opt extents in the profile, or do not time: config.builder_optimization_level = 0.",
        layer=group.name,
    )
