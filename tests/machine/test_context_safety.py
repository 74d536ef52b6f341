"""Contexts in careless hands: threads, memory that overlaps, other formats, interrupts, files that are replaced."""

import gc
import os
import stat
import subprocess
import sys
import textwrap
import threading
import weakref

import numpy as np
import pytest
from networks import convolution_chain, engine_of, new_network, profile_of

import dovetail as trt
from dovetail.core.errors import BindingError, PlanCorrupt
from dovetail.core.tensor import pack, unpack
from dovetail.machine.plan import read_plan

rng = np.random.default_rng(0)


def context_of(add, *dims, dtype=trt.float32, ranges=None):
    """A context of one layer, x -> y; `add(network, x)` gives the layer's output."""
    builder, network, config = new_network()
    y = add(network, network.add_input("x", dtype, dims))
    y.name = "y"
    network.mark_output(y)
    if ranges:
        profile_of(builder, config, x=ranges)
    return engine_of(builder, network, config).create_execution_context()


def transposed(network, x):
    layer = network.add_shuffle(x)
    layer.first_transpose = (1, 0)
    return layer.get_output(0)


def negated(network, x):
    return network.add_unary(x, trt.UnaryOperation.NEG).get_output(0)


# ---- threads


def test_a_context_in_two_threads_at_once_says_so_and_gives_no_wrong_result():
    context = context_of(negated, -1, 1000, ranges=((1, 1000), (100, 1000), (300, 1000)))
    wrong, refused = [], []

    def work(k):
        for i in range(100):
            x = np.full((1 + (i * 31 + k * 17) % 299, 1000), k + 1, np.float32)
            try:
                y = context.run({"x": x})["y"]
            except BindingError as error:
                refused.append(str(error))
            else:
                if y.shape != x.shape or (y != -x).any():
                    wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert all("by two threads at once" in text and "create_execution_context()" in text for text in refused)
    assert (context.run({"x": np.ones((1, 1000), np.float32)})["y"] == -1).all()


def test_what_another_thread_sets_during_a_run_is_refused():
    """The allocator is called inside the execution, so nothing here depends on time."""
    context = context_of(lambda network, x: network.add_non_zero(x).get_output(0), 6)
    memory, met = np.zeros(64, np.int32), []

    def attempt(call):
        try:
            call()
        except BindingError as error:
            met.append(str(error).splitlines()[0])
        else:
            met.append("taken")

    class Allocator(trt.IOutputAllocator):
        def reallocate_output(self, tensor_name, old, size, alignment):
            calls = [
                lambda: context.set_input_shape("x", (6,)),
                lambda: context.set_tensor_address("x", memory.ctypes.data),
                lambda: context.set_output_allocator("y", None),
                lambda: context.execute_async_v3(0),
                lambda: context.run({"x": np.zeros(6, np.float32)}),
            ]
            for call in calls:
                thread = threading.Thread(target=attempt, args=(call,))
                thread.start()
                thread.join()
                attempt(call)
            assert tuple(context.get_tensor_shape("y")) == (1, 2)
            return memory.ctypes.data

    x = np.float32([0, 1, 0, 0, 2, 0])
    context.set_tensor_address("x", x.ctypes.data)
    context.set_output_allocator("y", Allocator())
    context.execute_async_v3(0)
    assert memory[:2].tolist() == [1, 4]
    assert len(met) == 10
    assert all("by two threads at once" in text for text in met[::2])
    assert all("from within its own execution" in text for text in met[1::2])


# ---- outputs over inputs


@pytest.mark.parametrize("add", [transposed, negated])
@pytest.mark.parametrize("shift", [0, 3])
def test_an_output_may_lie_over_an_input_of_run(add, shift):
    context = context_of(add, 30, 30)
    x = rng.standard_normal((30, 30), dtype=np.float32)
    expected = context.run({"x": x.copy()})["y"]
    buffer = np.zeros(900 + shift, np.float32)
    buffer[:900] = x.reshape(-1)
    y = buffer[shift:].reshape(30, 30)
    result = context.run({"x": buffer[:900].reshape(30, 30)}, {"y": y})["y"]
    assert result is y
    np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize("shift", [0, 1, -1, 899, -899])
def test_addresses_that_overlap_are_refused_with_both_places(shift):
    context = context_of(transposed, 30, 30)
    buffer = np.zeros(3000, np.float32)
    x, y = buffer[1000:].ctypes.data, buffer[1000 + shift :].ctypes.data
    for run in (lambda: context.execute_v2([x, y]), lambda: context.execute_async_v2([x, y], 0)):
        with pytest.raises(BindingError, match="output 'y' cannot lie in the memory of input 'x'") as error:
            run()
        assert hex(x) in str(error.value)
        assert hex(y) in str(error.value)
    y = buffer[1900:].ctypes.data
    assert context.execute_v2([x, y])  # behind the last byte


