"""How candidates are measured: in turns, for as long as they may win, as their network would leave the caches."""

import numpy as np
import pytest
from networks import convolution_chain, new_network

import dovetail as trt
from dovetail import _native
from dovetail.core.contract import Implementation
from dovetail.core.errors import DeviceFault, DovetailError, PluginFailed
from dovetail.core.expr import DimsExprs
from dovetail.core.negotiation import FormatRow, Place
from dovetail.core.types import DataType
from dovetail.machine.builder import measurements, pipeline
from dovetail.machine.builder.build import build_of
from dovetail.machine.builder.graph import Candidate, GraphTensor, LayerGroup
from dovetail.machine.builder.measurements import (
    DOUBTFUL_RUNS,
    LEAST_RUNS,
    LOOKS,
    MOST_RUNS,
    NEAR_RUNS,
    QUICK_RUNS,
    Measurements,
    _Race,
    _Races,
)
from dovetail.machine.builder.passes import prune_candidates
from dovetail.machine.builder.run_group import Prepared, prepare
from dovetail.machine.builder.samples import BLOCK, sample_block, samples
from dovetail.machine.devices import this_target
from dovetail.machine.plan import read_plan
from dovetail.machine.testing import make_layer

MS = 1_000_000


class FakeTrial:
    """Takes the times that `script` has for its tactic, the last one again and again; the first run is none of them."""

    script, log = {}, []

    def __init__(self, group, candidate, arrays, n_threads, prepared=None):
        self.tactic = candidate.row.tactic
        self.times = iter(self.script[self.tactic])
        self.last = None

    def run(self, repeat, before):
        self.log.append(self.tactic)
        self.last = next(self.times, self.last)
        if isinstance(self.last, Exception):
            raise self.last
        return [self.last]

    def results(self):
        return []


@pytest.fixture
def group():
    layer = make_layer(
        trt.get_plugin_registry(),
        "Activation@1",
        [np.ones((1, 16, 2, 2), np.float32)],
        {"type": int(trt.ActivationType.RELU)},
    )
    return LayerGroup(layer)


@pytest.fixture
def race(monkeypatch, group):
    """Measure candidates whose runs take what is given by tactic; returns [(ns, runs) or the error], and the order."""
    monkeypatch.setattr(measurements, "Trial", FakeTrial)
    service = Measurements(trt.get_plugin_registry(), trt.Builder(trt.Logger()).create_builder_config(), this_target())

    def measure(formats=None, **times):
        FakeTrial.script, FakeTrial.log = times, []
        ways = []
        for tactic in times:
            format_ = (formats or {}).get(tactic, trt.TensorFormat.LINEAR)
            place = Place(trt.float32, format_, trt.DeviceType.CPU)
            native = next(iter(trt.get_plugin_registry().implementations_of("Activation@1"))).native
            row = FormatRow(Implementation("Activation@1", "fake", native=native), 0, tactic, (place, place))
            ways.append((group, Candidate(row, None)))
        return service.times(ways), FakeTrial.log

    return measure


