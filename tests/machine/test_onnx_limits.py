"""Nodes whose extents or attributes would make an import endless or huge: within a budget, or refused by name."""

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnx_models import model_of, parsed

import dovetail as trt

INT64 = TensorProto.INT64
HUGE = 1 << 40


def given(*dims, kind=TensorProto.FLOAT):
    return [helper.make_tensor_value_info("x", kind, dims)]


def scan(n, **attributes):
    made = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("s", "t")]
    body = helper.make_graph([helper.make_node("Identity", ["s"], ["t"])], "body", made[:1], made[1:])
    return ("Scan", ["x"], ["y"], {"body": body, "num_scan_inputs": n, **attributes})


def ngrams(**facts):
    common = {"mode": "TF", "min_gram_length": 1, "max_gram_length": 2, "max_skip_count": 0, "ngram_counts": [0, 0]}
    return ("TfIdfVectorizer", ["x"], ["y"], common | {"ngram_indexes": [0], "pool_int64s": [1, 2]} | facts)


REFUSED = [
    (scan(-(2**63)), given(3, 4), {}, ["num_scan_inputs -9223372036854775808", "inputs 1"]),
    (scan(2), given(3, 4), {}, ["num_scan_inputs 2", "inputs 1"]),
    (("Unique", ["x"], ["y"], {"axis": 1}), given(3, 2**33), {}, [f"slices {2**33}"]),
    (("Unique", ["x"], ["y"], {"axis": 1}), given(3, 2**62), {}, [f"slices {2**62}"]),
    (("SplitToSequence", ["x"], ["y"], {}), given(2**20, 2), {}, ["1048576 parts", "parser.budget.layers"]),
    (ngrams(ngram_indexes=[HUGE]), given(12, kind=INT64), {}, [f"{HUGE + 1} columns", "parser.budget.bytes"]),
    (ngrams(ngram_counts=[0, HUGE]), given(12, kind=INT64), {}, ["ngram_counts", "pool 2"]),
    (ngrams(max_skip_count=-1), given(12, kind=INT64), {}, ["max_skip_count -1"]),
    (("Tile", ["x", "k"], ["y"], {}), given(HUGE), {"k": [HUGE]}, ["64 bits", str(2**80)]),
    (("Range", ["a", "b", "c"], ["y"], {}), given(1), {"a": 0.0, "b": 1e30, "c": 1e-30}, ["64 bits", "limit 1.00000"]),
    (("Range", ["a", "b", "c"], ["y"], {}), given(1), {"a": 0.0, "b": np.inf, "c": 1.0}, ["finite", "limit inf"]),
    (("Einsum", ["x"], ["y"], {"equation": "ii->i"}), given(2**20, 2**20), {}, ["the diagonal of", "budget.bytes"]),
    (("STFT", ["x", "s", "", "l"], ["y"], {}), given(1, 2**30, 1), {"s": 1, "l": 2**20}, ["frames", "budget.bytes"]),
    (
        ("MelWeightMatrix", ["n", "n", "r", "a", "b"], ["y"], {}),
        given(1),
        {"n": 2**30, "r": 2**31, "a": 0.0, "b": 1000.0},
        ["weights", "budget.bytes"],
    ),
    (
        ("MaxPool", ["x"], ["y"], {"kernel_shape": [1024, 1024], "dilations": [2, 2]}),
        given(1, 1, 8192, 8192),
        {},
        ["cells of windows", "budget.bytes"],
    ),
    (
        ("Col2Im", ["x", "i", "b"], ["y"], {}),
        given(1, 1, HUGE),
        {"i": [2**20, 2**20], "b": [1, 1]},
        ["cells of windows", "budget.bytes"],
    ),
    (("Resize", ["x", "", "s"], ["y"], {}), given(3, 4), {"s": [1.0, 2.0, 3.0]}, ["values 3", "axes 2"]),
    (("Resize", ["x", "", "", "s"], ["y"], {}), given(3, 4), {"s": [5]}, ["sizes 1", "axes 2"]),
    (("Resize", ["x", "", "s"], ["y"], {"axes": [0, -2]}), given(3, 4), {"s": [2.0, 2.0]}, ["twice"]),
    (scan(1, scan_input_axes=[0]), given(), {}, ["cannot use axis 0 of a tensor with 0 dims"]),
    (scan(1, scan_input_axes=[2]), given(3, 4), {}, ["cannot use axis 2 of a tensor with 2 dims"]),
    (scan(1, scan_input_axes=[0, 1]), given(3, 4), {}, ["scan_input_axes [0, 1]", "scanned 1"]),
    (scan(1, scan_input_directions=[1, 1]), given(3, 4), {}, ["scan_input_directions [1, 1]", "scanned 1"]),
    (scan(1, scan_input_directions=[2]), given(3, 4), {}, ["scan_input_directions are 0 or 1"]),
    (scan(1, scan_output_axes=[0, 0]), given(3, 4), {}, ["scan_output_axes [0, 0]", "scanned 1"]),
    (scan(1, scan_output_axes=[-3]), given(3, 4), {}, ["cannot use axis -3 of a tensor with 2 dims"]),
    (scan(1, scan_output_directions=[0, 0]), given(3, 4), {}, ["scan_output_directions [0, 0]", "scanned 1"]),
    (("LpPool", ["x"], ["y"], {"kernel_shape": [2], "p": 0}), given(1, 4, 6), {}, ["p of 1 or more; p 0"]),
    (("LpPool", ["x"], ["y"], {"kernel_shape": [2], "strides": [0]}), given(1, 4, 6), {}, ["strides (0,)"]),
    (("GlobalLpPool", ["x"], ["y"], {"p": 0}), given(1, 4, 6), {}, ["p of 1 or more; p 0"]),
    (("LpNormalization", ["x"], ["y"], {"p": 0}), given(4), {}, ["p of 1 or more; p 0"]),
    (("MeanVarianceNormalization", ["x"], ["y"], {"axes": [0]}), given(), {}, ["cannot use axis 0"]),
    (("MeanVarianceNormalization", ["x"], ["y"], {"axes": [4]}), given(3, 4), {}, ["cannot use axis 4"]),
    (("DepthToSpace", ["x"], ["y"], {"blocksize": 0}), given(1, 4, 6, 6), {}, ["blocksize 0"]),
    (("SpaceToDepth", ["x"], ["y"], {"blocksize": HUGE}), given(1, 4, 6, 6), {}, [f"blocksize {HUGE}"]),
    (("NonMaxSuppression", ["x", "x"], ["y"], {"center_point_box": 7}), given(1, 4, 4), {}, ["center_point_box 7"]),
    (("DeformConv", ["x", "x", "x"], ["y"], {}), given(), {}, ["need 4 dims, or 5"]),
    (("DeformConv", ["x", "x", "x"], ["y"], {"group": 0}), given(4, 4, 1, 1), {}, ["group 0"]),
    (("ConvTranspose", ["x", "x"], ["y"], {"pads": [0]}), given(4, 4, 3), {}, ["window 1 dims", "pads (0,)"]),
    (("ConvTranspose", ["x", "x"], ["y"], {"output_padding": [0]}), given(4, 4, 3, 3), {}, ["output_padding (0,)"]),
    (("ConvTranspose", ["x", "x"], ["y"], {"output_shape": [0]}), given(4, 4, 3, 3), {}, ["needs 2 extents"]),
    (("Split", ["x"], ["y"], {"num_outputs": HUGE}), given(3, 4), {}, [f"num_outputs {HUGE}", "outputs 1"]),
]


