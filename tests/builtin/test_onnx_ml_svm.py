"""Support vector machines of ai.onnx.ml against NumPy in float64, and ONNX Runtime where it is installed."""

import numpy as np
import pytest
from one_node import by_onnxruntime, computed, error_of, one_node

import dovetail as trt

RNG = np.random.default_rng(31)
ML = "ai.onnx.ml"
KERNELS = ["LINEAR", "POLY", "RBF", "SIGMOID"]
GAMMA, OFFSET, DEGREE = 0.5, 0.75, 3.0


def some(*dims):
    return RNG.uniform(-1, 1, dims).astype(np.float32)


def numbers(array):
    return [float(value) for value in np.asarray(array).reshape(-1)]


def kernel(kind, x, vectors):
    x, vectors = np.float64(x), np.float64(vectors)
    inner = x @ vectors.T
    if kind == "RBF":
        return np.exp(-GAMMA * ((x[:, None] - vectors) ** 2).sum(-1))
    return {"LINEAR": inner, "POLY": (GAMMA * inner + OFFSET) ** DEGREE, "SIGMOID": np.tanh(GAMMA * inner + OFFSET)}[
        kind
    ]


def node(op, x, outputs=("y",), **attrs):
    attrs = {"kernel_params": [GAMMA, OFFSET, DEGREE], **attrs}
    return one_node(op, {"x": x}, outputs, domain=ML, version=3, **attrs)


def check(op, x, wanted, tolerance=3e-5, **attrs):
    model = node(op, x, list(wanted), **attrs)
    got = computed(model, {"x": x})
    for name, array in wanted.items():
        assert got[name].shape == array.shape
        np.testing.assert_allclose(got[name].astype(np.float64), array, rtol=tolerance, atol=tolerance)
    for name, array in by_onnxruntime(model, {"x": x}).items():
        np.testing.assert_allclose(got[name], array, rtol=1e-4, atol=1e-4)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


TRANSFORMS = {"NONE": lambda x: x, "LOGISTIC": sigmoid, "SOFTMAX": softmax}


# ---- regression


@pytest.mark.parametrize("kind", KERNELS)
@pytest.mark.parametrize("one_class", [0, 1])
def test_regression(kind, one_class):
    x, vectors, coefficients = some(30, 4), some(7, 4), some(7)
    y = kernel(kind, x, vectors) @ np.float64(coefficients)[:, None] + 0.125
    y = np.where(y > 0, 1.0, -1.0) if one_class else y
    attrs = {
        "support_vectors": numbers(vectors),
        "coefficients": numbers(coefficients),
        "rho": [0.125],
        "n_supports": 7,
    }
    check("SVMRegressor", x, {"y": y}, kernel_type=kind, one_class=one_class, **attrs)


def test_regression_without_vectors():
    x, coefficients = some(30, 4), some(4)
    check(
        "SVMRegressor",
        x,
        {"y": np.float64(x) @ coefficients[:, None] + 0.125},
        coefficients=numbers(coefficients),
        rho=[0.125],
    )


def test_many_vectors_far_from_the_origin():
    """Their distances are those of products, which must not cancel."""
    x, vectors, coefficients = some(20, 8) + 50, some(3000, 8) + 50, some(3000)
    y = kernel("RBF", x, vectors) @ np.float64(coefficients)[:, None]
    attrs = {
        "support_vectors": numbers(vectors),
        "coefficients": numbers(coefficients),
        "rho": [0.0],
        "n_supports": 3000,
    }
    model = node("SVMRegressor", x, kernel_type="RBF", **attrs)
    np.testing.assert_allclose(computed(model, {"x": x})["y"], y, atol=1e-3)


# ---- classification


