"""AffineQuantize. Cases are shared by correctness, benchmark and the reference page."""

import numpy as np
import pytest
from quantized import INT8, UINT8, zero_point

from dovetail.core.errors import ShapeError
from dovetail.machine.testing import Case, check


def case(name, x, scale, to, seed=0):
    rng = np.random.default_rng(seed)
    if isinstance(x, tuple):
        x = rng.uniform(-200 * scale, 400 * scale, x).astype(np.float32)
    return Case(name, x=x, scale=np.float32([scale]), zero=zero_point(rng, to, 1))


HALVES = np.arange(-600, 600, dtype=np.float32) / 2
CASES = [
    case(f"{name} to {to.name}", x, scale, to, seed)
    for seed, to in enumerate((INT8, UINT8))
    for name, x, scale in (
        ("a picture", (2, 3, 17, 9), 0.037),
        ("a scalar", (), 2.0),
        ("many", (123, 457), 1e-4),
        ("middles of two steps", HALVES, 1.0),
        ("middles of two steps, but for rounding", HALVES * np.float32(0.1), 0.1),
        ("a scale whose inverse is infinite", np.float32([0, 1e-40, -3e-40, 1]), 1e-40),
        ("nothing", (0, 3), 1.0),
        ("no numbers", np.float32([np.inf, -np.inf, np.nan, 3e38] * 20), 0.5),
    )
]
test_kernels = check("AffineQuantize@1", CASES)


def test_the_zero_point_is_added_behind_the_rounding(compute):
    y = compute("AffineQuantize", np.float32([-0.5, 0.5, 1.5, 300]), np.float32(1), np.uint8(7))
    np.testing.assert_array_equal(y, np.uint8([7, 7, 9, 255]))


def test_there_is_one_scale(infer):
    with pytest.raises(ShapeError, match="cannot use a scale"):
        infer("AffineQuantize", (2, 3), np.float32([1, 2, 3]), np.uint8([1]))
