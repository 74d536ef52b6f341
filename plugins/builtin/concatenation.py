"""Concatenation."""

from __future__ import annotations

import numpy

from dovetail.core.arguments import sequence, shape_of
from dovetail.core.errors import DTypeError, ShapeError
from dovetail.core.types import DataType
from dovetail.plugins import Input, Moved, Output, Plugin, axis_of, field, require_equal
from dovetail.plugins.builtin._values import follow
from dovetail.plugins.onnx import onnx_op

TYPES = tuple(t for t in DataType if t != DataType.FP8)


class Concatenation(Plugin):
    """y = the inputs joined along `axis`

    Inputs    xs  one or more of one type and rank, alike in all extents but that of `axis`
    Outputs   y   on `axis` the sum of the extents
    Errors    ShapeError if ranks or other extents differ, `axis` is outside, or there is no input; DTypeError if
              types differ
    Source    TensorRT 8.5 IConcatenationLayer; add_concatenation takes the third axis from the end, or the first
    """

    purpose = "Shape and order"
    xs = Input(TYPES, variadic=True)
    y = Output(TYPES)
    axis: int = field(0, low=-8, high=7, doc="Axis along which they are joined; negative counts from the end.")

    type_rows = (f"{'|'.join(t.short for t in TYPES)}... -> {'|'.join(t.short for t in TYPES)}",)

    def infer(self, xs):
        if not xs or any(x is None for x in xs):
            raise ShapeError(f"{self.label} has no inputs", hint="Give it a list of tensors.")
        first = xs[0]
        axis = axis_of(self.axis, first.rank, self.label)
        total = first.dims[axis]
        for index, x in enumerate(xs[1:], 1):
            self._check(first, x, index, axis)
            total = total + x.dims[axis]
        y = first.like(first.dims.replaced(axis, total))
        return follow(y, lambda *arrays: numpy.concatenate(arrays, axis), *xs)

    def _check(self, first, x, index, axis):
        if x.dtype != first.dtype:
            raise DTypeError(
                f"{self.label} cannot join {first.dtype.name} and {x.dtype.name}",
                facts=[("input 0", first.dtype.name), (f"input {index}", x.dtype.name)],
                hint="Convert one of them with an Identity layer.",
                expected=first.dtype,
                got=x.dtype,
            )
        if x.rank != first.rank:
            raise ShapeError(
                f"{self.label} cannot join tensors of different rank",
                facts=[("input 0", first.dims), (f"input {index}", x.dims)],
                expected=first.rank,
                got=x.rank,
            )
        for i in range(x.rank):
            if i != axis:
                require_equal(
                    self.label,
                    (f"extent {i} of input 0, {first.dims},", first.dims[i]),
                    (f"that of input {index}, {x.dims},", x.dims[i]),
                )

    def reference(self, xs):
        return numpy.concatenate(xs, self.axis)

    def moves(self, y, xs):
        return Moved(axis_of(self.axis, y.rank, self.label))

    @staticmethod
    def onnx():
        return (onnx_op("Concat"), onnx_op("ConcatFromSequence", rewrite=concat_from_sequence))

    @classmethod
    def add(cls, network, inputs):
        """A Concatenation layer along the third axis from the end, or the first; `layer.axis` says another."""
        inputs = list(sequence("the inputs of add_concatenation", inputs, "tensors", "Write [x, y]."))
        rank = len(shape_of("input 0 of add_concatenation", inputs[0])) if inputs else 0
        return network.add_plugin("Concatenation", inputs, {"axis": max(0, rank - 3)})


# ---- ONNX


def concat_from_sequence(node):
    """ONNX ConcatFromSequence: side by side along an axis, or a new one."""
    tensors, is_new = node.sequence(0), bool(node.attr("new_axis", 0))
    if not tensors or node.attr("axis") is None:
        raise node.fail("it needs an axis and at least one tensor", tensors=len(tensors), axis=node.attr("axis"))
    axis = axis_of(node.attr("axis"), len(tensors[0].shape) + is_new, node.op_type)
    if is_new:
        tensors = [node.add("Unsqueeze", [tensor, numpy.array([axis])]) for tensor in tensors]
    return node.add("Concatenation", tensors, axis=axis)