def as_weights(values):
    return {k: np.asarray(v, np.float32 if isinstance(np.ravel(v)[0], float) else np.int64) for k, v in values.items()}


@pytest.mark.parametrize(("node", "inputs", "weights", "words"), REFUSED)
def test_what_is_refused(node, inputs, weights, words):
    _, _, errors = parsed(model_of([node], inputs, weights=as_weights(weights)))
    assert len(errors) == 1
    assert not [word for word in [f"node 0 ({node[0]}", *words] if word not in errors[0]], errors


ADDED = [
    ("ReduceSum", ["c"], ["r"], {"keepdims": 0}),
    ("Cast", ["r"], ["f"], {"to": 1}),
    ("Add", ["x", "f"], ["y"], {}),
]
DOUBLED = [("Concat", [f"c{i}", f"c{i}"], [f"c{i + 1}"], {"axis": 0}) for i in range(40)]
TAKEN = [
    ([("ConstantOfShape", ["k"], ["c"], {})], {"k": [2**20, 2**20]}),
    ([("Expand", ["o", "k"], ["c"], {})], {"o": [1.0], "k": [2**20, 2**20]}),
    ([("Tile", ["o", "k"], ["c"], {})], {"o": [1.0], "k": [HUGE]}),
    ([("Pad", ["o", "k"], ["c"], {})], {"o": [1.0], "k": [0, HUGE]}),
    ([("Range", ["a", "b", "d"], ["c"], {})], {"a": 0, "b": HUGE, "d": 1}),
    ([("OneHot", ["i", "d", "v"], ["c"], {})], {"i": [1], "d": HUGE, "v": [0.0, 1.0]}),
    ([("ConstantOfShape", ["k"], ["e"], {}), ("EyeLike", ["e"], ["c"], {})], {"k": [2**20, 2**20]}),
    ([*DOUBLED, ("Identity", ["c40"], ["c"], {})], {"c0": [1.0]}),
]


