"""Every row of Unary over its whole domain, in units in the last place of float32."""

import math

import numpy as np
import pytest

from dovetail.core.types import DataType

FUNCTIONS = {
    0: np.exp, 1: np.log, 2: np.sqrt, 3: lambda x: 1 / x, 6: np.sin, 7: np.cos, 8: np.tan, 9: np.sinh, 10: np.cosh,
    11: np.arcsin, 12: np.arccos, 13: np.arctan, 14: np.arcsinh, 15: np.arccosh, 16: np.arctanh,
    19: np.vectorize(math.erf, otypes=[float]),
}  # fmt: skip
RANGES = {0: (-110, 90), 1: (0, 3), 9: (-91, 91), 10: (-91, 91), 11: (-1, 1), 12: (-1, 1), 15: (1, 9), 16: (-1, 1)}


@pytest.mark.parametrize("op", FUNCTIONS)
def test_floats(rows, device, op):
    rng = np.random.default_rng(1)
    every = rng.integers(0, 2**32, 20_000, dtype=np.uint64).astype(np.uint32).view(np.float32)
    own = rng.uniform(*RANGES.get(op, (-1000, 1000)), 8192).astype(np.float32)
    near_one = np.float32(1) + rng.uniform(-1e-5, 1e-5, 512).astype(np.float32)
    x = np.concatenate(
        [own, rng.uniform(-1, 1, 8192).astype(np.float32), near_one, [-1, 0, 1], every], dtype=np.float32
    )
    with np.errstate(all="ignore"):
        exact = FUNCTIONS[op](x.astype(np.float64))
        rounded = exact.astype(np.float32)
    limit = 1 if device == "cpu" else 4  # CUDA's programming guide, "Mathematical Functions"
    for tactic, y in rows("Unary").run({"op": op}, [x], x.shape, DataType.FLOAT, only="linear").items():
        np.testing.assert_array_equal(np.isnan(y), np.isnan(rounded), tactic)
        finite = np.isfinite(rounded) & np.isfinite(y)
        unit = np.spacing(np.abs(rounded[finite])).astype(np.float64)
        error = np.abs(y[finite].astype(np.float64) - exact[finite]) / unit
        assert error.max() <= limit, (tactic, error.max(), x[finite][error.argmax()])
        beyond = ~finite & ~np.isnan(rounded) & (np.abs(exact) > 3.5e38)
        np.testing.assert_array_equal(y[beyond], rounded[beyond], tactic)
