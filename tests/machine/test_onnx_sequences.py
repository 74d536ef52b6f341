"""Sequences and optionals of ONNX, which are gone when the network is there."""

import numpy as np
import onnx
import onnx_models
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator
from onnx_models import parsed

import dovetail as trt

RNG = np.random.default_rng(0)
FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
X = RNG.standard_normal((6, 4), dtype=np.float32)


def model_of(nodes, inputs=None, outputs=("y",), weights=None, opset=21):
    """One whose input is x [6, 4] unless `inputs` are given."""
    inputs = inputs or [helper.make_tensor_value_info("x", FLOAT, (6, 4))]
    return onnx_models.model_of(nodes, inputs, outputs, weights, opset)


def run(model, x=X):
    builder, network, errors = parsed(model)
    assert not errors, errors
    config, profile = builder.create_builder_config(), builder.create_optimization_profile()
    if -1 in network.get_input(0).shape:
        profile.set_shape("x", *[x.shape] * 3)
        config.add_optimization_profile(profile)
    plan = builder.build_serialized_network(network, config)
    return trt.Runtime(builder.logger).deserialize_cuda_engine(plan).create_execution_context().run({"x": x})


def check(model, x=X):
    results = run(model, x)
    for info, wanted in zip(model.graph.output, ReferenceEvaluator(model).run(None, {"x": x}), strict=True):
        got = np.asarray(results[info.name])
        assert (got.dtype, got.shape) == (wanted.dtype, wanted.shape), info.name
        np.testing.assert_allclose(got, wanted, rtol=1e-6)


SPLIT = ("SplitToSequence", ["x"], ["parts"], {"axis": 0, "keepdims": 0})
THREE = ("SequenceConstruct", ["a", "b", "c"], ["s"], {})
ABC = [("Split", ["x"], ["a", "b", "c"], {"axis": 0, "num_outputs": 3}), THREE]


@pytest.mark.parametrize(
    ("split", "attrs"),
    [
        (None, {"axis": 1}),
        (None, {"axis": -1, "keepdims": 0}),
        (4, {"axis": 0}),
        (4, {"axis": 0, "keepdims": 0}),  # keepdims is nothing to a given split
        ([1, 0, 5], {}),
        ([3, 1], {"axis": -1}),
    ],
)
def test_split_to_sequence(split, attrs):
    weights = {} if split is None else {"split": np.int64(split)}
    model = model_of(
        [
            ("SplitToSequence", ["x", *weights], ["parts"], attrs),
            ("SequenceAt", ["parts", "last"], ["y"], {}),
            ("SequenceLength", ["parts"], ["n"], {}),
        ],
        outputs=("y", "n"),
        weights={**weights, "last": np.int64(-1)},
    )
    check(model)


def test_a_split_into_given_lengths_of_an_axis_of_any_length():
    inputs = [helper.make_tensor_value_info("x", FLOAT, ("n", 4))]
    nodes = [("SplitToSequence", ["x", "split"], ["parts"], {}), ("SequenceAt", ["parts", "at"], ["y"], {})]
    check(model_of(nodes, inputs, weights={"split": np.int64([4, 2]), "at": np.int64(1)}))


def test_lengths_may_follow_from_shapes():
    inputs = [helper.make_tensor_value_info("x", FLOAT, ("n", 4))]
    nodes = [
        ("Shape", ["x"], ["n"], {"end": 1}),
        ("Sub", ["n", "one"], ["rest"], {}),
        ("Concat", ["one", "rest"], ["split"], {"axis": 0}),
        ("SplitToSequence", ["x", "split"], ["parts"], {}),
        ("SequenceAt", ["parts", "one"], ["y"], {}),
    ]
    model = model_of(nodes, inputs, weights={"one": np.int64([1])})
    np.testing.assert_array_equal(run(model)["y"], X[1:])
    np.testing.assert_array_equal(run(model, X[:2])["y"], X[1:2])


@pytest.mark.parametrize(
    ("place", "order"), [(None, "abcd"), (0, "dabc"), (2, "abdc"), (3, "abcd"), (-1, "abdc"), (-3, "dabc")]
)
def test_places_of_insertion(place, order):
    weights = {} if place is None else {"place": np.int64(place)}
    nodes = [
        *ABC,
        ("Neg", ["a"], ["d"], {}),
        ("SequenceInsert", ["s", "d", *weights], ["t"], {}),
        ("ConcatFromSequence", ["t"], ["y"], {"axis": 0}),
    ]
    tensors = dict(zip("abc", np.split(X, 3), strict=True)) | {"d": -X[:2]}
    got = run(model_of(nodes, weights=weights))["y"]
    np.testing.assert_array_equal(got, np.concatenate([tensors[name] for name in order]))


@pytest.mark.parametrize(("place", "order"), [(None, "ab"), (0, "bc"), (2, "ab"), (-2, "ac")])
def test_places_of_erasure(place, order):
    weights = {} if place is None else {"place": np.int64([place])}
    nodes = [*ABC, ("SequenceErase", ["s", *weights], ["t"], {}), ("ConcatFromSequence", ["t"], ["y"], {"axis": 0})]
    tensors = dict(zip("abc", np.split(X, 3), strict=True))
    got = run(model_of(nodes, weights=weights))["y"]
    np.testing.assert_array_equal(got, np.concatenate([tensors[name] for name in order]))


