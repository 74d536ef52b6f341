"""com.microsoft operators that ONNX has as well, under other names or with other inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy

from dovetail.core.types import nptype
from dovetail.plugins.builtin._onnx_ms import microsoft
from dovetail.plugins.onnx import rank_of


def same(op_type: str, opset: int, *attrs: str) -> Callable[[Any], Any]:
    """The operator of ONNX with these inputs and attributes."""

    def rewrite(node: Any) -> Any:
        inputs = [node.value(index) for index in range(len(node))]
        given = {name: node.attr(name) for name in attrs if node.attr(name) is not None}
        return node.onnx(op_type, inputs, opset=opset, **given)

    return rewrite


def pad(node: Any) -> Any:
    """The amounts may be [1, 2 rank]."""
    pads, value = node.value(1), node.value(2)
    pads = pads if rank_of(pads) == 1 else node.onnx("Reshape", [pads, numpy.array([-1])])
    value = value if value is None else node.onnx("Reshape", [value, numpy.zeros(0, numpy.int64)])
    return node.onnx("Pad", [node.value(0), pads, value], opset=13, mode=node.attr("mode", "constant"))


def unique(node: Any) -> list[Any]:
    """Different values in the order in which they appear, the place of each element among them, and their counts."""
    y, _, which, counts = node.onnx("Unique", [node.value(0)], n_outputs=4, opset=11, sorted=0)
    return [y, which, counts]


def arange(node: Any) -> Any:
    """start, limit, delta: without dims or with one element."""
    numbers = [node.value(index) for index in range(3)]
    if numbers[2] is None:
        numbers[2] = numpy.ones((), nptype(node[0].dtype))
    flat = [x if rank_of(x) == 0 else node.onnx("Squeeze", [x, numpy.array([0])]) for x in numbers]
    return node.onnx("Range", flat)


def expand_dims(node: Any) -> Any:
    axis = node.constant(1)
    if axis is None or axis.size != 1:
        raise node.fail("its axis must be one number that is known when the network is built")
    return node.onnx("Unsqueeze", [node.value(0), axis.reshape(1).astype(numpy.int64)])


def distances(node: Any) -> Any:
    """[m, n] and [k, n]: the distance of each row of the one to each of the other, or its square."""
    metric = node.attr("metric", "sqeuclidean")
    if metric not in ("euclidean", "sqeuclidean"):
        raise node.fail("its metric is not known", metric=metric, known="euclidean, sqeuclidean")
    a, b = (node.onnx("Unsqueeze", [node.value(i), numpy.array([1 - i])]) for i in (0, 1))
    apart = node.onnx("Sub", [a, b])
    squares = node.onnx("ReduceSumSquare", [apart], opset=13, axes=[2], keepdims=0)
    return node.onnx("Sqrt", [squares]) if metric == "euclidean" else squares


def grid_sample(node: Any) -> Any:
    mode = node.attr("mode", "bilinear")
    attrs = {"padding_mode": node.attr("padding_mode", "zeros"), "align_corners": node.attr("align_corners", 0)}
    return node.onnx("GridSample", [node.value(0), node.value(1)], opset=16, mode=mode, **attrs)


rewrites = (
    microsoft("Pad", pad, (2, 3), "mode"),
    microsoft("Unique", unique, (1, 1), outputs=3),
    microsoft("GatherND", same("GatherND", 12), (2, 2)),
    microsoft("Trilu", same("Trilu", 14, "upper"), (1, 2), "upper"),
    microsoft("Range", arange, (2, 3)),
    microsoft("ExpandDims", expand_dims, (2, 2)),
    microsoft("CDist", distances, (2, 2), "metric"),
    microsoft("GridSample", grid_sample, (2, 2), "align_corners mode padding_mode"),
)
