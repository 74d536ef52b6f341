"""NonZero. Cases are shared by correctness, benchmark and the reference page."""

import numpy as np
import pytest

import dovetail as trt
from dovetail.core.errors import DTypeError
from dovetail.core.types import DataType, nptype
from dovetail.machine.testing import Case, check

TYPES = [t for t in DataType if t != DataType.FP8]


def some(*dims, dtype=DataType.FLOAT, share=0.4):
    """Values of which a share is zero, some of them -0."""
    rng = np.random.default_rng(3)
    x = np.where(rng.random(dims) < share, rng.choice([0.0, -0.0], dims), rng.integers(1, 5, dims))
    return x.astype(nptype(dtype))


CASES = [Case(t.name, x=some(3, 5, 7, dtype=t), to=to) for t in TYPES for to in (DataType.INT32, DataType.INT64)]
CASES += [
    Case("one axis", x=some(1003)),
    Case("all", x=np.ones((4, 6), np.int32)),
    Case("none", x=np.zeros((4, 6), np.float32)),
    Case("no element", x=np.zeros((4, 0, 2), np.float32)),
    Case("not a number", x=np.array([np.nan, 0, -0.0, np.inf], np.float32)),
    Case("without axes", x=np.array(3, np.float32)),
    Case("pieces", x=some(3, 50021)),
    Case("eight axes", x=some(2, 3, 1, 2, 2, 3, 2, 2)),
    Case("a mask", x=some(16, 512, 512, dtype=DataType.BOOL), bench=True),
]
test_kernels = check("NonZero@1", CASES)


def test_another_type_is_refused(network):
    layer = network.add_non_zero(network.add_input("x", trt.float32, (2, 3)))
    layer.to = trt.float32
    with pytest.raises(DTypeError, match="cannot give coordinates as type 0"):
        _ = layer.get_output(0).shape
