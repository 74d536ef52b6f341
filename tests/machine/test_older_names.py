"""Names of TensorRT's older and later scripts: they do what they do there."""

import subprocess
import sys

import numpy as np
import pytest
from networks import convolution_chain, engine_of, new_network

import dovetail as trt
from dovetail.core.errors import BindingError, DTypeError

X = np.array([[1.0, -2.0, 3.0], [-4.0, 5.0, -6.0]], np.float32)
Y = np.maximum(X, 0)


class Log(trt.ILogger):
    def __init__(self):
        super().__init__()
        self.lines = []

    def log(self, severity, msg):
        if severity <= trt.Logger.WARNING:
            self.lines.append(msg)


def relu(builder):
    network = builder.create_network(1)
    layer = network.add_activation(network.add_input("x", trt.float32, X.shape), trt.ActivationType.RELU)
    layer.get_output(0).name = "y"
    network.mark_output(layer.get_output(0))
    return network


@pytest.fixture
def context():
    builder, _, config = new_network()
    return builder.build_engine(relu(builder), config).create_execution_context()


# ---- builders


def test_build_cuda_engine_takes_the_builders_own_settings():
    log = Log()
    builder = trt.Builder(log)
    builder.max_batch_size = 4
    builder.max_workspace_size = 1 << 28
    builder.fp16_mode = builder.strict_type_constraints = True
    with pytest.warns(DeprecationWarning, match="build_serialized_network"):
        engine = builder.build_cuda_engine(relu(builder))
    np.testing.assert_array_equal(engine.create_execution_context().run({"x": X})["y"], Y)
    assert [text.partition(" has no effect")[0] for text in log.lines] == [
        "Builder.max_batch_size = 4", "BuilderFlag.STRICT_TYPES",
    ]  # fmt: skip


def test_settings_of_the_builder_are_warned_about_where_a_config_decides():
    log = Log()
    builder = trt.Builder(log)
    builder.fp16_mode, builder.max_workspace_size, builder.min_find_iterations = True, 1 << 20, 2
    assert builder.build_engine(relu(builder), builder.create_builder_config())
    assert [text.partition(" = ")[0] for text in log.lines] == [
        "Builder.fp16_mode", "Builder.max_workspace_size", "Builder.min_find_iterations",
    ]  # fmt: skip
    assert "a config, which decides. Use config.set_flag(trt.BuilderFlag.FP16)" in log.lines[0]


@pytest.mark.parametrize("layer", [None, "conv1", 0])
def test_a_device_is_set_for_a_layer_and_not_for_its_name(layer):
    _, _, config = new_network()
    with pytest.raises(DTypeError, match=f"set_device_type takes a layer, got {type(layer).__name__}"):
        config.set_device_type(layer, trt.DeviceType.CPU)
    assert config.devices_in_use == {config.default_device_type}


# ---- executions


@pytest.mark.parametrize(
    "execute",
    [
        lambda c, bindings: c.execute(1, bindings),
        lambda c, bindings: c.execute(bindings=bindings),
        lambda c, bindings: c.execute_v2(bindings),
        lambda c, bindings: c.execute_v2(bindings=bindings),
        lambda c, bindings: c.execute_async(1, bindings, 0),
        lambda c, bindings: c.execute_async(batch_size=1, bindings=bindings, stream_handle=0),
        lambda c, bindings: c.execute_async(bindings=bindings, stream_handle=0, input_consumed=None),
        lambda c, bindings: c.execute_async_v2(bindings, 0),
        lambda c, bindings: c.execute_async_v2(bindings=bindings, stream_handle=0),
    ],
)
def test_every_way_to_execute(context, execute):
    y = np.zeros_like(X)
    assert execute(context, [X.ctypes.data, y.ctypes.data]) is True
    np.testing.assert_array_equal(y, Y)


def test_a_batch_size_warns_once():
    log, y = Log(), np.zeros_like(X)
    builder = trt.Builder(log)
    context = builder.build_engine(relu(builder), builder.create_builder_config()).create_execution_context()
    for _ in range(3):
        assert context.execute_async(2, [X.ctypes.data, y.ctypes.data], 0)
    np.testing.assert_array_equal(y, Y)
    assert len(log.lines) == 1 and "batch_size = 2 has no effect" in log.lines[0]


