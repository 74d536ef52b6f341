"""Reformat. Cases are shared by correctness, benchmark and the reference page."""

import pytest

from dovetail.core.errors import DTypeError
from dovetail.core.types import DataType
from dovetail.machine.testing import Case, check

CASES = [
    Case("every format", x=(2, 19, 3, 5), dtypes=tuple(t for t in DataType if t != DataType.FP8)),
    Case("whole vectors", x=(1, 32, 4, 4)),
    Case("one channel", x=(3, 1, 2, 2)),
    Case("three spatial dims", x=(2, 5, 2, 3, 4)),
    Case("vectors in a matrix", x=(5, 7)),
    Case("no image", x=(0, 3, 4, 4)),
    Case("to half", x=(2, 19, 3, 5), to=DataType.HALF, dtypes=(DataType.FLOAT, DataType.INT32)),
    Case("to INT8 without a scale", x=(1, 5, 2, 2), to=DataType.INT8, low=-200, high=200),
    Case("a photograph", x=(1, 3, 224, 224), bench=True),
    Case("a photograph to half", x=(1, 3, 224, 224), to=DataType.HALF, bench=True),
]
test_kernels = check("Reformat@1", CASES)


def test_dims_and_type_stay(infer):
    (y,) = infer("Reformat", (2, 3, 4))
    assert (y.dims.known(), y.dtype) == ((2, 3, 4), DataType.FLOAT)


def test_a_type_that_is_asked_for_is_that_of_the_output(infer):
    (y,) = infer("Reformat", (2, 3, 4), to=DataType.HALF)
    assert (y.dims.known(), y.dtype) == ((2, 3, 4), DataType.HALF)


def test_fp8_is_not_converted(infer):
    with pytest.raises(DTypeError, match="cannot convert FLOAT to FP8"):
        infer("Reformat", (2,), to=DataType.FP8)


def test_the_machine_finds_it_by_its_role():
    import dovetail as trt

    assert trt.get_plugin_registry().with_role("reformat").id == "Reformat@1"
