"""Plugins that NVIDIA ships are not here; a look-up says what is, and what it says exists."""

import logging
import re

import numpy as np
import pytest
from registry_parts import spec

import dovetail as trt
from dovetail.core.errors import PluginNotFound
from dovetail.registry.nvidia import NAMES, instead_of


@pytest.fixture
def network():
    return trt.Builder(trt.Logger(trt.Logger.INTERNAL_ERROR)).create_network()


@pytest.mark.parametrize("name", NAMES)
def test_what_is_advised_exists(network, name):
    advice = instead_of(name)
    parser = trt.OnnxParser(network, trt.Logger())
    methods = re.findall(r"network\.(\w+)", advice)
    members = re.findall(r"trt\.(\w+)\.(\w+)", advice)
    operators = re.findall(r"In an ONNX model: (\w+)", advice)
    assert methods or "writing-a-plugin" in advice
    assert all(trt.get_plugin_registry().find_add_method(method) for method in methods)
    assert all(getattr(getattr(trt, enum), member) is not None for enum, member in members)
    assert all(parser.supports_operator(operator) for operator in operators)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("InstanceNormalization_TRT", "network.add_normalization"),
        ("LReLU_TRT", "trt.ActivationType.LEAKY_RELU"),
        ("BatchedNMS_TRT", "network.add_nms"),
        ("EfficientNMS_TRT", "network.add_nms"),
        ("GridAnchor_TRT", "network.add_constant"),
        ("Normalize_TRT", "network.add_reduce"),
        ("PriorBox_TRT", "network.add_constant"),
        ("CropAndResize", "network.add_grid_sample"),
        ("DisentangledAttention_TRT", "docs/writing-a-plugin.md"),
    ],
)
def test_a_creator_that_is_asked_for_is_none_and_the_log_names_the_layer(caplog, network, name, words):
    with caplog.at_level(logging.WARNING, "dovetail"):
        assert trt.get_plugin_registry().get_plugin_creator(name, "1", "") is None
    assert f"no plugin {name}@1" in caplog.text and words in caplog.text and "NVIDIA" in caplog.text
    with pytest.raises(PluginNotFound) as error:
        network.add_plugin(name, [])
    assert words in error.value.hint and error.value.near[0] == name


def test_an_onnx_node_of_such_a_plugin_says_what_to_use(network):
    onnx = pytest.importorskip("onnx")
    tensors = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 2, 4, 4]) for name in "xy"]
    node = onnx.helper.make_node("InstanceNormalization_TRT", ["x"], ["y"], epsilon=1e-5)
    graph = onnx.helper.make_graph([node], "g", tensors[:1], tensors[1:])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    parser = trt.OnnxParser(network, trt.Logger(trt.Logger.INTERNAL_ERROR))
    assert not parser.parse(model.SerializeToString())
    text = " ".join(str(parser.get_error(0)).split())
    assert "network.add_normalization" in text and "In an ONNX model: InstanceNormalization." in text


def test_a_plugin_of_the_name_that_is_registered_is_found_first(registry):
    registry.add_op(spec("LReLU_TRT", "7"))
    with pytest.raises(PluginNotFound, match='Ask for version="7"') as error:
        registry.find("LReLU_TRT", "1")
    assert "NVIDIA" not in str(error.value)
    assert registry.get_plugin_creator("LReLU_TRT", "7") is not None


def test_instance_normalization_is_what_the_advice_says():
    builder = trt.Builder(trt.Logger(trt.Logger.INTERNAL_ERROR))
    network = builder.create_network()
    x = network.add_input("x", trt.float32, (2, 3, 4, 5))
    scale, bias = (np.arange(3, dtype=np.float32).reshape(1, 3, 1, 1) + add for add in (1, 5))
    constants = [network.add_constant(array.shape, array).get_output(0) for array in (scale, bias)]
    y = network.add_normalization(x, *constants, 1 << 2 | 1 << 3).get_output(0)
    y.name = "y"
    network.mark_output(y)
    data = np.random.default_rng(0).standard_normal((2, 3, 4, 5), np.float32)
    engine = builder.build_engine(network, builder.create_builder_config())
    found = np.asarray(engine.create_execution_context().run(data)["y"])
    mean, spread = data.mean((2, 3), keepdims=True), data.std((2, 3), keepdims=True)
    np.testing.assert_allclose(found, (data - mean) / np.sqrt(spread**2 + 1e-5) * scale + bias, rtol=1e-4, atol=1e-5)