@pytest.mark.parametrize(("axis", "new_axis"), [(0, 0), (-1, 0), (0, 1), (2, 1), (-1, 1), (-2, 1)])
def test_tensors_of_a_sequence_are_joined(axis, new_axis):
    joining = ("ConcatFromSequence", ["s"], ["y"], {"axis": axis, "new_axis": new_axis})
    parts = np.split(X, 3)
    wanted = np.stack(parts, axis) if new_axis else np.concatenate(parts, axis)
    np.testing.assert_array_equal(run(model_of([*ABC, joining]))["y"], wanted)


def test_places_may_follow_from_shapes():
    nodes = [
        SPLIT,
        ("Shape", ["x"], ["dims"], {"start": 1}),  # 4
        ("SequenceAt", ["parts", "dims"], ["y"], {}),
    ]
    np.testing.assert_array_equal(run(model_of(nodes))["y"], X[4])


def graph_of(nodes, inputs, outputs):
    nodes = [helper.make_node(op, list(given), list(made), **attrs) for op, given, made, attrs in nodes]
    return helper.make_graph(
        nodes, "body", *([onnx.ValueInfoProto(name=n) for n in names] for names in (inputs, outputs))
    )


def test_loops_carry_sequences():
    body = graph_of(
        [
            ("Identity", ["going"], ["on"], {}),
            ("SequenceAt", ["parts", "i"], ["row"], {}),
            ("SequenceInsert", ["made", "row", "zero"], ["more"], {}),
        ],
        ("i", "going", "made"),
        ("on", "more"),
    )
    nodes = [
        SPLIT,
        ("SequenceEmpty", [], ["none"], {}),
        ("SequenceLength", ["parts"], ["n"], {}),
        ("Loop", ["n", "", "none"], ["rows"], {"body": body}),
        ("Identity", ["rows"], ["same"], {}),
        ("ConcatFromSequence", ["same"], ["y"], {"axis": 0, "new_axis": 1}),
    ]
    np.testing.assert_array_equal(run(model_of(nodes, weights={"zero": np.int64(0)}))["y"], X[::-1])


def test_a_branch_may_give_a_sequence():
    two = graph_of([("SplitToSequence", ["x", "three"], ["r"], {})], (), ("r",))
    one = graph_of([("SequenceConstruct", ["x"], ["r"], {})], (), ("r",))
    nodes = [
        ("If", ["yes"], ["parts"], {"then_branch": two, "else_branch": one}),
        ("SequenceLength", ["parts"], ["y"], {}),
    ]
    assert (
        run(model_of([*nodes, ("Neg", ["x"], ["z"], {})], outputs=("y", "z"), weights={"yes": True, "three": 3}))["y"]
        == 2
    )


def test_bodies_are_mapped_over_sequences():
    body = graph_of(
        [("Add", ["a", "b"], ["c"], {}), ("Mul", ["c", "scale"], ["d"], {}), ("Shape", ["a"], ["e"], {})],
        ("a", "b"),
        ("d", "e"),
    )
    nodes = [
        SPLIT,
        ("SequenceMap", ["parts", "parts"], ["twice", "dims"], {"body": body}),
        ("SequenceMap", ["parts", "scale"], ["more", ""], {"body": body}),
        ("ConcatFromSequence", ["twice"], ["y"], {"axis": 0, "new_axis": 1}),
        ("ConcatFromSequence", ["more"], ["z"], {"axis": 0, "new_axis": 1}),
        ("ConcatFromSequence", ["dims"], ["d"], {"axis": 0}),
    ]
    results = run(model_of(nodes, outputs=("y", "z", "d"), weights={"scale": np.float32(3)}))
    np.testing.assert_allclose(results["y"], X * 6, rtol=1e-6)
    np.testing.assert_allclose(results["z"], (X + 3) * 3, rtol=1e-6)
    assert results["d"].tolist() == [4] * 6


def test_types_of_sequences_that_networks_lack():
    body = graph_of([("Add", ["a", "a"], ["b"], {})], ("a",), ("b",))
    nodes = [
        ("SequenceConstruct", ["x", "x"], ["s"], {}),
        ("SequenceMap", ["s"], ["t"], {"body": body}),
        ("SequenceAt", ["t", "one"], ["z"], {}),
        ("Gelu", ["z"], ["y"], {}),  # a function whose body asks for the type
    ]
    inputs = [helper.make_tensor_value_info("x", TensorProto.DOUBLE, (6, 4))]
    assert run(model_of(nodes, inputs, weights={"one": np.int64(1)}))["y"].shape == (6, 4)