def test_an_input_that_nobody_reads_any_more_may_be_written_over():
    """Two layers: x is read by the first, y is written by the second."""
    context = context_of(lambda network, x: transposed(network, transposed_twice(network, x)), 30, 30)
    if context.engine.num_layers < 2:
        pytest.skip("the transpositions were joined")
    x = rng.standard_normal((30, 30), dtype=np.float32)
    expected = context.run({"x": x.copy()})["y"]
    assert context.execute_v2([x.ctypes.data, x.ctypes.data])
    np.testing.assert_array_equal(x, expected)


def transposed_twice(network, x):
    return network.add_softmax(transposed(network, x)).get_output(0)


def two_outputs():
    builder, network, config = new_network()
    x = network.add_input("x", trt.float32, (40,))
    for name, op in (("y", trt.UnaryOperation.NEG), ("z", trt.UnaryOperation.ABS)):
        layer = network.add_unary(x, op)
        layer.get_output(0).name = name
        network.mark_output(layer.get_output(0))
    return engine_of(builder, network, config).create_execution_context()


def test_outputs_that_overlap_one_another_are_refused():
    context, buffer, x = two_outputs(), np.zeros(100, np.float32), np.ones(40, np.float32)
    with pytest.raises(BindingError, match="outputs 'y' and 'z' cannot lie in the same memory"):
        context.run({"x": x}, {"y": buffer[:40], "z": buffer[39:79]})
    with pytest.raises(BindingError, match="outputs 'y' and 'z' cannot lie in the same memory"):
        context.execute_v2([x.ctypes.data, buffer.ctypes.data, buffer[20:].ctypes.data])
    results = context.run({"x": x}, {"y": buffer[:40], "z": buffer[40:80]})
    assert (results["y"] == -1).all()
    assert (results["z"] == 1).all()


def test_an_output_that_the_engine_does_not_have_is_named():
    context = two_outputs()
    with pytest.raises(BindingError, match="outputs given are not those of the engine") as error:
        context.run({"x": np.ones(40, np.float32)}, {"Y": np.zeros(40, np.float32)})
    assert "Y" in str(error.value)
    assert "y, z" in str(error.value)


# ---- formats


@pytest.mark.parametrize("batch", [2, -1])
@pytest.mark.parametrize("format_", [trt.TensorFormat.HWC, trt.TensorFormat.CHW16, trt.TensorFormat.CHW4])
def test_arrays_with_dims_are_reformatted_and_flat_ones_lie_as_they_are(batch, format_):
    builder, network, config = new_network()
    tensor = network.add_input("x", trt.float32, (batch, 3, 4, 5))
    tensor.allowed_formats = 1 << int(format_)
    y = negated(network, tensor)
    y.name, y.allowed_formats = "y", 1 << int(format_)
    network.mark_output(y)
    if batch < 0:
        profile_of(builder, config, x=((1, 3, 4, 5), (2, 3, 4, 5), (8, 3, 4, 5)))
    context = engine_of(builder, network, config).create_execution_context()
    x = rng.standard_normal((2, 3, 4, 5), dtype=np.float32)

    flat = context.run({"x": x})["y"]
    np.testing.assert_array_equal(unpack(flat, x.shape, trt.float32, format_), -x)
    given = np.zeros_like(x)
    assert context.run({"x": x}, {"y": given})["y"] is given
    np.testing.assert_array_equal(given, -x)
    np.testing.assert_array_equal(context.run({"x": pack(x, format_)})["y"], flat)
    context.run({"x": given}, {"y": given})
    np.testing.assert_array_equal(given, x)
    with pytest.raises(BindingError, match=r"input 'x' cannot be an array of shape \[2, 60\]"):
        context.run({"x": x.reshape(2, 60)})


# ---- life


