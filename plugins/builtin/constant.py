"""Constant."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy

from dovetail.core.contract import MAX_ELEMENTS, SymbolicTensor
from dovetail.core.errors import FieldValueError, ShapeError
from dovetail.core.expr import DimsExprs
from dovetail.core.floats import FLOAT64
from dovetail.core.types import DataType, from_numpy
from dovetail.plugins import Floats, Ints, Output, Plugin, Tensor, field
from dovetail.plugins.builtin._fractions import constant
from dovetail.plugins.onnx import Counts, counts_given, onnx_op, sliced


class Constant(Plugin):
    """y = weights, in the dims that `shape` says

    Outputs   y  any type, that of the weights
    Errors    ShapeError if the number of values is not that of `shape`; FieldValueError if there are none
    Source    TensorRT 8.5 IConstantLayer
    """

    purpose = "Constants, fills and checks"
    y = Output()
    shape: Ints = field(doc="Dims of the output; () is a scalar.", low=0)
    weights: Tensor = field(doc="The values, in any dims of that size.")
    in_float64: Floats = field((), doc="The same as float64 numbers, where extents are computed with these.")

    role = "constant"

    def infer(self):
        values = self._values()
        if values.size != prod(self.shape):
            raise ShapeError(
                f"{self.label} cannot put {values.size} values into {list(self.shape)}",
                facts=[
                    ("weights", f"{values.size} values, given as {list(values.shape)}"),
                    ("shape", f"{prod(self.shape)} values, {list(self.shape)}"),
                ],
                hint="Change layer.shape or layer.weights.",
                expected=prod(self.shape),
                got=values.size,
            )
        y = SymbolicTensor(DimsExprs(self.shape), from_numpy(values.dtype), constant=values.reshape(self.shape))
        exact = [constant(value, FLOAT64) for value in self.in_float64]
        is_known = y.dtype == DataType.FLOAT and 0 < len(exact) == values.size and None not in exact
        return replace(y, fractions=tuple(exact)) if is_known else y

    def reference(self):
        return self._values().reshape(self.shape)

    def _values(self):
        """The weights as an array; a script may also give trt.Weights."""
        given = self.weights.numpy() if hasattr(self.weights, "numpy") else self.weights
        if given is None:
            raise FieldValueError(f"{self.label} has no values", hint="Give it an array.", field="weights")
        return numpy.asarray(given)

    @staticmethod
    def onnx():
        return (
            onnx_op("Constant", rewrite=constant_of),
            onnx_op("ConstantOfShape", rewrite=constant_of_shape),
        )

    @classmethod
    def add(cls, network, shape, weights):
        """A Constant layer: add_constant((2, 3), array)."""
        given = weights.numpy() if hasattr(weights, "numpy") else weights
        if given is not None:
            from_numpy(numpy.asarray(given).dtype)  # refuses float64 at the line that is wrong, not in the build
        return network.add_plugin("Constant", [], {"shape": shape, "weights": weights})


# ---- ONNX


def constant_of(node):
    """ONNX Constant: one attribute of several says what it is."""
    types = {
        "value_int": numpy.int64,
        "value_ints": numpy.int64,
        "value_float": numpy.float32,
        "value_floats": numpy.float32,
    }
    for name, dtype in types.items():
        if node.attr(name) is not None:
            return numpy.asarray(node.attr(name), dtype)
    if node.attr("sparse_value") is not None:
        return node.attr("sparse_value")
    if node.attr("value") is None:
        raise node.fail("its value is neither a tensor nor a number")
    return node.attr("value")


def constant_of_shape(node):
    """ONNX ConstantOfShape: one value everywhere. A small one is a constant, others repeat an element."""
    shape, value = counts_given(node, 0, "input"), numpy.asarray(node.attr("value", numpy.zeros(1, numpy.float32)))
    if value.size != 1:
        raise node.fail("its value is not one element", value=value.shape)
    if shape.known is not None and min(shape.known, default=0) < 0:
        raise node.fail("an extent is negative", shape=shape.known.tolist())
    if shape.known is not None and prod(shape.known.tolist()) <= MAX_ELEMENTS:
        return numpy.full(shape.known, value.reshape(()))
    zeros = Counts(node, [0] * len(shape))
    return sliced(node, node.as_tensor(value.reshape((1,) * len(shape))), zeros, shape, zeros)
