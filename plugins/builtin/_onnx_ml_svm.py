"""Support vector machines of ai.onnx.ml."""

from __future__ import annotations

from typing import Any

import numpy

from dovetail.plugins.builtin._onnx_ml import (
    best_of,
    complement,
    features,
    floats,
    labelled,
    labels_of,
    learned,
    n_labels,
    side_by_side,
    transform_of,
    transformed,
)
from dovetail.plugins.onnx import ELEMENT_TYPES, in_float32

KERNELS = ("LINEAR", "POLY", "RBF", "SIGMOID")
DIRECT = 1 << 14  # differences of one row with all support vectors that are taken one by one


def kernel_of(node: Any, x: Any, vectors: numpy.ndarray, kind: str) -> Any:
    """The kernel between each row of x and each of the vectors, [rows, vectors]."""
    parameters = (*node.attr("kernel_params", ()), 0.0, 0.0, 0.0)[:3]
    gamma, offset, degree = (numpy.float32(value) for value in parameters)
    if kind not in KERNELS:
        raise node.fail("its kernel_type is not known", kernel_type=kind, known=", ".join(KERNELS))
    if x.shape[1] not in (-1, vectors.shape[1]):
        raise node.fail("its support vectors have other features", features=x.shape[1], vectors=vectors.shape[1])
    if kind == "RBF":
        return node.onnx("Exp", [node.onnx("Mul", [_distances(node, x, vectors), -gamma])])
    y = node.onnx("MatMul", [x, numpy.ascontiguousarray(vectors.T)])
    if kind == "LINEAR":
        return y
    y = node.onnx("Add", [node.onnx("Mul", [y, gamma]), offset])
    return node.onnx("Tanh", [y]) if kind == "SIGMOID" else node.onnx("Pow", [y, degree])


def _distances(node: Any, x: Any, vectors: numpy.ndarray) -> Any:
    """Squares of distances. Those of many vectors by products, seen from the vectors' centre so that little cancels."""
    if vectors.size <= DIRECT:
        apart = node.onnx("Sub", [node.onnx("Unsqueeze", [x, numpy.array([1])]), vectors[None]])
        return node.onnx("ReduceSumSquare", [apart], opset=13, axes=[2], keepdims=0)
    centre = vectors.mean(axis=0, dtype=numpy.float64).astype(numpy.float32)
    x, vectors = node.onnx("Sub", [x, centre]), vectors - centre
    own = node.onnx("ReduceSumSquare", [x], opset=13, axes=[1])
    theirs = (vectors.astype(numpy.float64) ** 2).sum(axis=1).astype(numpy.float32)
    cross = node.onnx("MatMul", [x, numpy.ascontiguousarray(-2 * vectors.T)])
    total = node.onnx("Add", [node.onnx("Add", [own, theirs]), cross])
    return node.onnx("Max", [total, numpy.float32(0)], opset=13)


def svm_regressor(node: Any) -> Any:
    """sum of coefficients * kernel + rho; with one_class 1 where that is positive, else -1."""
    how, n = transform_of(node), node.attr("n_supports", 0)
    if how != "NONE":
        raise node.fail("onnxruntime leaves its post_transform out, and so it is refused here", post_transform=how)
    x, coefficients, rho = features(node), floats(node, "coefficients"), floats(node, "rho")
    if rho.size < 1 or coefficients.size < 1:
        raise node.fail("it has no rho or no coefficients", rho=rho.size, coefficients=coefficients.size)
    if n > 0:
        vectors = _vectors(node, n)
        if coefficients.size != n:
            raise node.fail("its coefficients are not one for each vector", coefficients=coefficients.size, vectors=n)
        y = node.onnx(
            "MatMul", [kernel_of(node, x, vectors, node.attr("kernel_type", "LINEAR")), coefficients[:, None]]
        )
    else:
        y = kernel_of(node, x, coefficients[None], "LINEAR")
    y = node.onnx("Add", [y, rho[:1]])
    if not node.attr("one_class", 0):
        return y
    return node.onnx("Where", [node.onnx("Greater", [y, numpy.float32(0)]), numpy.float32(1), numpy.float32(-1)])


def _vectors(node: Any, n: int) -> numpy.ndarray:
    vectors = floats(node, "support_vectors")
    if not vectors.size or vectors.size % n:
        raise node.fail("its support_vectors are not so many rows", support_vectors=vectors.size, rows=n)
    return vectors.reshape(n, -1)


