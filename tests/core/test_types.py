"""Types, formats and devices: TensorRT's names and values, and the facts about each."""

import copy
import pickle
import sys

import ml_dtypes
import numpy as np
from pytest import mark, raises

from dovetail import _native
from dovetail.core import types
from dovetail.core.errors import DTypeError, FieldValueError, ShapeError
from dovetail.core.types import (
    DataType,
    DeviceType,
    DimensionOperation,
    FieldType,
    TensorFormat,
    TensorIOMode,
    TensorLocation,
    Weights,
    format_mask,
    formats_in,
    from_numpy,
    nptype,
    storage_nptype,
)


def test_values_are_tensorrts():
    assert [int(t) for t in (types.float32, types.float16, types.int8, types.int32, types.bool)] == [
        0,
        1,
        2,
        3,
        4,
    ]
    assert [int(t) for t in (types.uint8, types.fp8, types.bfloat16, types.int64)] == [5, 6, 7, 8]
    assert (int(TensorFormat.CHW32), int(TensorFormat.HWC), int(TensorFormat.HWC16)) == (5, 8, 11)
    assert (int(DimensionOperation.FLOOR_DIV), int(FieldType.INT64)) == (7, 10)
    assert (int(DeviceType.GPU), int(DeviceType.DLA), int(DeviceType.CPU)) == (0, 1, 2)
    assert (int(TensorIOMode.OUTPUT), int(TensorLocation.HOST)) == (2, 1)


@mark.parametrize(
    ("enum", "table"),
    [
        (DataType, _native.DATA_TYPES),
        (TensorFormat, _native.TENSOR_FORMATS),
        (DimensionOperation, _native.DIM_OPERATIONS),
        (FieldType, _native.FIELD_TYPES),
    ],
)
def test_the_table_of_the_c_interface_is_the_only_list(enum, table):
    assert {item.name: int(item) for item in enum} == {row[0]: row[1] for row in table}


def test_a_member_prints_as_tensorrt_prints_it():
    assert (str(DataType.HALF), f"{TensorFormat.CHW4:>20}") == ("DataType.HALF", "   TensorFormat.CHW4")


@mark.parametrize("travel", [copy.deepcopy, lambda item: pickle.loads(pickle.dumps(item))])
def test_a_copied_member_is_the_member(travel):
    assert travel(DataType.BF16) is DataType.BF16


def test_sizes_of_elements():
    assert {t.name: t.itemsize for t in DataType} == {
        "FLOAT": 4,
        "HALF": 2,
        "INT8": 1,
        "INT32": 4,
        "BOOL": 1,
        "UINT8": 1,
        "FP8": 1,
        "BF16": 2,
        "INT64": 8,
    }


@mark.parametrize("dtype", DataType, ids=lambda t: t.name)
def test_numpy_types_go_there_and_back(dtype):
    assert nptype(dtype).itemsize == storage_nptype(dtype).itemsize == dtype.itemsize
    assert from_numpy(nptype(dtype)) is dtype


@mark.parametrize("given", [np.float16, np.dtype("float16"), "float16", "f2"])
def test_a_numpy_type_may_be_given_in_any_way(given):
    assert from_numpy(given) is DataType.HALF


def test_bfloat16_is_that_of_ml_dtypes():
    assert nptype(DataType.BF16) == ml_dtypes.bfloat16


def test_bfloat16_without_ml_dtypes_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    with raises(DTypeError, match="pip install ml_dtypes"):
        nptype(DataType.BF16)
    assert storage_nptype(DataType.BF16) == np.uint16


def test_float64_is_refused_with_the_way_out():
    with raises(DTypeError, match=r"array.astype\(numpy.float32\)") as error:
        from_numpy(np.float64)
    assert error.value.got == "float64"


def test_short_names_are_those_of_format_rows():
    assert (DataType.from_short("bf16"), DataType.from_short("Half")) == (DataType.BF16, DataType.HALF)
    assert TensorFormat.from_short("chw32") is TensorFormat.CHW32
    with raises(DTypeError, match="'f99' is not the name of a data type"):
        DataType.from_short("f99")


@mark.parametrize(
    ("format", "rank", "axis"),
    [
        (TensorFormat.LINEAR, 4, None),
        (TensorFormat.LINEAR, 0, None),
        (TensorFormat.CHW32, 4, 1),
        (TensorFormat.HWC8, 3, 0),
        (TensorFormat.CHW2, 5, 2),
        (TensorFormat.DHWC8, 5, 1),
        (TensorFormat.CDHW32, 4, 0),
    ],
)
def test_the_channel_axis_stands_before_the_spatial_ones(format, rank, axis):
    assert format.channel_axis(rank) == axis


def test_too_few_dims_for_a_format_names_both():
    with raises(ShapeError) as error:
        TensorFormat.CDHW32.channel_axis(3)
    assert (error.value.expected, error.value.got) == (4, 3)
    assert "CDHW32 needs 4 dims or more" in str(error.value)


def test_formats_of_the_dla_have_names_only():
    assert {f.name for f in TensorFormat if not f.is_supported} == {"DLA_LINEAR", "DLA_HWC4"}


def test_a_mask_of_formats_has_a_bit_for_each():
    mask = format_mask(TensorFormat.LINEAR, TensorFormat.CHW32)
    assert mask == 1 << int(TensorFormat.LINEAR) | 1 << int(TensorFormat.CHW32)
    assert formats_in(mask) == (TensorFormat.LINEAR, TensorFormat.CHW32)


def test_devices_have_dlpacks_numbers():
    assert (DeviceType.CPU.dlpack_code, DeviceType.GPU.dlpack_code) == (1, 2)
    with raises(FieldValueError, match="nothing runs there"):
        _ = DeviceType.DLA.dlpack_code


def test_weights_are_a_view_of_the_array():
    array = np.ones((2, 3), np.float16)
    weights = Weights(array)
    assert (weights.dtype, weights.size, weights.nbytes, len(weights)) == (DataType.HALF, 6, 12, 6)
    assert np.shares_memory(weights.numpy(), array)


def test_empty_weights_have_a_type():
    assert (Weights().dtype, Weights().size, Weights(DataType.BF16).dtype) == (
        DataType.FLOAT,
        0,
        DataType.BF16,
    )
