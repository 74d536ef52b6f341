"""Times of candidates on this machine. All measurements are in one store, the timing cache."""

from __future__ import annotations

import functools
import hashlib
import logging
import math
import time
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dovetail import _native
from dovetail.core.contract import Implementation, Lookup
from dovetail.core.environment import DISTRIBUTION
from dovetail.core.errors import BuildError, DeviceFault, DovetailError, MemoryLimitError
from dovetail.core.negotiation import Place, Target
from dovetail.core.types import FLOATS, DataType, DeviceType
from dovetail.machine.builder.candidates import REFERENCE, distribution_of
from dovetail.machine.builder.graph import Candidate, Graph, GraphLayer, GraphTensor, LayerGroup
from dovetail.machine.builder.run_group import OnDevice, Prepared, Trial, run_candidate
from dovetail.machine.builder.samples import Arrays, samples
from dovetail.machine.config import IBuilderConfig
from dovetail.machine.enums import BuilderFlag
from dovetail.machine.plan import IHostMemory
from dovetail.machine.timing_cache import ITimingCache, Key, Measurement, devices_of, found_in, keep_in

_log = logging.getLogger("dovetail")
TARGET_NS = 2_000_000  # a candidate is repeated until this was spent on it, its time is stable,
LEAST_RUNS = 3  # and it has run so often;
MOST_TARGETS = 3  # but for no more times as long,
MOST_RUNS = 50  # and no more often
STABLE = 0.03  # by how much of it a time may change when the number of runs is doubled
NEAR = 1.25  # those that take up to this many times as long as the best one of the same places
FAR = 2.0  # and up to this many times as long as the best one of all places
NEAR_RUNS = 6  # run so often, whatever that takes,
DOUBTFUL_RUNS = 20  # and so often where their times contradict each other
DOUBT = 0.08  # of a time: what a row may take longer for absorbing layers
QUICK_RUNS = 1  # that every candidate gets at once; those that take
SLOW = 2.0  # times as long as another one of the same places are looked at again when the next ones have run,
LOOKS = 2  # so often, but
HARDLY = 4.0  # once only if they take this many times as long, and then get no more;
SLOW_ON_GPU, QUICK_RUNS_ON_GPU = 1.25, 2  # the same on a GPU, whose times vary less: without another look
HOPELESS = 20.0  # those that take this many times as long in their first run get no other
NETWORK_NS = 1_000_000_000  # the whole network is repeated until this was spent on it
MOST_BYTES = 1 << 27  # of the tensors of candidates that are measured in turns
GPU_CACHE_BYTES = 64 << 20  # as much as the last cache of any GPU that we know, or a bit more
_DIGITS = 16  # of a digest
_OWN = "object "  # begins the fields of a V2 object that cannot be saved: they are known by the object itself


