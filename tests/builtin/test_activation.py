"""Activation. Cases are shared by correctness, benchmark and the reference page."""

from math import exp, inf, log, nan, tanh

import numpy as np
import pytest

import dovetail as trt
from dovetail.core.types import FLOATS
from dovetail.machine.testing import Case, check

KINDS = [
    "RELU",
    "SIGMOID",
    "TANH",
    "LEAKY_RELU",
    "ELU",
    "SELU",
    "SOFTSIGN",
    "SOFTPLUS",
    "CLIP",
    "HARD_SIGMOID",
]
KINDS += ["SCALED_TANH", "THRESHOLDED_RELU"]

CASES = [
    Case(kind, x=(3, 37), type=number, alpha=0.3, beta=0.7, low=-4, high=4, dtypes=FLOATS)
    for number, kind in enumerate(KINDS)
]
CASES += [
    Case("an image", x=(2, 19, 5, 7), type=0, low=-1, dtypes=FLOATS),
    Case("one element", x=(1,), type=1),
    Case("no element", x=(0, 8), type=2),
    Case("a scalar", x=(), type=1),
    Case("large values", x=np.array([-1e4, -90, 90, 1e4], np.float32), type=1),
    Case("relu of a residual network", x=(8, 64, 56, 56), type=0, bench=True),
]
test_kernels = check("Activation@1", CASES)


@pytest.mark.parametrize(
    ("kind", "x", "expected"),
    [
        ("RELU", -2, 0),
        ("RELU", 2, 2),
        ("SIGMOID", 1, 1 / (1 + exp(-1))),
        ("TANH", 0.5, tanh(0.5)),
        ("LEAKY_RELU", -2, -2 * 0.3),
        ("ELU", -2, 0.3 * (exp(-2) - 1)),
        ("SELU", -2, 0.7 * (0.3 * exp(-2) - 0.3)),
        ("SELU", 2, 0.7 * 2),
        ("SOFTSIGN", -3, -0.75),
        ("SOFTPLUS", 2, 0.3 * log(exp(0.7 * 2) + 1)),
        ("CLIP", 0.1, 0.3),
        ("CLIP", 0.5, 0.5),
        ("CLIP", 2, 0.7),
        ("HARD_SIGMOID", 0.5, 0.85),
        ("HARD_SIGMOID", 9, 1),
        ("SCALED_TANH", 2, 0.3 * tanh(1.4)),
        ("THRESHOLDED_RELU", 0.3, 0),
        ("THRESHOLDED_RELU", 0.31, 0.31),
    ],
)
def test_formulas(compute, kind, x, expected):
    result = compute("Activation", np.array([float(x)]), type=KINDS.index(kind), alpha=0.3, beta=0.7)
    assert result[0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_nan_stays_nan(compute, kind):
    assert np.isnan(compute("Activation", np.array([nan]), type=KINDS.index(kind), alpha=0.3, beta=0.7))


def test_no_overflow_far_out(compute):
    far = np.array([-inf, -1e4, 1e4, inf])
    with np.errstate(over="raise"):
        assert compute("Activation", far, type=KINDS.index("SIGMOID")).tolist() == [0, 0, 1, 1]
        softplus = compute("Activation", far, type=KINDS.index("SOFTPLUS"), alpha=1, beta=1)
    assert softplus.tolist() == [0, 0, 1e4, inf]


def test_the_type_can_be_read_and_set_as_in_tensorrt(network):
    x = network.add_input("x", trt.float32, (2, 3))
    layer = network.add_activation(x, trt.ActivationType.LEAKY_RELU)
    layer.alpha = 0.1
    assert (layer.type, layer.alpha, layer.beta) == (trt.ActivationType.LEAKY_RELU, 0.1, 0)
    layer.type = trt.ActivationType.RELU
    assert layer.type == trt.ActivationType.RELU
