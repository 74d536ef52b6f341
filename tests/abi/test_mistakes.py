"""What a build says of V2 classes that are wrong in one way each, and what it makes of unusual ones that are right."""

import json
import subprocess
import time

import numpy as np
import pytest
from safetensors.numpy import load

import dovetail as trt
from dovetail.core.errors import (
    DovetailError,
    FieldValueError,
    LibraryRefused,
    MemoryLimitError,
    NoImplementation,
    PluginFailed,
    ShapeError,
)
from dovetail.core.negotiation import MOST_COMBINATIONS
from dovetail.machine.builder import pipeline
from dovetail.machine.builder.build import build_of
from dovetail.machine.plan import read_plan
from dovetail.registry import Registry
from tests.runtime.plans import container

QUIET = trt.Logger.INTERNAL_ERROR


@pytest.fixture(scope="module")
def library(toolchain):
    """The library in the process's registry, and out of it again."""
    registry = trt.get_plugin_registry()
    record = registry.load_library(str(toolchain.build("plugins/mistakes.cpp", "-DSECOND", std="c++20")))
    yield record
    registry.deregister_library(record)


class Net:
    """A network of one plugin; its input is 'x', its output 'y'."""

    def __init__(self, op, shape=(2, 4), dtype=trt.float32, fields=None, n_inputs=1):
        self.builder = trt.Builder(trt.Logger(QUIET))
        self.network = self.builder.create_network(1)
        self.config = self.builder.create_builder_config()
        inputs = [self.network.add_input("x" if i == 0 else f"x{i}", dtype, shape) for i in range(n_inputs)]
        self.layer = self.network.add_plugin(f"mistaken::{op}@1", inputs, fields or {}, layer_name="the layer")
        self.x, self.y = inputs[0], self.layer.get_output(0)
        self.y.name = "y"
        self.network.mark_output(self.y)

    def build(self):
        return self.builder.build_serialized_network(self.network, self.config)

    def run(self, x):
        engine = trt.Runtime(trt.Logger(QUIET)).deserialize_cuda_engine(self.build())
        return engine.create_execution_context().run({"x": x})["y"]


def failure(net, kind=PluginFailed) -> DovetailError:
    with pytest.raises(kind) as info:
        net.build()
    assert "mistaken::" in str(info.value) and "the layer" in str(info.value)
    return info.value


def pinned(op, value):
    """Only the V2 implementation, though another one is there."""
    net = Net(op, fields={"value": value})
    net.config.pin_implementation("the layer", f"mistaken::{op}@1#cpu")
    return net


# ---- what a kernel writes: while it is timed, and at level 0, where the one that is chosen runs once

LEVELS = pytest.mark.parametrize("level", [0, 3])


def at(level, net):
    net.config.builder_optimization_level = level
    return net


@LEVELS
@pytest.mark.parametrize(
    ("value", "written"),
    [
        (1, "up to 1 bytes behind its end"),
        (64, "up to 64 bytes behind its end"),
        (4096, "up to 4096 bytes behind its end"),
        (-16, "up to 16 bytes before its start"),
    ],
)
def test_bytes_beside_an_output_are_an_error_that_says_how_far(library, value, written, level):
    error = failure(at(level, pinned("Overrun", value)))
    assert dict(error.facts)["written"] == written
    assert dict(error.facts)["output 0"] == "Float [2, 4], 32 bytes"
    assert (error.plugin, error.layer, error.method) == ("mistaken::Overrun@1#cpu", "the layer", "enqueue")


def test_beside_an_implementation_that_is_right_it_loses(library, caplog):
    net = Net("Overrun", fields={"value": 64})
    plan = net.build()
    assert any("wrote outside of its outputs" in record.getMessage() for record in caplog.records)
    assert "up to 64 bytes behind its end" in str(plan)
    x = np.arange(8, dtype=np.float32).reshape(2, 4)
    assert (Net("Overrun", fields={"value": 64}).run(x) == x).all()


@LEVELS
def test_a_changed_input_is_an_error(library, level):
    error = failure(at(level, Net("IntoInput")))
    assert dict(error.facts)["written"].startswith("into it, at byte 1")  # the fourth float
    assert "input 0" in dict(error.facts)


