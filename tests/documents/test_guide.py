"""The Python pieces of the developer's guide, as they stand there but for the import line and CUDA's memory."""

import json

import numpy as np
import pytest
from networks import engine_of, new_network

import dovetail as trt


class ModelData:
    INPUT_NAME = "data"
    INPUT_SHAPE = (1, 1, 28, 28)
    OUTPUT_NAME = "prob"
    OUTPUT_SIZE = 10
    DTYPE = trt.float32


class OwnLogger(trt.ILogger):
    def __init__(self):
        trt.ILogger.__init__(self)
        self.messages = []

    def log(self, severity, msg):
        self.messages.append((severity, msg))


def weights_of_mnist():
    rng = np.random.default_rng(28)
    shapes = {"conv1": (20, 1, 5, 5), "conv2": (50, 20, 5, 5), "fc1": (500, 800), "fc2": (10, 500)}
    weights = {}
    for name, shape in shapes.items():
        weights[f"{name}.weight"] = (rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)
        weights[f"{name}.bias"] = rng.standard_normal(shape[0]).astype(np.float32)
    return weights


def convolved(x, w, b):
    windows = np.lib.stride_tricks.sliding_window_view(x, w.shape[2:], (2, 3))
    return np.einsum("nchwij,ocij->nohw", windows, w, optimize=True) + b[:, None, None]


def pooled(x):
    n, c, h, w = x.shape
    return x.reshape(n, c, h // 2, 2, w // 2, 2).max((3, 5))


def mnist(x, w):
    w = {name: array.astype(np.float64) for name, array in w.items()}
    x = pooled(convolved(x.astype(np.float64), w["conv1.weight"], w["conv1.bias"]))
    x = pooled(convolved(x, w["conv2.weight"], w["conv2.bias"]))
    x = np.maximum(x.reshape(1, -1) @ w["fc1.weight"].T + w["fc1.bias"], 0)
    return x @ w["fc2.weight"].T + w["fc2.bias"]


@pytest.mark.filterwarnings("ignore:Use .* instead:DeprecationWarning")
def test_mnist_layer_by_layer():
    """Chapter 6.3. A fully connected layer wants C, H and W, for which the guide's last lines have no reshape."""
    builder, network, config = new_network()
    weights = weights_of_mnist()
    input_tensor = network.add_input(name=ModelData.INPUT_NAME, dtype=ModelData.DTYPE, shape=ModelData.INPUT_SHAPE)
    conv1_w = weights["conv1.weight"]
    conv1_b = weights["conv1.bias"]
    conv1 = network.add_convolution(
        input=input_tensor, num_output_maps=20, kernel_shape=(5, 5), kernel=conv1_w, bias=conv1_b
    )
    conv1.stride = (1, 1)
    pool1 = network.add_pooling(input=conv1.get_output(0), type=trt.PoolingType.MAX, window_size=(2, 2))
    pool1.stride = (2, 2)
    conv2_w = weights["conv2.weight"]
    conv2_b = weights["conv2.bias"]
    conv2 = network.add_convolution(pool1.get_output(0), 50, (5, 5), conv2_w, conv2_b)
    conv2.stride = (1, 1)
    pool2 = network.add_pooling(conv2.get_output(0), trt.PoolingType.MAX, (2, 2))
    pool2.stride = (2, 2)

    net, input, nbOutputs, k = network, pool2.get_output(0), 500, 800  # noqa: N806
    batch = input.shape[0]
    mm_inputs = np.prod(input.shape[1:])
    input_reshape = net.add_shuffle(input)
    input_reshape.reshape_dims = trt.Dims2(batch, mm_inputs)
    filter_const = net.add_constant(trt.Dims2(nbOutputs, k), weights["fc1.weight"])
    mm = net.add_matrix_multiply(
        input_reshape.get_output(0), trt.MatrixOperation.NONE, filter_const.get_output(0), trt.MatrixOperation.TRANSPOSE
    )
    bias_const = net.add_constant(trt.Dims2(1, nbOutputs), weights["fc1.bias"])
    bias_add = net.add_elementwise(mm.get_output(0), bias_const.get_output(0), trt.ElementWiseOperation.SUM)
    relu1 = network.add_activation(input=bias_add.get_output(0), type=trt.ActivationType.RELU)
    fc2_w = weights["fc2.weight"]
    fc2_b = weights["fc2.bias"]
    in_maps = network.add_shuffle(relu1.get_output(0))
    in_maps.reshape_dims = trt.Dims4(1, nbOutputs, 1, 1)
    fc2 = network.add_fully_connected(in_maps.get_output(0), ModelData.OUTPUT_SIZE, fc2_w, fc2_b)
    fc2.get_output(0).name = ModelData.OUTPUT_NAME
    network.mark_output(tensor=fc2.get_output(0))

    x = np.random.default_rng(1).standard_normal(ModelData.INPUT_SHAPE).astype(np.float32)
    outputs = engine_of(builder, network, config).create_execution_context().run({ModelData.INPUT_NAME: x})

    prob = outputs[ModelData.OUTPUT_NAME]
    assert prob.shape == (1, 10, 1, 1)
    np.testing.assert_allclose(prob.reshape(1, 10), mnist(x, weights), rtol=0, atol=2e-5)


def test_a_plan_in_a_file_and_a_logger_of_ones_own(tmp_path):
    """Chapters 4.1 to 4.3."""
    logger = OwnLogger()
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.EXPLICIT_BATCH))
    relu = network.add_activation(network.add_input("x", trt.float32, (2, 3)), trt.ActivationType.RELU)
    network.mark_output(relu.get_output(0))
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, 1 << 20)
    serialized_engine = builder.build_serialized_network(network, config)
    with open(tmp_path / "sample.engine", "wb") as f:
        f.write(serialized_engine)

    runtime = trt.Runtime(logger)
    with open(tmp_path / "sample.engine", "rb") as f:
        serialized_engine = f.read()
    engine = runtime.deserialize_cuda_engine(serialized_engine)
    context = engine.create_execution_context()
    x, y = np.float32([[-1, 2, -3], [4, -5, 6]]), np.full((2, 3), np.nan, np.float32)
    for name, array in zip(("x", engine.get_tensor_name(1)), (x, y), strict=True):
        context.set_tensor_address(name, array.ctypes.data)
    assert context.execute_async_v3(0)

    np.testing.assert_array_equal(y, np.maximum(x, 0))
    with pytest.raises(trt.errors.DovetailError):
        runtime.deserialize_cuda_engine(b"no plan")
    assert [severity for severity, _ in logger.messages][-1:] == [trt.ILogger.Severity.ERROR]


