"""Trees of ai.onnx.ml against NumPy in float64, and ONNX Runtime where it is installed."""

import numpy as np
import pytest
from forests import counted, forest, onnx_attributes, random_votes, rows, walked
from one_node import by_onnxruntime, computed, error_of, one_node
from onnx import numpy_helper

ML = "ai.onnx.ml"


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def softmax_zero(x):
    e = np.where(np.abs(x) > 1e-7, np.exp(x - x.max(1, keepdims=True)), 0)
    return e / e.sum(1, keepdims=True)


TRANSFORMS = {"NONE": lambda x: x, "LOGISTIC": sigmoid, "SOFTMAX": softmax, "SOFTMAX_ZERO": softmax_zero}


def close(got, wanted, tolerance=2e-5):
    assert got.shape == wanted.shape
    np.testing.assert_allclose(got, wanted, rtol=tolerance, atol=tolerance)


def node(op, x, outputs=("y",), version=3, **attrs):
    return one_node(op, {"x": x}, outputs, domain=ML, version=version, **attrs)


def check(op, x, wanted, compare=True, **attrs):
    model = node(op, x, list(wanted), **attrs)
    got = computed(model, {"x": x})
    for name, array in wanted.items():
        close(got[name].astype(np.float64), array)
    if compare:
        theirs = by_onnxruntime(model, {"x": x})
        for name, array in theirs.items():
            close(got[name], array, 1e-4)
            assert got[name].dtype == array.dtype


# ---- regressors


@pytest.mark.parametrize("aggregate", ["SUM", "AVERAGE", "MIN", "MAX"])
@pytest.mark.parametrize("n_targets", [1, 3])
@pytest.mark.parametrize("base", [False, True])
def test_regression(aggregate, n_targets, base):
    trees, x = forest(1), rows(1, 90)
    votes = random_votes(1, trees, n_targets)
    offsets = np.arange(n_targets) - 0.5
    attrs = {"base_values": offsets.tolist()} if base else {}
    wanted = counted(trees, votes, x, n_targets, aggregate, offsets if base else 0)
    attrs |= {"n_targets": n_targets, "aggregate_function": aggregate, **onnx_attributes(trees, votes, "target")}
    check("TreeEnsembleRegressor", x, {"y": wanted}, **attrs)


@pytest.mark.parametrize("how", TRANSFORMS)
def test_transforms_of_regression(how):
    trees, x = forest(2), rows(2, 40)
    votes = random_votes(2, trees, 3)
    wanted = TRANSFORMS[how](counted(trees, votes, x, 3))
    check(
        "TreeEnsembleRegressor",
        x,
        {"y": wanted},
        n_targets=3,
        post_transform=how,
        **onnx_attributes(trees, votes, "target"),
    )


def test_probit():
    """Of scores between 0 and 1: the inverse of the normal distribution, by an approximation."""
    trees = [None]
    votes = {"0:": [(0, 0.975), (1, 0.5), (2, 0.025)]}
    attrs = {"n_targets": 3, "post_transform": "PROBIT", **onnx_attributes(trees, votes, "target")}
    x = np.zeros((2, 1), np.float32)
    model = node("TreeEnsembleRegressor", x, **attrs)
    got = computed(model, {"x": x})["y"]
    np.testing.assert_allclose(got, [[1.96, 0, -1.96]] * 2, atol=5e-3)
    close(got, by_onnxruntime(model, {"x": x})["y"], 1e-3)


@pytest.mark.parametrize("dtype", [np.int64, np.int32])
def test_features_that_are_integers(dtype):
    trees = forest(3)
    x = rows(3, 30, has_nan=False).astype(dtype)
    votes = random_votes(3, trees, 1)
    attrs = {"n_targets": 1, **onnx_attributes(trees, votes, "target")}
    check("TreeEnsembleRegressor", x, {"y": counted(trees, votes, x, 1)}, compare=False, **attrs)


def test_splits_of_float64_divide_as_they_do():
    """Just above, at, and just below a float32: each side of each comparison."""
    trees = [(0, mode, 0, 0.0, None, None) for mode in range(6)]
    votes = {path: [(int(path[0]), float(path.endswith("t")))] for path, one in walked(trees) if one is None}
    attrs = onnx_attributes(trees, votes, "target")
    x = np.float32(
        [[0.1], [np.nextafter(np.float32(0.1), np.float32(1))], [np.nextafter(np.float32(0.1), np.float32(0))]]
    )
    for split in (0.1, float(np.float32(0.1)), np.nextafter(float(np.float32(0.1)), 0.0)):
        given = dict(attrs)
        values = np.float64(given.pop("nodes_values"))
        values[[mode != "LEAF" for mode in attrs["nodes_modes"]]] = split
        given["nodes_values_as_tensor"] = numpy_helper.from_array(values)
        given["target_weights_as_tensor"] = numpy_helper.from_array(np.float64(given.pop("target_weights")))
        wide = np.float64(x[:, 0])
        holds = [wide <= split, wide < split, wide >= split, wide > split, wide == split, wide != split]
        got = computed(node("TreeEnsembleRegressor", x, n_targets=6, **given), {"x": x})["y"]
        np.testing.assert_array_equal(got, np.stack(holds, 1))