@LEVELS
def test_an_element_left_unwritten_is_an_error_that_names_it(library, level):
    error = failure(at(level, Net("Unwritten")))
    assert dict(error.facts)["output 0"] == "FLOAT [2, 4]: 1 of 8 elements"
    assert dict(error.facts)["first"] == "element [1, 3]"


@LEVELS
def test_bytes_behind_a_workspace_are_an_error(library, level):
    error = failure(at(level, Net("BehindWorkspace")))
    assert dict(error.facts)["written"] == "up to 8 bytes behind its end"
    assert (error.plugin, error.layer, error.method) == ("mistaken::BehindWorkspace@1#cpu", "the layer", "enqueue")


def test_one_that_fails_otherwise_at_level_0_is_taken_all_the_same(library):
    """What it is given there is not what it will get: it wants 7 for its first element."""
    plan = at(0, Net("Particular")).build()
    assert "failed while watched, and stays" in str(plan)
    x = np.full((2, 4), 7, np.float32)
    assert (at(0, Net("Particular")).run(x) == x).all()
    failure(at(3, Net("Particular")))


@LEVELS
def test_what_equals_the_filling_of_outputs_is_not_taken_for_unwritten(library, level):
    assert np.isnan(at(level, Net("AllOnes")).run(np.zeros((2, 4), np.float32))).all()


# ---- what methods answer


def test_a_billion_outputs_are_refused_at_once(library):
    with pytest.raises(PluginFailed, match="1000000000 outputs; 1 to 4096 can be"):
        Net("ManyOutputs")


def test_minus_one_is_not_an_extent(library):
    with pytest.raises(ShapeError, match="mistaken::MinusOne@1 failed in getOutputDimensions") as info:
        Net("MinusOne").build()
    assert info.value.layer == "the layer" and "inputs[i].d[k]" in info.value.hint


def test_an_expression_of_another_call_is_refused(library):
    Net("StaleExtent", shape=(2, 4)).y.shape  # noqa: B018  the first call
    with pytest.raises(DovetailError, match="is an expression of another call"):
        Net("StaleExtent", shape=(3, 5)).build()


def test_initialize_is_named_where_it_failed(library):
    error = failure(Net("InitializeFails"))
    assert error.method == "initialize" and "failed in initialize" in str(error)


@pytest.mark.parametrize(("value", "kind"), [(50, PluginFailed), (64, PluginFailed), (46, MemoryLimitError)])
@pytest.mark.parametrize("level", [0, 3])
def test_an_absurd_workspace_names_layer_and_plugin(library, value, kind, level):
    net = Net("Workspace", fields={"value": value})
    net.config.builder_optimization_level = level
    error = failure(net, kind)
    assert error.method == "getWorkspaceSize" and error.layer == "the layer"


def test_a_clone_that_forgets_is_an_error(library):
    net = Net("Forgetful", fields={"value": 5})
    with pytest.raises(DovetailError, match="failed in clone of layer 'the layer'"):
        net.build()
    x = np.ones((2, 4), np.float32)
    assert (Net("Forgetful").run(x) == x).all()  # with the default there is nothing to forget


def test_a_clone_that_is_the_object_itself_is_an_error(library):
    net = Net("Same")
    with pytest.raises(
        PluginFailed, match=r"(?s)failed in clone of layer 'the layer'.*in use already; return a new one"
    ):
        net.build()
    net.y.shape  # noqa: B018  the object is still there


def test_a_creator_that_hands_out_one_object_twice_is_an_error(library):
    first = Net("Only")
    first.y.shape  # noqa: B018
    with pytest.raises(PluginFailed, match=r"(?s)failed in createPlugin of layer 'the layer'.*in use already"):
        Net("Only").y.shape  # noqa: B018


def test_a_division_by_zero_names_layer_and_plugin(library):
    with pytest.raises(
        ShapeError, match=r"(?s)divides by zero.*getOutputDimensions of mistaken::NoQuotient@1 of layer"
    ):
        Net("NoQuotient", shape=(-1, 4)).y.shape  # noqa: B018


# ---- a plan that leaves out an input: no getNbInputs in TensorRT's interface, and enqueue is not told


def without_second_input(net):
    plan = net.build()
    document, blobs = read_plan(plan), {name: array.tobytes() for name, array in load(bytes(plan)).items()}
    (step,) = document["steps"]
    step["inputs"].pop()
    return trt.Runtime(trt.Logger(QUIET)).deserialize_cuda_engine(container(json.dumps(document), blobs))


