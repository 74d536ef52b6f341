"""What a user does wrong ends in a sentence that names it, and leaves everything as it was."""

import contextlib
import inspect

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


# ---- arguments of the wrong type

NO_VALUE = [None, 5, "a", -1, [], 1.5, object()]


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda c: c.set_flag("FP16"), TypeError, ["builder flag", "'FP16'", "INT8, DEBUG", "trt.BuilderFlag.FP16"]),
        (lambda c: c.set_flag("builderflag.fp_16"), TypeError, ["Write trt.BuilderFlag.FP16."]),
        (lambda c: c.clear_flag(99), errors.FieldValueError, ["builder flag", "99", "STRICT_TYPES"]),
        (lambda c: c.get_flag(-1), errors.FieldValueError, ["builder flag", "-1"]),
        (lambda c: c.set_tactic_sources("a"), errors.FieldValueError, ["tactic sources", "'a'", "1 << 0 CUBLAS"]),
        (lambda c: c.set_tactic_sources(1 << 9), errors.FieldValueError, ["tactic sources", "512"]),
        (lambda c: c.set_preview_feature(99, True), errors.FieldValueError, ["preview feature", "99", "SHARING"]),
        (lambda c: c.set_memory_pool_limit("WORKSPACE", 1), TypeError, ["trt.MemoryPoolType.WORKSPACE"]),
        (lambda c: setattr(c, "flags", 1 << 40), errors.FieldValueError, ["builder flags", "1 << 0 FP16"]),
        (lambda c: setattr(c, "quantization_flags", "a"), errors.FieldValueError, ["quantization flags"]),
        (lambda c: c.pin_implementation([], "#naive"), TypeError, ["layer to be pinned", "[]", "layer.name"]),
        (lambda c: setattr(c, "default_device_type", "gpu"), TypeError, ["trt.DeviceType.GPU"]),
    ],
)
def test_a_config_names_the_setting_that_it_refuses(setup, call, error, words):
    config = setup[2]
    before = config.flags, config.get_tactic_sources(), config.quantization_flags, config.pools_set
    with pytest.raises(error) as caught:
        call(config)
    assert isinstance(caught.value, errors.DefinitionError)
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert (config.flags, config.get_tactic_sources(), config.quantization_flags, config.pools_set) == before


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda n, x: setattr(x, "shape", "abc"), ["shape of input 'x'", "'abc'", "integers"]),
        (lambda n, x: setattr(x, "shape", 5), ["shape of input 'x'", "Write (5,)"]),
        (lambda n, x: setattr(x, "dtype", "float16"), ["type of tensor 'x'", "trt.DataType.HALF"]),
        (lambda n, x: setattr(x, "name", None), ["tensor 'x'", "None"]),
        (lambda n, x: n.add_input("z", np.float32, (1,)), ["type of input 'z'", "trt.DataType.FLOAT"]),
        (lambda n, x: n.add_input("z", trt.float32, None), ["shape of input 'z'", "None"]),
        (lambda n, x: n.get_layer("conv"), ["index of a layer", "'conv'"]),
        (lambda n, x: setattr(n[0], "name", None), ["a layer", "None", "a str"]),
        (lambda n, x: setattr(n[0], "precision", "half"), ["precision of Identity@1", "trt.DataType.HALF"]),
        (lambda n, x: n[0].set_output_type(0, "int8"), ["output 0 of Identity@1", "trt.DataType.INT8"]),
        (lambda n, x: n[0].get_output("y"), ["index of an output", "'y'"]),
        (lambda n, x: n.add_plugin("Identity", [x], version=1), ["version of an op", 'Write "1"']),
        (lambda n, x: trt.get_plugin_registry().get_plugin_creator("Scale", 1), ["version of an op", 'Write "1"']),
        (lambda n, x: trt.OnnxParser(None, trt.Logger()), ["OnnxParser takes a network", "NoneType"]),
    ],
)
def test_a_network_names_the_argument_that_it_refuses(setup, call, words):
    _, network, _, x = setup
    network.add_identity(x).name = "first"
    before = str(network)
    with pytest.raises((errors.DTypeError, errors.DefinitionError)) as caught:
        call(network, x)
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert str(network) == before


