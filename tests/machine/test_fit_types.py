"""With BuilderFlag.FP16, a layer that only float16 suits gets conversions around it."""

import numpy as np
import pytest
from networks import engine_of, new_network

import dovetail as trt
from dovetail.core.errors import DTypeError, NoImplementation, PluginFailed
from dovetail.core.types import FLOATS
from dovetail.plugins import Input, op


class HalfOnly(trt.IPluginV2DynamicExt):
    """y = 2 x + b, in HALF and nothing else."""

    plugin_type, plugin_namespace = "HalfOnly", "half"

    def get_output_dimensions(self, output_index, inputs, expr_builder):
        return inputs[0]

    def supports_format_combination(self, pos, in_out, num_inputs):
        return in_out[pos].type == trt.float16 and in_out[pos].format == trt.TensorFormat.LINEAR

    def enqueue(self, input_desc, output_desc, inputs, outputs, workspace, stream):
        assert input_desc[0].type == output_desc[0].type == trt.float16
        outputs[0].array[...] = inputs[0].array * np.float16(2) + inputs[1].array


X = np.array([[1.0, -2.5, 2049.0]], np.float32)  # the last is not a float16
B = np.array([[0.5, 0.25, 4.0]], np.float32)
WANTED = X.astype(np.float16) * np.float16(2) + B.astype(np.float16)


@pytest.fixture(scope="module", autouse=True)
def registered():
    trt.get_plugin_registry().add_op(HalfOnly)


@pytest.mark.parametrize("bias_is_constant", [False, True])
def test_a_half_only_plugin_runs_in_a_float_network(bias_is_constant):
    builder, network, config = new_network()
    x = network.add_input("x", trt.float32, X.shape)
    b = (
        network.add_constant(B.shape, B).get_output(0)
        if bias_is_constant
        else network.add_input("b", trt.float32, B.shape)
    )
    layer = network.add_plugin("half::HalfOnly@1", [network.add_identity(x).get_output(0), b], layer_name="halved")
    behind = network.add_unary(layer.get_output(0), trt.UnaryOperation.NEG)
    behind.get_output(0).name = "y"
    network.mark_output(behind.get_output(0))
    config.set_flag(trt.BuilderFlag.FP16)
    engine = engine_of(builder, network, config)
    found = engine.create_execution_context().run({"x": X} if bias_is_constant else {"x": X, "b": B})["y"]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, -WANTED.astype(np.float32))
    assert "takes HALF only" in engine.report()


def test_without_the_flag_it_is_an_error():
    builder, network, config = new_network()
    inputs = [network.add_input(name, trt.float32, X.shape) for name in "xb"]
    network.mark_output(network.add_plugin("half::HalfOnly@1", inputs).get_output(0))
    with pytest.raises(NoImplementation, match="It takes HALF: convert its inputs and outputs with Cast layers"):
        builder.build_serialized_network(network, config)


@pytest.mark.parametrize("flag", [None, trt.BuilderFlag.FP16])
def test_in_a_strongly_typed_network_nothing_is_converted(flag):
    builder = trt.Builder(trt.Logger(trt.Logger.INTERNAL_ERROR))
    strongly_typed = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    network, config = builder.create_network(strongly_typed), builder.create_builder_config()
    inputs = [network.add_input(name, trt.float32, X.shape) for name in "xb"]
    network.mark_output(network.add_plugin("half::HalfOnly@1", inputs).get_output(0))
    if flag is not None:
        config.set_flag(flag)
    with pytest.raises(NoImplementation, match="The network is STRONGLY_TYPED, so nothing is converted"):
        builder.build_serialized_network(network, config)


def test_an_error_of_a_converted_layer_says_that_it_was_converted():
    class Broken(HalfOnly):
        plugin_type = "Broken"

        def enqueue(self, input_desc, output_desc, inputs, outputs, workspace, stream):
            raise ZeroDivisionError("mine")

    trt.get_plugin_registry().add_op(Broken)
    builder, network, config = new_network()
    config.set_flag(trt.BuilderFlag.FP16)
    inputs = [network.add_input(name, trt.float32, X.shape) for name in "xb"]
    network.mark_output(network.add_plugin("half::Broken@1", inputs).get_output(0))
    with pytest.raises(PluginFailed, match="to HALF and back, by Cast layers"):
        builder.build_serialized_network(network, config)


