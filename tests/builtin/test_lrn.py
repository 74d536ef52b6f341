"""LRN. Cases are shared by correctness, benchmark and the reference page."""

import numpy as np
import pytest

import dovetail as trt
from dovetail.core.errors import FieldValueError, ShapeError
from dovetail.core.types import FLOATS
from dovetail.machine.testing import Case, check

ALEXNET = {"window": 5, "alpha": 1e-4, "beta": 0.75, "k": 2.0}
STRONG = {"window": 3, "alpha": 2.0, "k": 0.5}

CASES = [
    Case("as in AlexNet", x=(2, 7, 5, 9), **ALEXNET, dtypes=FLOATS),
    *[Case(f"beta {beta}", x=(2, 7, 5, 9), **STRONG, beta=beta, dtypes=FLOATS) for beta in (0.75, 0.5, 1.0, 1.3)],
    Case("window of one", x=(2, 7, 5, 9), window=1, alpha=1.0, beta=0.75, k=1.0),
    Case("window larger than the channels", x=(2, 4, 5, 60), window=15, alpha=1.0, beta=0.75, k=1.0, dtypes=FLOATS),
    Case("many channels and columns", x=(1, 40, 17, 31), **STRONG, beta=0.75, dtypes=FLOATS),
    Case("no batch", x=(6, 3, 4), **STRONG, beta=0.75),
    Case("no channel", x=(2, 0, 3, 4), **STRONG, beta=0.75),
    Case("no image", x=(0, 3, 3, 4), **STRONG, beta=0.75),
    Case("an image of AlexNet", x=(8, 96, 55, 55), **ALEXNET, bench=True),
]
test_kernels = check("LRN@1", CASES)


def test_alpha_is_divided_by_the_window(compute):
    x = np.full((1, 3, 1, 1), 3.0)
    y = compute("LRN", x, window=3, alpha=3.0, beta=1.0, k=1.0)
    assert y.reshape(-1) == pytest.approx([3 / 19, 3 / 28, 3 / 19])


def test_even_windows_and_small_ranks_are_refused(infer):
    with pytest.raises(FieldValueError, match="window of 4 channels"):
        infer("LRN", (1, 3, 4, 4), window=4, alpha=1.0, beta=1.0, k=1.0)
    with pytest.raises(ShapeError, match="cannot find the channels"):
        infer("LRN", (3, 4), window=3, alpha=1.0, beta=1.0, k=1.0)


def test_fields_are_those_of_tensorrt(network):
    layer = network.add_lrn(network.add_input("x", trt.float32, (1, 3, 4, 4)), 5, 1e-4, 0.75, 2)
    assert (layer.window, layer.alpha, layer.beta, layer.k) == (5, 1e-4, 0.75, 2)


def test_the_window_has_tensorrts_name_too(network):
    layer = network.add_lrn(network.add_input("x", trt.float32, (1, 3, 4, 4)), 5, 1e-4, 0.75, 2)
    assert layer.window_size == 5
    layer.window_size = 3
    assert (layer.window, layer.window_size) == (3, 3)
    with pytest.raises(FieldValueError, match=r"window = 99"):
        layer.window_size = 99
