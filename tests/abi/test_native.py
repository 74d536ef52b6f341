"""The same plugins in the real host: exceptions of Python, steps that run, a life that ends."""

import gc

import numpy as np
import pytest

import dovetail as trt
from dovetail import _native
from dovetail.core.errors import PluginFailed, ShapeError
from dovetail.core.expr import ExprBuilder, input_dim
from dovetail.core.tensor import DynamicTensorDesc, TensorDesc
from dovetail.core.types import DataType, FieldType

FLOAT = DataType.FLOAT
METHODS = [
    "createPlugin",
    "setPluginNamespace",
    "getNbOutputs",
    "getOutputDataType",
    "getOutputDimensions",
    "supportsFormatCombination",
    "clone",
    "configurePlugin",
    "initialize",
    "getWorkspaceSize",
    "attachToContext",
    "enqueue",
    "getSerializationSize",
    "serialize",
    "deserializePlugin",
]
ONLY_THROWS = ("configurePlugin", "int")  # the probe's log line there holds extents, and no name to compare


@pytest.fixture(scope="session")
def library(probe):
    return _native.open_library(str(probe))


def live(library, *fields):
    """One layer from start to end, as the builder and an engine make it."""
    op, implementation = library.ops[0], library.implementations[0]
    planned = [DynamicTensorDesc((n,), FLOAT) for n in (3, 4)]
    made = op.create("the layer", list(fields))
    assert made.count_outputs(1) == 1
    assert made.infer_type(0, [int(FLOAT)]) == FLOAT
    assert str(made.infer_dims(0, [[input_dim(0, 0, "N")]], ExprBuilder())[0]) == "N + 1"
    assert all(implementation.supports(made, pos, planned, 1, 1) for pos in range(2))
    made = made.clone()
    implementation.configure(made, planned[:1], planned[1:])
    assert implementation.workspace(made, -1, planned[:1], planned[1:], 1) == 12
    loaded = op.load("the layer", made.save())
    x, y = np.arange(3, dtype=np.float32), np.empty(4, np.float32)
    tensors = [(TensorDesc((3,), FLOAT), x)], [(TensorDesc((4,), FLOAT), y)]
    implementation.run_step(loaded, -1, *tensors, None, 0, 1, 1)
    return y


def test_a_layer_lives_and_computes(library):
    assert live(library, ("gain", FieldType.FLOAT32, 3.0)).tolist() == [0.5, 3.5, 6.5, 0.5]


@pytest.mark.parametrize(
    ("method", "how"),
    [(method, how) for method in METHODS for how in ("throw", "int") if (method, how) != ONLY_THROWS],
)
def test_a_throw_is_an_exception_that_names_plugin_layer_and_method(library, method, how):
    wishes = ("fail", FieldType.CHAR, method), ("how", FieldType.CHAR, how)
    with pytest.raises(PluginFailed) as info:
        live(library, *wishes)
    error = info.value
    assert "acme::Probe@1" in str(error) and error.plugin.startswith("acme::Probe@1")
    assert f"Probe::{method}()" in str(error)
    assert error.layer == "the layer" and "'the layer'" in str(error)
    text = f"as told, in {method}" if how == "throw" else "threw something that is not a std::exception"
    assert text in str(error)


def test_a_shape_that_cannot_be_is_a_shape_error(library):
    with pytest.raises(ShapeError, match="output 0 cannot be computed from these inputs"):
        live(library, ("fail", FieldType.CHAR, "getOutputDimensions"), ("how", FieldType.CHAR, "code"))


def test_a_division_by_zero_keeps_the_words_of_the_expression(library):
    with pytest.raises(ShapeError, match="divides by zero"):
        live(library, ("fail", FieldType.CHAR, "division"))


def test_fields_of_every_wire_type_reach_a_struct(toolchain):
    library = _native.open_library(str(toolchain.build("plugins/rows.cpp", toolchain.map)))
    rows = next(i for i in library.implementations if i.name == "rows.cpu")
    fields = [
        ("axis", FieldType.INT64, 1),
        ("alpha", FieldType.FLOAT64, 0.5),
        ("narrow", FieldType.FLOAT32, 0.5),
        ("pads", FieldType.INT64, (2, 3, 4)),
        ("scales", FieldType.FLOAT64, (0.25, 0.25)),
        ("text", FieldType.CHAR, "ten"),
        ("table", FieldType.TENSOR, np.array([1, 2, 30], np.float32)),
    ]
    made = rows.create("sum", fields)
    del fields  # values are borrowed for the call: the tensor must have been copied
    x, y = np.zeros(2, np.float32), np.empty(2, np.float32)
    desc = TensorDesc((2,), FLOAT)
    rows.run_step(made, 1, [(desc, x)], [(desc, y)], None, 0, 1, 1)
    assert y.tolist() == [1 + 0.5 + 0.5 + 9 + 0.5 + 10 + 30] * 2


