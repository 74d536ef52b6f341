"""com.microsoft operators that work element by element: the GELU family, and sums with a bias."""

from __future__ import annotations

from math import pi, sqrt
from typing import Any

from dovetail.plugins.builtin._onnx_ms import microsoft
from dovetail.plugins.onnx import added, rank_of, scalar


def times(node: Any, x: Any, y: Any) -> Any:
    """x * y, where y may be a number."""
    return node.onnx("Mul", [x, scalar(x, y) if isinstance(y, float) else y])


def gelu_of(node: Any, x: Any) -> Any:
    """x / 2 * (1 + erf(x / sqrt(2)))."""
    inner = node.onnx("Erf", [times(node, x, sqrt(0.5))])
    return times(node, times(node, x, 0.5), node.onnx("Add", [inner, scalar(x, 1.0)]))


def fast_gelu_of(node: Any, x: Any) -> Any:
    """x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))."""
    cube = times(node, times(node, x, x), times(node, x, 0.044715))
    inner = node.onnx("Tanh", [times(node, node.onnx("Add", [x, cube]), sqrt(2 / pi))])
    return times(node, times(node, x, 0.5), node.onnx("Add", [inner, scalar(x, 1.0)]))


def silu_of(node: Any, x: Any, alpha: float = 1.0) -> Any:
    """x * sigmoid(alpha * x)."""
    return times(node, x, node.onnx("Sigmoid", [x if alpha == 1 else times(node, x, alpha)]))


def bias_split_gelu(node: Any) -> Any:
    """[..., 2 d]: the first half of x + bias times the GELU of the second."""
    x = added(node, node[0], node.value(1))
    if x.shape[-1] < 0 or x.shape[-1] % 2:
        raise node.fail("its last extent must be known, and even", x=x.symbolic.dims)
    left, right = node.onnx("Split", [x], n_outputs=2, opset=18, axis=rank_of(x) - 1, num_outputs=2)
    return times(node, left, gelu_of(node, right))


def bias_dropout(node: Any) -> Any:
    """data + bias + residual: nothing is dropped while a network runs."""
    training = node.constant(4)
    if node.value(4) is not None and (training is None or training.any()):
        raise node.fail("training_mode must be known to be false")
    return added(node, node.value(0), node.value(1), node.value(2))


def bias_add(node: Any) -> Any:
    return added(node, node.value(0), node.value(1), node.value(2))


rewrites = (
    microsoft("Gelu", lambda node: gelu_of(node, node[0]), (1, 1)),
    microsoft("FastGelu", lambda node: fast_gelu_of(node, added(node, node.value(0), node.value(1))), (1, 2)),
    microsoft("BiasGelu", lambda node: gelu_of(node, added(node, node.value(0), node.value(1))), (2, 2)),
    microsoft("QuickGelu", lambda node: silu_of(node, node[0], node.attr("alpha", 1.702)), (1, 1), "alpha"),
    microsoft("BiasSplitGelu", bias_split_gelu, (2, 2)),
    microsoft("BiasAdd", bias_add, (3, 3)),
    microsoft("BiasDropout", bias_dropout, (2, 5), "seed"),
)
