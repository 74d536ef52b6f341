"""Conditionals and loops on a GPU: streams of several contexts, times of layers, graphs, arrays that stay there."""

import threading
from functools import partial

import numpy as np
import pytest
from block_networks import (
    COLUMNS,
    BlockNetwork,
    choose,
    choose_in_loop,
    chosen_in_loop,
    feed,
    loop_in_loop,
    looped_in_loop,
    repeat,
    repeated,
)

import dovetail as trt
from dovetail import _native
from dovetail.core.errors import NoImplementation

pytestmark = pytest.mark.gpu

CPU, GPU = trt.DeviceType.CPU, trt.DeviceType.GPU
X = np.random.default_rng(3).uniform(-1, 1, (5, COLUMNS)).astype(np.float32)


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch")


def close(result, wanted):
    np.testing.assert_allclose(np.asarray(result), wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("control", [GPU, CPU])
@pytest.mark.parametrize(
    ("arrange", "expected"), [(choose_in_loop, chosen_in_loop), (loop_in_loop, looped_in_loop)], ids=["choose", "loop"]
)
def test_contexts_on_streams_of_their_own_at_once(arrange, expected, control):
    """Each has numbers of its own, which come while those of the others do."""
    engine = BlockNetwork(GPU, control).engine(partial(arrange, after=False))
    failures = []

    def work(index):
        try:
            stream, context = _native.Stream(), engine.create_execution_context()
            for time in range(20):
                x, n, m = X * (index + 1), (index + time) % 4, time % 5
                results = context.run(feed(x, n, m), stream=int(stream))
                for result, wanted in zip(results.values(), expected(x, n, m, False), strict=True):
                    close(result, wanted)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures[0]


def test_one_context_on_two_streams():
    context = BlockNetwork(GPU).engine(partial(choose_in_loop, after=True)).create_execution_context()
    streams = [_native.Stream() for _ in range(2)]
    for time in range(10):
        result = context.run(feed(X, time % 4, 3), stream=int(streams[time % 2]))
        close(result["y"], chosen_in_loop(X, time % 4, 3, True)[0])


def bound(torch, context, n, m):
    """Tensors on the GPU at all addresses: (inputs by name, y, the second output)."""
    context.set_input_shape("x", X.shape)
    given = {name: torch.from_numpy(np.asarray(array)).cuda() for name, array in feed(X, n, m).items()}
    names = [name for name in context.engine if name not in given]
    outputs = [torch.full(X.shape, float("nan"), device="cuda") for _ in names]
    tensors = given | dict(zip(names, outputs, strict=True))
    torch.cuda.synchronize()
    for name in context.engine:
        context.set_tensor_address(name, tensors[name].data_ptr())
    return given, *outputs


def test_work_that_writes_the_number_may_be_under_way(torch):
    """The number is taken behind it on the stream, not when the execution is enqueued."""
    context = BlockNetwork(GPU).engine(repeat).create_execution_context()
    stream = torch.cuda.Stream()
    for n in (3, 0, 10, 1):
        given, first, second = bound(torch, context, 100, 1)
        with torch.cuda.stream(stream):
            torch.cuda._sleep(20_000_000)  # about 10 ms
            given["n"].fill_(n)
        assert context.execute_async_v3(stream.cuda_stream)
        stream.synchronize()
        wanted = repeated(X, n, 1, "device")
        close(first.cpu(), wanted[0])
        close(second.cpu(), wanted[1])


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_a_loop_with_its_count_in_the_plan_is_captured(torch, count):
    context = BlockNetwork(GPU).engine(partial(repeat, count=count)).create_execution_context()
    given, first, second = bound(torch, context, 0, 0)
    stream, graph = torch.cuda.Stream(), torch.cuda.CUDAGraph()
    assert context.execute_async_v3(stream.cuda_stream)  # what is carried has changed places, perhaps
    stream.synchronize()
    with torch.cuda.graph(graph, stream=stream):
        assert context.execute_async_v3(stream.cuda_stream)
    for factor in (2, -1):
        given["x"].copy_(torch.from_numpy(factor * X))
        first.fill_(float("nan"))
        graph.replay()
        torch.cuda.synchronize()
        wanted = repeated(factor * X, count, 1, "")
        close(first.cpu(), wanted[0])
        close(second.cpu(), wanted[1])


REFUSED = [
    (choose, GPU, "'choice'"),
    (repeat, GPU, "'again'"),
    (partial(repeat, count=3), CPU, "'again'"),  # the host copies what it carries
]


@pytest.mark.parametrize(("arrange", "control", "layer"), REFUSED)
def test_what_the_host_waits_for_is_not_captured(torch, arrange, control, layer):
    context = BlockNetwork(GPU, control).engine(arrange).create_execution_context()
    _, y, *_ = bound(torch, context, 1, 1)
    stream, graph = torch.cuda.Stream(), torch.cuda.CUDAGraph()
    message = f"cannot be captured into a CUDA graph: in layer {layer} the host waits for data"
    with pytest.raises(NoImplementation, match=message), torch.cuda.graph(graph, stream=stream):
        context.execute_async_v3(stream.cuda_stream)
    assert y.isnan().all()
    assert context.execute_async_v3(stream.cuda_stream)  # without a capture
    stream.synchronize()
    assert not y.isnan().any()


@pytest.mark.parametrize("iterations", [0, 1, 3, 3000])  # 3000: more events than are kept at once
@pytest.mark.parametrize("control", [GPU, CPU])
def test_profiled_layers_in_blocks_have_times(control, iterations):
    class Profiler(trt.IProfiler):
        def __init__(self):
            super().__init__()
            self.times = []

        def report_layer_time(self, layer_name, ms):
            self.times.append((layer_name, ms))

    engine = BlockNetwork(GPU, control).engine(partial(choose_in_loop, after=False))
    context = engine.create_execution_context()
    for _ in range(2):
        context.profiler = Profiler()
        results = context.run(feed(X, 2, iterations))
        close(results["y"], chosen_in_loop(X, 2, iterations, False)[0])
        times = dict(context.profiler.times)
        assert len(context.profiler.times) == engine.num_layers
        assert all(ms >= 0 for ms in times.values())
        assert (times["plus x"] > 0) == (iterations > 0)
        assert (times["tanh"] > 0) == (iterations > 2)
        assert times["again"] > 0


def test_waiting_after_each_layer_changes_no_result():
    context = BlockNetwork(GPU).engine(partial(loop_in_loop, after=True)).create_execution_context()
    context.debug_sync = True
    for n, m in ((3, 3), (0, 2), (4, 0)):
        close(context.run(feed(X, n, m))["y"], looped_in_loop(X, n, m, True)[0])
