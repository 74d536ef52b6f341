"""Operators of shape and layout, whose extents are known at run time only, against the package onnx's reference."""

import numpy as np
import onnx_models
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx_models import parsed

import dovetail as trt
from dovetail.core.errors import ShapeError

RNG = np.random.default_rng(0)
FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


def model_of(nodes, dims, weights=None, outputs=("y",), opset=21, type_=FLOAT):
    """One with an input x; a name in `dims` is an extent of the profile."""
    inputs = [helper.make_tensor_value_info("x", type_, dims)]
    return onnx_models.model_of(nodes, inputs, outputs, weights, opset)


def check(model, *inputs, tolerance=1e-5):
    """One engine for all of the inputs, whose dims are between those of the first and the last."""
    builder, network, errors = parsed(model)
    assert not errors, errors
    config, profile = builder.create_builder_config(), builder.create_optimization_profile()
    low, high = (np.stack([x.shape for x in inputs]).min(0), np.stack([x.shape for x in inputs]).max(0))
    profile.set_shape("x", tuple(low), tuple(high), tuple(high))
    config.add_optimization_profile(profile)
    plan = builder.build_serialized_network(network, config)
    context = trt.Runtime(builder.logger).deserialize_cuda_engine(plan).create_execution_context()
    for x in inputs:
        results = context.run({"x": x})
        for info, wanted in zip(model.graph.output, ReferenceEvaluator(model).run(None, {"x": x}), strict=True):
            got = np.asarray(results[info.name])
            assert (got.dtype, got.shape) == (wanted.dtype, wanted.shape)
            np.testing.assert_allclose(got, wanted, rtol=tolerance, atol=tolerance)


def some(*dims):
    return RNG.standard_normal(dims, dtype=np.float32)


def test_a_shape_is_computed_from_shapes():
    nodes = [
        ("Shape", ["x"], ["dims"], {}),
        ("Gather", ["dims", "zero"], ["n"], {"axis": 0}),
        ("Unsqueeze", ["n", "axes"], ["n1"], {}),
        ("Concat", ["n1", "rest"], ["shape"], {"axis": 0}),
        ("Reshape", ["x", "shape"], ["y"], {}),
    ]
    weights = {"zero": np.int64(0), "axes": np.int64([0]), "rest": np.int64([4, -1])}
    model = model_of(nodes, ("n", 6, 8), weights)
    check(model, some(1, 6, 8), some(3, 6, 8))
    _, network, _ = parsed(model)
    assert tuple(network.get_output(0).shape) == (-1, 4, 12)


@pytest.mark.parametrize(
    ("op", "attrs", "weights"),
    [
        ("Flatten", {"axis": 2}, {}),
        ("DepthToSpace", {"blocksize": 2}, {}),
        ("SpaceToDepth", {"blocksize": 2}, {}),
        ("Transpose", {"perm": (3, 1, 0, 2)}, {}),
        ("Slice", {}, {"s": [1, -3], "e": [2**63 - 1, -1], "a": [2, -1]}),
        ("Slice", {}, {"s": [-1, 9], "e": [-(2**63), 0], "a": [0, 3], "t": [-1, -2]}),
        ("Expand", {}, {"s": [2, 1, 1, 1, 1]}),
        ("Tile", {}, {"r": [2, 1, 1, 3]}),
        ("Pad", {}, {"p": [0, 0, 1, 2, 0, 0, 3, 1], "v": np.float32(2)}),
        ("Pad", {"mode": "reflect"}, {"p": [1, 1, 1, 1], "": 0, "a": [-1, 2]}),
        ("Pad", {"mode": "edge"}, {"p": [1, 1, 1, 1], "": 0, "a": [-1, 2]}),
        ("CenterCropPad", {"axes": [2, 3]}, {"s": [5, 5]}),
        ("Trilu", {"upper": 0}, {"k": np.int64(1)}),
        ("ReduceLogSumExp", {"keepdims": 0}, {"a": [1, 3]}),
        ("ArgMax", {"axis": 2, "select_last_index": 1}, {}),
        ("Hardmax", {"axis": 3}, {}),
        ("LogSoftmax", {"axis": 1}, {}),
        ("GroupNormalization", {"num_groups": 2}, {"g": some(4), "b": some(4)}),
        ("MaxPool", {"kernel_shape": (3, 2), "strides": (2, 2), "ceil_mode": 1}, {}),
        ("AveragePool", {"kernel_shape": (3, 3), "pads": (1, 1, 1, 1), "count_include_pad": 1}, {}),
        ("GlobalMaxPool", {}, {}),
    ],
)
def test_extents_that_are_known_at_run_time_only(op, attrs, weights):
    data = {name: value for name, value in weights.items() if name}
    model = model_of([(op, ["x", *weights], ["y"], attrs)], ("n", 4, "h", "w"), data)
    check(model, some(1, 4, 4, 6), some(3, 4, 8, 6), some(2, 4, 6, 10))


