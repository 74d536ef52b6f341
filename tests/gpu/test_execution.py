"""Engines on a GPU: streams, graphs, events, several contexts, arrays of other libraries, copies, faults."""

import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from networks import convolution_chain, engine_of

import dovetail as trt
from dovetail import _native
from dovetail.core.errors import BindingError, DovetailError, NoImplementation, PlanVersionError
from dovetail.core.tensor import pack, unpack
from dovetail.machine.device_array import DeviceArray
from dovetail.machine.devices import gpus
from dovetail.machine.plan import read_plan

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def cudart():
    return pytest.importorskip("cuda.bindings.runtime")


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch")


@pytest.fixture
def x():
    return np.random.default_rng(0).standard_normal((1, 3, 24, 24), dtype=np.float32)


def on_cpu(*parts):
    """The engine of the same network for the CPU."""
    parts[2].default_device_type = trt.DeviceType.CPU
    return engine_of(*parts)


@pytest.fixture(scope="module")
def engine():
    return engine_of(*convolution_chain(3))


@pytest.fixture(scope="module")
def expected():
    x = np.random.default_rng(0).standard_normal((1, 3, 24, 24), dtype=np.float32)
    return on_cpu(*convolution_chain(3)).create_execution_context().run({"x": x})["y"]


def close(result, expected):
    np.testing.assert_allclose(np.asarray(result), expected, rtol=1e-4, atol=1e-4)


class Memory:
    """Memory of a GPU as a script has it: cudaMalloc and cudaMemcpy."""

    def __init__(self, cudart, array):
        self.cudart, self.array = cudart, array
        error, self.address = cudart.cudaMalloc(array.nbytes)
        assert error == 0
        self.copy(cudart.cudaMemcpyKind.cudaMemcpyHostToDevice)

    def copy(self, kind):
        pair = [self.address, self.array.ctypes.data]
        to, source = pair if kind == self.cudart.cudaMemcpyKind.cudaMemcpyHostToDevice else pair[::-1]
        assert self.cudart.cudaMemcpy(to, source, self.array.nbytes, kind)[0] == 0

    def numpy(self):
        self.copy(self.cudart.cudaMemcpyKind.cudaMemcpyDeviceToHost)
        return self.array

    def __del__(self):
        self.cudart.cudaFree(self.address)


def test_everything_lies_and_runs_on_the_gpu(engine, x, expected):
    assert engine.device_type == trt.DeviceType.GPU
    assert engine.get_tensor_location("x") == trt.TensorLocation.DEVICE
    assert {step["device"] for step in engine._engine.steps} == {2}
    result = engine.create_execution_context().run({"x": x})["y"]
    assert isinstance(result, np.ndarray)
    close(result, expected)


def test_scripts_with_addresses_and_a_stream(cudart, engine, x, expected):
    context = engine.create_execution_context()
    a, b = Memory(cudart, x.copy()), Memory(cudart, np.full_like(expected, np.nan))
    error, stream = cudart.cudaStreamCreate()
    assert error == 0
    assert context.execute_async_v2([a.address, b.address], stream)
    cudart.cudaStreamSynchronize(stream)
    close(b.numpy(), expected)
    b = Memory(cudart, np.full_like(expected, np.nan))
    context.set_tensor_address("x", a.address)
    context.set_tensor_address("y", b.address)
    assert context.execute_async_v3(stream)
    cudart.cudaStreamSynchronize(stream)
    close(b.numpy(), expected)
    b = Memory(cudart, np.full_like(expected, np.nan))
    assert context.execute_v2([a.address, b.address])
    close(b.numpy(), expected)
    cudart.cudaStreamDestroy(stream)


