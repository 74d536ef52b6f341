"""Select."""

from __future__ import annotations

import numpy

from dovetail.core.errors import DTypeError
from dovetail.core.types import DataType
from dovetail.plugins import Input, Output, Plugin, broadcast
from dovetail.plugins.builtin._values import follow_formula
from dovetail.plugins.onnx import (
    aligned,
    combined,
    extents,
    integers,
    number_like,
    off_diagonal,
    onnx_op,
    rank_of,
    with_rank,
)

TYPES = tuple(t for t in DataType if t != DataType.FP8)
WORDS = "|".join(t.short for t in TYPES)


class Select(Plugin):
    """y = condition ? a : b, element by element; extents of 1 are repeated

    Inputs    condition  bool
              a, b       of equal rank with it, per axis equal extents or 1; of one type, any but FP8
    Outputs   y          the type of a
    Errors    ShapeError if ranks differ or extents do not match; DTypeError if the types of a and b differ
    Source    TensorRT 8.5 ISelectLayer, where a is thenInput and b is elseInput
    """

    purpose = "Element by element"
    condition = Input(DataType.BOOL, doc="Which elements are taken from a.")
    a = Input(TYPES, doc="Taken where the condition is true.")
    b = Input(TYPES, doc="Taken where it is false.")
    y = Output(like="a")

    scalar = "a if condition else b"
    type_rows = (f"{'|'.join(['b8'] * len(TYPES))} {WORDS} {WORDS} -> {WORDS}",)

    def infer(self, condition, a, b):
        if a.dtype != b.dtype:
            raise DTypeError(
                f"{self.label} cannot choose between {a.dtype.name} and {b.dtype.name}",
                facts=[("a", a.dtype.name), ("b", b.dtype.name), ("rule", "both of one type")],
                hint="Convert one of them with a Cast layer.",
                expected=a.dtype,
                got=b.dtype,
            )
        y = a.like(broadcast(self.label, condition.dims, a.dims, b.dims))
        return follow_formula(y, self, condition, a, b)

    def reference(self, condition, a, b):
        return numpy.where(condition, a, b)

    @staticmethod
    def onnx():
        return (onnx_op("Where", rewrite=where), onnx_op("Trilu", rewrite=trilu))

    @classmethod
    def add(cls, network, condition, then_input, else_input):
        """A Select layer."""
        return network.add_plugin("Select", [condition, then_input, else_input])


# ---- ONNX


def where(node):
    """ONNX Where."""
    return node.add("Select", aligned(node, node[0], node[1], node[2]))


def trilu(node):
    """ONNX Trilu: a triangle of each matrix, 0 elsewhere."""
    x, is_upper = node[0], node.attr("upper", 1)
    rank, k = rank_of(x), (integers(node, 1, "k") or (0,))[0]
    if rank < 2:
        raise node.fail("its input is not a matrix", x=x.shape)
    off = off_diagonal(node, extents(node, x)[-2:])
    if isinstance(off, numpy.ndarray):
        kept = node.as_tensor(off >= k if is_upper else off <= k)
    else:
        kept = combined(node, "GREATER", off, k - 1) if is_upper else combined(node, "LESS", off, k + 1)
    return node.add("Select", [with_rank(node, kept, rank), x, number_like(x, 0)])