def test_features_of_float64_that_equal_a_split():
    """Both become the same float32."""
    trees, votes = [(0, 0, 0, 1.2, None, None)], {"0:t": [(0, 1.0)], "0:f": [(0, 2.0)]}
    attrs = onnx_attributes(trees, votes, "target")
    attrs["nodes_values_as_tensor"] = numpy_helper.from_array(np.float64(attrs.pop("nodes_values")))
    attrs["target_weights_as_tensor"] = numpy_helper.from_array(np.float64(attrs.pop("target_weights")))
    x = np.float64([[1.2], [1.1], [1.3]])
    got = computed(node("TreeEnsembleRegressor", x, n_targets=1, **attrs), {"x": x})["y"]
    assert got[:, 0].tolist() == [1, 1, 2]


# ---- classifiers


@pytest.mark.parametrize("how", TRANSFORMS)
@pytest.mark.parametrize("base", [False, True])
def test_several_classes(how, base):
    trees, x, labels = forest(4), rows(4, 80), np.int64([7, 3, 5])
    votes = random_votes(4, trees, 3)
    offsets = np.array([0.25, -0.5, 1])
    scores = counted(trees, votes, x, 3, "SUM", offsets if base else 0)
    wanted = {"label": labels[scores.argmax(1)], "y": TRANSFORMS[how](scores)}
    attrs = {"base_values": offsets.tolist()} if base else {}
    attrs |= {"classlabels_int64s": labels.tolist(), "post_transform": how, **onnx_attributes(trees, votes, "class")}
    check("TreeEnsembleClassifier", x, wanted, **attrs)


@pytest.mark.parametrize("how", ["NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO"])
@pytest.mark.parametrize("low", [-1.0, 0.0])
@pytest.mark.parametrize("base", [None, [0.25], [0.25, -0.5]])
def test_two_classes_of_one_column(how, low, base):
    """What onnxruntime makes of it: with base_values of both classes the second one has a score of 0."""
    trees, x, labels = forest(5), rows(5, 80), np.int64([7, 3])
    votes = {path: [(0, w / 4) for _, w in vote] for path, vote in random_votes(5, trees, 1, low).items()}
    s = counted(trees, votes, x, 1)
    first = s + (base[0] if base else 0)
    limit = 0.5 if low == 0 else 0
    if base is not None and len(base) == 2:
        scores = TRANSFORMS[how](np.concatenate([first, np.zeros_like(s)], 1))
    elif how == "LOGISTIC":
        scores = np.concatenate([sigmoid(-first), sigmoid(first)], 1)
    else:
        scores = np.concatenate([1 - first if low == 0 else -first, first], 1)
    wanted = {"label": labels[(first[:, 0] > limit).astype(int)], "y": scores}
    attrs = {"base_values": base} if base else {}
    attrs |= {"classlabels_int64s": labels.tolist(), "post_transform": how, **onnx_attributes(trees, votes, "class")}
    check("TreeEnsembleClassifier", x, wanted, **attrs)


@pytest.mark.parametrize("how", ["NONE", "LOGISTIC", "SOFTMAX"])
@pytest.mark.parametrize("low", [-1.0, 0.0])
def test_two_classes_of_which_the_second_is_voted_for(how, low):
    trees, x, labels = forest(6), rows(6, 80), np.int64([7, 3])
    votes = {path: [(1, w / 4) for _, w in vote] for path, vote in random_votes(6, trees, 1, low).items()}
    s = counted(trees, votes, x, 2)
    wanted = {"label": labels[(s[:, 1] > (0.5 if low == 0 else 0)).astype(int)], "y": TRANSFORMS[how](s)}
    attrs = {"classlabels_int64s": labels.tolist(), "post_transform": how, **onnx_attributes(trees, votes, "class")}
    check("TreeEnsembleClassifier", x, wanted, **attrs)


