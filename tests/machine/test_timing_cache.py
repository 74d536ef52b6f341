"""The timing cache: measurements with keys, kept, combined, read again; equal builds from it are equal, bit for bit."""

import json
import random

import numpy as np
import pytest
from networks import convolution_chain

import dovetail as trt
from dovetail import _native
from dovetail.core import errors
from dovetail.machine import timing_cache
from dovetail.machine.builder.measurements import Measurements
from dovetail.machine.devices import this_target
from dovetail.machine.plan import read_plan

HERE = timing_cache.devices_of(this_target())
ELSEWHERE = {"CPU": "Acme 9000 (sse2)"}


def new_cache(serialized=b""):
    return trt.Builder(trt.Logger()).create_builder_config().create_timing_cache(serialized)


def key(**changes):
    made = timing_cache.Key(
        "Scale@1", "0123", ("FLOAT[2] LINEAR@CPU", "-"), (), "Scale@1#cpu:a", "beef", "CPU", 2, "warm"
    )
    return made._replace(**changes)


def cache_with(devices=HERE, **times):
    """A cache with these times in ns, by op."""
    cache = new_cache()
    for op, ns in times.items():
        cache._store(key(op=op), timing_cache.Measurement(ns, 3), devices)
    return cache


def build(cache=None, **settings):
    builder, network, config = convolution_chain(3)
    if cache is not None:
        config.set_timing_cache(cache)
    for flag in settings.get("flags", ()):
        config.set_flag(flag)
    return builder.build_serialized_network(network, config)


@pytest.fixture
def never_measure(monkeypatch):
    """From when it is called, measuring fails the test."""

    def start():
        monkeypatch.setattr(Measurements, "_measure", lambda *_: pytest.fail("a candidate was measured"))

    return start


@pytest.fixture
def full():
    """A cache with all that `build` needs."""
    cache = new_cache()
    build(cache)
    return cache


# ---- builds


def test_a_build_fills_the_cache_and_the_next_one_measures_nothing(full, never_measure):
    assert len(full) > 4
    before = bytes(full.serialize())
    never_measure()
    build(full)
    assert bytes(full.serialize()) == before


def test_equal_builds_from_one_cache_are_equal_bit_for_bit(full):
    serialized = bytes(full.serialize())
    plans = {bytes(build(new_cache(serialized))) for _ in range(3)}
    assert len(plans) == 1
    assert len(read_plan(plans.pop())["report"]["steps"]) >= 3  # as many as convolutions; times decide what they absorb


def test_the_build_that_filled_the_cache_made_the_same_plan():
    cache = new_cache()
    assert bytes(build(cache)) == bytes(build(cache))


def test_the_cache_decides_what_runs(full):
    slow = {entry.row for entry, _ in full._entries.items() if entry.op == "Convolution@1"}
    chosen = read_plan(build(full))["report"]["steps"]
    taken = {step["runs_on"] for step in chosen if step["op"] == "Convolution@1"}
    for known in list(full._entries):
        if known.row in taken:
            full._store(known, timing_cache.Measurement(1e12, 3), HERE)
    assert len(slow) > len(taken)
    chosen = read_plan(build(full))["report"]["steps"]
    assert taken.isdisjoint(step["runs_on"] for step in chosen if step["op"] == "Convolution@1")


def test_without_the_cache_nothing_is_shared(full, monkeypatch):
    measured = []
    plain = Measurements._measure

    def measure(measurements, ways, *others):
        measured.extend(ways)
        return plain(measurements, ways, *others)

    monkeypatch.setattr(Measurements, "_measure", measure)
    before = bytes(full.serialize())
    build(full, flags=[trt.BuilderFlag.DISABLE_TIMING_CACHE])
    assert len(measured) > len(set(measured))  # equal layers, each by itself
    assert bytes(full.serialize()) == before


def test_a_miss_can_be_an_error(full):
    flags = [trt.BuilderFlag.ERROR_ON_TIMING_CACHE_MISS]
    build(full, flags=flags)
    full.reset()
    with pytest.raises(errors.BuildError, match=r"of Convolution@1 '.*' is not in the timing cache"):
        build(full, flags=flags)