def test_what_runs_in_float_stays_as_it_is():
    builder, network, config = new_network()
    layer = network.add_unary(network.add_input("x", trt.float32, X.shape), trt.UnaryOperation.NEG)
    layer.get_output(0).name = "y"
    network.mark_output(layer.get_output(0))
    config.set_flag(trt.BuilderFlag.FP16)
    engine = engine_of(builder, network, config)
    assert engine.num_layers == 1
    np.testing.assert_array_equal(engine.create_execution_context().run({"x": X})["y"], -X)


def test_what_nothing_runs_is_still_an_error():
    @op("half::Integers@1")
    def integers(x: Input(trt.int32)):
        """y = x."""
        return x

    trt.get_plugin_registry().add_op(integers)
    builder, network, config = new_network()
    config.set_flag(trt.BuilderFlag.FP16)
    config.allow_reference = False
    x = network.add_input("x", trt.int32, X.shape)
    network.mark_output(network.add_plugin("half::Integers@1", [x]).get_output(0))
    config.pin_implementation(network.get_layer(0).name, "#nobody")
    with pytest.raises(NoImplementation):
        builder.build_serialized_network(network, config)


class Mixed(HalfOnly):
    """y = 2 x + b; x in BF16, b in FLOAT, y in FLOAT."""

    plugin_type = "Mixed"

    def get_output_datatype(self, index, input_types):
        return trt.float32

    def supports_format_combination(self, pos, in_out, num_inputs):
        wanted = trt.bfloat16 if pos == 0 else trt.float32
        return in_out[pos].type == wanted and in_out[pos].format == trt.TensorFormat.LINEAR

    def enqueue(self, input_desc, output_desc, inputs, outputs, workspace, stream):
        assert [desc.type for desc in input_desc] == [trt.bfloat16, trt.float32]
        wide = (np.asarray(inputs[0].array).view(np.uint16).astype(np.uint32) << 16).view(np.float32)
        outputs[0].array[...] = 2 * wide + inputs[1].array


def test_each_tensor_has_the_type_that_suits_it():
    trt.get_plugin_registry().add_op(Mixed)
    builder, network, config = new_network()
    inputs = [network.add_input(name, trt.float32, X.shape) for name in "xb"]
    y = network.add_plugin("half::Mixed@1", inputs).get_output(0)
    y.name = "y"
    network.mark_output(y)
    config.set_flag(trt.BuilderFlag.BF16)
    engine = engine_of(builder, network, config)
    x = np.array([[1.0, -2.5, 3.0]], np.float32)  # each is a bfloat16
    np.testing.assert_array_equal(engine.create_execution_context().run({"x": x, "b": B})["y"], 2 * x + B)
    assert engine.num_layers == 2  # one conversion


def test_between_two_such_layers_nothing_is_converted():
    builder, network, config = new_network()
    x, b = (network.add_input(name, trt.float32, X.shape) for name in "xb")
    for _ in range(3):
        x = network.add_plugin("half::HalfOnly@1", [x, b]).get_output(0)
    x.name = "y"
    network.mark_output(x)
    config.set_flag(trt.BuilderFlag.FP16)
    engine = engine_of(builder, network, config)
    assert engine.num_layers == 3 + 3  # x, b and the output are converted
    x = X.astype(np.float16)
    for _ in range(3):
        x = x * np.float16(2) + B.astype(np.float16)
    found = engine.create_execution_context().run({"x": X, "b": B})["y"]
    np.testing.assert_array_equal(found, x.astype(np.float32))


class QuarterOnly(trt.IPluginV2DynamicExt):
    """y = -x, in INT8 and nothing else."""

    plugin_type, plugin_namespace = "QuarterOnly", "quarter"

    def get_output_dimensions(self, output_index, inputs, expr_builder):
        return inputs[0]

    def supports_format_combination(self, pos, in_out, num_inputs):
        return in_out[pos].type == trt.int8 and in_out[pos].format == trt.TensorFormat.LINEAR

    def enqueue(self, input_desc, output_desc, inputs, outputs, workspace, stream):
        outputs[0].array[...] = -inputs[0].array


