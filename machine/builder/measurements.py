"""Times of candidates on this machine. All that are measured are in one store, which is the timing cache."""

from __future__ import annotations

import hashlib
import logging
import time
from typing import Any

import numpy as np

from dovetail import _native
from dovetail.core.contract import Implementation, Lookup
from dovetail.core.errors import BuildError, DovetailError, MemoryLimitError
from dovetail.core.negotiation import Place, Target
from dovetail.core.types import FLOATS, DataType, DeviceType, nptype
from dovetail.machine.builder.graph import Candidate, Graph, GraphLayer, GraphTensor, LayerGroup
from dovetail.machine.builder.run_group import run_candidate
from dovetail.machine.config import IBuilderConfig
from dovetail.machine.enums import BuilderFlag
from dovetail.machine.timing_cache import ITimingCache, Key, Measurement, devices_of

_log = logging.getLogger("dovetail")
TARGET_NS = 2_000_000  # repeat a candidate until it has run for this long, or
MOST_REPEATS = 50  # this often
_DIGITS = 16  # of a digest
_OWN = "object "  # begins the fields of a V2 object that cannot be saved: they are known by the object itself


class Measurements:
    """Times for one build: taken from the timing cache of the config, or measured and added to it.

    Without a cache one is made, with which equal layers of the build share their measurements.
    """

    def __init__(self, lookup: Lookup, config: IBuilderConfig, target: Target) -> None:
        self.n_threads = config.num_threads or _native.default_threads()
        self._lookup, self._target = lookup, target
        self._devices = devices_of(target)
        self._cache = config.get_timing_cache() or ITimingCache()
        self._is_used = not config.get_flag(BuilderFlag.DISABLE_TIMING_CACHE)
        self._may_miss = not config.get_flag(BuilderFlag.ERROR_ON_TIMING_CACHE_MISS)
        self._own: dict[Key, Measurement] = {}  # of what has no meaning outside of this build
        self._digests: dict[GraphLayer, str] = {}
        self._libraries: dict[str, str] = {}
        self._watched: set[Key] = set()
        self._n_known = self._n_measured = 0
        self._spent_s = 0.0

    def time(self, group: LayerGroup, candidate: Candidate) -> float:
        """Shortest time of one execution of what the candidate computes, in ns, at the first profile's opt extents.

        Raises:
            BuildError: it is not in the cache, and ERROR_ON_TIMING_CACHE_MISS is set. And what the candidate raises.
        """
        key = self.key(group, candidate)
        known = self._find(key)
        if known is not None:
            self._n_known += 1
            return known.ns
        if not self._may_miss:
            raise _missed(group, candidate)
        started = time.perf_counter()
        measured = self._measure(group, candidate)
        self._spent_s += time.perf_counter() - started
        self._n_measured += 1
        self._store(key, measured)
        return measured.ns

    def watch(self, group: LayerGroup, candidate: Candidate) -> Exception | None:
        """Run it once as it would be timed; what it failed with, if it did."""
        key = self.key(group, candidate)
        if key not in self._watched:
            try:
                run_candidate(group, candidate, _samples(group), self.n_threads)
            except Exception as error:
                return error
            self._watched.add(key)
        return None

    def summary(self) -> str:
        """A line for the log. It is not in the plan, which is the same however long measuring took."""
        return (
            f"{self._n_measured} candidates measured in {self._spent_s:.2f} s, {self._n_known} times taken from "
            "measurements of equal ones"
        )

    def key(self, group: LayerGroup, candidate: Candidate) -> Key:
        """What a measurement of this candidate is kept under."""
        row = candidate.row
        is_on_gpu = candidate.device == DeviceType.GPU
        return Key(
            group.head.spec.id,
            self._fields(group.head, candidate),
            tuple(
                _tensor_text(tensor, place)
                for tensor, place in zip(group.tensors, group.places(candidate), strict=True)
            ),
            tuple(f"{layer.spec.id} {self._digest(layer)}" for layer in group.tail),
            row.label,
            self._library(row.implementation),
            candidate.device.name,
            0 if is_on_gpu else self.n_threads,
        )

    def _find(self, key: Key) -> Measurement | None:
        if not self._is_used:
            return None
        return self._own.get(key) or self._cache.find(key)

    def _store(self, key: Key, measurement: Measurement) -> None:
        if key.fields.startswith(_OWN):
            self._own[key] = measurement
        elif self._is_used:
            self._cache.store(key, measurement, self._devices)

    def _fields(self, layer: GraphLayer, candidate: Candidate) -> str:
        """Digest of what decides the layer's work beside its tensors."""
        if not candidate.row.implementation.native.uses_op_object:
            return self._digest(layer)
        # A V2 object's state is in the object, not in fields that can be compared.
        if candidate.object.has_save:
            return hashlib.sha256(candidate.object.save()).hexdigest()[:_DIGITS]
        return f"{_OWN}{id(candidate.object)}"

    def _digest(self, layer: GraphLayer) -> str:
        if layer not in self._digests:
            digest = hashlib.sha256()
            for name, wire, value in layer.wire_fields():
                array = value.numpy() if hasattr(value, "numpy") else value
                is_array = isinstance(array, np.ndarray)
                text = f"{array.dtype}{array.shape}{_checksum(array)}" if is_array else repr(value)
                digest.update(f"{name}:{wire}:{text}\n".encode())
            self._digests[layer] = digest.hexdigest()[:_DIGITS]
        return self._digests[layer]

    def _library(self, implementation: Implementation) -> str:
        if implementation.id not in self._libraries:
            record = self._lookup.record_of(implementation.id)
            text = "" if record is None else record.hash or f"{record.name} {record.version}"
            self._libraries[implementation.id] = text
        return self._libraries[implementation.id]

    def _measure(self, group: LayerGroup, candidate: Candidate) -> Measurement:
        arrays = _samples(group)
        _, times = run_candidate(group, candidate, arrays, self.n_threads, repeat=2)
        once = min(times)
        if once * 2 >= TARGET_NS:
            return Measurement(float(once), 2)
        repeat = int(min(MOST_REPEATS, max(3, TARGET_NS // max(once, 1))))
        _, times = run_candidate(group, candidate, arrays, self.n_threads, repeat=repeat)
        return Measurement(float(min(times)), repeat)


def _tensor_text(tensor: GraphTensor | None, place: Place | None) -> str:
    """Type, opt extents, place; "-" for an absent one. Constants of integers decide the work: their contents count."""
    if tensor is None or place is None:
        return "-"
    extents = ",".join(map(str, tensor.ranges[0][1]))
    text = f"{tensor.dtype.name}[{extents}] {place.format.name}@{place.device.name}"
    if not tensor.is_constant:
        return text
    decides = tensor.dtype not in (*FLOATS, DataType.INT8, DataType.UINT8)
    return f"{text} constant" + (f" {_checksum(tensor.constant)}" if decides else "")


def _checksum(array: Any) -> str:
    return _native.checksum(memoryview(np.ascontiguousarray(array).reshape(-1).view(np.uint8)))


def _missed(group: LayerGroup, candidate: Candidate) -> BuildError:
    return BuildError(
        f"{candidate.row.label} of {group.label} is not in the timing cache",
        facts=[("flag", "BuilderFlag.ERROR_ON_TIMING_CACHE_MISS")],
        hint="Clear the flag, and the build measures what is missing and adds it to the cache.",
        layer=group.name,
    )


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
