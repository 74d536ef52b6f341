"""AffineDequantize. Cases are shared by correctness, benchmark and the reference page."""

import numpy as np
import pytest
from quantized import INT8, UINT8, integers, zero_point

from dovetail.core.errors import ShapeError
from dovetail.machine.testing import Case, check


def case(name, shape, type_, seed=0):
    rng = np.random.default_rng(seed)
    zero = zero_point(rng, type_, 1)
    return Case(name, dtypes=(type_,), x=integers(rng, type_, shape), scale=np.float32([0.0371]), zero=zero)


CASES = [
    case(f"{name} of {type_.name}", shape, type_, seed)
    for seed, type_ in enumerate((INT8, UINT8))
    for name, shape in (("a picture", (2, 19, 7, 9)), ("a scalar", ()), ("many", (99, 301)), ("nothing", (0, 3)))
]
test_kernels = check("AffineDequantize@1", CASES)


def test_the_difference_is_exact(compute):
    y = compute("AffineDequantize", np.int8([-128, 127]), np.float32(2), np.int8(127))
    np.testing.assert_array_equal(y, np.float32([-510, 0]))


def test_there_is_one_zero_point(infer):
    with pytest.raises(ShapeError, match="cannot use a zero"):
        infer("AffineDequantize", np.zeros((2, 3), np.uint8), np.float32([1]), np.uint8([1, 2, 3]))
