"""Shared by the rewrites of ai.onnx.ml: rows and features, scores and their post_transform, labels."""

from __future__ import annotations

from functools import partial
from math import sqrt
from typing import Any

import numpy

from dovetail.plugins.onnx import ELEMENT_TYPES, checked_op, rank_of

DOMAIN = "ai.onnx.ml"
TRANSFORMS = ("NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT")


learned = partial(checked_op, domain=DOMAIN)


def features(node: Any) -> Any:
    """Input 0 as [rows, features] in float32; one dim is one row."""
    x = node[0]
    if rank_of(x) not in (1, 2):
        raise node.fail("its input has neither one nor two dims", x=x.symbolic.dims)
    x = node.onnx("Cast", [x], to=ELEMENT_TYPES["FLOAT"])
    return x if rank_of(x) == 2 else node.onnx("Unsqueeze", [x, numpy.array([0])])


def floats(node: Any, name: str) -> numpy.ndarray:
    """A list of numbers, empty if the attribute is absent."""
    return numpy.asarray(node.attr(name, ()), numpy.float32)


def transform_of(node: Any) -> str:
    """post_transform by its name. Raises the error to raise if there is none of it."""
    given = node.attr("post_transform", "NONE")
    if isinstance(given, int):
        given = TRANSFORMS[given] if 0 <= given < len(TRANSFORMS) else str(given)
    if given not in TRANSFORMS:
        raise node.fail("its post_transform is not known", post_transform=given, known=", ".join(TRANSFORMS))
    return given


def transformed(node: Any, scores: Any, how: str) -> Any:
    """Scores [rows, n] behind a post_transform."""
    if how == "NONE":
        return scores
    if how == "LOGISTIC":
        return node.onnx("Sigmoid", [scores])
    if how == "SOFTMAX":
        return node.onnx("Softmax", [scores], axis=1)
    return softmax_but_zeros(node, scores) if how == "SOFTMAX_ZERO" else probit(node, scores)


def softmax_but_zeros(node: Any, scores: Any) -> Any:
    """The softmax of those that are not 0 (within 1e-7); these stay so."""
    largest = node.onnx("ReduceMax", [scores], opset=13, axes=[1])
    is_given = node.onnx("Greater", [node.onnx("Abs", [scores]), numpy.float32(1e-7)])
    shares = node.onnx("Exp", [node.onnx("Sub", [scores, largest])])
    small = node.onnx("Mul", [scores, node.onnx("Exp", [node.onnx("Neg", [largest])])])
    total = node.onnx("ReduceSum", [node.onnx("Where", [is_given, shares, numpy.float32(0)]), numpy.array([1])])
    return node.onnx("Div", [node.onnx("Where", [is_given, shares, small]), total])


def probit(node: Any, scores: Any) -> Any:
    """sqrt(2) erfinv(2 s - 1), with the approximation of erfinv that onnxruntime and the package onnx have.

    erfinv(z) = sign(z) sqrt(sqrt(v^2 - log(1 - z^2) / a) - v), v = 2 / (pi a) + log(1 - z^2) / 2, a = 0.147
    (Winitzki, 2008), where pi is 3.14159.
    """
    z = node.onnx("Sub", [node.onnx("Mul", [scores, numpy.float32(2)]), numpy.float32(1)])
    rest = node.onnx("Sub", [numpy.float32(1), node.onnx("Mul", [z, z])])
    log = node.onnx("Log", [rest])
    half = node.onnx("Mul", [log, numpy.float32(0.5)])
    v = node.onnx("Add", [half, numpy.float32(2 / (3.14159 * 0.147))])
    inner = node.onnx("Sub", [node.onnx("Mul", [v, v]), node.onnx("Mul", [log, numpy.float32(1 / 0.147)])])
    size = node.onnx("Sqrt", [node.onnx("Sub", [node.onnx("Sqrt", [inner]), v])])
    sign = node.onnx("Where", [node.onnx("Less", [z, numpy.float32(0)]), numpy.float32(-1), numpy.float32(1)])
    return node.onnx("Mul", [node.onnx("Mul", [size, sign]), numpy.float32(sqrt(2))])


# ---- labels


def labels_of(node: Any, name: str) -> numpy.ndarray | None:
    """Labels that are integers, of the attribute `name`. None where labels are strings that the model does not use.

    Raises the error to raise if they are strings, which networks have not, or none.
    """
    strings, integers = node.attr("classlabels_strings", ()), node.attr(name, ())
    if bool(strings) == bool(integers):
        raise node.fail(f"it has not one of classlabels_strings and {name}")
    if integers:
        return numpy.asarray(integers, numpy.int64)
    if node.wants(0):
        raise node.fail(
            "its labels are strings, and tensors of strings are not known here: give the classes integers as labels, "
            "or take the labels out of the outputs of the model",
            labels=", ".join(strings[:3]) + ("..." if len(strings) > 3 else ""),
        )
    return None


def n_labels(node: Any, name: str) -> int:
    return max(len(node.attr("classlabels_strings", ())), len(node.attr(name, ())))


def labelled(node: Any, labels: numpy.ndarray | None, which: Any) -> Any:
    """The labels at these indices, a tensor [rows] of int64; None if the model does not use them."""
    return None if labels is None else node.onnx("Gather", [labels, which])


def best_of(node: Any, scores: Any) -> Any:
    """The index of the largest element of each row, the first of equal ones."""
    return node.onnx("ArgMax", [scores], axis=1, keepdims=0)


def is_above(node: Any, score: Any, limit: float) -> Any:
    """1 where the only score of a row, [rows, 1], is above the limit, else 0: [rows] of int64."""
    above = node.onnx("Greater", [score, numpy.float32(limit)])
    return node.onnx("Squeeze", [node.onnx("Cast", [above], to=ELEMENT_TYPES["INT64"]), numpy.array([1])])


def side_by_side(node: Any, *columns: Any) -> Any:
    """[rows, 1] each, as [rows, n]."""
    return node.onnx("Concat", list(columns), axis=1)


def complement(node: Any, score: Any) -> Any:
    """1 - score."""
    return node.onnx("Sub", [numpy.float32(1), score])