def test_an_address_of_0_takes_it_away(context):
    y = np.zeros_like(X)
    for name, array in (("x", X), ("y", y)):
        context.set_tensor_address(name, array.ctypes.data)
    assert context.set_tensor_address("y", 0) is True and context.get_tensor_address("y") == 0
    with pytest.raises(BindingError, match="the address of y is not set"):
        context.execute_async_v3(0)
    context.set_tensor_address("y", y.ctypes.data)
    assert context.execute_async_v3(0)
    np.testing.assert_array_equal(y, Y)


@pytest.mark.parametrize("in_binding", ["other values", "nothing"])
def test_execute_v2_uses_what_set_shape_input_said(in_binding):
    builder, network, config = new_network()
    x, shape = network.add_input("x", trt.float32, (12,)), network.add_input("shape", trt.int32, (2,))
    layer = network.add_shuffle(x)
    layer.set_input(1, shape)
    layer.get_output(0).name = "y"
    network.mark_output(layer.get_output(0))
    profile = builder.create_optimization_profile()
    profile.set_shape_input("shape", (1, 1), (3, 4), (12, 12))
    config.add_optimization_profile(profile)
    context = engine_of(builder, network, config).create_execution_context()
    data, y, other = np.arange(12, dtype=np.float32), np.zeros(12, np.float32), np.array([12, 1], np.int32)
    address = other.ctypes.data if in_binding == "other values" else 0
    for wanted in ([3, 4], [2, 6]):
        assert context.set_shape_input(1, wanted)
        assert context.execute_v2([data.ctypes.data, address, y.ctypes.data])
        assert (context.get_tensor_shape("y"), context.get_shape(1)) == (tuple(wanted), wanted)
    context.set_tensor_address("shape", other.ctypes.data)  # the user's address again
    assert context.get_shape(1) == [12, 1]


def test_a_profiler_may_ask_for_the_times_later(context):
    class Times(trt.IProfiler):
        def __init__(self):
            self.layers = []

        def report_layer_time(self, layer_name, ms):
            self.layers.append(layer_name)

    context.profiler = Times()
    context.enqueue_emits_profile = False
    assert context.report_to_profiler() is False
    context.run({"x": X})
    assert context.profiler.layers == []
    assert context.report_to_profiler() is True and len(context.profiler.layers) == context.engine.num_layers
    assert context.report_to_profiler() is False


@pytest.mark.parametrize(
    ("format_", "strides"),
    [
        (trt.TensorFormat.LINEAR, (420, 35, 7, 1)),
        (trt.TensorFormat.HWC, (420, 1, 84, 12)),
        (trt.TensorFormat.CHW16, (35, 35, 7, 1)),
    ],
)
def test_strides_count_elements_or_vectors(format_, strides):
    builder, network, config = new_network()
    x = network.add_input("x", trt.float32, (2, 12, 5, 7))
    x.allowed_formats = 1 << int(format_)
    network.mark_output(network.add_unary(x, trt.UnaryOperation.NEG).get_output(0))
    context = engine_of(builder, network, config).create_execution_context()
    assert context.get_tensor_strides("x") == context.get_strides(0) == strides


def test_formats_of_bindings_are_those_of_their_tensors():
    builder, network, config = new_network()
    x = network.add_input("x", trt.float16, (2, 12, 5, 7))
    x.allowed_formats = 1 << int(trt.TensorFormat.CHW16)
    network.mark_output(network.add_unary(x, trt.UnaryOperation.NEG).get_output(0))
    engine = engine_of(builder, network, config)
    for binding in (0, "x"):
        assert engine.get_binding_format(binding) == trt.TensorFormat.CHW16
        assert engine.get_binding_format_desc(binding) == engine.get_tensor_format_desc("x")
        assert engine.get_binding_vectorized_dim(binding) == 1
        assert engine.get_binding_components_per_element(binding) == 16
        assert engine.get_binding_bytes_per_component(binding) == 2
    assert engine.profiling_verbosity == trt.ProfilingVerbosity.DETAILED


