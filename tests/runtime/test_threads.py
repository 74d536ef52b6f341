"""Threads: many contexts of one engine, engines that share workers, and fork."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

from dovetail import _native
from dovetail.core.errors import FieldValueError
from tests.runtime.plans import chain

pytestmark = pytest.mark.usefixtures("tiny")


def run_many(engine, value: float, times: int) -> bool:
    context = _native.Context(engine)
    x, y = np.full(1000, value, np.float32), np.zeros(1000, np.float32)
    context.set_buffer(0, x)
    context.set_buffer(1, y)
    for _ in range(times):
        y[:] = 0
        context.execute()
        if not (y == value).all():
            return False
    return True


def test_contexts_of_one_engine_run_at_once():
    engine = _native.Engine(chain(5, 1000).to_bytes(), 2)
    results: list[bool] = []
    threads = [threading.Thread(target=lambda i=i: results.append(run_many(engine, i, 200))) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_of_fork_can_run():
    engine = _native.Engine(chain(3, 1000).to_bytes(), 2)
    assert run_many(engine, 1, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # fork in a process with threads
        child = os.fork()
    if child == 0:
        os._exit(0 if run_many(engine, 2, 50) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert run_many(engine, 3, 3)


def test_the_environment_sets_the_number_of_threads():
    code = "from dovetail import _native; print(_native.default_threads())"
    for text, expected in (("3", "3"), ("0", None), ("", None)):
        environment = os.environ | {"DOVETAIL_NUM_THREADS": text}
        out = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        assert out.stdout.strip() == (expected or str(_native.default_threads()))


@pytest.mark.parametrize("text", ["many", "3x", "-1", "1025", "99999999999999999999"])
def test_a_number_of_threads_that_is_none_is_an_error(text):
    code = "from dovetail import _native, core; import dovetail.core.errors; _native.default_threads()"
    environment = os.environ | {"DOVETAIL_NUM_THREADS": text}
    out = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert out.returncode == 1
    assert f"FieldValueError: DOVETAIL_NUM_THREADS = '{text}' is not a number of threads" in out.stderr
    assert "1..1024" in out.stderr


@pytest.mark.parametrize(
    ("text", "message"), [("1", ""), ("0", ""), ("perhaps", "DOVETAIL_SYNC = 'perhaps' is not yes")]
)
def test_a_switch_of_the_runtime_that_is_neither_yes_nor_no_is_an_error(monkeypatch, text, message):
    engine = _native.Engine(chain(3, 1000).to_bytes(), 1)
    monkeypatch.setenv("DOVETAIL_SYNC", text)
    if not message:
        assert _native.Context(engine).debug_sync is (text == "1")
        return
    with pytest.raises(FieldValueError, match=message):
        _native.Context(engine)


def test_one_thread_starts_no_other():
    tasks = Path("/proc/self/task")
    if not tasks.is_dir():
        pytest.skip("needs /proc")
    before = len(list(tasks.iterdir()))
    assert run_many(_native.Engine(chain(3, 1000).to_bytes(), 1), 1, 3)
    assert len(list(tasks.iterdir())) == before


def cores_of_threads() -> list[set[int]]:
    """The cores that each thread of this process may use."""
    return [os.sched_getaffinity(int(task.name)) for task in Path("/proc/self/task").iterdir()]


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="needs affinities of threads")
@pytest.mark.parametrize("pins", [True, False])
def test_pinned_workers_stay_on_a_core_each_and_the_caller_stays_free(pins):
    usable = os.sched_getaffinity(0)
    if len(usable) < 2:
        pytest.skip("needs two cores")
    single_before = sum(len(cores) == 1 for cores in cores_of_threads())
    # Options that no other test has: the pool is new, and ends with the engine.
    engine = _native.Engine(chain(3, 1000).to_bytes(), 2, spin_us=1234, pins_threads=int(pins))
    assert run_many(engine, 1, 3)
    single = [cores for cores in cores_of_threads() if len(cores) == 1]
    assert len(single) - single_before == int(pins)
    assert os.sched_getaffinity(0) == usable


@pytest.mark.parametrize(
    ("variable", "text", "message"),
    [
        ("DOVETAIL_SPIN_US", "soon", "is not a number of microseconds"),
        ("DOVETAIL_SPIN_US", "1000001", "is not a number of microseconds"),
        ("DOVETAIL_PIN_THREADS", "2", "is not yes or no"),
    ],
)
def test_options_of_threads_in_the_environment_are_checked(monkeypatch, variable, text, message):
    monkeypatch.setenv(variable, text)
    with pytest.raises(FieldValueError, match=f"{variable} = '{text}' {message}"):
        _native.Engine(chain(3, 1000).to_bytes(), 2)


def processor_time_between_runs(spin_us: int) -> float:
    """Seconds of processor time that this process uses in 0.2 s without a run, after one."""
    engine = _native.Engine(chain(3, 1000).to_bytes(), 2, spin_us=spin_us)
    assert run_many(engine, 1, 3)
    before = time.process_time()
    time.sleep(0.2)
    return time.process_time() - before


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_workers_spin_as_long_as_they_are_told():
    # A spinning thread may lose its core to others, but one that sleeps does not use any.
    assert processor_time_between_runs(1_000_000) > 5 * processor_time_between_runs(0)