def test_a_plan_with_fewer_inputs_than_the_plugin_says_is_refused(library):
    with pytest.raises(DovetailError, match=r"(?s)it takes 2 inputs, as getNbInputs\(\) says, not 1"):
        without_second_input(Net("Heedless", fields={"value": 2}, n_inputs=2))
    with pytest.raises(DovetailError, match=r"(?s)it takes 2 inputs, as getNbInputs\(\) says, not 3"):
        Net("Heedless", fields={"value": 2}, n_inputs=3).build()


def test_a_plugin_that_does_not_say_finds_nothing_behind_its_inputs(library):
    with pytest.raises(ShapeError, match="no second input for getWorkspaceSize"):
        without_second_input(Net("Heedless", fields={"value": 3}, n_inputs=2))
    x = {name: np.ones((2, 4), np.float32) for name in ("x", "x1")}
    for value, method in ((4, "configurePlugin"), (5, "enqueue")):
        engine = without_second_input(Net("Heedless", fields={"value": value}, n_inputs=2))
        with pytest.raises(ShapeError, match=f"no second input for {method}"):
            engine.create_execution_context().run(x)


# ---- unusual and right


@pytest.mark.parametrize("n_inputs", [1, 4, 8])
def test_a_plugin_that_looks_at_types_only_costs_a_hundred_combinations(library, n_inputs):
    net = Net("AnyFormat", shape=(1, 4, 4, 4), n_inputs=n_inputs)
    passes = pipeline.with_plugins(net.network.lookup)
    found = pipeline.run(build_of(net.network, net.config), passes, until="list_candidates").groups[0].found
    capped = [refusal for refusal in found.trace.refused if "combinations of formats" in refusal.reason]
    assert len(found.candidates) <= MOST_COMBINATIONS + 12
    assert bool(capped) == (n_inputs > 1)
    formats = {candidate.formats for candidate in found.candidates}
    assert {(trt.TensorFormat.CHW32,) * (n_inputs + 1), (trt.TensorFormat.LINEAR,) * (n_inputs + 1)} <= formats
    started = time.monotonic()
    net.build()
    assert time.monotonic() - started < 60  # ten times as much for each input, it would never end


def test_a_plugin_for_half_alone_gets_conversions_with_the_flag(library):
    net = Net("HalfOnly")
    net.config.set_flag(trt.BuilderFlag.FP16)
    x = np.random.default_rng(0).random((2, 4), dtype=np.float32)
    assert (net.run(x) == x.astype(np.float16)).all()


def test_without_the_flag_the_error_names_it(library):
    error = failure(Net("HalfOnly"), NoImplementation)
    assert "BuilderFlag.FP16" in error.hint and "network.add_cast" in error.hint


@LEVELS
def test_a_plugin_for_float_alone_gets_conversions_in_a_half_network(library, level):
    x = np.random.default_rng(0).random((2, 4)).astype(np.float16)
    error = failure(at(level, Net("Unwritten", dtype=trt.float16)))
    assert dict(error.facts)["converted"] == "to FLOAT and back, by Cast layers that the builder put around it"
    net = Net("Lists", dtype=trt.float16, fields={"list": [1.0]})
    y = net.run(x)
    assert y.dtype == np.float16
    assert (y[0, 0], y[0, 1]) == (np.float16(np.float32(x[0, 0]) + 1), x[0, 1])


def test_scales_of_quantize_and_dequantize_reach_the_plugin(library):
    builder = trt.Builder(trt.Logger(QUIET))
    network = builder.create_network(1)
    scales = [network.add_constant((), np.array(v, np.float32)).get_output(0) for v in (0.05, 0.1)]
    q = network.add_quantize(network.add_input("x", trt.float32, (2, 4)), scales[0])
    p = network.add_plugin("mistaken::Int8Double@1", [q.get_output(0)])
    y = network.add_dequantize(p.get_output(0), scales[1]).get_output(0)
    y.name = "y"
    network.mark_output(y)
    plan = builder.build_serialized_network(network, builder.create_builder_config())
    engine = trt.Runtime(trt.Logger(QUIET)).deserialize_cuda_engine(plan)
    x = np.linspace(-2, 2, 8, dtype=np.float32).reshape(2, 4)
    assert engine.create_execution_context().run({"x": x})["y"] == pytest.approx(2 * x, abs=0.1 + 0.05)