class Measurements:
    """Times for one build: taken from the timing cache of the config, or measured and added to it.

    If the config has no cache, a new one is used, so that equal layers of the build share measurements.
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
        self._strange: dict[str, bool] = {}
        self._n_known = self._n_measured = 0
        self._cache_states: dict[DeviceType, _native.CacheState] = {}
        self.surround(0)
        self._spent_s = 0.0

    def surround(self, network_bytes: int) -> None:
        """Measure layers from now on as those of a network whose tensors take this number of bytes together.

        What that means for the caches is measured too, when the first layer is. Keys only have what never changes: how
        the bytes compare with the caches that the processor says it has.
        """
        own, last = _native.cache_bytes()
        self._network_bytes, self._evicted, self._caches = network_bytes, 0, "warm"
        if own and network_bytes > own * self.n_threads:
            self._evicted = min(own + own // 2, network_bytes // self.n_threads)
            self._caches = f"up to {_mebibytes(min(network_bytes, 2 * max(own, last)))} MiB read in between"
        is_large = network_bytes > GPU_CACHE_BYTES
        self._caches_of_gpu = "beyond all caches" if is_large else "warm"
        self._cache_states = {}

    def _cache_state_of(self, device: DeviceType) -> _native.CacheState:
        if device not in self._cache_states:
            if device == DeviceType.GPU:
                is_large = self._network_bytes > GPU_CACHE_BYTES
                made = _native.CacheState(0, 2 * GPU_CACHE_BYTES if is_large else 0)
            else:
                cold = _native.measured_cold_share(self._network_bytes, self.n_threads) if self._evicted else 0.0
                made = _native.CacheState(self.n_threads, self._evicted, cold)
            self._cache_states[device] = made
        return self._cache_states[device]

    def times(
        self, ways: Sequence[tuple[LayerGroup, Candidate]], contents: Callable[[], Arrays] | None = None
    ) -> list[Measurement | Exception]:
        """The time of one execution of what each candidate computes, at the first profile's opt extents; or what a
        candidate failed with.

        Those that are not in the cache run in turns, so that whatever else the machine does falls on all. One that is
        far slower than another of the same places is not repeated as often: its time has fewer `runs`.

        Args:
            contents: makes what the inputs of the head hold, where the time depends on it; None: samples.

        Raises:
            BuildError: one is not in the cache, and ERROR_ON_TIMING_CACHE_MISS is set.
        """
        keys = [self.key(group, candidate) for group, candidate in ways]
        found: dict[Key, Measurement | Exception] = {}
        missing: dict[Key, tuple[LayerGroup, Candidate]] = {}
        for key, way in zip(keys, ways, strict=True):
            known = self._find(key)
            if known is not None:
                found[key] = known
                self._n_known += 1
            elif not self._may_miss:
                raise _missed(*way)
            else:
                missing[key] = way
        started = time.perf_counter()
        arrays = contents() if missing and contents is not None else None
        races = _Races()
        yardstick = _yardstick(dict(zip(keys, ways, strict=True)), found) if missing else {}
        known = {key: found[key] for key in yardstick}
        for part in _that_fit_into_memory(yardstick | missing, self._is_shared):
            found |= self._measure(part, arrays, races, known)
            _native.trim_memory()
        self._spent_s += time.perf_counter() - started
        self._n_measured += len(missing)
        return [found[key] for key in keys]

    def _measure(
        self,
        ways: Mapping[Key, tuple[LayerGroup, Candidate]],
        arrays: Arrays | None,
        races: _Races,
        known: Mapping[Key, Measurement | Exception],
    ) -> dict[Key, Measurement | Exception]:
        """Measure in turns, and store what was found. Times of `known` stay, and say how fast the machine is now."""
        found: dict[Key, Measurement | Exception] = {}
        shared, prepared = OnDevice(), Prepared()
        for key, (group, candidate) in ways.items():
            before = self._cache_state_of(candidate.device)
            try:
                if self._is_shared(group, candidate):
                    trial = Trial(group, candidate, arrays or (), self.n_threads, shared)
                    races.add(_Race(key, group, candidate, trial, before, is_guarded=False))
                    continue
                if arrays is None:
                    arrays = samples(group.head.inputs)  # all start at this layer
                own = [*arrays, *samples(group.inputs[len(arrays) :])]  # with what is absorbed
                trial = Trial(group, candidate, own, self.n_threads, prepared=prepared)
                races.add(_Race(key, group, candidate, trial, before))
            except DeviceFault:
                raise
            except Exception as error:
                check_device(error, group, candidate)
                found[key] = known.get(key, error)
        races.in_turns()
        speed = races.speed(known)
        for race in races.finished(ways):
            if race.key in known:
                found[race.key] = known[race.key]
                continue
            if race.error is not None:
                found[race.key] = race.error
                continue
            measured = Measurement(speed * _typical(race.times), len(race.times))
            found[race.key] = measured
            self._store(race.key, measured)
        return found

    def runs_alone(self, group: LayerGroup, contents: Arrays | None = None) -> Callable[[int], list[int]]:
        """Run the chosen candidate of a group as candidates are timed, on `contents` or samples: the ns of each run."""
        assert group.chosen is not None
        arrays = list(contents or ())
        trial = Trial(group, group.chosen, [*arrays, *samples(group.inputs[len(arrays) :])], self.n_threads)
        before = self._cache_state_of(group.chosen.device)
        return lambda n_runs: trial.run(n_runs, before)

    def time_network(self, plan: IHostMemory, inputs: Arrays) -> float:
        """Time of one run of a whole network of the CPU in ns; `inputs` have the opt extents of the first profile."""
        key = Key("network", _native.checksum(plan), (), (), "", "", DeviceType.CPU.name, self.n_threads, "")
        known = self._find(key)
        if known is None:
            known = _run_plan(plan, inputs, self.n_threads)
            self._store(key, known)
        return known.ns

    def is_strange(self, candidate: Candidate) -> bool:
        """Is it of a third party, so that it is watched where nothing is timed? Tests of ours run our own so."""
        implementation = candidate.row.implementation.id
        if implementation not in self._strange:
            distribution = distribution_of(self._lookup, candidate.row.implementation)
            self._strange[implementation] = distribution != DISTRIBUTION
        return candidate.row.implementation.name != REFERENCE and self._strange[implementation]

    def _is_shared(self, group: LayerGroup, candidate: Candidate) -> bool:
        """Is it a kernel of ours that works in the memory of a GPU alone? These are timed on tensors that are made
        once, without guards: to bring tensors there and back for each takes far longer than kernels do."""
        places = [place for place in group.places(candidate) if place is not None]
        return all(place.device == DeviceType.GPU for place in places) and not self.is_strange(candidate)

    def watch(self, group: LayerGroup, candidate: Candidate) -> Exception | None:
        """Run it once as it would be timed; what it failed with, if it did."""
        key = self.key(group, candidate)
        if key not in self._watched:
            try:
                run_candidate(group, candidate, samples(group.inputs), self.n_threads)
            except Exception as error:
                check_device(error, group, candidate)
                return error
            self._watched.add(key)
        return None

    def summary(self) -> str:
        """A line for the log. It is not in the plan, which must not depend on how long measuring took."""
        return (
            f"{self._n_measured} candidates measured in {self._spent_s:.2f} s, {self._n_known} times taken from "
            "measurements of equal ones"
        )

    def key(self, group: LayerGroup, candidate: Candidate) -> Key:
        """The key of this candidate's measurement."""
        row = candidate.row
        is_on_gpu = candidate.device == DeviceType.GPU
        return Key(
            group.head.spec.id,
            self._fields(group.head, candidate),
            tuple(
                _tensor_text(tensor, place)
                for tensor, place in zip(group.tensors, group.places(candidate), strict=True)
            ),
            tuple(
                f"{layer.spec.id} {self._digest(layer)}{_taken_inside(group, place)}"
                for place, layer in enumerate(group.tail)
            ),
            row.label,
            self._library(row.implementation),
            candidate.device.name,
            0 if is_on_gpu else self.n_threads,
            self._caches_of_gpu if is_on_gpu else self._caches,
        )

    def _find(self, key: Key) -> Measurement | None:
        if not self._is_used:
            return None
        return self._own.get(key) or found_in(self._cache, key)

    def _store(self, key: Key, measurement: Measurement) -> None:
        if key.fields.startswith(_OWN):
            self._own[key] = measurement
        elif self._is_used:
            keep_in(self._cache, key, measurement, self._devices)

    def _fields(self, layer: GraphLayer, candidate: Candidate) -> str:
        """Digest of everything other than its tensors that determines the layer's work."""
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