def test_a_config_without_a_cache_has_none():
    _, _, config = convolution_chain(1)
    assert config.get_timing_cache() is None
    cache = config.create_timing_cache(b"")
    assert config.get_timing_cache() is None  # made, and not set
    assert config.set_timing_cache(cache, ignore_mismatch=False) is True
    assert config.get_timing_cache() is cache
    assert config.set_timing_cache(None) and config.get_timing_cache() is None


def test_keys_say_of_what(full):
    of_convolutions = [known for known in full._entries if known.op == "Convolution@1"]
    assert {len(known.epilogue) for known in of_convolutions} == {0, 1}  # by itself, and with the activation
    entry = next(known for known in of_convolutions if not known.epilogue)
    record = trt.get_plugin_registry().record_of("Convolution@1#cpu")
    assert entry.row.startswith("Convolution@1#cpu:")
    assert (entry.library, entry.device, entry.epilogue) == (record.hash, "CPU", ())
    assert entry.n_threads == _native.default_threads()
    assert entry.tensors[0].startswith("FLOAT[1,") and entry.tensors[1].endswith("LINEAR@CPU constant")
    assert {known.op for known in full._entries} >= {"Convolution@1", "Reformat@1"}


def test_other_fields_are_another_key():
    def keys(alpha):
        builder = trt.Builder(trt.Logger())
        network, config = builder.create_network(), builder.create_builder_config()
        layer = network.add_activation(network.add_input("x", trt.float32, (4,)), trt.ActivationType.LEAKY_RELU)
        layer.alpha = alpha
        network.mark_output(layer.get_output(0))
        config.set_timing_cache(config.create_timing_cache(b""))
        builder.build_serialized_network(network, config)
        return set(config.get_timing_cache()._entries)

    assert keys(0.5) == keys(0.5)
    assert keys(0.5).isdisjoint(keys(0.25))


# ---- bytes


def test_a_cache_comes_back_as_it_was(full):
    again = new_cache(full.serialize())
    assert again._entries == full._entries
    assert bytes(again.serialize()) == bytes(full.serialize())
    assert f"{len(full)} measurements" in repr(again)


def test_the_order_of_measurements_does_not_matter():
    assert bytes(cache_with(a=1.0, b=2.0).serialize()) == bytes(cache_with(b=2.0, a=1.0).serialize())


def test_a_cache_may_come_from_a_file_object(full, tmp_path):
    path = tmp_path / "timing.cache"
    with full.serialize() as data, open(path, "wb") as file:
        file.write(data)
    assert len(new_cache(path.read_bytes())) == len(full)


def test_damaged_bytes_are_an_error(full):
    data = bytes(full.serialize())
    rng = random.Random(0)
    places = [*range(60), *(rng.randrange(len(data)) for _ in range(200))]
    for place in places:
        damaged = bytearray(data)
        damaged[place] ^= 1 << rng.randrange(8)
        with pytest.raises(errors.DefinitionError, match="not a timing cache of this version"):
            new_cache(bytes(damaged))
    for length in (1, 20, 60, len(data) - 1):
        with pytest.raises(errors.DefinitionError):
            new_cache(data[:length])


GOOD = [*key()[:2], ["FLOAT[2] LINEAR@CPU"], [], "Scale@1#cpu:a", "beef", "CPU", 2, "warm", 1.5, 3]


def signed(document):
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return f"{timing_cache.MAGIC} {timing_cache.VERSION} {_native.checksum(body)}\n".encode() + body


def changed(at, value):
    return {"devices": HERE, "entries": [[*GOOD[:at], value, *GOOD[at + 1 :]]]}


def test_what_the_next_test_changes_is_good():
    assert len(new_cache(signed({"devices": HERE, "entries": [GOOD]}))) == 1


