"""Cast. Cases are shared by correctness, benchmark and the reference page."""

import numpy as np
import pytest

import dovetail as trt
from dovetail.core.contract import SymbolicTensor
from dovetail.core.errors import DTypeError
from dovetail.core.expr import DimsExprs, constraints, input_dim
from dovetail.core.types import DataType
from dovetail.machine.testing import Case, check

TYPES = [t for t in DataType if t != DataType.FP8]
EDGES = np.array([0.9, -0.9, 300, -300, 1e20, -1e20, np.inf, -np.inf, np.nan, 65520, 1e-8], np.float32)

CASES = [
    Case(f"to {to.name}", x=(3, 37), to_type=to, low=-90, high=90, dtypes=TYPES) for to in TYPES if to != DataType.UINT8
]
CASES += [Case("to UINT8", x=(3, 37), to_type=DataType.UINT8, low=0, high=90, dtypes=(DataType.FLOAT, DataType.BOOL))]
CASES += [
    Case(f"edges to {to.name}", x=EDGES, to_type=to)
    for to in (DataType.INT8, DataType.UINT8, DataType.INT32, DataType.INT64, DataType.BOOL)
]
CASES += [
    Case("an image", x=(2, 19, 5, 7), to_type=DataType.INT8),
    Case("no element", x=(0, 3), to_type=DataType.HALF),
    Case("a scalar", x=(), to_type=DataType.HALF),
    Case("to half", x=(8, 128, 1024), to_type=DataType.HALF, bench=True),
]
test_kernels = check("Cast@1", CASES)


@pytest.mark.parametrize(
    ("to", "values", "expected"),
    [
        (DataType.INT32, [1.9, -1.9, np.nan], [1, -1, 0]),
        (DataType.INT8, [1e9, -1e9, np.inf, 127.9], [127, -128, 127, 127]),
        (DataType.INT64, [1e30, -1e30], [2**63 - 1, -(2**63)]),
        (DataType.BOOL, [0.0, 0.5, -3.0, np.nan], [False, True, True, True]),
    ],
)
def test_floats_to_whole_numbers(compute, to, values, expected):
    assert compute("Cast", np.array(values), to_type=to).tolist() == expected


def test_a_wider_integer_keeps_its_low_bits(compute):
    assert compute("Cast", np.array([300, -1], np.int32), to_type=DataType.UINT8).tolist() == [44, 255]


def test_extents_are_followed(infer):
    n = input_dim(0, 0, "N")
    x = SymbolicTensor(DimsExprs((2,)), DataType.INT64, values=(n, n - 4))
    for to, expected in ((DataType.INT32, (4, 0)), (DataType.BOOL, (1, 0))):
        with constraints():
            (y,) = infer("Cast", x, to_type=to)
        assert (y.dtype, tuple(e.evaluate([[4]]) for e in y.elements())) == (to, expected)
    (y,) = infer("Cast", x, to_type=DataType.FLOAT)
    assert y.elements() is None


def test_fp8_is_refused(infer):
    with pytest.raises(DTypeError, match="FP8"):
        infer("Cast", (2,), to_type=DataType.FP8)


def test_to_type_can_be_read_and_set_as_in_tensorrt(network):
    layer = network.add_cast(network.add_input("x", trt.float32, (2,)), trt.int32)
    assert (layer.to_type, layer.get_output(0).dtype) == (trt.int32, trt.int32)
    layer.to_type = trt.float16
    assert layer.get_output(0).dtype == trt.float16