def test_optionals_are_there_or_not():
    nodes = [
        ("Optional", ["x"], ["full"], {}),
        ("Optional", [], ["empty"], {"type": helper.make_tensor_type_proto(FLOAT, None)}),
        ("Identity", ["empty"], ["still"], {}),
        ("OptionalHasElement", ["full"], ["yes"], {}),
        ("OptionalHasElement", ["still"], ["no"], {}),
        ("OptionalHasElement", [], ["never"], {}),
        ("OptionalGetElement", ["full"], ["value"], {}),
        ("Neg", ["value"], ["y"], {}),
    ]
    results = run(model_of(nodes, outputs=("y", "yes", "no", "never")))
    assert [bool(results[name]) for name in ("yes", "no", "never")] == [True, False, False]
    np.testing.assert_array_equal(results["y"], -X)


AT = ("SequenceAt", ["parts", "p"], ["y"], {})


@pytest.mark.parametrize(
    ("nodes", "weights", "words"),
    [
        ([SPLIT, AT], {"p": np.int64(6)}, ["(SequenceAt 'y')", "6 tensors", "position 6", "-6 to 5"]),
        ([("SequenceEmpty", [], ["parts"], {}), AT], {"p": np.int64(0)}, ["none in an empty sequence"]),
        ([SPLIT, ("Cast", ["x"], ["p"], {"to": INT64}), AT], {}, ["known when the network is built", "INT64", "'"]),
        ([SPLIT, ("SequenceInsert", ["parts", "x", "p"], ["y"], {})], {"p": np.int64(7)}, ["position 7", "-6 to 6"]),
        ([SPLIT, ("SequenceErase", ["parts", "p"], ["y"], {})], {"p": np.int64(-7)}, ["position -7", "-6 to 5"]),
        ([("SequenceEmpty", [], ["s"], {}), ("SequenceErase", ["s"], ["y"], {})], {}, ["empty"]),
        ([SPLIT, ("Neg", ["parts"], ["y"], {})], {}, ["(Neg 'y')", "sequence of 6 tensors", "SequenceAt"]),
        ([("SequenceAt", ["x", "p"], ["y"], {})], {"p": np.int64(0)}, ["tensor [6, 4]", "SequenceConstruct"]),
        ([("SequenceConstruct", ["x", "p"], ["y"], {})], {"p": np.int64(0)}, ["is FLOAT", "is INT64", "Cast"]),
        ([SPLIT], {}, ["output 'y' is made by nothing"]),
        ([(*SPLIT[:2], ["y"], {})], {}, ["output 'y' is a sequence of 6 tensors", "ConcatFromSequence"]),
        ([("Optional", [], ["y"], {})], {}, ["output 'y' is an optional without a value"]),
        (
            [("Optional", [], ["o"], {}), ("OptionalGetElement", ["o"], ["y"], {})],
            {},
            ["without a value", "OptionalHasElement"],
        ),
        ([("SequenceEmpty", [], ["s"], {}), ("ConcatFromSequence", ["s"], ["y"], {"axis": 0})], {}, ["at least one"]),
        ([*ABC, ("ConcatFromSequence", ["s"], ["y"], {"axis": 2})], {}, ["ConcatFromSequence", "axis"]),
        ([("SplitToSequence", ["x", "p"], ["y"], {})], {"p": np.int64([4, 4])}, ["[4, 4]", "(6, 4), axis 0"]),
        ([("SplitToSequence", ["x", "p"], ["y"], {})], {"p": np.int64(0)}, ["split 0", "equal parts"]),
    ],
)
def test_errors_say_what_to_do(nodes, weights, words):
    errors = parsed(model_of(nodes, weights=weights))[2]
    assert len(errors) == 1
    assert not [word for word in words if word not in errors[0]], errors


def test_lengths_that_are_data():
    nodes = [
        ("Cast", ["x"], ["all"], {"to": INT64}),
        ("Slice", ["all", "zero", "one"], ["row"], {}),
        ("Reshape", ["row", "flat"], ["split"], {}),
        ("SplitToSequence", ["x", "split"], ["y"], {}),
    ]
    (error,) = parsed(
        model_of(nodes, weights={name: np.int64([n]) for name, n in (("zero", 0), ("one", 1), ("flat", -1))})
    )[2]
    assert "(SplitToSequence 'y')" in error and "while the network is built" in error


def test_equal_parts_of_an_axis_of_any_length_are_not_known():
    inputs = [helper.make_tensor_value_info("x", FLOAT, ("n", 4))]
    (error,) = parsed(model_of([(*SPLIT[:2], ["s"], {}), ("SequenceLength", ["s"], ["y"], {})], inputs))[2]
    assert "known when the network is built" in error and "axis 0" in error


def test_inputs_are_tensors():
    sequence = helper.make_tensor_sequence_value_info("s", FLOAT, (2,))
    (error,) = parsed(model_of([("SequenceLength", ["s"], ["y"], {})], [sequence]))[2]
    assert "input 's' is a sequence" in error and "SequenceConstruct" in error


def test_sequences_of_different_length_are_not_mapped_together():
    body = graph_of([("Add", ["a1", "b1"], ["c1"], {})], ("a1", "b1"), ("c1",))
    nodes = [SPLIT, *ABC, ("SequenceMap", ["parts", "s"], ["y"], {"body": body})]
    (error,) = parsed(model_of(nodes))[2]
    assert "lengths [3, 6]" in error