def test_a_numpy_string_or_a_list_of_texts_is_no_input(dynamic):
    context = dynamic.create_execution_context()
    for value in (None, "a", ["a"], [None], object()):
        with pytest.raises(errors.BindingError, match="input 'x' cannot be") as caught:
            context.run({"x": value})
        assert "an array of float32" in str(caught.value) and type(value).__name__ in str(caught.value)
    with pytest.raises(errors.BindingError, match="input 'x' cannot be None"):
        context.run(None)


def test_a_context_names_the_argument_that_it_refuses(dynamic):
    context = dynamic.create_execution_context()
    with trt.raise_on_error(True):
        for call, words in (
            (lambda: context.execute_v2(None), ["bindings of an execution", "None", "context.run"]),
            (lambda: context.execute(1, 5), ["bindings of an execution", "5"]),
            (lambda: context.execute("a", [0, 0]), ["batch_size", "'a'"]),
            (lambda: context.execute_async_v2([0, 0], "s"), ["a stream", "'s'"]),
            (lambda: context.execute_async_v2([0, 0], []), ["a stream", "[]"]),
            (lambda: context.set_input_consumed_event([]), ["an event", "[]"]),
            (lambda: context.set_input_shape("x", None), ["shape of input 'x'", "None"]),
            (lambda: context.set_input_shape(None, (1,)), ["None", "it has"]),
            (lambda: context.set_optimization_profile_async("a", 0), ["index of a profile", "'a'"]),
        ):
            with pytest.raises(errors.DovetailError) as caught:
                call()
            assert all(word in str(caught.value) for word in words), str(caught.value)
    with trt.raise_on_error(False):
        assert context.execute_v2(None) is False


@pytest.mark.parametrize("plan", [5, [], 1.5, object()])
def test_what_is_no_plan_is_named(plan):
    with trt.raise_on_error(True), pytest.raises(errors.DTypeError, match="a plan cannot be") as caught:
        load(plan)
    assert repr(plan) in str(caught.value) and "the path of a file" in str(caught.value)
    with trt.raise_on_error(False):
        assert trt.Runtime(trt.Logger(trt.Logger.INTERNAL_ERROR)).deserialize_cuda_engine(plan) is None


def test_an_engine_is_no_plan(dynamic):
    with trt.raise_on_error(True), pytest.raises(errors.DTypeError, match="ready"):
        load(dynamic)


def _settable(cls, name):
    attribute = inspect.getattr_static(cls, name)
    return getattr(attribute, "fset", None) is not None or (
        hasattr(attribute, "__set__") and not isinstance(attribute, property)
    )


def _refused(method, arguments):
    """What a call raises; an exception of Python's own that is not dovetail's is a failure of the test."""
    try:
        method(*arguments)
    except errors.DovetailError:
        return
    except Exception as error:
        pytest.fail(f"{method} of {arguments!r:.200}: {type(error).__name__}: {error}")


@pytest.mark.parametrize("kind", ["builder", "network", "tensor", "layer", "config", "profile"])
def test_no_method_lets_an_error_of_pythons_own_out_while_a_network_is_made(setup, kind):
    """One argument is wrong at a time; the others are what the method asks for."""
    builder, network, config, x = setup
    objects = {
        "builder": builder, "network": network, "tensor": x, "layer": network.add_identity(x), "config": config,
        "profile": builder.create_optimization_profile(),
    }  # fmt: skip
    good = {
        "layer": objects["layer"], "tensor": x, "network": network, "config": config, "inputs": [x], "dtype": trt.int8,
        "input": "x", "min": (1,), "opt": (1,), "max": (1,), "shape": (1, 4, 8, 8), "device": trt.DeviceType.CPU,
        "flag": 0, "pool": trt.MemoryPoolType.WORKSPACE, "feature": trt.PreviewFeature.PROFILE_SHARING_0806,
        "name": "Identity", "index": 0, "fields": {},
    }  # fmt: skip
    assert_no_errors_of_python(objects[kind], good)