def _taken_inside(group: LayerGroup, place: int) -> str:
    """Which results of the group a layer of its tail takes, for keys; "" if only the one in front of it."""
    made = {layer.outputs[0]: number for number, layer in enumerate(group.layers[: place + 1])}
    inside = [made[tensor] for tensor in group.tail[place].inputs if tensor in made]
    return "" if inside == [place] else f" of {inside}"


@dataclass
class _Race:
    """One candidate that is being measured."""

    key: Key
    group: LayerGroup
    candidate: Candidate
    trial: Trial | None  # None once it is finished
    before: Any
    is_guarded: bool = True
    times: list[int] = field(default_factory=list)
    error: Exception | None = None
    spent_ns: int = 0  # with what was done to the caches

    def run(self) -> None:
        started = time.perf_counter_ns()
        assert self.trial is not None
        try:
            self.times += self.trial.run(1, self.before)
        except Exception as error:
            check_device(error, self.group, self.candidate)
            self.error = error
        self.spent_ns += time.perf_counter_ns() - started

    def finish(self) -> None:
        """Check what it wrote, and give back its memory."""
        trial, self.trial = self.trial, None
        try:
            if trial is not None and self.error is None and self.is_guarded:
                trial.results()
        except Exception as error:
            self.error = error

    @property
    def is_on_gpu(self) -> bool:
        return self.candidate.device == DeviceType.GPU

    @property
    def is_done(self) -> bool:
        n = len(self.times)
        if n < LEAST_RUNS or (n < MOST_RUNS and self.spent_ns < TARGET_NS):
            return False
        return n >= MOST_RUNS or self.spent_ns >= MOST_TARGETS * TARGET_NS or _is_stable(self.times)

    def is_of_row(self, other: _Race) -> bool:
        """Is it the same kernel with the same places of its own tensors?"""
        mine, its = self.candidate, other.candidate
        is_same = mine.row.implementation.id == its.row.implementation.id and mine.row.row == its.row.row
        return is_same and mine.places == its.places