def test_an_execution_is_captured_and_replayed(cudart, engine, x, expected):
    context = engine.create_execution_context()
    a, b = Memory(cudart, np.zeros_like(x)), Memory(cudart, np.full_like(expected, np.nan))
    context.set_tensor_address("x", a.address)
    context.set_tensor_address("y", b.address)
    _, stream = cudart.cudaStreamCreate()
    mode = cudart.cudaStreamCaptureMode.cudaStreamCaptureModeGlobal
    assert cudart.cudaStreamBeginCapture(stream, mode)[0] == 0
    assert context.execute_async_v3(stream)  # the first one of this context: nothing may be left to do for it
    error, graph = cudart.cudaStreamEndCapture(stream)
    assert error == 0
    error, instance = cudart.cudaGraphInstantiate(graph, 0)
    assert error == 0
    for _ in range(2):
        a.array[:] = x
        a.copy(cudart.cudaMemcpyKind.cudaMemcpyHostToDevice)
        assert cudart.cudaGraphLaunch(instance, stream)[0] == 0
        cudart.cudaStreamSynchronize(stream)
        close(b.numpy(), expected)
        b.array[:] = np.nan
        b.copy(cudart.cudaMemcpyKind.cudaMemcpyHostToDevice)
    cudart.cudaGraphExecDestroy(instance)
    cudart.cudaGraphDestroy(graph)
    cudart.cudaStreamDestroy(stream)


def test_the_consumed_event_is_recorded(cudart, engine, x, expected):
    context = engine.create_execution_context()
    _, event = cudart.cudaEventCreate()
    assert context.set_input_consumed_event(event)
    assert context.get_input_consumed_event() == int(event)
    result = context.run({"x": x})["y"]
    assert cudart.cudaEventSynchronize(event)[0] == 0
    close(result, expected)
    context.set_input_consumed_event(0)
    cudart.cudaEventDestroy(event)


