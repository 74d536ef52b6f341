"""What a user does wrong ends in a sentence that names it, and leaves everything as it was."""

import numpy as np
import pytest
from networks import convolution_chain, engine_of, new_network, profile_of

import dovetail as trt
from dovetail.core import errors


@pytest.fixture
def setup():
    builder, network, config = new_network()
    x = network.add_input("x", trt.float32, (1, 4, 8, 8))
    return builder, network, config, x


def weights(*shape):
    return np.ones(shape, np.float32)


# ---- look-up


def test_an_unknown_plugin_lists_near_misses(setup):
    _, network, _, x = setup
    with pytest.raises(errors.PluginNotFound) as error:
        network.add_plugin("Convolutoin", [x])
    assert "Convolution@1" in str(error.value)
    assert network.num_layers == 0


def test_an_unknown_version_lists_those_that_are_there(setup):
    _, network, _, x = setup
    with pytest.raises(errors.PluginNotFound, match="Scale@1"):
        network.add_plugin("Scale", [x], version="7")


def test_an_unknown_namespace_lists_the_same_name_elsewhere(setup):
    _, network, _, x = setup
    with pytest.raises(errors.PluginNotFound, match="Scale@1"):
        network.add_plugin("Scale", [x], namespace="acme")


def test_an_unknown_add_method_names_the_nearest(setup):
    _, network, _, _ = setup
    with pytest.raises(AttributeError, match="add_convolution_nd"):
        network.add_convolution_2d()


# ---- fields


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"strid_nd": (1, 1)}, ["strid_nd", "stride_nd"]),
        ({"stride_nd": "two"}, ["stride_nd", "int64"]),
        ({"stride_nd": (1.5, 1)}, ["stride_nd", "1.5"]),
        ({"stride_nd": (0, 1)}, ["stride_nd", "(0, 1)"]),
        ({"stride_nd": (1,) * 9}, ["stride_nd", "9"]),
        ({"num_groups": 0}, ["num_groups", "0"]),
        ({"num_groups": 2**70}, ["num_groups", "int64"]),
        ({"padding_mode": 99}, ["padding_mode", "SAME_UPPER"]),
        ({"num_output_maps": None}, ["num_output_maps"]),
    ],
)
def test_a_wrong_field_is_named_with_its_rule(setup, fields, words):
    _, network, _, x = setup
    good = {"num_output_maps": 2, "kernel_size_nd": (3, 3), "kernel": weights(2, 4, 3, 3)}
    with pytest.raises(errors.FieldValueError) as error:
        network.add_plugin("Convolution", [x], {**good, **fields})
    assert all(word in str(error.value) for word in words), str(error.value)
    assert network.num_layers == 0


# ---- shapes


def refused(setup, x_shape=None, error=errors.ShapeError, **fields):
    _, network, _, x = setup
    if x_shape is not None:
        x.shape = x_shape
    good = {"num_output_maps": 2, "kernel_size_nd": (3, 3), "kernel": weights(2, 4, 3, 3)}
    with pytest.raises(error) as caught:
        network.add_plugin("Convolution", [x], {**good, **fields}, layer_name="stem")
    assert "stem" in str(caught.value)
    assert network.num_layers == 0
    return str(caught.value)


def test_channels_not_divisible_by_groups(setup):
    text = refused(setup, num_groups=3)
    assert "4" in text and "3" in text


def test_output_maps_not_divisible_by_groups(setup):
    text = refused(setup, num_groups=4, num_output_maps=6, kernel=weights(6, 1, 3, 3))
    assert "6" in text and "4" in text


def test_an_output_extent_below_one(setup):
    text = refused(setup, (1, 4, 2, 8))
    assert "2" in text and "3" in text


def test_a_rank_that_is_too_small(setup):
    assert "4" in refused(setup, (4, 8, 8))


def test_weights_whose_size_does_not_fit(setup):
    builder, network, config, x = setup
    layer = network.add_convolution_nd(x, 2, (3, 3), weights(2, 4, 3, 2))
    layer.name = "stem"
    network.mark_output(layer.get_output(0))
    with pytest.raises(errors.ShapeError) as error:
        builder.build_serialized_network(network, config)
    assert all(word in str(error.value) for word in ("stem", "kernel", "48", "72"))


def test_weights_of_a_type_that_does_not_fit(setup):
    _, network, _, x = setup
    with pytest.raises(errors.DTypeError, match="kernel"):
        network.add_convolution_nd(x, 2, (3, 3), np.ones((2, 4, 3, 3), np.float64))


# ---- network


def test_a_tensor_of_another_network(setup):
    _, network, _, _ = setup
    _, other, _ = new_network()
    stranger = other.add_input("x", trt.float32, (1, 4, 8, 8))
    with pytest.raises(errors.DefinitionError, match="another network"):
        network.add_activation(stranger, trt.ActivationType.RELU)


def test_names_are_unique(setup):
    _, network, _, _ = setup
    with pytest.raises(errors.DefinitionError, match="taken"):
        network.add_input("x", trt.float32, (1,))


def test_no_output(setup):
    builder, network, config, _ = setup
    with pytest.raises(errors.BuildError, match="mark_output"):
        builder.build_serialized_network(network, config)