@pytest.mark.parametrize("knows_its_context", [False, True])
def test_a_context_with_an_allocator_is_freed(knows_its_context):
    class Allocator(trt.IOutputAllocator):
        def reallocate_output(self, tensor_name, memory, size, alignment):
            return self.memory.ctypes.data

    context = context_of(lambda network, x: network.add_non_zero(x).get_output(0), 4)
    allocator = Allocator()
    allocator.memory = np.zeros(64, np.int64)
    allocator.context = context if knows_its_context else None
    x = np.float32([0, 1, 0, 1])
    context.set_tensor_address("x", x.ctypes.data)
    context.set_output_allocator("y", allocator)
    del allocator
    context.execute_async_v3(0)
    seen = weakref.ref(context), weakref.ref(context._allocators["y"])
    del context
    gc.collect()
    assert [reference() for reference in seen] == [None, None]


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_an_interrupt_ends_a_long_run_between_two_steps():
    """As Ctrl-C does: in a child, for it is the process that is interrupted."""
    code = """
        import os, signal, threading, time
        import numpy as np
        import dovetail as trt
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background is born without it
        plain = trt.MatrixOperation.NONE
        builder = trt.Builder(trt.Logger(trt.Logger.ERROR)); network = builder.create_network()
        tensor = x = network.add_input("x", trt.float32, (700, 700))
        for _ in range(600):
            tensor = network.add_matrix_multiply(tensor, plain, x, plain).get_output(0)
        network.mark_output(tensor); tensor.name = "y"
        config = builder.create_builder_config(); config.builder_optimization_level = 0
        plan = builder.build_serialized_network(network, config)
        context = trt.Runtime(builder.logger).deserialize_cuda_engine(plan).create_execution_context()
        x = {"x": np.zeros((700, 700), np.float32)}
        def full_run():
            start = time.monotonic(); context.run(x); return time.monotonic() - start
        took = full_run()
        timer = threading.Timer(took / 8, os.kill, (os.getpid(), signal.SIGINT))
        start = time.monotonic(); timer.start()
        try:
            context.run(x)
            print("ran to its end")
        except KeyboardInterrupt:
            print("interrupted", time.monotonic() - start < took * 0.8 or took < 0.5)
        context.run(x)
        print("runs again")
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=300)
    assert done.stdout.splitlines() == ["interrupted True", "runs again"], done.stderr


# ---- files


def test_a_plan_is_saved_beside_and_put_in_place_of_the_old(tmp_path):
    path = tmp_path / "net.plan"
    plans = [builder.build_serialized_network(*rest) for builder, *rest in (convolution_chain(1), convolution_chain(2))]
    plans[0].save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~current_umask()
    path.chmod(0o640)
    engine = trt.Runtime(trt.Logger(trt.Logger.ERROR)).deserialize_cuda_engine(path)
    x = {"x": rng.standard_normal((1, 3, 24, 24), dtype=np.float32)}
    before = engine.create_execution_context().run(x)["y"]
    link = tmp_path / "link.plan"
    link.symlink_to(path)
    plans[1].save(link)  # through the link, as writing does
    assert link.is_symlink()
    assert path.read_bytes() == bytes(plans[1])
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["link.plan", "net.plan"]
    np.testing.assert_array_equal(engine.create_execution_context().run(x)["y"], before)
    assert bytes(engine.serialize()) == bytes(plans[0])  # the one it was made from
    plans[0].save("/dev/null")


def current_umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.parametrize("kind", ["fifo", "folder", "device"])
def test_a_plan_that_is_not_a_regular_file_is_refused_at_once(tmp_path, kind):
    path = tmp_path / "plan"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path = "/dev/zero"
    runtime = trt.Runtime(trt.Logger(trt.Logger.INTERNAL_ERROR))
    with pytest.raises(PlanCorrupt, match={"fifo": "FIFO", "folder": "directory", "device": "device"}[kind]):
        runtime.deserialize_cuda_engine(str(path))
    with pytest.raises((PlanCorrupt, IsADirectoryError)):
        read_plan(path if kind != "device" else "/dev/zero")
    if kind != "folder":
        with pytest.raises(trt.errors.LibraryRefused, match="not a regular file"):
            trt.get_plugin_registry().load_library(str(path))


def test_tensors_in_the_memory_that_the_context_works_in_are_refused():
    builder, network, config = convolution_chain(3)
    engine = engine_of(builder, network, config)
    context = engine.create_execution_context_without_device_memory()
    x = rng.standard_normal((1, 3, 24, 24), dtype=np.float32)
    memory = np.zeros(engine.device_memory_size + 64, np.uint8)
    start = memory.ctypes.data + -memory.ctypes.data % 64
    context.device_memory = start
    y = np.zeros((1, 32, 24, 24), np.float32)
    assert context.execute_v2([x.ctypes.data, y.ctypes.data])
    for bindings, name in ([(start, y.ctypes.data), "x"], [(x.ctypes.data, start + 4096), "y"]):
        with pytest.raises(BindingError, match=f"tensor '{name}' cannot lie in the memory that the context works in"):
            context.execute_v2(list(bindings))


def test_an_interrupt_ends_a_long_build():
    code = """
        import os, signal, threading, time
        import numpy as np
        import dovetail as trt
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background is born without it
        builder = trt.Builder(trt.Logger(trt.Logger.ERROR)); network = builder.create_network()
        tensor = network.add_input("x", trt.float32, (1, 64, 224, 224))
        for i in range(40):  # of different sizes, so that each is timed
            maps = 64 + i
            kernel = np.zeros((maps, tensor.shape[1], 3, 3), np.float32)
            layer = network.add_convolution_nd(tensor, maps, (3, 3), kernel)
            layer.padding_nd = (1, 1)
            tensor = layer.get_output(0)
        network.mark_output(tensor)
        threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT)).start()
        start = time.monotonic()
        try:
            builder.build_serialized_network(network, builder.create_builder_config())
            print("built")
        except KeyboardInterrupt:
            print("interrupted", time.monotonic() - start < 60)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=300)
    assert done.stdout.splitlines() == ["interrupted True"], done.stderr