@pytest.mark.parametrize(("nodes", "weights"), TAKEN)
def test_what_is_imported_without_being_computed(nodes, weights):
    arrays = {
        k: np.asarray(v, np.float32 if isinstance(np.ravel(v)[0], float) else np.int64) for k, v in weights.items()
    }
    _, network, errors = parsed(model_of([*nodes, *ADDED], given(3, 4), weights=arrays))
    assert not errors, errors
    assert tuple(network.get_output(0).shape) == (3, 4)


def test_contents_that_are_too_large_are_not_known():
    nodes = [*DOUBLED, ("Cast", ["c40"], ["axes"], {"to": INT64}), ("ReduceSum", ["x", "axes"], ["y"], {})]
    (error,) = parsed(model_of(nodes, given(3, 4), weights={"c0": np.float32([0])}))[2]
    assert "ReduceSum" in error and "known" in error


def test_gaps_between_items_are_as_wide_as_the_input():
    """max_skip_count of more than fits: the widest window is that which has the first and the last item."""
    x = helper.make_tensor_value_info("x", INT64, (5,))
    node = ngrams(min_gram_length=2, max_skip_count=HUGE)
    builder, network, errors = parsed(model_of([node], [x]))
    assert not errors, errors
    plan = builder.build_serialized_network(network, builder.create_builder_config())
    context = trt.Runtime(builder.logger).deserialize_cuda_engine(plan).create_execution_context()
    assert context.run({"x": np.int64([1, 2, 0, 2, 2])})["y"].tolist() == [3.0]
    assert context.run({"x": np.int64([2, 1, 0, 0, 2])})["y"].tolist() == [1.0]


def test_a_long_range_is_a_layer():
    nodes = [("Range", ["a", "b", "c"], ["r"], {}), ("Mul", ["x", "r"], ["y"], {})]
    weights = {"a": np.float32(0.5), "b": np.float32(30000.25), "c": np.float32(0.25)}
    builder, network, errors = parsed(model_of(nodes, given(1), weights=weights))
    assert not errors, errors
    plan = builder.build_serialized_network(network, builder.create_builder_config())
    context = trt.Runtime(builder.logger).deserialize_cuda_engine(plan).create_execution_context()
    np.testing.assert_array_equal(context.run({"x": np.float32([2])})["y"], 2 * np.arange(0.5, 30000.25, 0.25))