@pytest.mark.parametrize("how", ["NONE", "SOFTMAX"])
def test_two_classes_with_votes_for_both(how):
    """The better one wins. onnxruntime answers 0 and 1 here, whatever the labels are."""
    trees, x, labels = forest(7), rows(7, 80), np.int64([7, 3])
    votes = random_votes(7, trees, 2)
    s = counted(trees, votes, x, 2)
    wanted = {"label": labels[s.argmax(1)], "y": TRANSFORMS[how](s)}
    attrs = {"classlabels_int64s": labels.tolist(), "post_transform": how, **onnx_attributes(trees, votes, "class")}
    check("TreeEnsembleClassifier", x, wanted, compare=False, **attrs)


def test_a_class_without_votes_never_wins():
    trees, x, labels = forest(8), rows(8, 50), [1, 2, 3, 4]
    votes = {
        path: [(int(w * 3) % 3, -abs(w) - 0.1) for _, w in vote] for path, vote in random_votes(8, trees, 1).items()
    }
    votes = {path: [*vote, (0, -1.0), (1, -1.5), (2, -2.0)] for path, vote in votes.items()}
    s = counted(trees, votes, x, 4)
    wanted = {"label": np.int64(labels)[s[:, :3].argmax(1)], "y": s}
    check("TreeEnsembleClassifier", x, wanted, classlabels_int64s=labels, **onnx_attributes(trees, votes, "class"))


def test_scores_without_labels_of_strings():
    trees, x = forest(9), rows(9, 20)
    votes = random_votes(9, trees, 3)
    attrs = {"classlabels_strings": ["a", "b", "c"], **onnx_attributes(trees, votes, "class")}
    model = node("TreeEnsembleClassifier", x, ("label", "y"), **attrs)
    text = error_of(model)
    model.graph.output.pop(0)
    close(computed(model, {"x": x})["y"], counted(trees, votes, x, 3))
    assert "its labels are strings" in text
    assert "a, b, c" in text


# ---- TreeEnsemble-5


def version_5(trees, votes, members=None, **attrs):
    """Attributes of TreeEnsemble; a leaf alone is a node whose children are both that leaf."""
    inner = [(path, one) for path, one in walked(trees) if one is not None]
    ends = [path for path, one in walked(trees) if one is None]
    place = {path: index for index, (path, _) in enumerate(inner)}
    leaf = {path: index for index, path in enumerate(ends)}
    child = lambda path: (place[path], 0) if path in place else (leaf[path], 1)  # noqa: E731
    true, false = ([child(path + way) for path, _ in inner] for way in "tf")
    floats = lambda values: numpy_helper.from_array(np.float32(values))  # noqa: E731
    return {
        "tree_roots": [place[f"{index}:"] for index in range(len(trees))],
        "nodes_featureids": [one[0] for _, one in inner],
        "nodes_modes": numpy_helper.from_array(np.uint8([6 if one[3] is members else one[1] for _, one in inner])),
        "nodes_splits": floats([0 if one[3] is members else one[3] for _, one in inner]),
        "nodes_missing_value_tracks_true": [one[2] for _, one in inner],
        "nodes_truenodeids": [number for number, _ in true],
        "nodes_trueleafs": [is_leaf for _, is_leaf in true],
        "nodes_falsenodeids": [number for number, _ in false],
        "nodes_falseleafs": [is_leaf for _, is_leaf in false],
        "leaf_targetids": [votes[path][0][0] for path in ends],
        "leaf_weights": floats([votes[path][0][1] for path in ends]),
        **attrs,
    }


def full(seed):
    """Trees of one node or more."""
    return [tree for tree in forest(seed, n_trees=9) if tree is not None]


@pytest.mark.parametrize(("number", "aggregate"), list(enumerate(["AVERAGE", "SUM", "MIN", "MAX"])))
@pytest.mark.parametrize("n_targets", [1, 3])
def test_ensembles(number, aggregate, n_targets):
    trees, x = full(10), rows(10, 70)
    votes = random_votes(10, trees, n_targets, several=False)
    attrs = version_5(trees, votes, n_targets=n_targets, aggregate_function=number)
    check("TreeEnsemble", x, {"y": counted(trees, votes, x, n_targets, aggregate)}, version=5, main=21, **attrs)


@pytest.mark.parametrize(("number", "how"), [(0, "NONE"), (1, "SOFTMAX"), (2, "LOGISTIC"), (3, "SOFTMAX_ZERO")])
def test_transforms_of_ensembles(number, how):
    trees, x = full(11), rows(11, 40)
    votes = random_votes(11, trees, 3, several=False)
    wanted = TRANSFORMS[how](counted(trees, votes, x, 3))
    attrs = version_5(trees, votes, n_targets=3, post_transform=number)
    is_swapped = how in ("SOFTMAX", "LOGISTIC")  # by onnxruntime
    check("TreeEnsemble", x, {"y": wanted}, version=5, compare=not is_swapped, **attrs)