def test_dynamic_ranges_of_int8_tensors_reach_the_plugin(library):
    net = Net("Int8Double", dtype=trt.int8)
    net.x.set_dynamic_range(-6.35, 6.35)
    net.y.set_dynamic_range(-12.7, 12.7)
    x = np.arange(-4, 4, dtype=np.int8).reshape(2, 4)
    assert (net.run(x) == x).all()  # the output's step is twice the input's


@pytest.mark.parametrize(
    "value",
    [
        [1, 2, 3, 4],
        (1.0, 2.0, 3.0, 4.0),
        np.arange(1, 5),
        np.arange(1, 5, dtype=np.float64).reshape(2, 2),
        trt.Weights(np.arange(1, 5, dtype=np.float32)),
    ],
)
def test_a_list_is_taken_in_any_spelling(library, value):
    y = Net("Lists", shape=(8,), fields={"list": value}).run(np.zeros(8, np.float32))
    assert y.tolist() == [1, 2, 3, 4, 0, 0, 0, 0]


def test_one_number_is_a_list_of_one(library):
    assert Net("Lists", shape=(8,), fields={"list": 2.5}).run(np.zeros(8, np.float32))[:2].tolist() == [2.5, 0]


@pytest.mark.parametrize("value", [[3, 5], (3, 5), trt.Dims((3, 5)), np.array([3, 5], np.int32)])
def test_dims_are_taken_in_any_spelling(library, value):
    y = Net("Lists", shape=(8,), fields={"window": value}).run(np.zeros(8, np.float32))
    assert y.tolist() == [3, 5, 0, 0, 0, 0, 0, 0]
    creator = trt.get_plugin_registry().get_plugin_creator("Lists", "1", "mistaken")
    field = trt.PluginField("window", np.array(value, np.int32), trt.PluginFieldType.DIMS)
    assert creator.create_plugin("l", trt.PluginFieldCollection([field])) is not None


@pytest.mark.parametrize("value", [[1] * 9, [1.5], ["a"], [2**63], True])
def test_what_is_no_dims_is_refused_by_name(library, value):
    with pytest.raises(FieldValueError, match="window"):
        Net("Lists", shape=(8,), fields={"window": value})


# ---- what a creator says while its library is opened

CREATOR = """
#include <memory>
#include "dovetail/plugin.hpp"
using namespace dovetail;
struct Odd : IPluginCreator {
  const char* getPluginName() const override { return %(name)s; }
  const char* getPluginVersion() const override { return %(version)s; }
  const PluginFieldCollection* getFieldNames() override {
    static PluginField fields[2] = {PluginField(%(field)s, nullptr, PluginFieldType::kINT32, 1)};
    static PluginFieldCollection all;
    all.nbFields = %(n)s;
    all.fields = %(fields)s;
    return &all;
  }
  IPluginV2* createPlugin(const char*, const PluginFieldCollection*) override { return nullptr; }
  IPluginV2* deserializePlugin(const char*, const void*, size_t) override { return nullptr; }
};
REGISTER_DOVETAIL_PLUGIN(Odd)
DOVETAIL_LIBRARY("odd", "1", "odd")
"""
RIGHT = {"name": '"Odd"', "version": '"1"', "field": '"a"', "n": "1", "fields": "fields"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"n": "1000000000"}, "getFieldNames() says 1000000000 fields"),
        ({"n": "-3"}, "getFieldNames() says -3 fields"),
        ({"fields": "nullptr"}, "getFieldNames() says 1 fields, the array is null"),
        ({"field": "nullptr"}, "getFieldNames(): the name of field 0 is null"),
        ({"field": '"\\xff"'}, "its name is not UTF-8"),
        ({"name": "nullptr"}, "getPluginName() returned nullptr"),
        ({"version": "nullptr"}, "getPluginVersion() returned nullptr"),
        ({"name": '"Od\\xe9"'}, "its name is not UTF-8: 'Od\\xe9'"),
    ],
)
def test_a_creator_that_says_what_cannot_be_is_refused_with_its_library(toolchain, tmp_path, change, said):
    done = compiled(toolchain, tmp_path, CREATOR % (RIGHT | change), "-shared", "-fvisibility=hidden")
    assert done.returncode == 0, done.stderr
    registry = Registry()
    with pytest.raises(LibraryRefused) as info:
        registry.load_library(tmp_path / "wrong.so")
    assert said in " ".join(text for _, text in info.value.facts)
    assert registry.specs() == [] and registry.records()[0].state == "incompatible"


