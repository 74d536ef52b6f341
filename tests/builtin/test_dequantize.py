"""Dequantize. Cases are shared by correctness, benchmark and the reference page."""

import numpy as np
import pytest

from dovetail.core.contract import SymbolicTensor
from dovetail.core.errors import DTypeError
from dovetail.core.expr import DimsExprs
from dovetail.core.types import DataType
from dovetail.machine.testing import Case, check

INT8 = (DataType.INT8,)
SCALES = np.array([0.02, 0.05, 0.1], np.float32)

CASES = [
    Case("one scale", x=(3, 37), scale=np.array(0.03, np.float32), dtypes=INT8),
    Case("one scale a channel", x=(2, 3, 5, 7), scale=SCALES, axis=1, dtypes=INT8),
    Case("one scale a row", x=(3, 40), scale=SCALES, axis=0, dtypes=INT8),
    Case("float16 scales", x=(3, 37), scale=np.array(0.03, np.float16), dtypes=INT8),
    Case("no element", x=(0, 8), scale=np.array(1, np.float32), dtypes=INT8),
]
test_kernels = check("Dequantize@1", CASES)


def of(dtype, *dims):
    return SymbolicTensor(DimsExprs(dims), dtype)


def test_real_is_stored_times_scale(compute):
    x = np.array([[-128, 127], [1, 0]], np.int8)
    assert compute("Dequantize", x, np.array([0.5, 2.0]), axis=0).tolist() == [[-64, 63.5], [2, 0]]


@pytest.mark.parametrize("dtype", [DataType.FLOAT, DataType.HALF, DataType.BF16])
def test_the_output_has_the_type_of_the_scale(infer, dtype):
    (y,) = infer("Dequantize", of(DataType.INT8, 2, 3), of(dtype))
    assert y.dtype == dtype


def test_only_int8_is_taken(infer):
    with pytest.raises(DTypeError, match="cannot take FLOAT on input 'x'"):
        infer("Dequantize", (2, 3), ())


def test_quantising_twice_changes_nothing(compute):
    scale = np.array(0.07)
    q = compute("Quantize", np.linspace(-8, 8, 999), scale)
    assert (compute("Quantize", compute("Dequantize", q, scale), scale) == q).all()
