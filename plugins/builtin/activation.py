"""Activation."""

from __future__ import annotations

from numpy import abs, clip, exp, expm1, finfo, float32, log1p, maximum, tanh, where

from dovetail.core.types import FLOATS, DataType, TypeOfLayer
from dovetail.plugins import Input, Output, Plugin, field
from dovetail.plugins.builtin._values import follow_formula
from dovetail.plugins.onnx import cast, elementwise, is_given, onnx_op, rank_of, scalar


class ActivationType(TypeOfLayer):
    """Which function; a is alpha, b is beta."""

    RELU = 0
    SIGMOID = 1
    TANH = 2
    LEAKY_RELU = 3
    ELU = 4
    SELU = 5
    SOFTSIGN = 6
    SOFTPLUS = 7
    CLIP = 8
    HARD_SIGMOID = 9
    SCALED_TANH = 10
    THRESHOLDED_RELU = 11


class Activation(Plugin):
    """y = f(x), one of twelve functions

    Inputs    x  [d0, ..., dn-1], rank 0..8, float16 | bfloat16 | float32
    Outputs   y  dims and type of x
    Numerics  float32 whatever the type; nan gives nan
              RELU max(x, 0); SIGMOID 1/(1+e^-x); TANH tanh x; LEAKY_RELU x if x>=0 else a*x;
              ELU x if x>=0 else a*(e^x-1); SELU b*(x if x>0 else a*e^x-a); SOFTSIGN x/(1+|x|);
              SOFTPLUS a*ln(e^(b*x)+1); CLIP max(a, min(b, x)); HARD_SIGMOID max(0, min(1, a*x+b));
              SCALED_TANH a*tanh(b*x); THRESHOLDED_RELU x if x>a else 0
    Source    TensorRT 8.5 IActivationLayer, where alpha and beta are 0 until they are set
    """

    purpose = "Element by element"
    x = Input(FLOATS)
    y = Output(like="x")
    type: ActivationType = field(ActivationType.RELU, doc="Which function.")
    alpha: float = field(0.0, doc="First parameter of the functions that have one.")
    beta: float = field(0.0, doc="Second parameter of the functions that have one.")

    scalar = (
        "choice(type, RELU=max(x, 0), SIGMOID=sigmoid(x), TANH=tanh(x), LEAKY_RELU=x if x >= 0 else alpha * x, "
        "ELU=x if x >= 0 else alpha * expm1(x), SELU=beta * (x if x > 0 else alpha * expm1(x)), "
        "SOFTSIGN=x / (1 + abs(x)), SOFTPLUS=alpha * softplus(beta * x), CLIP=max(alpha, min(beta, x)), "
        "HARD_SIGMOID=max(0, min(1, alpha * x + beta)), SCALED_TANH=alpha * tanh(beta * x), "
        "THRESHOLDED_RELU=0 if x <= alpha else x)"
    )

    def infer(self, x):
        return follow_formula(x.like(), self, x) if self.type in FOLLOWED else x.like()

    def reference(self, x):
        a, b = self.alpha, self.beta
        functions = {
            ActivationType.RELU: lambda: maximum(x, 0),
            ActivationType.SIGMOID: lambda: sigmoid(x),
            ActivationType.TANH: lambda: tanh(x),
            ActivationType.LEAKY_RELU: lambda: where(x >= 0, x, a * x),
            ActivationType.ELU: lambda: where(x >= 0, x, a * expm1(x)),
            ActivationType.SELU: lambda: b * where(x > 0, x, a * expm1(x)),
            ActivationType.SOFTSIGN: lambda: x / (1 + abs(x)),
            ActivationType.SOFTPLUS: lambda: a * softplus(b * x),
            ActivationType.CLIP: lambda: maximum(a, clip(x, None, b)),
            ActivationType.HARD_SIGMOID: lambda: clip(a * x + b, 0, 1),
            ActivationType.SCALED_TANH: lambda: a * tanh(b * x),
            ActivationType.THRESHOLDED_RELU: lambda: where(x <= a, 0, x),
        }
        return functions[self.type]().astype(x.dtype)

    @staticmethod
    def onnx():
        return (
            onnx_op("Relu", rewrite=relu),
            onnx_op("Sigmoid", attrs={"type": ActivationType.SIGMOID}),
            onnx_op("Tanh", attrs={"type": ActivationType.TANH}),
            onnx_op("LeakyRelu", attrs={"type": ActivationType.LEAKY_RELU, "alpha": 0.01}),
            onnx_op("Elu", attrs={"type": ActivationType.ELU, "alpha": 1.0}),
            onnx_op("Selu", attrs={"type": ActivationType.SELU, **SELU_DEFAULTS}, renamed={"gamma": "beta"}),
            onnx_op("Softsign", attrs={"type": ActivationType.SOFTSIGN}),
            onnx_op("Softplus", attrs={"type": ActivationType.SOFTPLUS, "alpha": 1.0, "beta": 1.0}),
            onnx_op("HardSigmoid", attrs={"type": ActivationType.HARD_SIGMOID, "alpha": 0.2, "beta": 0.5}),
            onnx_op("ThresholdedRelu", attrs={"type": ActivationType.THRESHOLDED_RELU, "alpha": 1.0}),
            onnx_op("Shrink", rewrite=shrink),
            onnx_op("Clip", until=10, attrs=CLIP_DEFAULTS, renamed={"min": "alpha", "max": "beta"}),
            onnx_op("Clip", since=11, rewrite=clip_between),
        )

    @classmethod
    def add(cls, network, input, type):
        """An Activation layer; alpha and beta are set on it."""
        return network.add_plugin("Activation", [input], {"type": type})