@LEVELS
def test_a_plugin_in_python_that_leaves_outputs_unwritten_is_an_error_too(level):
    class Half(trt.IPluginV2DynamicExt):
        plugin_type, plugin_namespace = "HalfWritten", "mistaken_in_python"

        def get_output_dimensions(self, output_index, inputs, expr_builder):
            return inputs[0]

        def supports_format_combination(self, pos, in_out, num_inputs):
            return in_out[pos].type == trt.float32 and in_out[pos].format == trt.TensorFormat.LINEAR

        def enqueue(self, input_desc, output_desc, inputs, outputs, workspace, stream):
            outputs[0].array[0] = 1

    registry = trt.get_plugin_registry()
    if not any(spec.namespace == Half.plugin_namespace for spec in registry.specs()):
        registry.add_op(Half, owner="mistaken_in_python")
    builder = trt.Builder(trt.Logger(QUIET))
    network = builder.create_network(1)
    x = network.add_input("x", trt.float32, (2, 4))
    layer = network.add_plugin("mistaken_in_python::HalfWritten@1", [x], layer_name="half")
    network.mark_output(layer.get_output(0))
    config = builder.create_builder_config()
    config.builder_optimization_level = level
    with pytest.raises(PluginFailed, match="left elements of its outputs unwritten") as info:
        builder.build_serialized_network(network, config)
    assert dict(info.value.facts)["output 0"] == "FLOAT [2, 4]: 4 of 8 elements"


# ---- what the compiler and the linker say


def compiled(toolchain, tmp_path, text, *flags):
    source = tmp_path / "wrong.cpp"
    source.write_text(text)
    command = [*toolchain.compiler("g++"), "-std=c++20", "-fPIC", f"-I{toolchain.include}", str(source)]
    return subprocess.run([*command, *flags, "-o", str(tmp_path / "wrong.so")], capture_output=True, text=True)


ROWS = """
#include "dovetail/plugin.hpp"
struct Params { double factor = 1; };
%s
namespace {
void nothing(const Params&, const dovetail::Run&) {}
constexpr dovetail::Row<Params> kRows[] = {{.tactic = "only", .types = "f32 -> f32", .enqueue = nothing}};
}
DOVETAIL_IMPLEMENTS("Scale@1#mine.cpu", Params, kRows)
"""


def test_missing_reads_are_a_sentence_of_the_compiler(toolchain, tmp_path):
    done = compiled(toolchain, tmp_path, ROWS % "", "-c")
    assert done.returncode != 0 and "say DOVETAIL_READS(Params, member, ...)" in done.stderr


@pytest.mark.parametrize("state", ["const State", "State&", "const State&"])
def test_a_state_that_is_no_plain_type_is_a_sentence_of_the_compiler(toolchain, tmp_path, state):
    text = '#include "dovetail/plugin.hpp"\nstruct Params {};\nstruct State {};\n'
    done = compiled(toolchain, tmp_path, f"{text}dovetail::Row<Params, {state}> row;\n", "-c")
    assert done.returncode != 0 and "a Row owns its State: write Row<Params, State>" in done.stderr


def test_a_class_that_is_no_creator_is_a_sentence_of_the_compiler(toolchain, tmp_path):
    text = '#include "dovetail/plugin.hpp"\nstruct Mine {};\nREGISTER_DOVETAIL_PLUGIN(Mine)\n'
    done = compiled(toolchain, tmp_path, text, "-c")
    assert "REGISTER_DOVETAIL_PLUGIN takes a creator" in done.stderr


def test_a_missing_library_line_is_named_by_the_linker(toolchain, tmp_path):
    done = compiled(toolchain, tmp_path, ROWS % "DOVETAIL_READS(Params, factor)", "-shared")
    assert done.returncode != 0 and "one_source_file_must_say_DOVETAIL_LIBRARY" in done.stderr


def test_an_empty_name_of_a_library_is_a_sentence_of_the_compiler(toolchain, tmp_path):
    done = compiled(toolchain, tmp_path, '#include "dovetail/plugin.hpp"\nDOVETAIL_LIBRARY("", "1", "")\n', "-c")
    assert "the name must not be empty" in done.stderr
