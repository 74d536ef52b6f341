"""Many calls at once: `Model.map`, and models loaded for throughput."""

import os
import signal
import threading
import warnings

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnx_models import model_of

import dovetail as trt
from dovetail.core import errors
from dovetail.machine.streams import AHEAD, Streams


@pytest.fixture
def file(tmp_path):
    """y = x + x, z = x * x"""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ("n", 3))
    path = tmp_path / "model.onnx"
    onnx.save(model_of([("Add", ["x", "x"], ["y"], {}), ("Mul", ["x", "x"], ["z"], {})], [x], ("y", "z")), path)
    return path


def load(file, **settings):
    return trt.load(file, device="cpu", shapes={"x": ((1, 3), (4, 3), (8, 3))}, **settings)


def batches(n):
    return [np.full((1 + i % 8, 3), i, np.float32) for i in range(n)]


@pytest.mark.parametrize("streams", [1, 2, 5, None])
def test_results_come_in_the_order_of_inputs(file, streams):
    model = load(file, throughput=True)
    results = list(model.map(batches(40), streams))
    for x, found in zip(batches(40), results, strict=True):
        np.testing.assert_array_equal(found["y"], x + x)
        np.testing.assert_array_equal(found["z"], x * x)


def test_items_are_arrays_tuples_or_dicts(file):
    x = np.ones((2, 3), np.float32)
    for found in load(file).map([x, (x,), {"x": x}], 2):
        np.testing.assert_array_equal(found["y"], x + x)


def test_a_model_for_throughput_computes_on_calling_threads(file):
    assert load(file, throughput=True)._own.engine._engine.n_threads == 1
    assert load(file)._own.engine._engine.n_threads == trt.Runtime(trt.Logger()).max_threads


def test_a_plan_can_be_loaded_for_throughput(file, tmp_path):
    load(file).save(tmp_path / "a.plan")
    model = trt.load(tmp_path / "a.plan", throughput=True)
    assert [found["y"].shape[0] for found in model.map(batches(9))] == [len(x) for x in batches(9)]


def test_builds_for_throughput_are_kept_apart(file, tmp_path):
    for throughput in (False, True, False, True):
        load(file, cache=tmp_path / "plans", throughput=throughput)
    assert len(list((tmp_path / "plans").glob("*.plan"))) == 2


def test_calls_run_at_once():
    meeting = threading.Barrier(3, timeout=20)  # broken, and an error, unless three calls run at once
    assert len(set(Streams("test").map(lambda _: meeting.wait(), range(3), 3))) == 3


def test_few_items_are_taken_ahead():
    taken = []
    results = Streams("test").map(lambda item: item, (taken.append(i) or i for i in range(100)), 2)
    assert next(results) == 0
    assert len(taken) <= 2 * AHEAD + 1
    assert list(results) == list(range(1, 100))


def test_an_error_comes_where_its_result_would(file):
    wrong = np.ones((1, 4), np.float32)
    results = load(file).map([*batches(3), wrong, *batches(3)], 2)
    for _ in range(3):
        next(results)
    with pytest.raises(errors.DovetailError, match="x"):
        next(results)
    assert next(results, None) is None


def test_errors_of_the_inputs_reach_the_caller(file):
    def given():
        yield from batches(2)
        raise OSError("no more")

    with pytest.raises(OSError, match="no more"):
        list(load(file).map(given(), 2))


def test_calls_that_have_not_begun_are_given_up():
    entered, free = threading.Semaphore(0), threading.Event()
    done = []

    def call(item):
        entered.release()
        free.wait(20)
        done.append(item)

    streams = Streams("test")
    results = streams.map(call, range(100), 2)
    reader = threading.Thread(target=lambda: next(results, None))
    reader.start()
    for _ in range(2):
        assert entered.acquire(timeout=20)
    free.set()
    reader.join(20)
    results.close()
    assert len(done) <= 2 * AHEAD + 2


def test_another_number_of_streams(file):
    model = load(file)
    for streams in (2, 3, 2):
        assert len(list(model.map(batches(6), streams))) == 6


def test_two_walks_with_other_numbers_of_streams_go_on_side_by_side(file):
    model = load(file)
    walks = [model.map(batches(20), streams) for streams in (2, 3)]
    for x, *found in zip(batches(20), *walks, strict=True):
        for one in found:
            np.testing.assert_array_equal(one["y"], x + x)


@pytest.mark.parametrize("streams", [0, -1, 1.5, True, "2", 5000])
def test_the_number_of_streams_is_checked(file, streams):
    with pytest.raises(errors.FieldValueError, match="streams"):
        load(file).map(batches(2), streams)


@pytest.mark.parametrize("inputs", [None, 5, "x.npy", b"abc", {"x": np.ones((1, 3), np.float32)}, np.float32(1)])
def test_inputs_that_are_not_many_are_refused_at_once(file, inputs):
    with pytest.raises(errors.DTypeError, match="map takes an iterable of inputs"):
        load(file).map(inputs)


@pytest.mark.parametrize("throughput", ["yes", None, 2, -1, 0.5, np.ones(3)])
def test_throughput_is_yes_or_no(file, throughput):
    with pytest.raises(errors.FieldValueError, match="throughput"):
        load(file, throughput=throughput)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_of_fork_has_threads_of_its_own(file):
    model = load(file, throughput=True)
    assert len(list(model.map(batches(6), 2))) == 6
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # fork in a process with threads
        child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(60)  # ends a child that waits for threads that it does not have
        status = 1
        try:
            status = int(len(list(model.map(batches(6), 2))) != 6)
        finally:
            os._exit(status)  # whatever is raised: no second process goes on with the tests
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(list(model.map(batches(6), 2))) == 6
