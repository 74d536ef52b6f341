"""ElementWise."""

from __future__ import annotations

from math import floor

from dovetail.core.errors import DTypeError
from dovetail.core.named import Named
from dovetail.core.types import FLOATS, DataType
from dovetail.plugins import Input, Output, Plugin, broadcast, field
from dovetail.plugins.builtin._values import follow_formula
from dovetail.plugins.onnx import UNSIGNED, all_inputs, cast, elementwise, onnx_op, scalar, wrapped

NUMBERS = (*FLOATS, DataType.INT32, DataType.INT64)


class ElementWiseOperation(Named):
    """How two elements are combined."""

    SUM = 0
    PROD = 1
    MAX = 2
    MIN = 3
    SUB = 4
    DIV = 5
    POW = 6
    FLOOR_DIV = 7
    AND = 8
    OR = 9
    XOR = 10
    EQUAL = 11
    GREATER = 12
    LESS = 13
    # Our own; TensorRT has none of these.
    MOD = 100
    FMOD = 101
    BIT_AND = 102
    BIT_OR = 103
    BIT_XOR = 104
    SHIFT_LEFT = 105
    SHIFT_RIGHT = 106

    @property
    def is_logical(self) -> bool:
        return self in (self.AND, self.OR, self.XOR)

    @property
    def is_comparison(self) -> bool:
        return self in (self.EQUAL, self.GREATER, self.LESS)

    @property
    def is_on_bits(self) -> bool:
        return self >= self.BIT_AND


class ElementWise(Plugin):
    """y = a op b, element by element; extents of 1 are repeated

    Inputs    a, b  equal rank, per axis equal extents or 1; of one type: a float, int32, int64, or bool for
                    AND, OR, XOR and EQUAL; of int32 or int64 for BIT_AND, BIT_OR, BIT_XOR and the shifts
    Outputs   y     bool for AND, OR, XOR, EQUAL, GREATER and LESS, else the type of a
    Numerics  floats are combined in float32; MAX and MIN give nan where an operand is nan; integers wrap
              around; DIV of integers cuts towards zero and gives 0 for a division by 0. MOD is what FLOOR_DIV
              leaves and has the sign of b; FMOD what a cut division leaves, with that of a. Shifts by less than 0 or
              by all bits leave 0, or -1 to the right of a negative number
    Errors    ShapeError if ranks differ or extents do not match; DTypeError if the types do not suit the
              operation
    Source    TensorRT 8.5 IElementWiseLayer; MOD and all behind it are ours
    """

    purpose = "Element by element"
    a = Input((*NUMBERS, DataType.BOOL))
    b = Input((*NUMBERS, DataType.BOOL))
    y = Output((*NUMBERS, DataType.BOOL))
    op: ElementWiseOperation = field(doc="How two elements are combined.")

    scalar = (
        "choice(op, SUM=a + b, PROD=a * b, MAX=max(a, b), MIN=min(a, b), SUB=a - b, DIV=a / b, POW=a ** b, "
        "FLOOR_DIV=a // b, AND=a and b, OR=a or b, XOR=a != b, EQUAL=a == b, GREATER=a > b, LESS=a < b, "
        "MOD=a % b, FMOD=fmod(a, b), BIT_AND=a & b, BIT_OR=a | b, BIT_XOR=a ^ b, SHIFT_LEFT=a << b, "
        "SHIFT_RIGHT=a >> b)"
    )
    type_rows = (
        "f32|f16|bf16|i32|i64 f32|f16|bf16|i32|i64 -> f32|f16|bf16|i32|i64",
        "f32|f16|bf16|i32|i64|b8 f32|f16|bf16|i32|i64|b8 -> b8|b8|b8|b8|b8|b8",
    )

    def infer(self, a, b):
        legal = (DataType.BOOL,) if self.op.is_logical else NUMBERS
        if self.op == ElementWiseOperation.EQUAL:
            legal = (*NUMBERS, DataType.BOOL)
        if self.op.is_on_bits:
            legal = (DataType.INT32, DataType.INT64)
        if a.dtype != b.dtype or a.dtype not in legal:
            raise DTypeError(
                f"{self.label} cannot combine {a.dtype.name} with {b.dtype.name} by {self.op.name}",
                facts=[("a", a.dtype.name), ("b", b.dtype.name), ("rule", f"both {_words(legal)}")],
                hint="Convert one of them with a Cast layer.",
                expected=legal,
                got=(a.dtype, b.dtype),
            )
        is_bool = self.op.is_logical or self.op.is_comparison
        y = a.like(broadcast(self.label, a.dims, b.dims), DataType.BOOL if is_bool else a.dtype)
        return follow_formula(y, self, a, b)

    @staticmethod
    def onnx():
        return (
            *(onnx_op(name, rewrite=combining(op)) for name, op in COMBINING.items()),
            onnx_op("GreaterOrEqual", rewrite=or_equal("GREATER")),
            onnx_op("LessOrEqual", rewrite=or_equal("LESS")),
            onnx_op("Mean", rewrite=mean),
            onnx_op("Pow", rewrite=to_the_power),
            onnx_op("Mod", rewrite=modulo),
            onnx_op("BitShift", rewrite=shifted),
            onnx_op("BitwiseNot", rewrite=inverted),
            onnx_op("Binarizer", domain="ai.onnx.ml", rewrite=binarized),
        )

    @classmethod
    def add_elementwise(cls, network, input1, input2, op):
        """An ElementWise layer."""
        return network.add_plugin("ElementWise", [input1, input2], {"op": op})