@pytest.mark.parametrize(
    "document",
    [
        [],
        {"devices": HERE},
        {"devices": [], "entries": []},
        {"devices": {"DLA": "x"}, "entries": []},
        {"devices": {"CPU": 1}, "entries": []},
        {"devices": HERE, "entries": {}},
        {"devices": HERE, "entries": [[]]},
        {"devices": HERE, "entries": [GOOD[:-1]]},
        changed(0, 1), changed(0, []), changed(2, "FLOAT"), changed(2, [1]), changed(3, None), changed(6, "GPU"),
        changed(7, -1), changed(7, 1.5), changed(7, True), changed(9, -1.0), changed(9, "1"), changed(9, float("nan")),
        changed(9, float("inf")), changed(9, 10**400), changed(10, 0), changed(10, True), changed(4, {}), changed(8, 1),
        b"", b"\xff", b"[" * 100_000, b'{"devices": {}, "entries": [1e999]}',
    ],
)  # fmt: skip
def test_signed_again_after_a_change_it_is_an_error_too(document):
    with pytest.raises(errors.DefinitionError, match="not a timing cache of this version"):
        new_cache(signed(document))


def test_what_is_not_bytes_is_refused():
    with pytest.raises(errors.DTypeError, match="takes the bytes of a cache, got list"):
        new_cache([1, 2])
    with pytest.raises(errors.DTypeError, match="set_timing_cache takes an ITimingCache, got bytes"):
        trt.Builder(trt.Logger()).create_builder_config().set_timing_cache(b"", True)
    with pytest.raises(errors.DTypeError, match="combine takes an ITimingCache, got NoneType"):
        new_cache().combine(None, True)


# ---- other devices


def test_measurements_of_another_device_are_refused():
    _, _, config = convolution_chain(1)
    with pytest.raises(errors.BuildError, match="measured on another CPU") as error:
        config.set_timing_cache(cache_with(ELSEWHERE, a=1.0), ignore_mismatch=False)
    assert (error.value.expected, error.value.got) == (HERE["CPU"], ELSEWHERE["CPU"])
    assert config.get_timing_cache() is None


def test_they_are_taken_where_that_is_asked_for():
    _, _, config = convolution_chain(1)
    cache = cache_with(ELSEWHERE, a=1.0)
    assert config.set_timing_cache(cache, ignore_mismatch=True)
    assert new_cache(cache.serialize())._devices == HERE  # from now on measurements of this device are in it


def test_tensorrts_names_get_tensorrts_answer():
    _, _, config = convolution_chain(1)
    foreign = cache_with(ELSEWHERE, a=1.0)
    with trt.raise_on_error(False), pytest.warns(RuntimeWarning, match="another CPU"):
        assert config.set_timing_cache(foreign, False) is False
    with trt.raise_on_error(False), pytest.warns(RuntimeWarning, match="not a timing cache"):
        assert config.create_timing_cache(b"nonsense") is None
    with trt.raise_on_error(False), pytest.warns(RuntimeWarning, match="another CPU"):
        assert cache_with(b=1.0).combine(foreign, False) is False


def test_combining_keeps_what_is_there():
    cache, other = cache_with(a=1.0, b=2.0), cache_with(b=9.0, c=3.0)
    assert cache.combine(other, ignore_mismatch=False) is True
    assert {known.op: measured.ns for known, measured in cache._entries.items()} == {"a": 1.0, "b": 2.0, "c": 3.0}
    assert len(other) == 2
    assert cache.reset() is True and len(cache) == 0


def test_combining_with_another_device():
    cache, other = cache_with(a=1.0), cache_with(ELSEWHERE, b=2.0)
    with pytest.raises(errors.BuildError, match="another CPU"):
        cache.combine(other)
    assert len(cache) == 1
    assert cache.combine(other, ignore_mismatch=True) and len(cache) == 2
    assert cache._devices == HERE
    empty = new_cache()
    assert empty.combine(other) and empty._devices == ELSEWHERE


def test_a_constant_of_integers_is_part_of_the_key():
    def keys(indices):
        builder = trt.Builder(trt.Logger())
        network, config = builder.create_network(), builder.create_builder_config()
        taken = network.add_constant((2,), np.array(indices, np.int32)).get_output(0)
        layer = network.add_gather(network.add_input("x", trt.float32, (4, 4)), taken, 0)
        network.mark_output(layer.get_output(0))
        config.set_timing_cache(config.create_timing_cache(b""))
        builder.build_serialized_network(network, config)
        return set(config.get_timing_cache()._entries)

    assert keys([0, 1]).isdisjoint(keys([3, 3]))
