"""Unary."""

from __future__ import annotations

from dovetail.core.errors import DTypeError
from dovetail.core.named import Named
from dovetail.core.types import FLOATS, DataType
from dovetail.plugins import Input, Output, Plugin, field
from dovetail.plugins.builtin._values import follow_formula
from dovetail.plugins.onnx import elementwise, onnx_op, scalar, unary

SIGNED = (DataType.INT8, DataType.INT32, DataType.INT64)


class UnaryOperation(Named):
    """Which function of one element."""

    EXP = 0
    LOG = 1
    SQRT = 2
    RECIP = 3
    ABS = 4
    NEG = 5
    SIN = 6
    COS = 7
    TAN = 8
    SINH = 9
    COSH = 10
    ASIN = 11
    ACOS = 12
    ATAN = 13
    ASINH = 14
    ACOSH = 15
    ATANH = 16
    CEIL = 17
    FLOOR = 18
    ERF = 19
    NOT = 20
    SIGN = 21
    ROUND = 22
    ISINF = 23
    ISNAN = 24

    @property
    def types(self) -> tuple[DataType, ...]:
        """The types that it takes."""
        if self == self.NOT:
            return (DataType.BOOL,)
        return (*FLOATS, *SIGNED) if self in (self.ABS, self.NEG, self.SIGN) else FLOATS

    @property
    def is_question(self) -> bool:
        return self in (self.ISINF, self.ISNAN)


class Unary(Plugin):
    """y = f(x), one of 25 functions of one element

    Inputs    x  any dims; a float. ABS, NEG and SIGN take int8, int32 and int64 too, NOT takes bool alone
    Outputs   y  dims and type of x; bool for ISINF and ISNAN
    Numerics  float32 whatever the type of floats, within a few units in the last place; outside of a
              function's domain it gives nan; nan gives nan. ROUND takes ties to the even number; SIGN is
              -1, 0 or 1. NEG and ABS of the lowest integer give it back
    Errors    DTypeError if the operation does not take the type
    Source    TensorRT 8.5 IUnaryLayer; ISINF is TensorRT 8.6's, ISNAN 10's
    """

    purpose = "Element by element"
    x = Input((*FLOATS, *SIGNED, DataType.BOOL))
    y = Output((*FLOATS, *SIGNED, DataType.BOOL))
    op: UnaryOperation = field(doc="Which function.")

    scalar = (
        "choice(op, EXP=exp(x), LOG=log(x), SQRT=sqrt(x), RECIP=1 / x, ABS=abs(x), NEG=-x, SIN=sin(x), COS=cos(x), "
        "TAN=tan(x), SINH=sinh(x), COSH=cosh(x), ASIN=asin(x), ACOS=acos(x), ATAN=atan(x), ASINH=asinh(x), "
        "ACOSH=acosh(x), ATANH=atanh(x), CEIL=ceil(x), FLOOR=floor(x), ERF=erf(x), NOT=not x, "
        "SIGN=sign(x), ROUND=round(x), ISINF=abs(x) == inf, ISNAN=x != x)"
    )
    type_rows = ("f32|f16|bf16|i8|i32|i64|b8 -> f32|f16|bf16|i8|i32|i64|b8", "f32|f16|bf16 -> b8|b8|b8")

    def infer(self, x):
        if x.dtype not in self.op.types:
            legal = ", ".join(t.name for t in self.op.types)
            raise DTypeError(
                f"{self.label} cannot take {self.op.name} of {x.dtype.name}",
                facts=[("x", x.dtype.name), ("rule", f"{self.op.name} takes {legal}")],
                hint="Convert it with a Cast layer.",
                expected=self.op.types,
                got=x.dtype,
            )
        y = x.like(dtype=DataType.BOOL if self.op.is_question else x.dtype)
        return follow_formula(y, self, x)

    @staticmethod
    def onnx():
        return (
            *(onnx_op(name, rewrite=applying(op)) for name, op in APPLYING.items()),
            onnx_op("IsInf", rewrite=is_inf),
        )

    @classmethod
    def add(cls, network, input, op):
        """A Unary layer."""
        return network.add_plugin("Unary", [input], {"op": op})


# ---- ONNX


def applying(op):
    """A rewrite of an operator of one input."""
    return lambda node: unary(node, op, node[0])


def is_inf(node):
    """ONNX IsInf, which may look for one sign alone."""
    x = node[0]
    y = unary(node, "ISINF", x)
    for name, op in (("detect_negative", "GREATER"), ("detect_positive", "LESS")):
        if not node.attr(name, 1):
            y = elementwise(node, "AND", y, elementwise(node, op, x, scalar(x, 0)))
    return y


APPLYING = {
    "Exp": "EXP",
    "Log": "LOG",
    "Sqrt": "SQRT",
    "Reciprocal": "RECIP",
    "Abs": "ABS",
    "Neg": "NEG",
    "Sin": "SIN",
    "Cos": "COS",
    "Tan": "TAN",
    "Sinh": "SINH",
    "Cosh": "COSH",
    "Asin": "ASIN",
    "Acos": "ACOS",
    "Atan": "ATAN",
    "Asinh": "ASINH",
    "Acosh": "ACOSH",
    "Atanh": "ATANH",
    "Ceil": "CEIL",
    "Floor": "FLOOR",
    "Erf": "ERF",
    "Not": "NOT",
    "Sign": "SIGN",
    "Round": "ROUND",
    "IsNaN": "ISNAN",
}
