"""TreeEnsemble. Cases are shared by correctness, benchmark and the reference page."""

import numpy as np
import pytest
from forests import counted, forest, layer_fields, random_votes, rows

import dovetail as trt
from dovetail import _native
from dovetail.core.errors import FieldValueError, ShapeError
from dovetail.core.types import from_numpy
from dovetail.machine.testing import Case, check
from tests.runtime.plans import draft_of

OP = "ai.onnx.ml::TreeEnsemble@1"
SUM, AVERAGE, MIN, MAX = range(4)


def case(name, seed=0, n=70, n_targets=1, several=True, bench=False, more=None, **facts):
    trees = forest(seed, **facts)
    fields = layer_fields(trees, random_votes(seed, trees, n_targets, several=several), n_targets, **(more or {}))
    return Case(name, x=rows(seed, n), bench=bench, dtypes=(trt.float32,), **fields)


CASES = [
    case("one target"),
    case("several targets", 1, n_targets=3),
    case("a vote for one of the targets", 2, n_targets=3, several=False),
    case("one row", 3, n=1),
    case("no rows", 4, n=0),
    case("more rows than a block", 5, n=1000, n_targets=2),
    case("leaves alone", 6, depth=0),
    case("no trees", 7, n_trees=0),
    case("averages", 8, n_targets=2, more={"aggregate": AVERAGE, "base_values": np.float32([0.5, -2])}),
    case("least votes", 9, n_targets=3, several=False, more={"aggregate": MIN}),
    case("greatest votes", 10, n_targets=3, several=False, more={"aggregate": MAX}),
    case("base values", 11, n_targets=2, more={"base_values": np.float32([3, 4])}),
    case("a hundred trees", 12, n=4096, n_trees=100, depth=8, modes=[0], bench=True),
]
test_kernels = check("ai.onnx.ml::TreeEnsemble@1", CASES)


@pytest.mark.parametrize("aggregate", ["SUM", "AVERAGE", "MIN", "MAX"])
def test_values(aggregate):
    trees = forest(20, n_trees=7)
    votes, x = random_votes(20, trees, 2), rows(20, 200)
    spec = trt.get_plugin_registry().find(OP)
    values = (
        spec.defaults()
        | layer_fields(trees, votes, 2)
        | {"aggregate": ("SUM", "AVERAGE", "MIN", "MAX").index(aggregate)}
    )
    np.testing.assert_allclose(
        spec.reference(values, x.astype(np.float64)), counted(trees, votes, x, 2, aggregate), atol=1e-6
    )


def small():
    """x[0] <= 0 ? 1 : 2."""
    return {
        "nodes": np.int32([[0, 0, 0, -1, -2]]),
        "splits": np.float32([0]),
        "roots": np.int32([0]),
        "leaves": np.int32([0, 1, 2]),
        "vote_targets": np.int32([0, 0]),
        "vote_weights": np.float32([1, 2]),
    }


def add(network, **changes):
    x = network.add_input("x", trt.float32, (3, 2))
    return network.add_plugin(OP, [x], small() | changes)


WRONG = [
    ({"nodes": np.int32([[0, 0, 0, 0, -2]])}, "nodes"),  # itself as its child
    ({"nodes": np.int32([[0, 0, 0, 1, -2]])}, "nodes"),  # a node that is not there
    ({"nodes": np.int32([[0, 0, 0, -1, -3]])}, "nodes"),  # a leaf that is not there
    ({"nodes": np.int32([[0, 6, 0, -1, -2]])}, "nodes"),
    ({"nodes": np.int32([[-1, 0, 0, -1, -2]])}, "nodes"),
    ({"nodes": np.int64([[0, 0, 0, -1, -2]])}, "nodes"),
    ({"splits": np.float32([0, 1])}, "nodes"),
    ({"roots": np.int32([1])}, "roots"),
    ({"roots": np.int32([-3])}, "roots"),
    ({"leaves": np.int32([0, 2, 1])}, "leaves"),
    ({"leaves": np.int32([0, 1, 3])}, "leaves"),
    ({"vote_targets": np.int32([0, 1])}, "vote_targets"),
    ({"vote_targets": np.int32([0])}, "vote_targets"),
    ({"base_values": np.float32([1, 2])}, "base_values"),
]


@pytest.mark.parametrize(("changes", "name"), WRONG)
def test_arrays_that_do_not_fit_are_named(changes, name):
    with pytest.raises(FieldValueError) as error:
        add(trt.Builder(trt.Logger()).create_network(), **changes)
    assert error.value.field == name


@pytest.mark.parametrize(("changes", "name"), WRONG)
def test_kernels_refuse_them_in_plans_too(changes, name):
    builder = trt.Builder(trt.Logger(trt.Logger.ERROR))
    network, config = builder.create_network(), builder.create_builder_config()
    config.default_device_type = trt.DeviceType.CPU
    network.mark_output(add(network, base_values=np.float32([0])).get_output(0))
    plan = bytes(builder.build_serialized_network(network, config))
    draft = draft_of(plan)
    (step,) = draft.plan["steps"]
    for field in step["fields"]:
        if field[0] in changes:
            array = changes[field[0]]
            dtype = int(from_numpy(array.dtype))
            field[2] = {"constant": draft.add_constant(array), "dtype": dtype, "dims": list(array.shape)}
    with pytest.raises(FieldValueError) as error:
        _native.Engine(draft.to_bytes(), 1)
    words = {"nodes": ("node", "splits"), "vote_targets": ("vote",), "leaves": ("leaf", "leaves"), "roots": ("root",)}
    assert any(word in str(error.value) for word in words.get(name, (name,))), error.value


def test_a_feature_that_x_lacks_is_named():
    with pytest.raises(ShapeError) as error:
        add(trt.Builder(trt.Logger()).create_network(), nodes=np.int32([[2, 0, 0, -1, -2]]))
    assert "at least 3 features" in str(error.value)
