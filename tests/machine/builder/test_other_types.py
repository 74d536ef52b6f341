"""Rows of other types than the network has are chosen where times say so, between reformats that convert."""

import numpy as np
import pytest
from networks import new_network

import dovetail as trt
from dovetail.core.tensor import unpack
from dovetail.core.types import DataType
from dovetail.machine.builder.build import build_of
from dovetail.machine.builder.candidates import allowed_types
from dovetail.machine.builder.pipeline import run, with_plugins
from dovetail.machine.plan import read_plan
from dovetail.machine.timing_cache import ITimingCache, Measurement

FLOAT, HALF, INT8 = DataType.FLOAT, DataType.HALF, DataType.INT8
CHEAP, DEAR = 2_000.0, 20_000.0  # ns


class MadeUpTimes(ITimingCache):
    """A store that has the time of whatever it is asked for: by op, without and with a HALF among its tensors."""

    def __init__(self, **times):
        super().__init__()
        self.times = times

    def _find(self, key):
        has_half = any(text.startswith("HALF") for text in key.tensors)
        in_float, in_half = self.times[key.op.partition("@")[0]]
        return Measurement(in_half if has_half else in_float, 4)


def may_be(other, only=()):
    """What FLOAT tensors may be instead, of all layers or of those with these names."""

    def types(layer, config):
        declared = allowed_types(layer, config)
        if only and layer.name not in only:
            return declared
        return [None if one is None else (*one, other) if one == (FLOAT,) else one for one in declared]

    return types


def built(network, config, types, **times):
    """The graph behind the last pass. What is not in the store is an error, so that nothing is measured."""
    config.set_timing_cache(MadeUpTimes(**times))
    config.set_flag(trt.BuilderFlag.ERROR_ON_TIMING_CACHE_MISS)
    config.num_threads = 1
    return run(build_of(network, config, types=types), with_plugins(network.lookup))


def steps_of(graph):
    """(layer, types of its inputs and outputs) of each step."""
    document = read_plan(graph.plan)
    names = [DataType(tensor["dtype"]).name for tensor in document["tensors"]]
    return [(step["layer"], *(names[i] for i in (*step["inputs"], *step["outputs"]))) for step in document["steps"]]


def result_of(graph, **inputs):
    runtime = trt.Runtime(trt.Logger(trt.Logger.INTERNAL_ERROR))
    return runtime.deserialize_cuda_engine(graph.plan).create_execution_context().run(inputs)["y"]


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def softmaxes(n_layers=1, dtype=trt.float32, flags=0):
    """x -> softmax0 -> ... -> y, along other axes each."""
    builder = trt.Builder(trt.Logger(trt.Logger.INTERNAL_ERROR))
    network, config = builder.create_network(flags), builder.create_builder_config()
    tensor = network.add_input("x", dtype, (4, 6, 8))
    for index in range(n_layers):
        layer = network.add_softmax(tensor)
        layer.axes, layer.name = 1 << index, f"softmax{index}"
        tensor = layer.get_output(0)
    tensor.name = "y"
    network.mark_output(tensor)
    return network, config


def softmax(x, axis):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def test_a_half_row_runs_a_float_layer_between_two_conversions(rng):
    network, config = softmaxes()
    graph = built(network, config, may_be(HALF), SoftMax=(DEAR, CHEAP), Reformat=(CHEAP, CHEAP))
    assert steps_of(graph) == [
        ("reformat x to HALF", "FLOAT", "HALF"),
        ("softmax0", "HALF", "HALF"),
        ("reformat y to FLOAT", "HALF", "FLOAT"),
    ]
    assert [(step["op"], step["inserted_for"]) for step in graph.document["report"]["steps"]] == [
        ("Reformat@1", "FLOAT -> HALF"),
        ("SoftMax@1", ""),
        ("Reformat@1", "HALF -> FLOAT"),
    ]
    x = rng.standard_normal((4, 6, 8), dtype=np.float32)
    y = result_of(graph, x=x)
    exact = softmax(x.astype(np.float64), 0)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, exact, rtol=4e-3)
    assert np.abs(y - exact).max() > 1e-6  # in float32 it would be nearer