def svm_classifier(node: Any) -> list[Any]:
    """The labels, and scores: of pairs of classes, or of classes where there are probabilities or no vectors."""
    labels, n, how = labels_of(node, "classlabels_ints"), n_labels(node, "classlabels_ints"), transform_of(node)
    if n < 2:
        raise node.fail("it has one class only", classes=n)
    if not node.attr("vectors_per_class"):
        return _linear(node, labels, n, how)
    scores, votes = _pairs(node, n)
    which = labelled(node, labels, best_of(node, votes))
    if node.attr("prob_a"):
        return [which, transformed(node, _probabilities(node, scores, n), how)]
    if n > 2:
        return [which, transformed(node, scores, how)]
    if how == "PROBIT":
        raise node.fail("PROBIT of the score of two classes gives a single number, and not two")
    negative = node.onnx("Neg", [scores])
    if how in ("NONE", "LOGISTIC"):
        return [which, transformed(node, side_by_side(node, negative, scores), how)]
    return [which, side_by_side(node, complement(node, scores), scores)]


def _pairs(node: Any, n: int) -> tuple[Any, Any]:
    """Scores of the pairs (0, 1), (0, 2) ... (1, 2) ..., and how many pairs each class wins."""
    counts, n_pairs = node.attr("vectors_per_class"), n * (n - 1) // 2
    total, rho = sum(counts), floats(node, "rho")
    coefficients = floats(node, "coefficients")
    if len(counts) != n or coefficients.size != (n - 1) * total or rho.size != n_pairs:
        facts = {"classes": n, "vectors_per_class": len(counts), "coefficients": coefficients.size, "rho": rho.size}
        raise node.fail("its attributes do not fit together", **facts)
    node.reserve(f"the weights of {total} vectors for {n_pairs} pairs", bytes=total * n_pairs * 12 + n_pairs * n * 24)
    coefficients = coefficients.reshape(n - 1, total)
    ends = numpy.cumsum([0, *counts])
    weights, first, second = numpy.zeros((total, n_pairs)), numpy.zeros((n_pairs, n)), numpy.zeros((n_pairs, n))
    for pair, (i, j) in enumerate(zip(*numpy.triu_indices(n, 1), strict=True)):
        of_i, of_j = (slice(ends[k], ends[k + 1]) for k in (i, j))
        weights[of_i, pair], weights[of_j, pair] = coefficients[j - 1, of_i], coefficients[i, of_j]
        first[pair, i] = second[pair, j] = 1
    kernel = kernel_of(node, features(node), _vectors(node, total), node.attr("kernel_type", "LINEAR"))
    scores = node.onnx("Add", [node.onnx("MatMul", [kernel, weights.astype(numpy.float32)]), rho])
    wins = in_float32(node, node.onnx("Greater", [scores, numpy.float32(0)]))
    votes = node.onnx("MatMul", [wins, (first - second).astype(numpy.float32)])
    return scores, node.onnx("Add", [votes, second.sum(axis=0).astype(numpy.float32)])


def _probabilities(node: Any, scores: Any, n: int) -> Any:
    a, b = floats(node, "prob_a"), floats(node, "prob_b")
    if not a.size == b.size == n * (n - 1) // 2:
        raise node.fail("prob_a and prob_b are not one for each pair", prob_a=a.size, prob_b=b.size)
    raw = node.onnx("Sigmoid", [node.onnx("Neg", [node.onnx("Add", [node.onnx("Mul", [scores, a]), b])])])
    pairs = node.onnx("Clip", [raw, numpy.float32(1e-7), numpy.float32(1 - 1e-7)], opset=13)
    layer = node.network.add_plugin("ai.onnx.ml::PairwiseCoupling@1", [pairs], {"n_classes": n})
    return layer.get_output(0)


def _linear(node: Any, labels: Any, n: int, how: str) -> list[Any]:
    """One row of coefficients for each class. Of two, the second is chosen where the best score is above a limit."""
    coefficients, rho = floats(node, "coefficients"), floats(node, "rho")
    if not coefficients.size or coefficients.size % n or not rho.size:
        raise node.fail("its attributes do not fit together", classes=n, coefficients=coefficients.size, rho=rho.size)
    scores = node.onnx("Add", [kernel_of(node, features(node), coefficients.reshape(n, -1), "LINEAR"), rho[:1]])
    which = best_of(node, scores)
    if n == 2 and not node.attr("prob_a"):
        best = node.onnx("ReduceMax", [scores], opset=13, axes=[1], keepdims=0)
        is_positive = bool((coefficients >= 0).all())
        op, limit = ("GreaterOrEqual", 0.5) if is_positive else ("Greater", 0.0)
        is_above = node.onnx(op, [best, numpy.float32(limit)])
        which = node.onnx("Max", [which, node.onnx("Cast", [is_above], to=ELEMENT_TYPES["INT64"])], opset=13)
    return [labelled(node, labels, which), transformed(node, scores, how)]


COMMON = "coefficients kernel_params kernel_type post_transform rho support_vectors"

rewrites = (
    learned("SVMRegressor", svm_regressor, (1, 1), f"{COMMON} n_supports one_class"),
    learned(
        "SVMClassifier",
        svm_classifier,
        (1, 1),
        f"{COMMON} classlabels_ints classlabels_strings prob_a prob_b vectors_per_class",
        outputs=2,
    ),
)