def test_a_plugin_that_takes_int8_only_asks_for_quantize_and_dequantize_layers():
    trt.get_plugin_registry().add_op(QuarterOnly)
    builder, network, config = new_network()
    x = network.add_input("x", trt.float32, X.shape)
    layer = network.add_plugin("quarter::QuarterOnly@1", [x], layer_name="quarter")
    layer.get_output(0).name = "y"
    network.mark_output(layer.get_output(0))
    with pytest.raises(NoImplementation) as error:
        builder.build_serialized_network(network, config)
    assert "Quantize layer in front of it, network.add_quantize(x, scale), for x" in error.value.hint
    assert "Dequantize layer behind it, network.add_dequantize(y, scale), for y" in error.value.hint

    builder, network, config = new_network()  # as the hint says
    x = network.add_input("x", trt.float32, X.shape)
    scale = network.add_constant((), np.full((), 0.5, np.float32)).get_output(0)
    quantized = network.add_quantize(x, scale).get_output(0)
    layer = network.add_plugin("quarter::QuarterOnly@1", [quantized])
    y = network.add_dequantize(layer.get_output(0), scale).get_output(0)
    y.name = "y"
    network.mark_output(y)
    x = np.array([[1.0, -2.5, 30.0]], np.float32)
    np.testing.assert_array_equal(engine_of(builder, network, config).create_execution_context().run(x)["y"], -x)


def test_quantizing_is_not_advised_where_it_would_not_help():
    class BoolOnly(QuarterOnly):
        plugin_type = "BoolOnly"

        def supports_format_combination(self, pos, in_out, num_inputs):
            return in_out[pos].type == trt.bool

    trt.get_plugin_registry().add_op(BoolOnly)
    builder, network, config = new_network()
    x = network.add_input("x", trt.float32, X.shape)
    network.mark_output(network.add_plugin("quarter::BoolOnly@1", [x]).get_output(0))
    with pytest.raises(NoImplementation) as error:
        builder.build_serialized_network(network, config)
    assert "INT8" not in error.value.hint


def test_a_port_that_takes_int8_only_asks_for_a_quantize_layer():
    @op("quarter::Negated@1")
    def negated(x: Input(trt.int8)):
        """y = -x."""
        return -x

    trt.get_plugin_registry().add_op(negated)
    _, network, _ = new_network()
    x = network.add_input("x", trt.float32, X.shape)
    with pytest.raises(DTypeError, match="cannot take FLOAT on input 'x'") as error:
        network.add_plugin("quarter::Negated@1", [x])
    assert "network.add_quantize(x, scale)" in error.value.hint and "add_identity" not in error.value.hint


@pytest.mark.parametrize(("dtype", "other", "flag"), [("f32", "f16", trt.BuilderFlag.FP16), ("f16", "f32", None)])
def test_a_layer_is_converted_to_the_types_of_what_it_is_pinned_to(dtype, other, flag):
    given, numpy = (trt.float32, np.float32) if dtype == "f32" else (trt.float16, np.float16)
    name = f"PinnedTo{other}"

    @op(f"half::{name}@1")
    def doubled(x: Input(FLOATS)):
        """y = 2 x."""
        return x * 2

    @doubled.kernel(types=other)
    def narrow(self, inputs, outputs, workspace, stream):
        outputs[0][...] = inputs[0] * 2

    @doubled.kernel(types=dtype)
    def own(self, inputs, outputs, workspace, stream):
        outputs[0][...] = inputs[0] * 2

    trt.get_plugin_registry().add_op(doubled)
    builder, network, config = new_network()
    layer = network.add_plugin(f"half::{name}@1", [network.add_input("x", given, (3,))], layer_name="pinned")
    layer.get_output(0).name = "y"
    network.mark_output(layer.get_output(0))
    config.pin_implementation("pinned", "#python:narrow")
    if flag is not None:
        config.set_flag(flag)
    engine = engine_of(builder, network, config)
    found = engine.create_execution_context().run({"x": np.array([1, 2, 3], numpy)})["y"]
    assert found.dtype == numpy and found.tolist() == [2, 4, 6]
    assert f"half::{name}@1#python:narrow" in engine.report()