@pytest.fixture
def calls():
    """What the probe logs: "3 enqueue", "0 left"."""
    lines = []
    _native.set_log_sink(lambda level, text: lines.append(text))
    yield lines
    _native.set_log_sink(None)


def probe_network(gain: float):
    builder = trt.Builder(trt.Logger(trt.Logger.ERROR))
    network = builder.create_network()
    x = network.add_input("x", trt.float32, (-1,))
    layer = network.add_plugin("acme::Probe@1", [x], {"gain": gain})
    layer.get_output(0).name = "y"
    network.mark_output(layer.get_output(0))
    config, profile = builder.create_builder_config(), builder.create_optimization_profile()
    profile.set_shape("x", (1,), (4,), (9,))
    config.add_optimization_profile(profile)
    return builder.build_serialized_network(network, config)


@pytest.fixture
def registered_probe(probe):
    """The library in the process's registry, and out of it again: its namespace is for other tests too."""
    record = trt.get_plugin_registry().load_library(str(probe))
    yield probe
    trt.get_plugin_registry().deregister_library(record)


@pytest.mark.usefixtures("registered_probe")
def test_a_network_with_a_v2_layer_is_built_stored_and_run(calls):
    """Built, then run by two contexts; nothing is left of it, and everything that began has ended."""
    plan = probe_network(4.0)
    gc.collect()
    assert calls[-2].endswith(" left") and calls.count("0 createPlugin") >= 1
    left_by_the_build = calls[-2]
    start = len(calls)
    engine = trt.Runtime(trt.Logger()).deserialize_cuda_engine(plan)
    contexts = [engine.create_execution_context() for _ in range(2)]
    for context, n in [(contexts[0], 2), (contexts[1], 7), (contexts[0], 9), (contexts[0], 9)]:
        values = np.arange(n, dtype=np.float32)
        assert np.allclose(context.run({"x": values})["y"], 4 * np.r_[values, 0] + 0.5)
    del engine, contexts, context
    gc.collect()
    names = [line.partition(" ")[2].partition(" ")[0] for line in calls[start:]]
    # The loader may ask at any time: a file is not trusted, and a clone is compared with what it was made from.
    questions = {"getNbOutputs", "supportsFormatCombination", "getSerializationSize", "serialize"}
    questions |= {"getOutputDataType", "getOutputDimensions"}
    names = [name for name in names if name not in questions]
    assert names[:4] == ["deserializePlugin", "setPluginNamespace", "initialize", "getWorkspaceSize"]
    pairs = [
        ("clone", "detachFromContext"),
        ("attachToContext", "detachFromContext"),
        ("initialize", "terminate"),
    ]
    assert [(names.count(begin), names.count(end)) for begin, end in pairs] == [(2, 2), (2, 2), (1, 1)]
    assert names.count("configurePlugin") == 3 and names.count("enqueue") == 4
    assert names[-3:] == ["terminate", "left", "destroy"]
    assert left_by_the_build == calls[-2] == "0 left"


@pytest.mark.usefixtures("registered_probe")
def test_a_layer_that_fails_while_running_names_itself():
    builder = trt.Builder(trt.Logger(trt.Logger.ERROR))
    network = builder.create_network()
    x = network.add_input("x", trt.float32, (3,))
    layer = network.add_plugin("acme::Probe@1", [x], {"fail": "enqueue"})
    layer.name = "the probe"
    network.mark_output(layer.get_output(0))
    with pytest.raises(trt.errors.DovetailError, match="the probe") as info:
        plan = builder.build_serialized_network(network, builder.create_builder_config())
        engine = trt.Runtime(trt.Logger()).deserialize_cuda_engine(plan)
        engine.create_execution_context().run({"x": np.zeros(3, np.float32)})
    assert "as told, in enqueue" in str(info.value)