class _Races:
    """Candidates of one layer, run in turns. Those that cannot win any more are finished, so that few take memory."""

    def __init__(self) -> None:
        self._all: list[_Race] = []

    def add(self, race: _Race) -> None:
        """Run it a first time, which finds memory and code in no cache, and `QUICK_RUNS` times that count.

        Then look again at slow ones from before: a single moment, in which the machine may have been busy, decides
        nothing. Few of them take memory at once.
        """
        self._all.append(race)
        race.run()
        is_hopeless = race.error is None and len(self._alike(race)) and race.times[0] > HOPELESS * self._best(race)
        if not is_hopeless:
            race.times.clear()
            for _ in range(QUICK_RUNS_ON_GPU if race.is_on_gpu else QUICK_RUNS):
                if race.error is None:
                    race.run()
        for other in self._all:
            if other is not race and other.trial is not None:
                self._look_again(other)
        if is_hopeless or race.error is not None or (race.is_on_gpu and self._is_slow(race)):
            race.finish()

    def finished(self, keys: Container[Key]) -> list[_Race]:
        """The races of these keys, all finished."""
        found = [race for race in self._all if race.key in keys]
        for race in found:
            race.finish()
        return found

    def speed(self, known: Mapping[Key, Measurement | Exception]) -> float:
        """Of the machine now, at most 1: what the yardstick took when it was measured before, to what it takes now."""
        for race in self._all:
            before = known.get(race.key)
            if isinstance(before, Measurement) and race.times and race.error is None:
                return min(1.0, before.ns / min(race.times))
        return 1.0

    def in_turns(self) -> None:
        """Repeat those that may win until their times are stable, and do not contradict each other."""
        hopeful = [race for race in self._all if race.trial is not None]
        while True:
            running = [race for race in hopeful if race.error is None and self._needs_more(race)]
            if not running:
                return
            for race in running:
                race.run()

    def _needs_more(self, race: _Race) -> bool:
        """Whether another run may change what is chosen.

        Another program, or another virtual machine on the same core, makes single runs or all of some tenths of a
        second up to twice as long. The best time of several turns is rarely touched by that.
        """
        n = len(race.times)
        if self._is_slow(race):
            return self._may_be_fast(race)
        if not race.is_done:
            return True
        if race.is_on_gpu or n >= DOUBTFUL_RUNS or not self._is_near(race):
            return False
        return n < NEAR_RUNS or self._is_doubtful(race)

    def _is_near(self, race: _Race) -> bool:
        own = self._likely(race)
        if own > NEAR * self._best(race):
            return False
        n_absorbed = race.candidate.n_absorbed
        others = [other for other in self._all if other.times and other.candidate.n_absorbed == n_absorbed]
        return own <= FAR * min(min(other.times) for other in others)

    def _is_doubtful(self, race: _Race) -> bool:
        """Does the row seem to take longer for absorbing less, or much longer for absorbing more?"""
        return self._likely(race) < min(race.times)

    def _likely(self, race: _Race) -> float:
        """Its time, or less if the same row with more or fewer layers absorbed says so."""
        likely, n_absorbed = float(min(race.times)), race.candidate.n_absorbed
        for other in self._all:
            its = other.candidate.n_absorbed
            if its != n_absorbed and other.times and other.error is None and race.is_of_row(other):
                likely = min(likely, min(other.times) * (1 + (DOUBT if n_absorbed > its else 0)))
        return likely

    def _look_again(self, race: _Race) -> None:
        """Finish it if it failed, or is slow, and was when other candidates had run in between."""
        if race.error is None and self._is_slow(race) and self._may_be_fast(race):
            race.run()
        if race.error is not None or (self._is_slow(race) and not self._may_be_fast(race)):
            race.finish()

    def _may_be_fast(self, race: _Race) -> bool:
        """Whether a slow one has not been looked at often enough."""
        looks = 1 if self._likely(race) > HARDLY * self._best(race) else LOOKS
        return not race.is_on_gpu and len(race.times) < QUICK_RUNS + looks

    def _alike(self, race: _Race) -> list[_Race]:
        """The others that take and leave tensors in the same places, and have been run."""
        places = race.candidate.places
        own = race.candidate.n_absorbed
        return [
            other
            for other in self._all
            if other is not race
            and other.times
            and other.error is None
            and (other.candidate.places, other.candidate.n_absorbed) == (places, own)
        ]

    def _best(self, race: _Race) -> float:
        return min((min(other.times) for other in self._alike(race)), default=math.inf)

    def _is_slow(self, race: _Race) -> bool:
        slow = SLOW_ON_GPU if race.is_on_gpu else SLOW
        return self._likely(race) > slow * self._best(race)