def test_inputs_and_outputs_keep_the_types_of_the_network():
    network, config = softmaxes()
    graph = built(network, config, may_be(HALF), SoftMax=(DEAR, CHEAP), Reformat=(CHEAP, CHEAP))
    assert [(tensor.name, tensor.place.dtype) for tensor in graph.inputs + graph.outputs] == [
        ("x", FLOAT),
        ("y", FLOAT),
    ]


def test_conversions_that_cost_more_than_they_save_are_not_made():
    network, config = softmaxes()
    graph = built(network, config, may_be(HALF), SoftMax=(DEAR, CHEAP), Reformat=(CHEAP, 0.51 * DEAR))
    assert steps_of(graph) == [("softmax0", "FLOAT", "FLOAT")]
    declared = built(*softmaxes(), allowed_types, SoftMax=(DEAR, CHEAP), Reformat=(CHEAP, CHEAP))
    assert steps_of(declared) == [("softmax0", "FLOAT", "FLOAT")]


def test_nothing_is_converted_between_two_half_layers(rng):
    network, config = softmaxes(2)
    graph = built(network, config, may_be(HALF), SoftMax=(DEAR, CHEAP), Reformat=(CHEAP, 0.6 * DEAR))
    assert [types for _, *types in steps_of(graph)] == [
        ["FLOAT", "HALF"],
        ["HALF", "HALF"],
        ["HALF", "HALF"],
        ["HALF", "FLOAT"],
    ]
    x = rng.standard_normal((4, 6, 8), dtype=np.float32)
    np.testing.assert_allclose(result_of(graph, x=x), softmax(softmax(x.astype(np.float64), 0), 1), rtol=4e-3)


def test_a_layer_that_may_not_change_keeps_its_type():
    network, config = softmaxes(3)
    types = may_be(HALF, only=("softmax0", "softmax2"))
    graph = built(network, config, types, SoftMax=(DEAR, CHEAP), Reformat=(CHEAP, CHEAP))
    assert [types for name, *types in steps_of(graph) if name.startswith("softmax")] == [
        ["HALF", "HALF"],
        ["FLOAT", "FLOAT"],
        ["HALF", "HALF"],
    ]


def test_the_report_names_layer_types_and_what_lost():
    network, config = softmaxes()
    graph = built(network, config, may_be(HALF), SoftMax=(DEAR, CHEAP), Reformat=(CHEAP, CHEAP))
    report = graph.document["report"]
    (note,) = (note for note in report["notes"] if "softmax0" in note)
    assert note == "SoftMax@1 'softmax0' runs with HALF for FLOAT: with its conversions, that costs least"
    step = report["steps"][1]
    assert (step["inputs"], step["outputs"]) == (["Half[4,6,8]"], ["Half[4,6,8]"])
    assert any(" LINEAR 20.00 us" in text for text in step["lost"])


def test_a_half_row_that_lost_is_called_one():
    network, config = softmaxes()
    graph = built(network, config, may_be(HALF), SoftMax=(CHEAP, DEAR), Reformat=(CHEAP, CHEAP))
    (step,) = graph.document["report"]["steps"]
    assert any(" HALF LINEAR 20.00 us" in text for text in step["lost"])


def test_type_and_format_change_in_one_layer(rng):
    network, config = softmaxes()
    network.get_output(0).allowed_formats = trt.TensorFormat.CHW4.mask
    graph = built(network, config, may_be(HALF), SoftMax=(DEAR, CHEAP), Reformat=(CHEAP, CHEAP))
    last = graph.groups[-1]
    assert (last.name, last.head.inserted_for) == ("reformat y to FLOAT CHW4", "HALF LINEAR -> FLOAT CHW4")
    assert len(graph.groups) == 3
    x = rng.standard_normal((4, 6, 8), dtype=np.float32)
    y = unpack(result_of(graph, x=x), x.shape, FLOAT, trt.TensorFormat.CHW4)
    np.testing.assert_allclose(y, softmax(x.astype(np.float64), 0), rtol=4e-3)


def test_without_times_the_types_of_the_network_are_kept():
    network, config = softmaxes(2)
    config.builder_optimization_level = 0
    graph = built(network, config, may_be(HALF))
    assert [types for _, *types in steps_of(graph)] == [["FLOAT", "FLOAT"], ["FLOAT", "FLOAT"]]


