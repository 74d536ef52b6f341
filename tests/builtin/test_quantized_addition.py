"""QuantizedAddition. Cases are shared by correctness, benchmark and the reference page."""

import numpy as np
import pytest
from quantized import INT8, UINT8, integers

from dovetail.core.errors import FieldValueError, ShapeError
from dovetail.machine.testing import Case, check


def case(name, shape, types, seed=0, **fields):
    """Factors are such that no sum is near to the middle of two steps."""
    rng = np.random.default_rng(seed)
    a, b = (integers(rng, type_, shape) for type_ in types[:2])
    factors = {"a_factor": 0.75 + 2**-9, "b_factor": 0.5 + 2**-10}
    zeros = {
        "a_zero": int(rng.integers(0, 100)),
        "b_zero": int(rng.integers(0, 100)),
        "y_zero": int(rng.integers(0, 100)),
    }
    return Case(name, dtypes=(types[0],), a=a, b=b, to_type=types[2], **{**zeros, **factors, **fields})


CASES = [
    case(f"{a.name} and {b.name} to {y.name}", (2, 19, 5, 7), (a, b, y), seed)
    for seed, (a, b, y) in enumerate((a, b, y) for a in (INT8, UINT8) for b in (INT8, UINT8) for y in (INT8, UINT8))
]
CASES += [
    case("limits", (3, 101), (UINT8, UINT8, UINT8), low=60, high=150),
    case("a scalar", (), (UINT8, UINT8, UINT8)),
    case("many", (77, 505), (UINT8, INT8, UINT8)),
    case("nothing", (0, 5), (INT8, INT8, INT8)),
]
test_kernels = check("QuantizedAddition@1", CASES)


def test_dims_must_agree(infer):
    with pytest.raises(ShapeError, match="axis 1"):
        infer("QuantizedAddition", np.zeros((2, 3), np.uint8), np.zeros((2, 4), np.uint8), a_factor=1.0, b_factor=1.0)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"a_factor": float("inf")}, "a_factor = inf"),
        ({"b_factor": float("nan")}, "b_factor = nan"),
        ({"b_factor": 1e39}, "b_factor = 1e[+]39"),  # infinite in float32
        ({"low": 9, "high": 3}, "above high = "),
    ],
)
def test_fields_that_mean_nothing_are_refused(infer, fields, message):
    x = np.zeros((2, 3), np.uint8)
    with pytest.raises(FieldValueError, match=message):
        infer("QuantizedAddition", x, x, **{"a_factor": 1.0, "b_factor": 1.0, **fields})
