"""Plugins written in Python on a GPU: what their methods are handed, and where their work goes."""

import numpy as np
import pytest

import dovetail as trt
from dovetail import _native
from dovetail.core.errors import PluginFailed
from dovetail.core.types import FLOATS, DataType, DeviceType
from dovetail.plugins import Input, IPluginV2DynamicExt, Output, Plugin, kernel, op

pytestmark = pytest.mark.gpu
GPU = DeviceType.GPU


def copy(to, source, stream):
    _native.copy(0, int(to), int(source), source.nbytes, stream)


class Carried(Plugin):
    """y = x, by way of the workspace."""

    namespace = "bench"
    device = GPU
    x = Input((DataType.FLOAT, DataType.HALF))
    y = Output(like="x")

    def get_workspace_size(self, inputs, outputs):
        return 4 * int(np.prod(inputs[0].max))

    def shape_changed(self, inputs, outputs):
        self.dims = tuple(inputs[0].dims)

    def enqueue(self, inputs, outputs, workspace, stream):
        assert all(isinstance(array, _native.DeviceArray) for array in (*inputs, *outputs, workspace))
        assert isinstance(stream, int) and inputs[0].shape == outputs[0].shape == self.dims
        assert inputs[0].__cuda_array_interface__["data"] == (int(inputs[0]), True)
        assert inputs[0].__dlpack_device__() == (GPU.dlpack_code, 0)
        assert int(workspace) % 256 == 0 and workspace.nbytes >= inputs[0].nbytes
        copy(workspace, inputs[0], stream)
        _native.copy(0, int(outputs[0]), int(workspace), inputs[0].nbytes, stream)


@pytest.mark.parametrize("dtype", [trt.float32, trt.float16])
def test_enqueue_gets_device_arrays_scratch_memory_and_a_stream(bench, dtype):
    bench.registry.add_op(Carried)
    context = bench.context(bench.network.add_plugin("bench::Carried", [bench.input(-1, 3, dtype=dtype)]))
    assert context.engine.device_type == GPU
    for n in (2, 8, 1):
        x = np.arange(3 * n).reshape(n, 3).astype(trt.nptype(dtype))
        np.testing.assert_array_equal(context.run({"x": x})["y"], x)


def test_it_works_between_native_layers(bench):
    bench.registry.add_op(Carried)
    doubled = bench.network.add_scale(bench.input(1, 2, 3, 4), trt.ScaleMode.UNIFORM, None, np.float32([2]), None)
    carried = bench.network.add_plugin("bench::Carried", [doubled.get_output(0)])
    layer = bench.network.add_activation(carried.get_output(0), trt.ActivationType.RELU)
    x = np.linspace(-1, 1, 24, dtype=np.float32).reshape(1, 2, 3, 4)
    np.testing.assert_allclose(bench.run(layer, x), np.maximum(2 * x, 0))


def test_a_function_with_a_kernel(bench):
    @op("bench::Same@1")
    def same(x: Input(FLOATS)):
        """y = x."""
        return x

    ran = []

    @same.kernel(device=GPU)
    def on_gpu(op, inputs, outputs, workspace, stream):
        ran.append(op.layer_name)
        copy(outputs[0], inputs[0], stream)

    bench.registry.add_op(same)
    layer = bench.network.add_plugin("bench::Same", [bench.input(5)])
    layer.name = "same"
    assert bench.run(layer, np.arange(5)).tolist() == [0, 1, 2, 3, 4]
    assert set(ran) == {"same"}


def test_a_tensor_that_stays_on_the_host(bench):
    class Halfway(Plugin):
        """y = x, where x lies in memory of the host."""

        namespace = "bench"
        x = Input(DataType.FLOAT)
        y = Output(like="x")

        @kernel(formats="linear@cpu -> linear", device=GPU)
        def up(self, inputs, outputs, workspace, stream):
            assert isinstance(inputs[0], np.ndarray)
            _native.copy(0, int(outputs[0]), inputs[0].ctypes.data, inputs[0].nbytes, stream)

    bench.registry.add_op(Halfway)
    layer = bench.network.add_plugin("bench::Halfway", [bench.input(5)])
    assert bench.run(layer, np.arange(5)).tolist() == [0, 1, 2, 3, 4]


def test_a_v2_class_gets_addresses(bench):
    class Passed(IPluginV2DynamicExt):
        """y = x."""

        plugin_type = "Passed"
        plugin_namespace = "bench"
        device = GPU

        def get_output_dimensions(self, output_index, inputs, expr_builder):
            return inputs[0]

        def supports_format_combination(self, pos, in_out, num_inputs):
            return int(in_out[pos].format) == 0 and in_out[pos].type == trt.float32

        def enqueue(self, input_desc, output_desc, inputs, outputs, workspace, stream):
            assert isinstance(inputs[0], int) and inputs[0] == int(inputs[0].array)
            copy(outputs[0], inputs[0].array, stream)

    bench.registry.add_op(Passed)
    layer = bench.network.add_plugin("bench::Passed", [bench.input(-1)])
    assert bench.run(layer, [1, 2, 3]).tolist() == [1, 2, 3]


def test_an_exception_names_the_plugin(bench):
    class Failing(Carried):
        """y = nothing."""

        def enqueue(self, inputs, outputs, workspace, stream):
            raise KeyError("gone")

    bench.registry.add_op(Failing)
    layer = bench.network.add_plugin("bench::Failing", [bench.input(2)])
    with pytest.raises(PluginFailed, match="gone"):
        bench.run(layer, [1, 2])


def test_work_goes_to_the_stream_of_the_caller(bench, monkeypatch):
    bench.registry.add_op(Carried)
    first = bench.context(bench.network.add_plugin("bench::Carried", [bench.input(-1)]))
    seen, enqueue = [], Carried.enqueue
    monkeypatch.setattr(Carried, "enqueue", lambda self, *given: seen.append(given[-1]) or enqueue(self, *given))
    stream = _native.Stream(0)
    context = first.engine.create_execution_context()
    assert context.run({"x": np.ones(4, np.float32)}, stream=stream)["y"].tolist() == [1, 1, 1, 1]
    assert seen == [int(stream)]


def test_the_default_stream_has_a_stand_in(bench, monkeypatch):
    """0 would be a stream of its own for torch.cuda.ExternalStream, and its work in nobody's order."""
    bench.registry.add_op(Carried)
    seen, enqueue = [], Carried.enqueue
    monkeypatch.setattr(Carried, "enqueue", lambda self, *given: seen.append(given[-1]) or enqueue(self, *given))
    context = bench.context(bench.network.add_plugin("bench::Carried", [bench.input(-1)]))
    x = np.arange(8, dtype=np.float32)
    for factor, stream in enumerate((0, 1, 2, 0, 1)):
        np.testing.assert_array_equal(context.run({"x": x * factor}, stream=stream)["y"], x * factor)
    assert min(seen) > 2  # cudaStreamLegacy, cudaStreamPerThread
    torch = pytest.importorskip("torch")
    assert torch.cuda.ExternalStream(seen[-1]).cuda_stream == seen[-1]