def test_constants_are_converted_in_the_plan(rng):
    _, network, config = new_network()
    x = network.add_input("x", trt.float32, (5, 16))
    weights = rng.standard_normal((16, 7), dtype=np.float32)
    w = network.add_constant((16, 7), weights).get_output(0)
    none = trt.MatrixOperation.NONE
    layer = network.add_matrix_multiply(x, none, w, none)
    layer.get_output(0).name = "y"
    network.mark_output(layer.get_output(0))
    graph = built(network, config, may_be(HALF), MatrixMultiply=(DEAR, CHEAP), Reformat=(CHEAP, CHEAP))
    names, types = zip(*((name, types) for name, *types in steps_of(graph)), strict=True)
    assert (names[0], len(names)) == ("reformat x to HALF", 3)
    assert types[1] == ["HALF", "HALF", "HALF"]
    assert {"how": "converted", "dtype": int(HALF)}.items() <= graph.document["weights"][1].items()
    given = rng.standard_normal((5, 16), dtype=np.float32)
    exact = given.astype(np.float64) @ weights.astype(np.float64)
    np.testing.assert_allclose(result_of(graph, x=given), exact, atol=4e-3 * np.abs(exact).max())


def test_what_is_fused_behind_a_half_layer_is_half_too(rng):
    _, network, config = new_network()
    x = network.add_input("x", trt.float32, (1, 4, 9, 9))
    kernel = rng.standard_normal((16, 4, 3, 3), dtype=np.float32) / 6
    layer = network.add_convolution_nd(x, 16, (3, 3), kernel)
    relu = network.add_activation(layer.get_output(0), trt.ActivationType.RELU)
    relu.get_output(0).name = "y"
    network.mark_output(relu.get_output(0))
    times = {"Convolution": (DEAR, CHEAP), "Activation": (DEAR, DEAR), "Reformat": (CHEAP, CHEAP)}
    graph = built(network, config, may_be(HALF), **times)
    (group,) = (group for group in graph.groups if group.tail)
    assert {place.dtype for place in group.places(group.choice) if place is not None} == {HALF}
    (step,) = (step for step in graph.document["steps"] if "epilogue" in step)
    assert step["epilogue"]["result_type"] == int(HALF)
    given = rng.standard_normal((1, 4, 9, 9), dtype=np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(given[0].astype(np.float64), (3, 3), axis=(1, 2))
    exact = np.maximum(np.einsum("chwij,ocij->ohw", windows, kernel), 0)[None]
    np.testing.assert_allclose(result_of(graph, x=given), exact, atol=4e-3 * exact.max())


def test_int8_needs_a_scale():
    network, config = softmaxes()
    types = may_be(INT8)
    build = build_of(network, config, types=types)
    graph = run(build, with_plugins(network.lookup), until="infer_shapes")
    quantize = network.lookup.find("Identity")
    layer = graph.layers[0]
    layer.spec, layer.values, layer.op = quantize, {"to": -1}, quantize.make("x", {"to": -1})
    found = build.candidates.of(layer)
    assert {one.types for one in found.candidates} == {(FLOAT, FLOAT)}
    assert "INT8 needs a scale, which 'x' does not have" in {refusal.reason for refusal in found.trace.refused}
    for tensor in layer.tensors:
        tensor.scale = 0.1
    assert (INT8, INT8) in {one.types for one in build.candidates.of(layer).candidates}


# ---- weak typing: what a build allows by itself


def half_softmaxes(n_layers=1, flags=0):
    return softmaxes(n_layers, trt.float16, flags)


STRONG = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)


def test_half_layers_run_in_float_where_that_is_faster(rng):
    graph = built(*half_softmaxes(2), None, SoftMax=(CHEAP, DEAR), Reformat=(CHEAP, CHEAP))
    assert [types for name, *types in steps_of(graph) if name.startswith("softmax")] == [["FLOAT", "FLOAT"]] * 2
    assert [(tensor.name, tensor.place.dtype) for tensor in graph.inputs + graph.outputs] == [("x", HALF), ("y", HALF)]
    notes = [note for note in graph.document["report"]["notes"] if "softmax0" in note]
    assert notes == ["SoftMax@1 'softmax0' runs with FLOAT for HALF: with its conversions, that costs least"]
    x = rng.standard_normal((4, 6, 8)).astype(np.float16)
    exact = softmax(softmax(x.astype(np.float64), 0), 1)
    np.testing.assert_allclose(result_of(graph, x=x), exact, rtol=1e-3)  # rounded to HALF once, at the end