def test_memory_of_the_user_with_its_size():
    engine = engine_of(*convolution_chain(3))
    context = engine.create_execution_context(trt.ExecutionContextAllocationStrategy.USER_MANAGED)
    x = np.ones((1, 3, 24, 24), np.float32)
    memory = np.zeros(engine.device_memory_size_v2 + 64, np.uint8)
    context.set_device_memory(memory.ctypes.data + -memory.ctypes.data % 64, engine.device_memory_size)
    np.testing.assert_array_equal(context.run({"x": x})["y"], engine.create_execution_context().run({"x": x})["y"])


def test_what_cannot_be_called_later_is_refused_where_it_is_set(context):
    before = context.profiler = trt.Profiler()
    with pytest.raises(DTypeError, match="a int cannot be the profiler of IExecutionContext") as error:
        context.profiler = 3
    assert "report_layer_time" in str(error.value) and "trt.IProfiler" in str(error.value)
    assert context.profiler is before
    for holder in (context, context.engine, trt.Runtime(trt.Logger()), trt.Builder(trt.Logger())):
        with pytest.raises(DTypeError, match="IErrorRecorder"):
            holder.error_recorder = []
        holder.error_recorder = None
    context.profiler = None


# ---- layers


def test_the_type_of_a_layer_is_its_kind():
    _, network, _ = new_network()
    x = network.add_input("x", trt.float32, (1, 4, 8, 8))
    convolution = network.add_convolution_nd(x, 2, (1, 1), np.ones(8, np.float32))
    kinds = {
        trt.LayerType.CONVOLUTION: convolution,
        trt.LayerType.SOFTMAX: network.add_softmax(x),
        trt.LayerType.TOPK: network.add_topk(x, trt.TopKOperation.MAX, 1, 2),
        trt.LayerType.MATRIX_MULTIPLY: network.add_matrix_multiply(
            x, trt.MatrixOperation.NONE, x, trt.MatrixOperation.TRANSPOSE
        ),
        trt.LayerType.ELEMENTWISE: network.add_elementwise(x, x, trt.ElementWiseOperation.SUM),
        trt.LayerType.PARAMETRIC_RELU: network.add_parametric_relu(x, x),
        trt.LayerType.CAST: network.add_cast(x, trt.float16),
    }
    assert {kind: layer.type for kind, layer in kinds.items()} == {kind: kind for kind in kinds}
    assert convolution.type in trt.LayerType.__members__.values()


def test_a_field_named_type_equals_the_kind_that_has_it():
    _, network, _ = new_network()
    x = network.add_input("x", trt.float32, (1, 4, 8, 8))
    network.add_activation(x, trt.ActivationType.RELU)
    network.add_pooling_nd(x, trt.PoolingType.MAX, (2, 2))
    network.add_convolution_nd(x, 2, (1, 1), np.ones(8, np.float32))
    kinds = (trt.LayerType.ACTIVATION, trt.LayerType.POOLING, trt.LayerType.CONVOLUTION)
    for index, kind in enumerate(kinds):
        found = network.get_layer(index).type
        assert (
            [found == each for each in kinds] == [kind == found for kind in kinds] == [kind is each for each in kinds]
        )
        assert [found != each for each in kinds] == [kind is not each for each in kinds]
        assert kind in (found,) and found in kinds
    assert network.get_layer(0).type == trt.ActivationType.RELU == 0 != trt.ActivationType.SIGMOID
    assert f"{kinds[0]} {kinds[0]!s}" == "LayerType.ACTIVATION LayerType.ACTIVATION"
    assert {trt.ActivationType.RELU: 1}[network.get_layer(0).type] == 1