def machine(n_classes, kind, each=3):
    """x, attributes, and scores of the pairs."""
    counts = [each + index for index in range(n_classes)]
    x, vectors = some(40, 4), some(sum(counts), 4)
    coefficients, rho = some(n_classes - 1, sum(counts)), some(n_classes * (n_classes - 1) // 2)
    values, ends = kernel(kind, x, vectors), np.cumsum([0, *counts])
    scores = []
    for i in range(n_classes):
        for j in range(i + 1, n_classes):
            of_i, of_j = slice(ends[i], ends[i + 1]), slice(ends[j], ends[j + 1])
            scores.append(values[:, of_i] @ coefficients[j - 1, of_i] + values[:, of_j] @ coefficients[i, of_j])
    attrs = {
        "support_vectors": numbers(vectors),
        "coefficients": numbers(coefficients),
        "rho": numbers(rho),
        "vectors_per_class": counts,
        "classlabels_ints": list(range(10, 10 + n_classes)),
        "kernel_type": kind,
    }
    return x, attrs, np.stack(scores, 1) + np.float64(rho)


def winners(scores, n_classes):
    votes = np.zeros((len(scores), n_classes))
    for pair, (i, j) in enumerate(zip(*np.triu_indices(n_classes, 1), strict=True)):
        votes[:, i] += scores[:, pair] > 0
        votes[:, j] += scores[:, pair] <= 0
    return votes.argmax(1)


@pytest.mark.parametrize("kind", KERNELS)
@pytest.mark.parametrize("n_classes", [3, 4])
@pytest.mark.parametrize("how", TRANSFORMS)
def test_several_classes(kind, n_classes, how):
    x, attrs, scores = machine(n_classes, kind)
    wanted = {"label": 10 + winners(scores, n_classes), "y": TRANSFORMS[how](scores)}
    check("SVMClassifier", x, wanted, post_transform=how, **attrs)


@pytest.mark.parametrize("kind", KERNELS)
@pytest.mark.parametrize("how", TRANSFORMS)
def test_two_classes(kind, how):
    x, attrs, s = machine(2, kind)
    scores = np.concatenate([1 - s, s], 1) if how == "SOFTMAX" else TRANSFORMS[how](np.concatenate([-s, s], 1))
    check("SVMClassifier", x, {"label": 10 + winners(s, 2), "y": scores}, post_transform=how, **attrs)


@pytest.mark.parametrize("n_classes", [2, 3, 5])
@pytest.mark.parametrize("how", TRANSFORMS)
def test_probabilities(n_classes, how):
    x, attrs, scores = machine(n_classes, "RBF")
    a, b = -np.abs(some(scores.shape[1])) - 0.5, some(scores.shape[1])
    pairs = np.clip(sigmoid(-(scores * a + b)), 1e-7, 1 - 1e-7)
    spec = trt.get_plugin_registry().find("ai.onnx.ml::PairwiseCoupling@1")
    wanted = {
        "label": 10 + winners(scores, n_classes),
        "y": TRANSFORMS[how](spec.reference({"n_classes": n_classes}, pairs)),
    }
    check("SVMClassifier", x, wanted, tolerance=1e-4, prob_a=numbers(a), prob_b=numbers(b), post_transform=how, **attrs)


@pytest.mark.parametrize("low", [-1, 0])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("how", TRANSFORMS)
def test_classes_without_vectors(n_classes, low, how):
    x, coefficients = some(40, 4), RNG.uniform(low, 1, (n_classes, 4)).astype(np.float32)
    scores = np.float64(x) @ coefficients.T + 0.125
    which = scores.argmax(1)
    if n_classes == 2:
        best = scores.max(1)
        which = np.where(best >= 0.5 if low == 0 else best > 0, 1, which)
    attrs = {"coefficients": numbers(coefficients), "rho": [0.125], "classlabels_ints": list(range(10, 10 + n_classes))}
    check("SVMClassifier", x, {"label": 10 + which, "y": TRANSFORMS[how](scores)}, post_transform=how, **attrs)


# ---- what is refused


@pytest.mark.parametrize(
    ("op", "changes", "words"),
    [
        ("SVMRegressor", {"kernel_type": "COSINE"}, ["kernel_type COSINE", "LINEAR, POLY"]),
        ("SVMRegressor", {"post_transform": "LOGISTIC"}, ["post_transform LOGISTIC"]),
        ("SVMRegressor", {"rho": []}, ["rho 0"]),
        ("SVMRegressor", {"coefficients": [1.0]}, ["coefficients 1", "vectors 2"]),
        ("SVMRegressor", {"support_vectors": [1.0] * 6}, ["features 4", "vectors 3"]),
        ("SVMClassifier", {"vectors_per_class": [1, 1, 1]}, ["vectors_per_class 3", "classes 2"]),
        ("SVMClassifier", {"prob_a": [1.0], "prob_b": []}, ["prob_a 1", "prob_b 0"]),
        ("SVMClassifier", {"classlabels_ints": [1]}, ["classes 1"]),
        ("SVMClassifier", {"post_transform": "PROBIT"}, ["PROBIT"]),
    ],
)
def test_what_cannot_be_honoured_is_named(op, changes, words):
    attrs = {"support_vectors": [1.0] * 8, "coefficients": [1.0, 2.0], "rho": [0.0], "kernel_type": "LINEAR"}
    attrs |= {"n_supports": 2} if op == "SVMRegressor" else {"classlabels_ints": [1, 2], "vectors_per_class": [1, 1]}
    outputs = ("y",) if op == "SVMRegressor" else ("label", "y")
    changes = {name: value for name, value in changes.items() if value != []}
    given = {name: value for name, value in {**attrs, **changes}.items() if name != "rho" or "rho 0" not in words}
    text = error_of(node(op, some(3, 4), outputs, **given))
    assert not [word for word in (f"({op} 'here')", *words) if word not in text], text