def test_contexts_on_streams_of_their_own_at_once(engine):
    rng = np.random.default_rng(1)
    inputs = rng.standard_normal((6, 1, 3, 24, 24), dtype=np.float32)
    context = engine.create_execution_context()
    wanted = [context.run({"x": x})["y"] for x in inputs]
    failures = []

    def work(index):
        try:
            stream = _native.Stream()
            own = engine.create_execution_context()
            for _ in range(20):
                close(own.run({"x": inputs[index]}, stream=int(stream))["y"], wanted[index])
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(inputs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures[0]


def test_memory_of_the_users(cudart, engine, x, expected):
    context = engine.create_execution_context_without_device_memory()
    scratch = Memory(cudart, np.zeros(max(engine.device_memory_size, 256), np.uint8))
    context.device_memory = scratch.address
    assert context.device_memory == scratch.address
    close(context.run({"x": x})["y"], expected)
    with pytest.raises(BindingError, match="memory of the host"):
        context.device_memory = _aligned(engine.device_memory_size).ctypes.data


def _aligned(n_bytes):
    raw = np.zeros(n_bytes + 256, np.uint8)
    return raw[-raw.ctypes.data % 256 :]


def test_profiled_layers_have_times(engine, x):
    class Profiler(trt.IProfiler):
        def __init__(self):
            super().__init__()
            self.times = {}

        def report_layer_time(self, layer_name, ms):
            self.times[layer_name] = ms

    context = engine.create_execution_context()
    context.profiler = Profiler()
    context.run({"x": x})
    assert len(context.profiler.times) == engine.num_layers
    assert all(0 <= ms < 1000 for ms in context.profiler.times.values())


# ---- arrays of other libraries


def test_torch_tensors_are_used_where_they_lie(torch, engine, x, expected):
    context = engine.create_execution_context()
    tensor = torch.from_numpy(x).cuda()
    result = context.run({"x": tensor})["y"]
    assert isinstance(result, DeviceArray)
    assert context.get_tensor_address("x") == 0  # run leaves no address behind that the user would have to keep
    close(torch.from_dlpack(result).cpu().numpy(), expected)
    close(torch.as_tensor(result, device="cuda").cpu().numpy(), expected)
    close(result.numpy(), expected)
    y = torch.full(expected.shape, float("nan"), device="cuda")
    assert context.run({"x": tensor}, outputs={"y": y})["y"] is y
    torch.cuda.synchronize()
    close(y.cpu().numpy(), expected)


def test_work_of_other_streams_is_waited_for(torch, engine, x, expected):
    context = engine.create_execution_context()
    side, own = torch.cuda.Stream(), torch.cuda.Stream()
    source = torch.from_numpy(x).cuda()
    torch.cuda.synchronize()
    for _ in range(5):
        with torch.cuda.stream(side):
            late = torch.zeros_like(source)
            torch.cuda._sleep(20_000_000)  # about 10 ms: without order the engine would read zeros
            late.copy_(source)
            result = context.run({"x": late}, stream=own)["y"]
            taken = torch.from_dlpack(result)  # ordered behind `own`
            close((taken + 0).cpu().numpy(), expected)


def test_cupy_arrays_are_used_where_they_lie(engine, x, expected):
    cupy = pytest.importorskip("cupy")
    context = engine.create_execution_context()
    result = context.run({"x": cupy.asarray(x)})["y"]
    close(cupy.asnumpy(cupy.asarray(result)), expected)
    y = cupy.full(expected.shape, cupy.nan, cupy.float32)
    context.run({"x": cupy.asarray(x)}, outputs={"y": y})
    close(cupy.asnumpy(y), expected)


def test_the_cuda_array_interface_alone_will_do(torch, engine, x, expected):
    tensor = torch.from_numpy(x).cuda()

    class Plain:
        __cuda_array_interface__ = tensor.__cuda_array_interface__ | {"stream": 1}

    torch.cuda.synchronize()
    close(engine.create_execution_context().run({"x": Plain()})["y"].numpy(), expected)


def test_wrong_arrays_are_refused_by_name(torch, engine, x):
    context = engine.create_execution_context()
    tensor = torch.from_numpy(x).cuda()
    with pytest.raises(BindingError, match=r"input 'x' cannot be torch\.float16"):
        context.run({"x": tensor.half()})
    with pytest.raises(BindingError, match="row-major"):
        context.run({"x": tensor.transpose(2, 3)})
    with pytest.raises(BindingError, match="output 'y' cannot be written to an array of shape"):
        context.run({"x": tensor}, outputs={"y": torch.zeros(3, device="cuda")})
    with pytest.raises(DovetailError, match="x"):
        context.run({"x": tensor[:, :2].contiguous()})


def test_host_addresses_are_refused(engine, x, expected):
    context = engine.create_execution_context()
    with pytest.raises(BindingError, match="tensor 'x' cannot lie in memory of the host"):
        context.execute_v2([x.ctypes.data, expected.ctypes.data])
    close(context.run({"x": x})["y"], expected)


# ---- both devices


def parts_on_both():
    builder, network, config = convolution_chain(3)
    config.default_device_type = trt.DeviceType.GPU
    config.set_device_type(network.get_layer(1), trt.DeviceType.CPU)
    return builder, network, config


def test_a_layer_set_to_the_cpu_gets_copies(x, expected):
    engine = engine_of(*parts_on_both())
    assert {step["device"] for step in engine._engine.steps} == {1, 2}
    context = engine.create_execution_context()
    for _ in range(3):
        close(context.run({"x": x})["y"], expected)


def test_a_mixed_engine_cannot_be_captured(cudart, x, expected):
    engine = engine_of(*parts_on_both())
    context = engine.create_execution_context()
    a, b = Memory(cudart, x.copy()), Memory(cudart, np.zeros_like(expected))
    context.set_tensor_address("x", a.address)
    context.set_tensor_address("y", b.address)
    _, stream = cudart.cudaStreamCreate()
    cudart.cudaStreamBeginCapture(stream, cudart.cudaStreamCaptureMode.cudaStreamCaptureModeGlobal)
    with pytest.raises(NoImplementation, match=r"cannot be captured .* runs on the cpu"):
        context.execute_async_v3(stream)
    cudart.cudaStreamEndCapture(stream)
    assert context.execute_async_v3(stream)
    cudart.cudaStreamSynchronize(stream)
    close(b.numpy(), expected)
    cudart.cudaStreamDestroy(stream)


def test_inputs_and_outputs_may_stay_on_the_host(x, expected):
    builder, network, config = convolution_chain(3)
    network.get_input(0).location = trt.TensorLocation.HOST
    network.get_output(0).location = trt.TensorLocation.HOST
    engine = engine_of(builder, network, config)
    assert engine.get_tensor_location("x") == trt.TensorLocation.HOST
    context = engine.create_execution_context()
    close(context.run({"x": x})["y"], expected)
    y = np.full_like(expected, np.nan)
    assert context.execute_v2([x.ctypes.data, y.ctypes.data])
    close(y, expected)


def test_any_device_will_do(cudart, torch, x, expected):
    if len(gpus()[0]) < 2:
        pytest.skip("needs two GPUs")
    parts = convolution_chain(3)
    plan = parts[0].build_serialized_network(*parts[1:])
    runtime = trt.Runtime(trt.Logger(trt.Logger.ERROR))
    second = runtime.deserialize_cuda_engine(plan, device=1)
    assert second.device_index == 1
    context = second.create_execution_context()
    close(context.run({"x": x})["y"], expected)
    assert cudart.cudaGetDevice()[1] == 0  # as it was before
    close(context.run({"x": torch.from_numpy(x).to("cuda:1")})["y"].numpy(), expected)
    with pytest.raises(BindingError, match="is on another device"):
        context.run({"x": torch.from_numpy(x).to("cuda:0")})
    with pytest.raises(BindingError, match="memory of GPU 0"):
        wrong = torch.from_numpy(x).to("cuda:0")
        context.execute_v2([wrong.data_ptr(), wrong.data_ptr()])
    cudart.cudaSetDevice(1)
    try:
        assert runtime.deserialize_cuda_engine(plan).device_index == 1  # the thread's current device
    finally:
        cudart.cudaSetDevice(0)
    with pytest.raises(DovetailError, match="no GPU 99"):
        runtime.deserialize_cuda_engine(plan, device=99)


def test_a_layer_without_a_kernel_for_the_gpu_falls_back(x):
    class Negate(trt.Plugin):
        """y = -x.

        Inputs    x  any dims
        Outputs   y  those of x
        """

        namespace = "tests.gpu"
        x = trt.Input((trt.float32,))
        y = trt.Output(like="x")

        def infer(self, x):
            return x.like()

        def enqueue(self, inputs, outputs, workspace, stream):
            np.negative(inputs[0], out=outputs[0])

    registry = trt.get_plugin_registry()
    registry.add_op(Negate)
    builder = trt.Builder(trt.Logger(trt.Logger.INTERNAL_ERROR))
    network, config = builder.create_network(), builder.create_builder_config()
    tensor = network.add_activation(network.add_input("x", trt.float32, x.shape), trt.ActivationType.RELU).get_output(0)
    tensor = network.add_plugin("tests.gpu::Negate@1", [tensor], {}).get_output(0)
    tensor = network.add_activation(tensor, trt.ActivationType.SIGMOID).get_output(0)
    tensor.name = "y"
    network.mark_output(tensor)
    with pytest.raises(NoImplementation, match="GPU_FALLBACK"):
        builder.build_serialized_network(network, config)
    config.set_flag(trt.BuilderFlag.GPU_FALLBACK)
    engine = engine_of(builder, network, config)
    assert "CPU" in engine.report()
    context = engine.create_execution_context()
    for values in (x, -x, x + 1):
        close(context.run({"x": values})["y"], 1 / (1 + np.exp(np.maximum(values, 0))))


# ---- types, formats, alignment


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("shift", [0, 1, 2, 4])
def test_bindings_need_the_alignment_of_their_type_only(torch, dtype, shift):
    builder, network, config = parts_of(dtype)
    engine = engine_of(builder, network, config)
    context = engine.create_execution_context()
    values = np.random.default_rng(3).standard_normal((2, 3, 13, 11)).astype(dtype)
    wanted = context.run({"x": values})["y"].astype(np.float32)
    room = torch.zeros(values.size + shift, dtype=torch.from_numpy(values).dtype, device="cuda")
    room[shift:] = torch.from_numpy(values.reshape(-1)).cuda()
    y = torch.full((wanted.size + shift,), float("nan"), dtype=room.dtype, device="cuda")
    result = context.run({"x": room[shift:].view(2, 3, 13, 11)}, outputs={"y": y[shift:].view(wanted.shape)})["y"]
    np.testing.assert_array_equal(result.float().cpu().numpy(), wanted)
    assert torch.isnan(y[:shift]).all()


def parts_of(dtype, channels=24):
    """A convolution, a scale, a deconvolution and an activation, in `dtype`."""
    builder = trt.Builder(trt.Logger(trt.Logger.ERROR))
    network, config = builder.create_network(), builder.create_builder_config()
    rng = np.random.default_rng(4)
    x = network.add_input("x", trt.float16 if dtype == np.float16 else trt.float32, (2, 3, 13, 11))

    def weights(*dims):
        return (rng.standard_normal(dims) / 4).astype(dtype)

    tensor = network.add_convolution_nd(x, channels, (3, 3), weights(channels, 3, 3, 3), weights(channels)).get_output(
        0
    )
    tensor = network.add_scale(tensor, trt.ScaleMode.CHANNEL, weights(channels), weights(channels)).get_output(0)
    tensor = network.add_deconvolution_nd(tensor, 8, (2, 2), weights(channels, 8, 2, 2), weights(8)).get_output(0)
    tensor = network.add_activation(tensor, trt.ActivationType.TANH).get_output(0)
    tensor.name = "y"
    network.mark_output(tensor)
    return builder, network, config


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 2e-5), (np.float16, 1e-2)])
def test_inputs_and_outputs_in_hwc8(dtype, tolerance):
    x = np.random.default_rng(5).standard_normal((2, 3, 13, 11)).astype(dtype)
    wanted = on_cpu(*parts_of(np.float32)).create_execution_context().run({"x": x.astype(np.float32)})["y"]
    builder, network, config = parts_of(dtype)
    network.get_input(0).allowed_formats = 1 << int(trt.TensorFormat.HWC8)
    network.get_output(0).allowed_formats = 1 << int(trt.TensorFormat.HWC8)
    engine = engine_of(builder, network, config)
    dims, type_ = tuple(engine.get_tensor_shape("y")), engine.get_tensor_dtype("y")
    given = pack(x, trt.TensorFormat.HWC8).reshape(-1)
    result = engine.create_execution_context().run({"x": given})["y"]
    np.testing.assert_allclose(
        unpack(result, dims, type_, trt.TensorFormat.HWC8).astype(np.float32), wanted, atol=tolerance, rtol=tolerance
    )


