"""Linear models of ai.onnx.ml."""

from __future__ import annotations

from typing import Any

import numpy

from dovetail.plugins.builtin._onnx_ml import (
    best_of,
    complement,
    features,
    floats,
    is_above,
    labelled,
    labels_of,
    learned,
    n_labels,
    side_by_side,
    transform_of,
    transformed,
)


def products(node: Any, coefficients: numpy.ndarray, n: int, intercepts: numpy.ndarray) -> Any:
    """[rows, n]: x @ coefficients^T + intercepts, where coefficients are [n, features]."""
    x = features(node)
    if n < 1 or coefficients.size % n or coefficients.size == 0:
        raise node.fail("its coefficients are not those of its scores", coefficients=coefficients.size, scores=n)
    if intercepts.size not in (0, n):
        raise node.fail("its intercepts are not one for each score", intercepts=intercepts.size, scores=n)
    matrix = numpy.ascontiguousarray(coefficients.reshape(n, -1).T)
    if x.shape[1] not in (-1, matrix.shape[0]):
        raise node.fail("its coefficients are not those of its features", features=x.shape[1], wanted=matrix.shape[0])
    y = node.onnx("MatMul", [x, matrix])
    return node.onnx("Add", [y, intercepts]) if intercepts.size else y


def linear_regressor(node: Any) -> Any:
    """Of a single target onnxruntime transforms with PROBIT alone, and so it is here."""
    n, how = node.attr("targets", 1), transform_of(node)
    y = products(node, floats(node, "coefficients"), n, floats(node, "intercepts"))
    return transformed(node, y, how if n > 1 or how == "PROBIT" else "NONE")


def linear_classifier(node: Any) -> list[Any]:
    """The labels and scores of all classes; one score of two classes is that of the second."""
    labels, n, how = labels_of(node, "classlabels_ints"), n_labels(node, "classlabels_ints"), transform_of(node)
    intercepts = floats(node, "intercepts")
    n_scores = intercepts.size or n
    if n_scores != n and (n_scores, n) != (1, 2):
        raise node.fail("its scores are not those of its labels", scores=n_scores, labels=n)
    scores = products(node, floats(node, "coefficients"), n_scores, intercepts)
    if n_scores > 1:
        return [labelled(node, labels, best_of(node, scores)), transformed(node, scores, how)]
    if how == "PROBIT" or n == 1:
        facts = {"labels": n, "post_transform": how}
        raise node.fail("one score gives those of two classes, and with another post_transform than PROBIT", **facts)
    which = labelled(node, labels, is_above(node, scores, 0.0))
    if how == "LOGISTIC":
        return [which, transformed(node, side_by_side(node, node.onnx("Neg", [scores]), scores), how)]
    return [which, side_by_side(node, complement(node, scores), scores)]


rewrites = (
    learned("LinearRegressor", linear_regressor, (1, 1), "coefficients intercepts post_transform targets"),
    learned(
        "LinearClassifier",
        linear_classifier,
        (1, 1),
        "classlabels_ints classlabels_strings coefficients intercepts multi_class post_transform",
        outputs=2,
    ),
)