@pytest.mark.parametrize("tracks_true", [0, 1])
def test_membership(tracks_true):
    """x[0] in {1, 4, -3} ? 1 : (x[1] in {0} ? 2 : 3)"""
    members = object()
    trees = [(0, 6, tracks_true, members, None, (1, 6, tracks_true, members, None, None))]
    votes = {"0:t": [(0, 1.0)], "0:ft": [(0, 2.0)], "0:ff": [(0, 3.0)]}
    x = np.float32([[1, 9], [4, 9], [-3, 9], [2, 0], [2, 1], [np.nan, 0], [2, np.nan]])
    wanted = [1, 1, 1, 2, 3, 1 if tracks_true else 2, 2 if tracks_true else 3]
    lists = numpy_helper.from_array(np.float32([1, 4, -3, np.nan, 0, np.nan]))
    attrs = version_5(trees, votes, members, n_targets=1, membership_values=lists)
    check("TreeEnsemble", x, {"y": np.float64(wanted)[:, None]}, version=5, **attrs)


# ---- what is refused


def regression(**changes):
    """x[0] <= 0 ? 1 : 2."""
    trees, votes = [(0, 0, 0, 0.0, None, None)], {"0:t": [(0, 1.0)], "0:f": [(0, 2.0)]}
    return node(
        "TreeEnsembleRegressor", np.zeros((2, 1), np.float32), **{**onnx_attributes(trees, votes, "target"), **changes}
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"aggregate_function": "MEDIAN"}, ["aggregate_function MEDIAN"]),
        ({"post_transform": "CUBIC"}, ["post_transform CUBIC", "NONE, SOFTMAX"]),
        ({"nodes_truenodeids": [0, 0, 0]}, ["circle"]),
        ({"nodes_truenodeids": [9, 0, 0]}, ["child 9"]),
        ({"nodes_modes": ["BRANCH_LEQ", "LEAF", "BRANCH_IN"]}, ["BRANCH_IN"]),
        ({"nodes_nodeids": [0, 1, 1]}, ["one name", "node 1"]),
        ({"nodes_featureids": [0, 0]}, ["nodes_featureids has another length", "length 2"]),
        ({"nodes_featureids": [3, 0, 0]}, ["at least 4 features"]),
        ({"target_ids": [0, 1]}, ["target 1", "targets 1"]),
        ({"target_nodeids": [0, 1]}, ["a vote is not at a leaf"]),
        ({"base_values": [1.0, 2.0]}, ["base_values 2", "targets 1"]),
        ({"nodes_treeids": [0, 0, 1]}, ["child 2"]),
        ({"nodes_depth": [0]}, ["nodes_depth"]),
    ],
)
def test_what_cannot_be_honoured_is_named(changes, words):
    text = error_of(regression(**changes))
    assert not [word for word in ("(TreeEnsembleRegressor 'here')", *words) if word not in text], text


def test_ten_thousand_nodes_in_one_branch():
    """A tree as deep as it has nodes."""
    n = 10000
    attrs = {
        "nodes_treeids": [0] * (2 * n + 1),
        "nodes_nodeids": list(range(2 * n + 1)),
        "nodes_featureids": [0] * (2 * n + 1),
        "nodes_modes": ["BRANCH_LT", "LEAF"] * n + ["LEAF"],
        "nodes_values": [float(index // 2) for index in range(2 * n + 1)],
        "nodes_truenodeids": [index + 1 for index in range(2 * n + 1)],
        "nodes_falsenodeids": [index + 2 for index in range(2 * n + 1)],
        "target_treeids": [0] * (n + 1),
        "target_nodeids": [*range(1, 2 * n, 2), 2 * n],
        "target_ids": [0] * (n + 1),
        "target_weights": [float(index) for index in range(n + 1)],
    }
    x = np.float32([[-1], [17.5], [n - 1.5], [n]])
    got = computed(node("TreeEnsembleRegressor", x, n_targets=1, **attrs), {"x": x})["y"]
    assert got[:, 0].tolist() == [0, 18, n - 1, n]


def test_rows_of_any_number():
    trees = forest(12)
    votes = random_votes(12, trees, 1)
    x = rows(12, 100)
    model = one_node(
        "TreeEnsembleRegressor",
        {"x": x},
        domain=ML,
        version=3,
        dims={"x": ("n", 4)},
        n_targets=1,
        **onnx_attributes(trees, votes, "target"),
    )
    got = computed(model, {"x": x}, {"x": ((1, 4), (500, 4))})["y"]
    close(got, counted(trees, votes, x, 1))