# ---- plans


def test_a_plan_runs_without_python(tmp_path, x, expected):
    if not shutil.which("nvcc"):
        pytest.skip("needs nvcc")
    installed = Path(_native.__file__).parent
    program = tmp_path / "run_plan"
    source = Path(__file__).with_name("run_plan.cu")
    library = installed / "lib"
    linked = [f"-L{library}", "-ldovetail", f"-Xlinker=-rpath={library}"]
    subprocess.run(["nvcc", "-std=c++17", f"-I{trt.get_include()}", source, "-o", program, *linked], check=True)
    parts = convolution_chain(3)
    parts[0].build_serialized_network(*parts[1:]).save(tmp_path / "net.plan")
    done = subprocess.run(
        [program, library / "libdovetail_cuda.so", tmp_path / "net.plan"], input=x.tobytes(), capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()
    close(np.frombuffer(done.stdout, np.float32).reshape(expected.shape), expected)


def test_a_plan_runs_in_another_process(tmp_path, x, expected):
    plan = convolution_chain(3)
    plan[0].build_serialized_network(*plan[1:]).save(tmp_path / "net.plan")
    np.save(tmp_path / "x.npy", x)
    script = (
        "import sys, numpy as np, dovetail as trt\n"
        "engine = trt.Runtime(trt.Logger()).deserialize_cuda_engine(sys.argv[1] + '/net.plan')\n"
        "y = engine.create_execution_context().run({'x': np.load(sys.argv[1] + '/x.npy')})['y']\n"
        "np.save(sys.argv[1] + '/y.npy', y)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True)
    close(np.load(tmp_path / "y.npy"), expected)


def test_a_plan_for_another_card_is_refused_by_name(monkeypatch):
    from dovetail.machine import plan as plans

    parts = convolution_chain(3)
    written = plans.write_plan

    def for_another_card(document, constants):
        document = json.loads(json.dumps(document))
        document["device"] |= {"sm": 75, "name": "Tesla T4"}
        return written(document, constants)

    from dovetail.machine.builder.passes import serialise

    monkeypatch.setattr(serialise, "write_plan", for_another_card)
    monkeypatch.setattr(_native, "check_plan", lambda plan, n_threads: None)  # the builder would not hand it out
    plan = parts[0].build_serialized_network(*parts[1:])
    assert read_plan(plan)["device"]["sm"] == 75
    with pytest.raises(PlanVersionError, match="another GPU") as caught:
        trt.Runtime(trt.Logger(trt.Logger.INTERNAL_ERROR)).deserialize_cuda_engine(plan)
    assert "Tesla T4, sm_75" in str(caught.value)


def test_dynamic_shapes_follow_the_profile():
    builder = trt.Builder(trt.Logger(trt.Logger.ERROR))
    network, config = builder.create_network(), builder.create_builder_config()
    x = network.add_input("x", trt.DataType.FLOAT, (-1, 3, -1, 8))
    kernel = np.random.default_rng(2).standard_normal((20, 3, 3, 3), dtype=np.float32)
    y = network.add_activation(
        network.add_convolution_nd(x, 20, (3, 3), kernel).get_output(0), trt.ActivationType.RELU
    ).get_output(0)
    y.name = "y"
    network.mark_output(y)
    profile = builder.create_optimization_profile()
    profile.set_shape("x", (0, 3, 3, 8), (2, 3, 8, 8), (5, 3, 30, 8))
    config.add_optimization_profile(profile)
    engine = engine_of(builder, network, config)
    context = engine.create_execution_context()
    reference = on_cpu(builder, network, config).create_execution_context()
    for n, h in [(1, 3), (5, 30), (2, 9), (0, 4), (3, 17)]:
        data = np.random.default_rng(n).standard_normal((n, 3, h, 8), dtype=np.float32)
        close(context.run({"x": data})["y"], reference.run({"x": data})["y"])


# ---- faults; each in a process of its own, for a fault ends the process' use of the device

FAULTY = '''
import ctypes
import sys
import numpy as np
import dovetail as trt
from cuda.bindings import driver, nvrtc
from dovetail.core.errors import DovetailError
from dovetail.plugins import Input, Output, Plugin


class Faulty(Plugin):
    """Writes where it must not.

    Inputs    x  any dims
    Outputs   y  those of x
    """

    namespace, device = "tests", trt.DeviceType.GPU
    x = Input((trt.float32,))
    y = Output(like="x")

    def infer(self, x):
        return x.like()

    def enqueue(self, inputs, outputs, workspace, stream):
        if when == "run" and not is_built:
            driver.cuMemsetD8Async(outputs[0].pointer, 0, 16, stream)
            return
        source = b'extern "C" __global__ void wrong(float* p) { p[size_t(1) << 40] = 1; }'
        _, program = nvrtc.nvrtcCreateProgram(source, b"wrong.cu", 0, [], [])
        assert nvrtc.nvrtcCompileProgram(program, 0, [])[0] == 0
        _, size = nvrtc.nvrtcGetPTXSize(program)
        ptx = b" " * size
        nvrtc.nvrtcGetPTX(program, ptx)
        _, module = driver.cuModuleLoadData(ptx)
        _, function = driver.cuModuleGetFunction(module, b"wrong")
        arguments = ((outputs[0].pointer,), (ctypes.c_void_p,))
        driver.cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, stream, arguments, 0)


when, level = sys.argv[1:]
is_built = False
trt.get_plugin_registry().add_op(Faulty)
builder = trt.Builder(trt.Logger(trt.Logger.INTERNAL_ERROR))
network, config = builder.create_network(), builder.create_builder_config()
config.builder_optimization_level = int(level)
x = network.add_input("x", trt.float32, (4,))
first = network.add_activation(x, trt.ActivationType.RELU)
bad = network.add_plugin("tests::Faulty@1", [first.get_output(0)], {})
bad.name = "the bad one"
last = network.add_activation(bad.get_output(0), trt.ActivationType.RELU)
last.get_output(0).name = "y"
network.mark_output(last.get_output(0))
try:
    plan = builder.build_serialized_network(network, config)
    is_built = True
    engine = trt.Runtime(builder.logger).deserialize_cuda_engine(plan)
    engine.create_execution_context().run({"x": np.zeros(4, np.float32)})
except DovetailError as error:
    print(type(error).__name__)
    print(error)
    sys.exit(7)
'''


def run_faulty(when="run", level=0, **environment):
    command = [sys.executable, "-c", FAULTY, when, str(level)]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 7, done.stdout + done.stderr
    return done.stdout


def test_a_fault_is_an_exception_that_says_how_to_find_the_layer():
    pytest.importorskip("cuda.bindings.nvrtc")
    text = run_faulty()
    assert text.startswith("DeviceFault")
    assert "DOVETAIL_SYNC=1" in text


def test_debug_mode_names_the_layer():
    pytest.importorskip("cuda.bindings.nvrtc")
    text = run_faulty(DOVETAIL_SYNC="1")
    assert text.startswith("DeviceFault")
    assert "'the bad one'" in text


@pytest.mark.parametrize("level", [0, 3])
def test_a_fault_in_a_build_ends_it_and_names_the_layer(level):
    pytest.importorskip("cuda.bindings.nvrtc")
    text = run_faulty("build", level)
    assert text.startswith("DeviceFault")
    assert "tests::Faulty@1" in text and "the bad one" in text and "Restart the process" in text


# ---- a driver, and no device


def test_without_a_visible_device_the_cpu_is_the_default(x, expected, tmp_path):
    np.save(tmp_path / "x.npy", x)
    script = (
        "import sys, numpy as np, dovetail as trt\n"
        "from dovetail.machine.devices import gpus\n"
        "sys.path.insert(0, sys.argv[2])\n"
        "from networks import convolution_chain, engine_of\n"
        "engine = engine_of(*convolution_chain(3))\n"
        "print(engine.device_type.name, gpus()[1])\n"
        "x = np.load(sys.argv[1] + '/x.npy')\n"
        "np.save(sys.argv[1] + '/y.npy', engine.create_execution_context().run({'x': x})['y'])\n"
    )
    support = os.path.join(os.path.dirname(__file__), "..", "support")
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path), support],
        env=os.environ | {"CUDA_VISIBLE_DEVICES": "-1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("CPU ")
    assert "no NVIDIA device" in done.stdout
    close(np.load(tmp_path / "y.npy"), expected)