def _run_plan(plan: IHostMemory, inputs: Arrays, n_threads: int) -> Measurement:
    engine = _native.Engine(plan, n_threads)
    context = _native.Context(engine, 0, True)
    for index, array in enumerate(inputs):
        context.set_input(index, array)
    for index in range(len(inputs), len(inputs) + len(engine.outputs)):
        context.set_buffer(index, np.zeros(max(context.max_bytes(index), 1), np.uint8))
    context.execute()
    times: list[int] = []
    started = time.perf_counter_ns()
    while len(times) < LEAST_RUNS or (len(times) < MOST_RUNS and time.perf_counter_ns() - started < NETWORK_NS):
        before = time.perf_counter_ns()
        context.execute()
        times.append(time.perf_counter_ns() - before)
    return Measurement(_typical(times), len(times))


def _mebibytes(n_bytes: int) -> int:
    """The next power of two, at least 1: networks of about one size share their measurements."""
    return 1 << max(math.ceil(n_bytes / (1 << 20)) - 1, 0).bit_length()


def _typical(times: Sequence[int]) -> float:
    """The least: whatever else the machine does only adds to a time."""
    return float(min(times))


def _is_stable(times: Sequence[int]) -> bool:
    half, whole = _typical(times[: len(times) // 2]), _typical(times)
    return abs(half - whole) <= STABLE * whole


def _yardstick(
    ways: Mapping[Key, tuple[LayerGroup, Candidate]], found: Mapping[Key, Measurement | Exception]
) -> dict[Key, tuple[LayerGroup, Candidate]]:
    """The fastest candidate of the CPU that was measured before, for an equal layer.

    If the machine is slower now, it is by what this one takes longer. Else a kernel would win by when it was measured.
    """
    times = {
        key: one.ns
        for key, one in found.items()
        if isinstance(one, Measurement) and ways[key][1].device == DeviceType.CPU
    }
    key = min(times, key=times.__getitem__, default=None)
    return {} if key is None else {key: ways[key]}


def _that_fit_into_memory(
    ways: Mapping[Key, tuple[LayerGroup, Candidate]], is_shared: Callable[[LayerGroup, Candidate], bool]
) -> Iterator[dict[Key, tuple[LayerGroup, Candidate]]]:
    """Parts of `ways` whose tensors fit into memory together; those that are shared are there once."""
    part: dict[Key, tuple[LayerGroup, Candidate]] = {}
    n_bytes = 0
    for key, (group, candidate) in ways.items():
        own = 0 if is_shared(group, candidate) else sum(bytes_at_opt(t) for t in group.tensors if t is not None)
        if part and n_bytes + own > MOST_BYTES:
            yield part
            part, n_bytes = {}, 0
        part[key] = group, candidate
        n_bytes += own
    if part:
        yield part


def bytes_at_opt(tensor: GraphTensor) -> int:
    """Bytes of a tensor at the first profile's opt extents, padding left out."""
    return math.prod(tensor.ranges[0][1]) * tensor.dtype.bits // 8


def _tensor_text(tensor: GraphTensor | None, place: Place | None) -> str:
    """Opt extents and place; "-" for an absent one. Constants of integers decide the work: their contents count."""
    if tensor is None or place is None:
        return "-"
    text = _place_text(tuple(tensor.ranges[0][1]), place)
    if not tensor.is_constant:
        return text
    decides = tensor.dtype not in (*FLOATS, DataType.INT8, DataType.UINT8)
    return f"{text} constant" + (f" {_checksum(tensor.constant)}" if decides else "")


@functools.lru_cache(4096)  # each candidate of a layer asks again
def _place_text(extents: tuple[int, ...], place: Place) -> str:
    return f"{place.dtype.name}[{','.join(map(str, extents))}] {place.format.name}@{place.device.name}"


def _checksum(array: Any) -> str:
    return _native.checksum(memoryview(np.ascontiguousarray(array).reshape(-1).view(np.uint8)))


def _missed(group: LayerGroup, candidate: Candidate) -> BuildError:
    return BuildError(
        f"{candidate.row.label} of {group.label} is not in the timing cache",
        facts=[("flag", "BuilderFlag.ERROR_ON_TIMING_CACHE_MISS")],
        hint="Clear the flag, and the build measures what is missing and adds it to the cache.",
        layer=group.name,
    )


def note_loss(graph: Graph, group: LayerGroup, candidate: Candidate, error: Exception, while_: str) -> None:
    graph.notes.append(f"{group.label}: {candidate.row.label} failed while {while_} and lost: {error}")
    if trespassed(error):  # in another place it may damage memory without being noticed
        _log.warning("%s", graph.notes[-1])


def named(error: Exception, group: LayerGroup) -> Exception:
    """The error of a layer whose candidates all failed."""
    if group.head.converted and isinstance(error, DovetailError):
        error.facts.append(("converted", group.head.converted))
    return error


def check_device(error: Exception, group: LayerGroup, candidate: Candidate) -> None:
    """Raise DeviceFault if the failure of a candidate has broken the device for this process."""
    if candidate.device != DeviceType.GPU:
        return
    try:
        _native.wait_for_stream(_native.cuda_current_device())
    except DovetailError as broken:
        row = candidate.row
        raise DeviceFault(
            f"{row.label} broke the device while it was tried in {group.label}",
            facts=[
                ("plugin", row.implementation.plugin or "not known"),
                ("device", str(broken).partition("\n")[0]),
            ],
            hint="Restart the process: nothing on the device works any more. compute-sanitizer says which kernel "
            "does it; config.pin_implementation takes another implementation for the layer.",
            plugin=row.implementation.id,
            layer=group.head.name,
        ) from error


def broke_guards(error: Exception) -> bool:
    """True if the candidate wrote outside of its outputs, or left outputs unwritten."""
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