def test_formats_of_an_input():
    """Chapter 6.5: FP16 elements, eight channels a chunk."""
    builder, network, config = new_network()
    x = network.add_input("x", trt.float32, (1, 3, 4, 4))
    network.mark_output(network.add_identity(x).get_output(0))
    formats = 1 << int(trt.TensorFormat.HWC8)
    network.get_input(0).allowed_formats = formats
    network.get_input(0).dtype = trt.DataType.HALF
    config.set_flag(trt.BuilderFlag.FP16)
    engine = engine_of(builder, network, config)

    assert engine.get_tensor_format("x") == trt.TensorFormat.HWC8
    assert engine.get_tensor_dtype("x") == trt.DataType.HALF


def test_shapes_known_at_run_time():
    """Chapters 8.1, 8.2 and 8.5: names of extents, profiles, and a reshape to the shape of another tensor."""
    builder, network, config = new_network()
    foo = network.add_input("foo", trt.float32, (3, -1, -1))
    foo.set_dimension_name(2, "m")
    assert foo.get_dimension_name(2) == "m"
    flat = network.add_shuffle(foo)
    flat.reshape_dims = (-1,)
    reshape = network.add_shuffle(flat.get_output(0))
    reshape.set_input(1, network.add_shape(foo).get_output(0))
    network.mark_output(reshape.get_output(0))
    profile = builder.create_optimization_profile()
    profile.set_shape("foo", (3, 100, 200), (3, 150, 250), (3, 200, 300))
    config.add_optimization_profile(profile)
    context = engine_of(builder, network, config).create_execution_context()

    context.set_binding_shape(0, (3, 150, 250))
    assert context.get_binding_shape(1) == (3, 150, 250)
    x = np.random.default_rng(0).standard_normal((3, 150, 250)).astype(np.float32)
    np.testing.assert_array_equal(next(iter(context.run({"foo": x}).values())), x)


def test_what_an_engine_says_of_itself():
    """Chapter 6.9."""
    builder, network, config = new_network()
    x = network.add_input("x", trt.float32, (4,))
    network.mark_output(network.add_activation(x, trt.ActivationType.RELU).get_output(0))
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    engine = engine_of(builder, network, config)
    inspector = engine.create_engine_inspector()
    inspector.execution_context = engine.create_execution_context()

    first = json.loads(inspector.get_layer_information(0, trt.LayerInformationFormat.JSON))
    whole = json.loads(inspector.get_engine_information(trt.LayerInformationFormat.JSON))
    assert first in whole["Layers"]


@pytest.mark.filterwarnings("ignore:Use set_memory_pool_limit:DeprecationWarning")
def test_a_plugin_found_in_the_list_of_creators():
    """Chapter 9.1.3, with a plugin that is there."""
    builder, network, config = new_network()
    trt.init_libnvinfer_plugins(trt.Logger(trt.Logger.ERROR), "")
    plugin_creators = trt.get_plugin_registry().plugin_creator_list
    (creator,) = (creator for creator in plugin_creators if creator.name == "Activation")
    alpha = trt.PluginField("alpha", np.array([0.1], dtype=np.float64), trt.PluginFieldType.FLOAT64)
    kind = trt.PluginField("type", np.array([3], dtype=np.int32), trt.PluginFieldType.INT32)
    plugin = creator.create_plugin(name="lrelu", field_collection=trt.PluginFieldCollection([kind, alpha]))
    input_layer = network.add_input(name="input_layer", dtype=trt.float32, shape=(1, 2))
    lrelu = network.add_plugin_v2(inputs=[input_layer], plugin=plugin)
    lrelu.get_output(0).name = "outputs"
    network.mark_output(lrelu.get_output(0))
    config.max_workspace_size = 2**20
    outputs = engine_of(builder, network, config).create_execution_context().run({"input_layer": np.float32([[-1, 2]])})

    np.testing.assert_allclose(outputs["outputs"], np.float32([[-0.1, 2]]), rtol=1e-7)