def _words(types):
    return " or ".join((", ".join(t.name for t in types[:-1]), types[-1].name)) if len(types) > 1 else types[0].name


# ---- ONNX


def combining(op):
    """A rewrite of an operator with any number of inputs."""
    return lambda node: elementwise(node, op, *all_inputs(node))


def or_equal(op):
    """GreaterOrEqual and LessOrEqual: not what the opposite denies, since nan is neither."""

    def rewrite(node):
        return elementwise(
            node, "OR", elementwise(node, op, node[0], node[1]), elementwise(node, "EQUAL", node[0], node[1])
        )

    return rewrite


def mean(node):
    """ONNX Mean."""
    total = elementwise(node, "SUM", *all_inputs(node))
    return elementwise(node, "DIV", total, scalar(total, len(node)))


def to_the_power(node):
    """ONNX Pow, whose exponent has a type of its own; integers to a power that is none are computed in float32."""
    base, exponent, known = node[0], node[1], node.constant(1)
    if base.dtype in FLOATS and known is not None and known.size == 1 and known.ndim <= len(base.shape) and known == 2:
        return elementwise(node, "PROD", base, base)  # squares are in every older normalisation
    work = base.dtype
    if work not in FLOATS and exponent.dtype in FLOATS:
        work = DataType.FLOAT
    return cast(node, elementwise(node, "POW", cast(node, base, work), cast(node, exponent, work)), base.dtype)


def modulo(node):
    """ONNX Mod."""
    return elementwise(node, "FMOD" if node.attr("fmod", 0) else "MOD", node[0], node[1])


def shifted(node):
    """ONNX BitShift."""
    direction = node.attr("direction")
    if direction not in ("LEFT", "RIGHT"):
        raise node.fail("its direction is neither LEFT nor RIGHT", direction=direction)
    return wrapped(node, elementwise(node, f"SHIFT_{direction}", node[0], node[1]), node.type_name(0))


def inverted(node):
    """ONNX BitwiseNot."""
    ones = 2 ** UNSIGNED.get(node.type_name(0), 0) - 1 or -1
    return elementwise(node, "BIT_XOR", node[0], scalar(node[0], ones))


def binarized(node):
    """ONNX Binarizer: 1 above a threshold, 0 elsewhere."""
    x, threshold = node[0], node.attr("threshold", 0.0)
    work = x if x.dtype in FLOATS or abs(threshold) < 2**31 - 1 else cast(node, x, DataType.FLOAT)
    limit = threshold if work.dtype in FLOATS else floor(threshold)
    return cast(node, elementwise(node, "GREATER", work, scalar(work, limit)), x.dtype)


COMBINING = {
    "Add": "SUM",
    "Sub": "SUB",
    "Mul": "PROD",
    "Div": "DIV",
    "Sum": "SUM",
    "Max": "MAX",
    "Min": "MIN",
    "And": "AND",
    "Or": "OR",
    "Xor": "XOR",
    "Equal": "EQUAL",
    "Greater": "GREATER",
    "Less": "LESS",
    "BitwiseAnd": "BIT_AND",
    "BitwiseOr": "BIT_OR",
    "BitwiseXor": "BIT_XOR",
}