def sigmoid(x):
    """1 / (1 + e^-x) without overflow: e^-|x| is never above 1."""
    e = exp(-abs(x))
    return where(x >= 0, 1 / (1 + e), e / (1 + e))


def softplus(x):
    """ln(1 + e^x) without overflow."""
    return maximum(x, 0) + log1p(exp(-abs(x)))


# ---- ONNX


SELU_DEFAULTS = {"alpha": 1.67326319217681884765625, "beta": 1.05070102214813232421875}  # of ONNX Selu-6
FOLLOWED = (ActivationType.RELU, ActivationType.CLIP, ActivationType.LEAKY_RELU, ActivationType.THRESHOLDED_RELU)
LARGEST = float(finfo(float32).max)
CLIP_DEFAULTS = {"type": ActivationType.CLIP, "alpha": -LARGEST, "beta": LARGEST}


def clip_between(node):
    """ONNX Clip-11, whose limits are inputs. Where the lower is above the upper, the upper counts."""
    x, limits = node[0], [(index, name) for index, name in ((1, "alpha"), (2, "beta")) if is_given(node, index)]
    known = {name: node.constant(index) for index, name in limits}
    is_exact = node.type_name(0) != "DOUBLE"  # else the limits have digits that fields of float32 do not
    if x.dtype in FLOATS and is_exact and all(value is not None and value.size == 1 for value in known.values()):
        fields = CLIP_DEFAULTS | {name: float(value.reshape(())) for name, value in known.items()}
        if fields["alpha"] <= fields["beta"]:
            return node.add("Activation", [x], **fields)
    for index, name in limits:
        x = elementwise(node, "MAX" if name == "alpha" else "MIN", x, node[index])
    return x


def shrink(node):
    """ONNX Shrink: what lies within lambd of 0 is 0, the rest comes closer by the bias."""
    x = node[0]
    limit, bias = node.attr("lambd", 0.5), node.attr("bias", 0.0)
    wide = x if x.dtype in FLOATS else cast(node, x, DataType.FLOAT)
    parts = []
    for op, sign in (("LESS", -1), ("GREATER", 1)):
        far = elementwise(node, op, wide, scalar(wide, sign * limit))
        parts += [far, elementwise(node, "SUB", wide, scalar(wide, sign * bias))]
    zero = scalar(wide, 0).reshape((1,) * rank_of(x))
    inner = node.add("Select", [parts[0], parts[1], zero])
    return cast(node, node.add("Select", [parts[2], parts[3], inner]), x.dtype)


def relu(node):
    """ONNX Relu; of integers by comparing."""
    x = node[0]
    if x.dtype in FLOATS:
        return node.add("Activation", [x], type=ActivationType.RELU)
    return elementwise(node, "MAX", x, scalar(x, 0))
