"""DynamicQuantize. Cases are shared by correctness, benchmark and the reference page."""

import numpy as np
import pytest

from dovetail.machine.testing import Case, check


def numbers(shape, low, high, seed=0):
    return np.random.default_rng(seed).uniform(low, high, shape).astype(np.float32)


CASES = [
    Case("numbers of both signs", x=numbers((3, 37, 19), -3, 5)),
    Case("positive numbers", x=numbers((1001,), 2, 9)),
    Case("negative numbers", x=numbers((64, 5), -9, -2)),
    Case("many", x=numbers((211, 977), -1e-3, 2e-3)),
    Case("channels of maps", x=numbers((2, 21, 5, 7), -1, 4)),
    Case("positive channels", x=numbers((1, 40, 9, 6), 3, 4)),
    Case("large", x=numbers((300,), -3e38, 1e37)),
    Case("one zero", x=np.zeros((1,), np.float32)),
    Case("a scalar", x=np.asarray(-4, np.float32)),
    Case("nothing", x=np.zeros((0, 4), np.float32)),
    Case("middles of two steps", x=(np.arange(-255, 256, dtype=np.float32) / 2)),
]
test_kernels = check("DynamicQuantize@1", CASES)


@pytest.mark.parametrize(
    "x, scale, zero", [([0, 255], 1, 0), ([-255, 0], 1, 255), ([-1, 4.1], 5.1 / 255, 50), ([0], 1, 0)]
)
def test_the_range_holds_zero(compute, x, scale, zero):
    _, found_scale, found_zero = compute("DynamicQuantize", np.float32(x))
    assert found_scale == np.float32(scale) and found_zero == zero