def test_a_dynamic_input_without_profile():
    builder, network, config = convolution_chain(1, shape=(-1, 3, 8, 8))
    with pytest.raises(errors.BuildError, match="set_shape"):
        builder.build_serialized_network(network, config)


def test_a_profile_out_of_order():
    builder, _, _ = new_network()
    with pytest.raises(errors.ShapeError, match="dimension 1"):
        builder.create_optimization_profile().set_shape("x", (1, 5), (1, 4), (1, 6))


def test_a_type_that_nobody_computes_shows_the_trace(setup):
    builder, network, config, x = setup
    layer = network.add_activation(x, trt.ActivationType.RELU)
    network.mark_output(layer.get_output(0))
    config.pin_implementation(layer.name, "#nobody")
    with pytest.raises(errors.NoImplementation) as error:
        builder.build_serialized_network(network, config)
    assert "pinned to #nobody" in str(error.value) and layer.name in str(error.value)


# ---- run time


@pytest.fixture(scope="module")
def dynamic():
    builder, network, config = convolution_chain(2, shape=(-1, 3, -1, 8))
    profile_of(builder, config, x=((1, 3, 4, 8), (2, 3, 8, 8), (4, 3, 16, 8)))
    return engine_of(builder, network, config)


def test_a_shape_outside_the_profile_names_the_dimension(dynamic):
    context = dynamic.create_execution_context()
    with pytest.raises(errors.ProfileError) as error:
        context.run({"x": np.zeros((9, 3, 8, 8), np.float32)})
    text = str(error.value)
    assert "'x'" in text and "9" in text and "1..4" in text
    assert context.run({"x": np.zeros((2, 3, 8, 8), np.float32)})["y"].shape == (2, 32, 8, 8)


def test_a_rank_that_does_not_fit_at_run_time(dynamic):
    with pytest.raises(errors.ExecutionError, match="'x'"):
        dynamic.create_execution_context().run({"x": np.zeros((3, 8, 8), np.float32)})


def test_a_type_that_does_not_fit_at_run_time(dynamic):
    with pytest.raises(errors.BindingError) as error:
        dynamic.create_execution_context().run({"x": np.zeros((1, 3, 8, 8), np.float64)})
    assert "float64" in str(error.value) and "float32" in str(error.value)


def test_an_array_on_another_device(dynamic):
    class Elsewhere:
        def __dlpack_device__(self):
            return 2, 0

        def __dlpack__(self, **_):
            raise AssertionError("must not be asked")

    with pytest.raises(errors.BindingError, match="another device"):
        dynamic.create_execution_context().run({"x": Elsewhere()})


def test_missing_and_unknown_inputs_are_named_together(dynamic):
    with pytest.raises(errors.BindingError) as error:
        dynamic.create_execution_context().run({"z": np.zeros(1, np.float32)})
    assert "x" in str(error.value) and "z" in str(error.value)


def test_a_missing_address_is_named(dynamic):
    context = dynamic.create_execution_context()
    context.set_input_shape("x", (1, 3, 8, 8))
    context.set_tensor_address("x", np.zeros((1, 3, 8, 8), np.float32).ctypes.data)
    with pytest.raises(errors.BindingError, match="y"):
        context.execute_async_v3(0)


def test_a_missing_shape_is_named(dynamic):
    context = dynamic.create_execution_context()
    array = np.zeros((4, 32, 16, 8), np.float32)
    for name in ("x", "y"):
        context.set_tensor_address(name, array.ctypes.data)
    assert context.infer_shapes() == ["x"]
    with pytest.raises(errors.ExecutionError, match="x"):
        context.execute_async_v3(0)


def test_an_unknown_tensor_name(dynamic):
    with pytest.raises(errors.BindingError, match="it has"):
        dynamic.create_execution_context().set_input_shape("X", (1,))


# ---- plans


@pytest.fixture(scope="module")
def plan():
    builder, network, config = convolution_chain(1)
    return bytes(builder.build_serialized_network(network, config))


def load(data):
    return trt.Runtime(trt.Logger(trt.Logger.INTERNAL_ERROR)).deserialize_cuda_engine(data)


@pytest.mark.parametrize("length", [0, 1, 7, 8, 9, 100, 1000, -64, -1])
def test_a_truncated_plan(plan, length):
    with pytest.raises(errors.PlanError):
        load(plan[:length])


def test_flipped_bits(plan):
    rng = np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(plan)
        damaged[rng.integers(len(plan))] ^= 1 << rng.integers(8)
        with pytest.raises(errors.PlanError):
            load(bytes(damaged))


@pytest.mark.parametrize("data", [b"", b"not a plan", bytes(4096), b"\x7fELF" + bytes(100), b"\xff" * 64])
def test_a_foreign_file(data):
    with pytest.raises(errors.PlanError):
        load(data)


def test_a_file_that_is_not_there():
    with pytest.raises((errors.PlanError, FileNotFoundError), match=r"nowhere\.plan"):
        load("nowhere.plan")


def test_a_plan_on_disk_is_mapped(plan, tmp_path):
    path = tmp_path / "net.plan"
    path.write_bytes(plan)
    x = np.random.default_rng(0).standard_normal((1, 3, 24, 24), dtype=np.float32)
    from_disk = load(path).create_execution_context().run({"x": x})["y"]
    np.testing.assert_array_equal(from_disk, load(plan).create_execution_context().run({"x": x})["y"])
