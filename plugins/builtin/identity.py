"""Identity."""

from __future__ import annotations

from dovetail.core.functions import converted
from dovetail.core.types import FLOATS, DataType
from dovetail.plugins import Input, Moved, Output, Plugin, field
from dovetail.plugins.builtin._conversion import TYPE_ROWS, TYPES, infer_converted
from dovetail.plugins.onnx import elementwise, onnx_op, unary

SAME = -1


class Identity(Plugin):
    """y = x, converted to the type that is asked for

    Inputs    x  any dims and type but FP8
    Outputs   y  dims of x; its type, or that of `to`
    Numerics  float to integer cuts off the fraction; what does not fit becomes the nearest limit, nan
              becomes 0. A wider integer keeps its low bits. To bool: is it not 0? To a float: rounds to
              nearest even.
    Source    TensorRT 8.5 IIdentityLayer, where `layer.set_output_type(0, type)` converts
    """

    purpose = "Types and quantisation"
    x = Input(TYPES)
    y = Output(TYPES)
    to: int = field(SAME, low=SAME, high=max(DataType), doc="DataType of the output; -1 keeps that of x.")

    role = "identity"
    scalar = "x"
    type_rows = TYPE_ROWS

    def infer(self, x):
        return infer_converted(x, x.dtype if self.to == SAME else DataType(self.to))

    def reference(self, x):
        return x if self.to == SAME else converted(x, DataType(self.to))

    def moves(self, y, x):
        return Moved() if y.dtype == x.dtype else None

    @staticmethod
    def onnx():
        return (onnx_op("Identity", rewrite=same), onnx_op("Dropout", rewrite=dropout))

    @classmethod
    def add(cls, network, input):
        """An Identity layer; `layer.set_output_type(0, trt.float16)` makes it convert."""
        return network.add_plugin("Identity", [input])


# ---- ONNX


def same(node):
    """ONNX Identity, of a sequence or an optional too."""
    value = node.value(0)
    return [value if value is None or isinstance(value, tuple) else node.add("Identity", [node[0]])]


def dropout(node):
    """ONNX Dropout, which only drops while training. The mask says that everything stays."""
    is_training, ratio = node.constant(2), node.constant(1)
    if len(node) > 2 and (is_training is None or is_training.any()) and (ratio is None or ratio.any()):
        raise node.fail("training_mode must be false, or the ratio 0")
    x = node[0]
    if not node.wants(1):
        return x
    wide = x if x.dtype in FLOATS else node.add("Cast", [x], to_type=DataType.FLOAT)
    is_nan = unary(node, "ISNAN", wide)
    kept = elementwise(node, "OR", is_nan, unary(node, "NOT", is_nan))
    if node.opset >= 10:
        return x, kept
    return x, node.add("Cast", [kept], to_type=x.dtype)