@pytest.mark.parametrize("kind", ["runtime", "engine", "context", "inspector", "parser"])
def test_no_method_lets_an_error_of_pythons_own_out_at_run_time(dynamic, kind):
    context = dynamic.create_execution_context()
    context.set_input_shape("x", (1, 3, 8, 8))
    logger = trt.Logger(trt.Logger.INTERNAL_ERROR)
    objects = {
        "runtime": trt.Runtime(logger), "engine": dynamic, "context": context,
        "inspector": dynamic.create_engine_inspector(), "parser": trt.OnnxParser(new_network()[1], logger),
    }  # fmt: skip
    good = {
        "name": "x", "index": 0, "profile_index": 0, "binding": 0, "shape": (1, 3, 8, 8), "memory": 0, "size": 0,
        "inputs": {"x": np.zeros((1, 3, 8, 8), np.float32)}, "layer_index": 0, "bindings": [0, 0], "flag": 0,
        "format": trt.LayerInformationFormat.JSON,
    }  # fmt: skip
    with trt.raise_on_error(True):
        assert_no_errors_of_python(objects[kind], good)


def assert_no_errors_of_python(target, good):
    cls = type(target)
    calls = 0
    for name in sorted((n for n in dir(cls) if n[0] != "_"), key=lambda n: _settable(cls, n)):  # settings last
        if _settable(cls, name):
            for value in NO_VALUE:
                _refused(setattr, (target, name, value))
                calls += 1
            continue
        if not inspect.isroutine(inspect.getattr_static(cls, name)):
            continue
        parameters = [p for p in inspect.signature(getattr(target, name)).parameters.values() if p.kind <= 1]
        for place, _ in enumerate(parameters):
            needed = [p for i, p in enumerate(parameters) if i <= place or p.default is p.empty]
            arguments = [good.get(p.name) if p.default is p.empty else p.default for p in needed]
            for value in NO_VALUE:
                _refused(getattr(target, name), [*arguments[:place], value, *arguments[place + 1 :]])
                calls += 1
    assert calls > 20 or cls.__name__ in ("Runtime", "EngineInspector")


@pytest.mark.parametrize("method", trt.get_plugin_registry().add_methods())
def test_no_layer_lets_an_error_of_pythons_own_out(method):
    """Each argument of `network.add_<layer>`, and each attribute of the layer, is wrong once."""
    spec, add_method = trt.get_plugin_registry().find_add_method(method)
    parameters = list(inspect.signature(add_method).parameters.values())[1:]  # without the network
    wrong = [*NO_VALUE, (1, 2), np.float32]
    calls = 0

    def call(place=-1, value=None):
        _, network, _ = new_network()
        x = network.add_input("x", trt.float32, (1, 3, 8, 8))
        good = {
            "inputs": [x], "num_output_maps": 4, "num_outputs": 4, "kernel_shape": (3, 3), "window_size": (2, 2),
            "kernel": weights(4, 3, 3, 3), "shape": (1, 3, 8, 8), "weights": weights(1, 3, 8, 8), "value": 1.0,
            "equation": "ijkl->ij", "start": (0,) * 4, "stride": (1,) * 4, "pre_padding": (1, 1), "k": 1, "window": 3,
            "post_padding": (1, 1), "axes": 2, "axesMask": 4, "axis": 0, "type": 0, "op": 0, "mode": 0, "op0": 0,
            "op1": 0, "norm_op": 0, "operation": 0, "alpha": 1.0, "beta": 0.5, "to_type": 0, "message": "m", "depth": 1,
            "causal": False, "exclusive": False, "reverse": False, "transpose0": False, "transpose1": True,
            "keep_dims": True, "max_seq_length": 8, "hidden_size": 2, "layer_count": 1,
        }  # fmt: skip
        arguments = [good.get(p.name, x if p.default is p.empty else p.default) for p in parameters]
        if place >= 0:
            arguments[place] = value
        layer = getattr(network, method)(*arguments)
        for index in range(layer.num_outputs):
            with contextlib.suppress(errors.DovetailError):
                layer.get_output(index).shape  # noqa: B018  infers
        return layer

    for place in range(len(parameters)):
        for value in wrong:
            _refused(call, [place, value])
            calls += 1
    try:
        layer = call()
    except errors.DovetailError:
        layer = None  # it takes tensors of other types or ranks: the arguments were what counts
    names = [*(f.name for f in spec.fields), *spec.properties, *(p.name for p in spec.inputs if p.weights)]
    for name in names if layer is not None else ():
        for value in wrong:
            _refused(setattr, [layer, name, value])
    assert calls >= len(wrong)


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
        ({"padding_mode": "same_lower"}, ["padding_mode", "Write trt.PaddingMode.SAME_LOWER."]),
        ({"num_groups": np.float32}, ["num_groups", "int64"]),
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
