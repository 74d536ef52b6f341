"""Normalization. Cases are shared by correctness, benchmark and the reference page."""

import numpy as np
import pytest

import dovetail as trt
from dovetail.core.errors import DTypeError, ShapeError
from dovetail.core.types import FLOATS
from dovetail.machine.testing import Case, check

LAYER = {"scale": (1, 1, 300), "bias": (1, 1, 300), "axes": 4}
CHANNELS = {"scale": (1, 12, 1, 1), "bias": (1, 12, 1, 1)}

CASES = [
    Case("layer", x=(3, 7, 300), **LAYER, dtypes=FLOATS),
    Case("layer, short rows", x=(90, 8), scale=(1, 8), bias=(1, 8), axes=2, dtypes=FLOATS),
    Case("layer, long rows", x=(2, 9001), scale=(1, 9001), bias=(1, 9001), axes=2, low=4, high=6, dtypes=FLOATS),
    Case("layer, two axes", x=(3, 5, 40, 13), scale=(1, 1, 40, 13), bias=(1, 1, 40, 13), axes=0b1100, dtypes=FLOATS),
    Case("layer, over the channels", x=(2, 12, 9, 40), **CHANNELS, axes=0b0010, dtypes=FLOATS),
    Case("instance", x=(2, 12, 9, 11), **CHANNELS, axes=0b1100, epsilon=1e-3, dtypes=FLOATS),
    Case("instance, three dims", x=(2, 3, 4, 5, 6), scale=(1, 3, 1, 1, 1), bias=(1, 3, 1, 1, 1), axes=0b11100),
    Case("batch", x=(5, 12, 3, 4), **CHANNELS, axes=0b1101, dtypes=FLOATS),
    Case("batch, columns", x=(60, 70), scale=(1, 70), bias=(1, 70), axes=1, dtypes=FLOATS),
    Case("groups, one value a channel", x=(2, 12, 5, 7), **CHANNELS, axes=0b1100, num_groups=4, dtypes=FLOATS),
    Case("groups, one value a group", x=(2, 12, 5, 7), scale=(1, 4, 1, 1), bias=(1, 4, 1, 1), axes=0b1100,
         num_groups=4, dtypes=FLOATS),
    Case("groups, one value", x=(2, 12, 5, 7), scale=(1, 1, 1, 1), bias=(1, 1, 1, 1), axes=0b1100, num_groups=3),
    Case("groups of one channel", x=(2, 12, 5, 7), **CHANNELS, axes=0b1100, num_groups=12),
    Case("groups without other axes", x=(2, 12, 33), scale=(1, 12, 1), bias=(1, 12, 1), axes=2, num_groups=3),
    Case("a value for each element", x=(3, 4, 5), scale=(3, 4, 5), bias=(3, 4, 5), axes=0b010),
    Case("middle axis", x=(3, 4, 50), scale=(3, 1, 50), bias=(3, 1, 50), axes=0b010),
    Case("mean square", x=(3, 7, 300), **LAYER, centered=False, low=1, high=3, dtypes=FLOATS),
    Case("mean square, long rows", x=(2, 9001), scale=(1, 9001), bias=(1, 9001), axes=2, centered=False, dtypes=FLOATS),
    Case("mean square, two axes", x=(3, 5, 40, 13), scale=(1, 1, 1, 1), bias=(1, 1, 1, 1), axes=0b1100, centered=False),
    Case("mean square, columns", x=(60, 70), scale=(1, 70), bias=(1, 70), axes=1, centered=False, dtypes=FLOATS),
    Case("mean square of groups", x=(2, 12, 5, 7), **CHANNELS, axes=0b1100, num_groups=4, centered=False),
    Case("one element", x=(1, 1), scale=(1, 1), bias=(1, 1), axes=2),
    Case("no row", x=(0, 8), scale=(1, 8), bias=(1, 8), axes=2),
    Case("layer of a transformer", x=(8, 384, 768), scale=(1, 1, 768), bias=(1, 1, 768), axes=4, bench=True),
    Case("groups of a diffusion model", x=(2, 320, 64, 64), scale=(1, 320, 1, 1), bias=(1, 320, 1, 1), axes=0b1100,
         num_groups=32, bench=True),
]  # fmt: skip
test_kernels = check("Normalization@1", CASES)


def test_halves_with_float32_parameters(compute):
    """Mean 2 and variance 1."""
    x = np.array([[1, 3]], np.float64)
    y = compute("Normalization", x, np.full((1, 2), 10.0), np.full((1, 2), 5.0), axes=2, epsilon=0)
    assert y.tolist() == [[-5, 15]]


def test_without_the_mean_it_divides_by_the_root_of_the_mean_square(compute):
    x = np.array([[1.0, 7]])  # their squares have the mean 25
    y = compute("Normalization", x, np.full((1, 2), 10.0), np.full((1, 2), 5.0), axes=2, epsilon=0, centered=False)
    assert y.tolist() == [[7, 19]]


def test_groups_do_not_mix(compute):
    x = np.array([[1.0, 3, 100, 300]])
    one = np.ones((1, 4))
    y = compute("Normalization", x, one, 0 * one, axes=2, epsilon=0, num_groups=2)
    assert y.tolist() == [[-1, 1, -1, 1]]


@pytest.mark.parametrize(
    ("scale", "bias", "fields", "text"),
    [
        ((1, 3, 1), (1, 3, 1), {"axes": 4}, "scale of rank 3 for x of rank 4"),
        ((1, 5, 1, 1), (1, 5, 1, 1), {"axes": 4}, r"cannot spread a scale of \[1, 5, 1, 1\]"),
        ((1, 6, 1, 1), (1, 1, 1, 1), {"axes": 4}, "scale and bias of one shape"),
        ((1, 6, 1, 1), (1, 6, 1, 1), {"axes": 16}, "cannot use axes 0b10000"),
        ((1, 6, 1, 1), (1, 6, 1, 1), {"axes": 12, "num_groups": 4}, "cannot split 6 channels into 4 groups"),
    ],
)
def test_what_does_not_agree_is_named(infer, scale, bias, fields, text):
    with pytest.raises(ShapeError, match=text):
        infer("Normalization", (2, 6, 4, 5), scale, bias, **fields)


def test_fields_are_those_of_tensorrt(network):
    x = network.add_input("x", trt.float32, (2, 6, 4, 5))
    one = network.add_constant((1, 6, 1, 1), np.ones(6, np.float32)).get_output(0)
    layer = network.add_normalization(x, one, one, 1 << 2 | 1 << 3)
    layer.num_groups, layer.epsilon = 3, 1e-6
    assert (layer.axes, layer.num_groups, layer.epsilon) == (12, 3, 1e-6)
    assert layer.get_output(0).shape == (2, 6, 4, 5)


def test_types_that_no_row_has_are_named_at_once(network):
    x = network.add_input("x", trt.float32, (2, 3))
    scale, bias = (network.add_input(name, trt.float16, (1, 3)) for name in ("scale", "bias"))
    with pytest.raises(DTypeError, match="cannot normalise FLOAT with scale HALF and bias HALF"):
        network.add_plugin("Normalization", [x, scale, bias], {"axes": 2})
    layer = network.add_normalization(x, scale, bias, 2)
    assert [layer.get_input(index).dtype for index in range(3)] == [trt.float32] * 3