@pytest.mark.parametrize(
    ("op", "opset", "attrs", "weights"),
    [
        ("Slice", 9, {"starts": [1, -3], "ends": [2**31 - 1, -1], "axes": [1, 3]}, {}),
        ("Unsqueeze", 11, {"axes": [0, 5]}, {}),
        ("ReduceSum", 11, {"axes": [1, -1], "keepdims": 0}, {}),
        ("ReduceL2", 17, {"axes": [1], "keepdims": 0}, {}),
        ("Pad", 10, {"pads": [0, 0, 1, 0, 0, 0, 2, 1], "value": 1.5}, {}),
        ("Expand", 8, {}, {"s": [4, 1, 6]}),
        ("MaxPool", 8, {"kernel_shape": [2, 2], "strides": [2, 2], "pads": [0, 0, 1, 1]}, {}),
        ("InstanceNormalization", 7, {}, {"g": some(4), "b": some(4)}),
    ],
)
def test_older_opsets(op, opset, attrs, weights):
    model = model_of([(op, ["x", *weights], ["y"], attrs)], ("n", 4, "h", 6), weights, opset=opset)
    check(model, some(1, 4, 4, 6), some(3, 4, 5, 6))


@pytest.mark.parametrize(
    ("op", "attrs"),
    [
        ("MaxPool", {"kernel_shape": [2, 2], "dilations": [2, 1]}),
        ("AveragePool", {"kernel_shape": [2, 2], "dilations": [2, 2], "pads": [1, 1, 0, 0]}),
        ("LpPool", {"kernel_shape": [2, 2], "p": 3, "strides": [2, 1]}),
    ],
)
def test_windows_that_are_gathered(op, attrs):
    check(model_of([(op, ["x"], ["y"], attrs)], ("n", 4, 5, 6)), some(1, 4, 5, 6), some(3, 4, 5, 6))


def test_a_condition_of_the_data_compresses():
    nodes = [
        ("ReduceMax", ["x", "a"], ["most"], {"keepdims": 0}),
        ("Greater", ["most", "zero"], ["c"], {}),
        ("Compress", ["x", "c"], ["y"], {"axis": 0}),
    ]
    model = model_of(nodes, ("n", 3), {"a": np.int64([1]), "zero": np.float32(0)})
    x = some(9, 3)
    check(model, x, -abs(x), abs(x[:4]))


@pytest.mark.parametrize("n_outputs", [2, 3])
def test_split_into_equal_parts(n_outputs):
    names = [f"y{i}" for i in range(n_outputs)]
    model = model_of([("Split", ["x"], names, {"num_outputs": n_outputs, "axis": 1})], (2, "c"), outputs=names)
    check(model, some(2, 7), some(2, 9))


def test_sizes_become_constants_and_ranges():
    nodes = [
        ("Shape", ["x"], ["dims"], {"start": 1}),
        ("Size", ["x"], ["size"], {}),
        ("ConstantOfShape", ["dims"], ["filled"], {"value": numpy_helper.from_array(np.int64([7]))}),
        ("Range", ["zero", "size", "two"], ["range"], {}),
        ("EyeLike", ["x"], ["eye"], {"k": 1}),
    ]
    outputs = ("dims", "size", "filled", "range", "eye")
    model = model_of(nodes, ("n", "m"), {"zero": np.int64(0), "two": np.int64(2)}, outputs)
    check(model, some(2, 3), some(4, 5))


