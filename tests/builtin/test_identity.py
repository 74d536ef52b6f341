"""Identity. Cases are shared by correctness, benchmark and the reference page."""

import numpy as np
import pytest

import dovetail as trt
from dovetail.core.types import DataType
from dovetail.machine.testing import Case, check

TYPES = [t for t in DataType if t != DataType.FP8]
HALVES = np.array([0.5, 1.5, -0.5, -1.5, 2.5, 65520, 1e-8], np.float32)

CASES = [Case("a copy", x=(3, 37), low=-90, high=90, dtypes=TYPES)]
CASES += [
    Case(f"to {to.name}", x=(3, 37), to=int(to), low=-90, high=90, dtypes=TYPES) for to in TYPES if to != DataType.UINT8
]
CASES += [
    Case("to UINT8", x=(3, 37), to=int(DataType.UINT8), low=0, high=90, dtypes=(DataType.FLOAT, DataType.BOOL)),
    Case("halves to int", x=HALVES, to=int(DataType.INT32)),
    Case("halves to float16", x=HALVES[:5], to=int(DataType.HALF)),
    Case(
        "out of range",
        x=np.array([1e20, -1e20, np.inf, -np.inf, np.nan, 300], np.float32),
        to=int(DataType.INT8),
    ),
    Case("an image", x=(2, 19, 5, 7)),
    Case("no element", x=(0, 3)),
    Case("a scalar", x=()),
]
test_kernels = check("Identity@1", CASES)


@pytest.mark.parametrize(
    ("to", "values", "expected"),
    [
        (DataType.INT32, [1.9, -1.9, np.nan], [1, -1, 0]),
        (DataType.INT8, [1e9, -1e9, np.inf, 127.9], [127, -128, 127, 127]),
        (DataType.INT64, [1e30, -1e30], [2**63 - 1, -(2**63)]),
        (DataType.BOOL, [0.0, 0.5, -3.0], [False, True, True]),
    ],
)
def test_floats_to_whole_numbers(compute, to, values, expected):
    assert compute("Identity", np.array(values), to=int(to)).tolist() == expected


def test_a_wider_integer_keeps_its_low_bits(compute):
    assert compute("Identity", np.array([300, -1], np.int32), to=int(DataType.UINT8)).tolist() == [44, 255]


def test_set_output_type_converts(network):
    layer = network.add_identity(network.add_input("x", trt.float32, (2,)))
    assert layer.get_output(0).dtype == trt.float32
    layer.set_output_type(0, trt.int32)
    assert layer.get_output(0).dtype == trt.int32
