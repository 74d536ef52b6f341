"""Activation."""

from __future__ import annotations

from enum import IntEnum

from numpy import abs, clip, exp, expm1, finfo, float32, log1p, maximum, tanh, where

from dovetail.core.types import FLOATS
from dovetail.plugins import Input, Output, Plugin, field, onnx_op


class ActivationType(IntEnum):
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


def sigmoid(x):
    """1 / (1 + e^-x) without overflow: e^-|x| is never above 1."""
    e = exp(-abs(x))
    return where(x >= 0, 1 / (1 + e), e / (1 + e))


def softplus(x):
    """ln(1 + e^x) without overflow."""
    return maximum(x, 0) + log1p(exp(-abs(x)))


SELU_DEFAULTS = {"alpha": 1.67326319217681884765625, "beta": 1.05070102214813232421875}  # of ONNX Selu-6
LARGEST = float(finfo(float32).max)
CLIP_DEFAULTS = {"type": ActivationType.CLIP, "alpha": -LARGEST, "beta": LARGEST}


def clip_between(node):
    """ONNX Clip-11, whose limits are inputs."""
    fields = dict(CLIP_DEFAULTS)
    for index, name in ((1, "alpha"), (2, "beta")):
        if node.get(index) is None:
            continue
        limit = node.constant(index)
        if limit is None:
            raise node.fail("limits that are not constant cannot be imported", limit=name)
        fields[name] = float(limit.reshape(()))
    return node.add("Activation", [node[0]], **fields)


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

    x = Input(FLOATS)
    y = Output(like="x")
    type: ActivationType = field(ActivationType.RELU, doc="Which function.")
    alpha: float = field(0.0, doc="First parameter of the functions that have one.")
    beta: float = field(0.0, doc="Second parameter of the functions that have one.")

    scalar = (
        "choice(type, RELU=max(x, 0), SIGMOID=1 / (1 + exp(-x)), TANH=tanh(x), "
        "LEAKY_RELU=x if x >= 0 else alpha * x, ELU=x if x >= 0 else alpha * (exp(x) - 1), "
        "SELU=beta * (x if x > 0 else alpha * exp(x) - alpha), SOFTSIGN=x / (1 + abs(x)), "
        "SOFTPLUS=alpha * log(exp(beta * x) + 1), CLIP=max(alpha, min(beta, x)), "
        "HARD_SIGMOID=max(0, min(1, alpha * x + beta)), SCALED_TANH=alpha * tanh(beta * x), "
        "THRESHOLDED_RELU=x if x > alpha else 0)"
    )

    def infer(self, x):
        return x.like()

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

    onnx = (
        onnx_op("Relu", attrs={"type": ActivationType.RELU}),
        onnx_op("Sigmoid", attrs={"type": ActivationType.SIGMOID}),
        onnx_op("Tanh", attrs={"type": ActivationType.TANH}),
        onnx_op("LeakyRelu", attrs={"type": ActivationType.LEAKY_RELU, "alpha": 0.01}),
        onnx_op("Elu", attrs={"type": ActivationType.ELU, "alpha": 1.0}),
        onnx_op("Selu", attrs={"type": ActivationType.SELU, **SELU_DEFAULTS}, renamed={"gamma": "beta"}),
        onnx_op("Softsign", attrs={"type": ActivationType.SOFTSIGN}),
        onnx_op("Softplus", attrs={"type": ActivationType.SOFTPLUS, "alpha": 1.0, "beta": 1.0}),
        onnx_op("HardSigmoid", attrs={"type": ActivationType.HARD_SIGMOID, "alpha": 0.2, "beta": 0.5}),
        onnx_op("ThresholdedRelu", attrs={"type": ActivationType.THRESHOLDED_RELU, "alpha": 1.0}),
        onnx_op("Clip", until=10, attrs=CLIP_DEFAULTS, renamed={"min": "alpha", "max": "beta"}),
        onnx_op("Clip", since=11, rewrite=clip_between),
    )

    @classmethod
    def add(cls, network, input, type):
        """An Activation layer; alpha and beta are set on it."""
        return network.add_plugin("Activation", [input], {"type": type})