def test_a_layer_is_an_instance_of_tensorrts_class_for_it():
    _, network, _ = new_network()
    x = network.add_input("x", trt.float32, (1, 4, 8, 8))
    layer = network.add_pooling_nd(x, trt.PoolingType.MAX, (2, 2))
    assert isinstance(layer, trt.IPoolingLayer) and not isinstance(layer, trt.ISoftMaxLayer)
    assert isinstance(layer, trt.ILayer) and issubclass(trt.IPoolingLayer, trt.ILayer)
    layer.__class__ = trt.IPoolingLayer  # as scripts cast
    layer.stride_nd = (2, 2)
    assert layer.get_output(0).shape == (1, 4, 4, 4)
    with pytest.raises(AttributeError, match="INonsenseLayer"):
        _ = trt.INonsenseLayer


def test_inputs_of_a_layer_are_its_tensors():
    _, network, _ = new_network()
    x = network.add_input("x", trt.float32, (1, 4, 8, 8))
    layer = network.add_convolution_nd(x, 2, (1, 1), np.ones(8, np.float32))
    assert (layer.num_inputs, layer.get_input(0), layer.get_input(1)) == (1, x, None)
    layer.set_input(1, network.add_input("kernel", trt.float32, (2, 4, 1, 1)))
    assert layer.num_inputs == 2 and layer.get_input(1).name == "kernel"
    assert network.add_constant((1,), np.ones(1, np.float32)).num_inputs == 0


def test_indices_beyond_the_last_give_none():
    _, network, _ = new_network()
    assert (network.get_layer(0), network.get_input(0), network.get_output(0)) == (None, None, None)
    with pytest.raises(IndexError):
        _ = network[0]


# ---- the module


def test_the_module_under_tensorrts_name():
    code = (
        "import sys, dovetail.tensorrt; sys.modules['tensorrt'] = dovetail.tensorrt\n"
        "import tensorrt as trt\n"
        "from tensorrt import Logger, PreviewFeature\n"
        "import dovetail\n"
        "assert int(trt.__version__.split('.')[0]) >= 8 and trt.__version__ != dovetail.__version__\n"
        "assert trt.Builder is dovetail.Builder and trt.tensorrt.ICudaEngine is dovetail.ICudaEngine\n"
        "assert trt.ActivationType.RELU == 0 and not hasattr(trt, 'nonsense') and hasattr(trt, 'ScaleMode')\n"
        "assert dovetail.tensorrt is trt and 'Builder' in dir(trt)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    "name",
    [
        "PreviewFeature", "TacticSource", "QuantizationFlag", "HardwareCompatibilityLevel", "TripLimit", "LoopOutput",
        "WeightsRole", "CalibrationAlgoType", "OnnxParserFlag", "ErrorCodeTRT", "TempfileControlFlag",
        "ExecutionContextAllocationStrategy", "IPluginV2", "IPluginV2Ext", "IExprBuilder", "IDimensionExpr",
        "IPluginRegistry", "IInt8LegacyCalibrator", "IAlgorithmSelector", "IGpuAllocator", "ILoop", "Refitter",
        "IIfConditional", "ITimingCache", "IPluginV2Layer", "fp8", "IRNNv2Layer",
    ],
)  # fmt: skip
def test_a_name_is_there(name):
    assert hasattr(trt, name)


def test_capabilities_have_their_older_names():
    assert trt.EngineCapability.DEFAULT is trt.EngineCapability.STANDARD
    assert trt.EngineCapability["SAFE_DLA"] is trt.EngineCapability.DLA_STANDALONE


def test_the_parser_has_a_version():
    assert trt.get_nv_onnx_parser_version() == 100


def test_builds_have_the_registry_of_the_process():
    assert trt.get_builder_plugin_registry(trt.EngineCapability.STANDARD) is trt.get_plugin_registry()


def test_the_volume_of_unknown_extents_is_what_scripts_expect():
    assert [trt.volume(dims) for dims in ((2, 3), (), (-1, 3, 4))] == [6, 1, -12]
    assert trt.volume(trt.Dims3(-1, 2, 5)) * -1 == 10  # what a batch of one has


def test_plugin_classes_derive_as_in_tensorrt():
    assert issubclass(trt.IPluginV2DynamicExt, trt.IPluginV2Ext) and issubclass(trt.IPluginV2Ext, trt.IPluginV2)