def test_half_layers_stay_where_float_is_not_faster():
    graph = built(*half_softmaxes(2), None, SoftMax=(DEAR, CHEAP), Reformat=(CHEAP, CHEAP))
    assert [types for _, *types in steps_of(graph)] == [["HALF", "HALF"]] * 2


@pytest.mark.parametrize(
    ("flag", "dtype"), [(None, FLOAT), (trt.BuilderFlag.FP16, HALF), (trt.BuilderFlag.BF16, FLOAT)]
)
def test_flags_allow_what_a_float_layer_may_be(flag, dtype):
    network, config = softmaxes(2)
    if flag is not None:
        config.set_flag(flag)
    graph = built(network, config, None, SoftMax=(DEAR, CHEAP), Reformat=(CHEAP, CHEAP))
    types = [types for name, *types in steps_of(graph) if name.startswith("softmax")]
    assert types == [[dtype.name, dtype.name]] * 2


def test_a_flag_lets_products_be_of_bfloat16(rng):
    """Timed for real: whichever wins, the result is within the rounding of BF16."""
    _, network, config = new_network()
    x = network.add_input("x", trt.float32, (5, 64))
    weights = rng.standard_normal((64, 48), dtype=np.float32)
    none = trt.MatrixOperation.NONE
    layer = network.add_matrix_multiply(x, none, network.add_constant((64, 48), weights).get_output(0), none)
    layer.get_output(0).name = "y"
    network.mark_output(layer.get_output(0))
    config.set_flag(trt.BuilderFlag.BF16)
    graph = run(build_of(network, config), with_plugins(network.lookup))
    (step,) = (step for step in graph.document["report"]["steps"] if step["op"].startswith("MatrixMultiply"))
    offered = [step["inputs"][0], *step["lost"]]
    assert any("BF16" in text.upper() for text in offered), offered
    given = rng.standard_normal((5, 64), dtype=np.float32)
    np.testing.assert_allclose(result_of(graph, x=given), given @ weights, rtol=0, atol=0.2)


def test_a_strongly_typed_network_keeps_its_types():
    graph = built(*half_softmaxes(2, STRONG), None, SoftMax=(CHEAP, DEAR), Reformat=(CHEAP, CHEAP))
    assert [types for _, *types in steps_of(graph)] == [["HALF", "HALF"]] * 2


def test_a_layer_with_a_precision_keeps_its_types():
    network, config = half_softmaxes(2)
    network[1].precision = HALF
    graph = built(network, config, None, SoftMax=(CHEAP, DEAR), Reformat=(CHEAP, CHEAP))
    types = {name: types for name, *types in steps_of(graph) if name.startswith("softmax")}
    assert types == {"softmax0": ["FLOAT", "FLOAT"], "softmax1": ["HALF", "HALF"]}


def test_casts_keep_their_types():
    """A network that rounds to HALF and back wants the rounding."""
    _, network, config = new_network()
    x = network.add_input("x", trt.float32, (8,))
    rounded = network.add_cast(x, HALF).get_output(0)
    layer = network.add_cast(rounded, FLOAT)
    layer.get_output(0).name = "y"
    network.mark_output(layer.get_output(0))
    graph = run(build_of(network, config), with_plugins(network.lookup))
    x = np.full(8, 1.0001, np.float32)
    np.testing.assert_array_equal(result_of(graph, x=x), x.astype(np.float16).astype(np.float32))


def test_half_convolutions_run_in_float_on_the_cpu(rng):
    _, network, config = new_network()
    x = network.add_input("x", trt.float16, (1, 32, 28, 28))
    w = rng.standard_normal((32, 32, 3, 3)).astype(np.float16)
    conv = network.add_convolution_nd(x, 32, (3, 3), w)
    conv.padding_nd = (1, 1)
    relu = network.add_activation(conv.get_output(0), trt.ActivationType.RELU)
    relu.get_output(0).name = "y"
    network.mark_output(relu.get_output(0))
    times = {"Convolution": (CHEAP, DEAR), "Activation": (CHEAP, DEAR), "Reformat": (CHEAP / 10, CHEAP / 10)}
    graph = built(network, config, None, **times)
    (convolution,) = (types for name, *types in steps_of(graph) if "Convolution" in name)
    assert set(convolution) == {"FLOAT"}
    assert any(one["how"] == "converted" for one in graph.document["weights"])