def test_empty_tensors():
    nodes = [
        ("Slice", ["x", "s", "e"], ["none"], {}),
        ("Concat", ["none", "x"], ["all"], {"axis": 0}),
        ("ReduceMax", ["none"], ["most"], {"axes": [1], "keepdims": 0}),
        ("Transpose", ["none"], ["turned"], {}),
        ("Tile", ["none", "r"], ["tiled"], {}),
        ("Expand", ["none", "d"], ["wide"], {}),
    ]
    weights = {"s": np.int64([5]), "e": np.int64([5]), "r": np.int64([2, 2]), "d": np.int64([2, 0, 3])}
    outputs = ("all", "most", "turned", "tiled", "wide")
    check(model_of(nodes, ("n", 3), weights, outputs, opset=17), some(2, 3), some(0, 3))


def test_a_shape_that_is_an_input_may_hold_minus_one():
    model = model_of([("Reshape", ["x", "shape"], ["y"], {})], ("n", 4, 3))
    model.graph.input.append(helper.make_tensor_value_info("shape", INT64, (3,)))
    builder, network, errors = parsed(model)
    assert not errors
    config, profile = builder.create_builder_config(), builder.create_optimization_profile()
    profile.set_shape("x", (1, 4, 3), (2, 4, 3), (3, 4, 3))
    profile.set_shape_input("shape", (-1, -1, -1), (2, 4, 3), (36, 36, 36))
    config.add_optimization_profile(profile)
    plan = builder.build_serialized_network(network, config)
    context = trt.Runtime(builder.logger).deserialize_cuda_engine(plan).create_execution_context()
    for n, wanted, dims in [(2, (2, -1, 2), (2, 6, 2)), (3, (0, 2, -1), (3, 2, 6)), (1, (3, 2, 2), (3, 2, 2))]:
        x = some(n, 4, 3)
        np.testing.assert_array_equal(context.run({"x": x, "shape": np.int64(wanted)})["y"], x.reshape(dims))
    with pytest.raises(ShapeError, match="the numbers of elements differ"):
        context.run({"x": x, "shape": np.int64([5, 5, 5])})


def engine_of(model, x):
    builder, network, errors = parsed(model)
    assert not errors
    plan = builder.build_serialized_network(network, builder.create_builder_config())
    return trt.Runtime(builder.logger).deserialize_cuda_engine(plan).create_execution_context().run({"x": x})["y"]


def test_softmax_of_old_opsets_takes_all_axes_behind():
    x = some(2, 3, 4)
    y = engine_of(model_of([("Softmax", ["x"], ["y"], {"axis": 1})], x.shape, opset=11), x)
    np.testing.assert_allclose(y, np.exp(x) / np.exp(x).sum((1, 2), keepdims=True), rtol=1e-5)


def test_negative_pads_cut_off():
    x = some(3, 4)
    y = engine_of(model_of([("Pad", ["x", "p"], ["y"], {})], x.shape, {"p": np.int64([-1, 0, 0, -2])}), x)
    np.testing.assert_array_equal(y, x[1:, :2])


@pytest.mark.parametrize(
    ("node", "weights", "words"),
    [
        (("Reshape", ["x", "s"], ["y"], {}), {"s": np.int64([5, -1])}, ("[2, 3, 4]", "5")),
        (("Expand", ["x", "s"], ["y"], {}), {"s": np.int64([2, 5, 4])}, ("(2, 3, 4)", "[2, 5, 4]")),
        (("Split", ["x", "s"], ["y", "z"], {"axis": 1}), {"s": np.int64([2, 2])}, ("(2, 3, 4)", "(2, 2)")),
        (("Transpose", ["x"], ["y"], {"perm": (0, 1)}), {}, ("3 dims",)),
        (("Squeeze", ["x", "s"], ["y"], {}), {"s": np.int64([1])}, ("[2, 3, 4]",)),
    ],
)
def test_what_does_not_fit_names_node_and_shapes(node, weights, words):
    model = model_of([node], (2, 3, 4), weights)
    model.graph.node[0].name = "the one"
    _, _, errors = parsed(model)
    (error,) = errors
    for word in ("'the one'", *words):
        assert word in error