def test_candidates_run_in_turns(race, monkeypatch):
    monkeypatch.setattr(measurements, "TARGET_NS", 0)  # as if each run took that long
    _, order = race(a=[9 * MS, 3 * MS], b=[9 * MS, 3 * MS])
    first = 1 + QUICK_RUNS
    assert order[: 2 * first] == ["a"] * first + ["b"] * first
    rest = order[2 * first :]
    assert rest == ["a", "b"] * (len(rest) // 2) and len(rest) >= 2 * (LEAST_RUNS - QUICK_RUNS)


def test_a_slow_candidate_is_not_repeated(race):
    (fast, slow), order = race(fast=[2000, 1000], slow=[5000, 2100])
    assert (slow.ns, slow.runs) == (2100, QUICK_RUNS + LOOKS)
    assert fast.runs > slow.runs and order.count("slow") == 1 + slow.runs


def test_a_busy_moment_does_not_end_a_candidate(race):
    (_, unlucky, _), order = race(other=[2000, 1000], unlucky=[5000, 12_000, 900], last=[2000, 1000])
    assert unlucky.ns == 900 and unlucky.runs >= LEAST_RUNS
    assert order.index("last") < len(order) - 1 - order[::-1].index("unlucky")  # it had another turn behind it


def test_near_ones_run_more_often(race, monkeypatch):
    monkeypatch.setattr(measurements, "TARGET_NS", 0)  # as if each run took that long
    (best, near, far), _ = race(best=[MS], near=[int(1.1 * MS)], far=[int(1.6 * MS)])
    assert best.runs == near.runs == NEAR_RUNS and LEAST_RUNS <= far.runs < NEAR_RUNS


def test_times_that_contradict_each_other_are_looked_at_again(group, monkeypatch):
    monkeypatch.setattr(measurements, "TARGET_NS", 0)
    busy = [3 * MS] * (1 + NEAR_RUNS)  # all the time that a candidate gets otherwise
    FakeTrial.script, FakeTrial.log = {"alone": [*busy, 2 * MS], "fused": [2 * MS]}, []
    native = next(iter(trt.get_plugin_registry().implementations_of("Activation@1"))).native
    place = Place(trt.float32, trt.TensorFormat.LINEAR, trt.DeviceType.CPU)
    races = _Races()
    for n_absorbed, tactic in enumerate(FakeTrial.script):
        row = FormatRow(Implementation("Activation@1", "fake", native=native), 0, tactic, (place, place))
        candidate = Candidate(row, None, n_absorbed=n_absorbed)
        races.add(_Race(tactic, group, candidate, FakeTrial(group, candidate, [], 1), None))
    races.in_turns()
    alone, fused = races.finished(FakeTrial.script)
    assert NEAR_RUNS < len(alone.times) <= DOUBTFUL_RUNS and min(alone.times) == 2 * MS
    assert len(fused.times) == NEAR_RUNS


def test_a_hopeless_candidate_runs_once(race):
    (_, slow), order = race(fast=[2000, 1000], slow=[50_000, 40_000])
    assert (slow.ns, slow.runs) == (50_000, 1) and order.count("slow") == 1


def test_a_slow_candidate_of_other_formats_is_repeated(race):
    formats = {"blocked": trt.TensorFormat.CHW16}  # it may save reformats
    (_, slow), _ = race(formats, linear=[2000, 1000], blocked=[9000, 9000])
    assert slow.runs > QUICK_RUNS


def test_the_first_run_does_not_count_nor_do_busy_moments(race):
    (time,), _ = race(a=[9 * MS, 1000, 1000, 7 * MS, 1001, 1000])
    assert time.ns == 1000


def test_what_was_measured_before_says_whether_the_machine_is_slower_now(race):
    race(old=[MS])
    (old, new), order = race(old=[2 * MS], new=[3 * MS])
    assert (old.ns, new.ns) == (MS, 1.5 * MS) and "old" in order
    (old, later), _ = race(old=[MS // 2], later=[3 * MS])  # faster: nothing is known of a candidate that is slower
    assert (old.ns, later.ns) == (MS, 3 * MS)


def test_nothing_runs_where_all_was_measured_before(race):
    race(a=[MS], b=[MS])
    (a, b), order = race(a=[2 * MS], b=[2 * MS])
    assert a.ns == b.ns == MS and order == []


def test_times_that_do_not_settle_end_nevertheless(race):
    (time,), _ = race(a=[1000, *(1000 + 400 * (i % 7) for i in range(500))])
    assert time.runs <= MOST_RUNS


def test_a_candidate_that_fails_in_its_turn_loses(race):
    error = PluginFailed("broke")
    (good, bad), _ = race(good=[1000], bad=[1000, 1000, 1000, error])
    assert bad is error and good.runs >= LEAST_RUNS


def test_a_run_that_broke_the_device_ends_the_build(race, monkeypatch):
    """In the first run of a candidate, and in a later one."""

    def broken(error, group, candidate):
        if str(error) == "a fault":
            raise DeviceFault("the device is broken")

    monkeypatch.setattr(measurements, "check_device", broken)
    fault = RuntimeError("a fault")
    for times in ([fault], [2000, 1000, fault]):
        with pytest.raises(DeviceFault):
            race(good=[2000, 1000], bad=times)


def test_what_is_cut_short_is_in_the_report(monkeypatch):
    for limit in ("SLOW", "HARDLY"):
        monkeypatch.setattr(measurements, limit, 0.0)  # all of them are
    builder, network, config = convolution_chain(1)
    config.builder_optimization_level = 5  # rows of all instruction sets
    steps = read_plan(builder.build_serialized_network(network, config))["report"]["steps"]
    lost = [text for step in steps for text in step["lost"]]
    assert any("us (in 2 runs only, since a candidate with the same formats took far less)" in text for text in lost)


def test_rows_without_vector_instructions_are_left_out_with_the_reason():
    if "avx2" not in _native.cpu_features():
        pytest.skip("needs avx2")
    builder, network, config = convolution_chain(1)
    steps = read_plan(builder.build_serialized_network(network, config))["report"]["steps"]
    step = next(step for step in steps if step["op"] == "Convolution@1")
    scalar = [text for text in step["refused"] if "_scalar" in text]
    assert any("it computes without the vector instructions that a row like it uses" in text for text in scalar)
    timed = {text.split()[0] for text in step["lost"]} | {step["runs_on"]}
    assert any("gemm_avx2" in text or "gemm_avx512" in text for text in timed)
    config.builder_optimization_level = 5
    steps = read_plan(builder.build_serialized_network(network, config))["report"]["steps"]
    step = next(step for step in steps if step["op"] == "Convolution@1")
    assert any("gemm_scalar" in text for text in step["lost"])


def refused_and_timed(channels, extent, level=3):
    """What the trace says of the convolution's rows of AVX2, and the rows that were timed."""
    rng = np.random.default_rng(1)
    builder, network, config = new_network()
    config.builder_optimization_level = level
    x = network.add_input("x", trt.float32, (1, channels, extent, extent))
    kernel = rng.standard_normal((channels, channels, 3, 3)).astype(np.float32)
    layer = network.add_convolution_nd(x, channels, (3, 3), kernel)
    layer.padding_nd = (1, 1)
    network.mark_output(layer.get_output(0))
    steps = read_plan(builder.build_serialized_network(network, config))["report"]["steps"]
    step = next(step for step in steps if step["op"] == "Convolution@1")
    narrow = [text for text in step["refused"] if "a row like it has wider vectors, and tensors fill them" in text]
    return narrow, {text.split()[0] for text in step["lost"]} | {step["runs_on"]}


@pytest.mark.skipif("avx512" not in _native.cpu_features(), reason="needs avx512")
def test_rows_of_narrower_vectors_are_left_out_where_tensors_fill_the_wider_ones():
    narrow, timed = refused_and_timed(32, 32)
    assert narrow and all("_avx2" in text for text in narrow)
    assert not any("_avx2" in row for row in timed) and any("_avx512" in row for row in timed)
    narrow, timed = refused_and_timed(32, 32, level=5)
    assert not narrow and any("_avx2" in row for row in timed)
    _, timed = refused_and_timed(16, 5)  # half of what two vectors of 16 lanes hold
    assert any("chw16_avx2" in row for row in timed) and any("gemm_avx2" in row for row in timed)


def keys_of(monkeypatch, own, last, n_threads=2):
    monkeypatch.setattr(_native, "cache_bytes", lambda: (own, last))
    _, network, config = convolution_chain(1)
    config.num_threads = n_threads
    config.set_timing_cache(config.create_timing_cache(b""))
    pipeline.run(build_of(network, config), pipeline.with_plugins(network.lookup), until="time_candidates")
    return {key.caches for key in config.get_timing_cache()._entries}


def test_keys_tell_how_much_passes_through_the_caches(monkeypatch):
    assert keys_of(monkeypatch, 0, 0) == {"warm"}  # nothing is known of this machine's caches
    assert keys_of(monkeypatch, 1 << 30, 1 << 40) == {"warm"}
    assert keys_of(monkeypatch, 1 << 12, 1 << 40) == {"up to 1 MiB read in between"}


def test_how_much_memory_is_cold_is_measured():
    own, last = _native.cache_bytes()
    if not (own and last):
        pytest.skip("the processor does not say how large its caches are")
    assert _native.measured_cold_share(own, 1) == 0
    assert _native.measured_cold_share(2 * last + 1, 1) == 1
    assert 0 <= _native.measured_cold_share(4 * own, 1) <= 1
    with pytest.raises(DovetailError, match="from 0 to 1"):
        _native.CacheState(1, 1 << 16, 1.5)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_cache_states_do_not_change_results(group, n_threads):
    from dovetail.machine.builder.run_group import Trial
    from dovetail.machine.testing import rows_of

    candidate = rows_of(trt.get_plugin_registry(), group.head)[0][0]
    x = np.linspace(-1, 1, 64, dtype=np.float32).reshape(1, 16, 2, 2)
    trial = Trial(group, candidate, [x], n_threads)
    times = trial.run(3, _native.CacheState(n_threads, 1 << 16, 0.5))
    assert len(times) == 3 and min(times) > 0
    np.testing.assert_array_equal(trial.results()[0], np.maximum(x, 0))


class HostBuffer(np.ndarray):
    """In the place of memory of a GPU."""

    made = []

    def __new__(cls, n_bytes, contents=None):
        cls.made.append(contents is not None)
        held = np.zeros(1, np.uint8) if contents is None else contents.reshape(-1).view(np.uint8)
        return np.resize(held, n_bytes)


def test_kernels_that_share_tensors_get_each_once_for_every_place(monkeypatch):
    monkeypatch.setattr(_native, "DeviceBuffer", HostBuffer)
    monkeypatch.setattr(Measurements, "_is_shared", lambda service, group, candidate: True)
    monkeypatch.setattr(HostBuffer, "made", [])
    monkeypatch.setattr(prune_candidates, "MOST_WASTE", 0)  # rows of AVX2 and AVX-512 share places
    builder, network, config = convolution_chain(1)
    steps = read_plan(builder.build_serialized_network(network, config))["report"]["steps"]
    step = next(step for step in steps if step["op"] == "Convolution@1")
    n_timed = 1 + len(step["lost"])
    assert n_timed > 4 and step["time_ns"] > 0
    # x, its kernel and the result, in few formats; then ReLU and reformats
    assert sum(HostBuffer.made) < n_timed and len(HostBuffer.made) < 3 * n_timed


def test_tensors_are_shared_on_a_gpu_alone_and_by_kernels_of_ours(group):
    service = Measurements(trt.get_plugin_registry(), trt.Builder(trt.Logger()).create_builder_config(), this_target())
    native = next(iter(trt.get_plugin_registry().implementations_of("Activation@1"))).native

    def is_shared(name, *devices):
        places = tuple(Place(trt.float32, trt.TensorFormat.LINEAR, device) for device in devices)
        implementation = Implementation("Activation@1", name, device=devices[0], native=native)
        return service._is_shared(group, Candidate(FormatRow(implementation, 0, "a", places), None))

    gpu, cpu = trt.DeviceType.GPU, trt.DeviceType.CPU
    assert not is_shared("cpu", cpu, cpu)
    assert not is_shared("somebodys", gpu, gpu)
    service._strange["Activation@1#ours"] = False
    assert is_shared("ours", gpu, gpu)
    assert not is_shared("ours", gpu, cpu)


def test_large_samples_repeat_a_block():
    small, large = sample_block(DataType.HALF, 1000), sample_block(DataType.HALF, 3_000_000)
    assert small.size == 1000 and small.dtype == np.float16 and large.size == BLOCK
    assert (large[:1000] == small).all() and np.abs(large).max() <= 1 and len(np.unique(large)) > 1000
    tensor = GraphTensor("x", DimsExprs((2, 1_500_000)), DataType.HALF, [((2, 1_500_000),) * 3])
    (made,) = samples([tensor])
    assert made.shape == (2, 1_500_000) and (made.reshape(-1)[BLOCK : 2 * BLOCK] == large).all()
    assert set(np.unique(sample_block(DataType.BOOL, 100))) == {False, True}


def test_a_candidate_that_cannot_win_gives_back_its_memory_soon(race, monkeypatch):
    """When it has been looked at again behind the next ones: of many candidates few take memory at a time."""
    alive = []
    results = FakeTrial.results
    monkeypatch.setattr(FakeTrial, "results", lambda trial: alive.remove(trial.tactic) or results(trial))
    made = FakeTrial.__init__

    def make(trial, *given, **named):
        made(trial, *given, **named)
        alive.append(trial.tactic)
        assert "slow" not in alive or trial.tactic != "last"

    monkeypatch.setattr(FakeTrial, "__init__", make)
    more = {name: [2000, 1001] for name in [*"abcdef"[:LOOKS], "last"]}
    times, _ = race(fast=[2000, 1000], slow=[5000, 2100], **more)
    assert [time.ns for time in times] == [1000, 2100, *[1001] * len(more)] and alive == []


def test_candidates_that_only_absorb_more_share_what_they_pack():
    _, network, config = convolution_chain(2)
    config.default_device_type = trt.DeviceType.CPU
    made = build_of(network, config)
    graph = pipeline.run(made, pipeline.with_plugins(network.lookup), until="prune_candidates")
    group = next(one for one in graph.computing_groups() if one.head.spec.name == "Convolution")
    prepared, packed = Prepared(), {}
    for candidate in group.candidates:
        found, _ = prepared.prepare(group, candidate, 1)
        key = candidate.row.row, candidate.places
        assert packed.setdefault(key, found) is found
        np.testing.assert_array_equal(np.asarray(found), np.asarray(prepare(group, candidate, 1)[0]))
    assert any(isinstance(found, memoryview) for found in packed.values())
