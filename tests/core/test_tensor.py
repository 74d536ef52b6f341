"""Tensors: where each element lies, in every format, and packing as the reference for reformats."""
# ruff: noqa: N803, N806  extents have the letters of the address rules

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from pytest import mark, raises

from dovetail.core.errors import DTypeError, FormatError, ShapeError
from dovetail.core.tensor import (
    DynamicPluginTensorDesc,
    DynamicTensorDesc,
    PluginTensorDesc,
    TensorDesc,
    allocated_bytes,
    as_type,
    pack,
    parse_notation,
    stored_as,
    unpack,
)
from dovetail.core.types import DataType, TensorFormat, nptype

SUPPORTED = [f for f in TensorFormat if f.is_supported]

# The address rules once more, spelled out for [N, C, H, W] and [N, C, D, H, W]: element index in the buffer.
ADDRESS = {
    TensorFormat.LINEAR: lambda n, c, h, w, C, H, W: ((n * C + c) * H + h) * W + w,
    TensorFormat.HWC: lambda n, c, h, w, C, H, W: ((n * H + h) * W + w) * C + c,
}
for _format, _k in [("CHW2", 2), ("CHW4", 4), ("CHW16", 16), ("CHW32", 32)]:
    ADDRESS[TensorFormat[_format]] = lambda n, c, h, w, C, H, W, k=_k: (
        (((n * math.ceil(C / k) + c // k) * H + h) * W + w) * k + c % k
    )
for _format, _k in [("HWC8", 8), ("HWC16", 16)]:
    ADDRESS[TensorFormat[_format]] = lambda n, c, h, w, C, H, W, k=_k: (
        ((n * H + h) * W + w) * (math.ceil(C / k) * k) + c
    )
ADDRESS_3D = {
    TensorFormat.CDHW32: lambda n, c, d, h, w, C, D, H, W: (
        ((((n * math.ceil(C / 32) + c // 32) * D + d) * H + h) * W + w) * 32 + c % 32
    ),
    TensorFormat.DHWC8: lambda n, c, d, h, w, C, D, H, W: (((n * D + d) * H + h) * W + w) * (math.ceil(C / 8) * 8) + c,
}


def counted(dims, dtype=np.int32):
    """1, 2, 3 ...: every element tells where it comes from, and none is 0."""
    return np.arange(1, math.prod(dims) + 1, dtype=dtype).reshape(dims)


# ---- descriptions


def test_the_log_notation_has_strides_in_vectors_and_the_lanes_on_the_channel_axis():
    assert str(TensorDesc((1, 24, 5, 4), DataType.HALF, TensorFormat.HWC8)) == "Half(60,1:8,12,3)"
    assert str(TensorDesc((3, 20, 5, 4), DataType.INT8, TensorFormat.CHW16)) == "Int8(40,20:16,4,1)"
    assert str(TensorDesc((2, 3), DataType.FLOAT)) == "Float(3,1)"
    assert str(TensorDesc((2, 3, 5, 4), DataType.FLOAT, TensorFormat.HWC)) == "Float(60,1,12,3)"
    assert str(TensorDesc((), DataType.INT64)) == "Int64()"


def test_a_stride_over_an_unknown_extent_is_a_question_mark():
    assert str(TensorDesc((2, 3, -1, 4), DataType.FLOAT)) == "Float(?,?,4,1)"


def test_the_address_follows_from_the_notation_as_the_guide_has_it():
    desc = TensorDesc((2, 24, 5, 4), DataType.HALF, TensorFormat.HWC8)
    n, c, h, w = 1, 13, 2, 3
    assert desc.offset((n, c, h, w)) == (n * 60 + c // 8 * 1 + h * 12 + w * 3) * 8 + c % 8


@mark.parametrize("format", SUPPORTED, ids=lambda f: f.name)
@mark.parametrize("dtype", DataType, ids=lambda t: t.name)
def test_the_notation_can_be_read_back(format, dtype):
    desc = TensorDesc((2, 33, 3, 5, 7), dtype, format)
    assert parse_notation(str(desc)) == desc.notation


@mark.parametrize("text", ["Half", "Half(1,2", "Half(1,x)", "Half(1:2,3:4)", "(1,2)", "Half(1,,2)"])
def test_what_is_no_notation_is_refused(text):
    with raises(ShapeError, match="is not a layout"):
        parse_notation(text)


def test_an_unknown_type_word_is_refused():
    with raises(DTypeError, match="'Quarter' is not the name of a data type"):
        parse_notation("Quarter(1)")


def test_the_allocated_size_counts_the_padding():
    desc = TensorDesc((1, 3, 2, 2), DataType.HALF, TensorFormat.CHW32)
    assert (desc.volume, desc.allocated_size, allocated_bytes(desc)) == (12, 1 * 32 * 4 * 2, 256)


def test_an_unknown_extent_has_no_size_yet():
    desc = TensorDesc((-1, 3), DataType.HALF)
    assert (desc.is_dynamic, desc.volume) == (True, -1)
    with raises(ShapeError, match="has no size yet"):
        _ = desc.allocated_size


def test_too_few_dims_for_the_format_names_both():
    with raises(ShapeError) as error:
        TensorDesc((4, 4), DataType.HALF, TensorFormat.CHW4)
    assert (error.value.expected, error.value.got) == (3, 2)


def test_no_tensor_has_a_format_of_the_dla():
    with raises(FormatError, match="DLA_LINEAR"):
        TensorDesc((1, 4, 4, 4), DataType.HALF, TensorFormat.DLA_LINEAR)


@mark.parametrize("coords", [(2, 0), (0, 3), (0, -1), (0,), (0, 0, 0)])
def test_an_element_outside_the_tensor_is_refused(coords):
    with raises(ShapeError, match=r"is not an element of \(2, 3\)"):
        TensorDesc((2, 3), DataType.FLOAT).offset(coords)


def test_tensorrts_names_are_there():
    desc = PluginTensorDesc((1, 2), DataType.INT8, TensorFormat.LINEAR, 0.5)
    assert (desc.dims, desc.type, desc.format, desc.scale) == (
        (1, 2),
        DataType.INT8,
        TensorFormat.LINEAR,
        0.5,
    )
    ranged = DynamicPluginTensorDesc((-1, 2), DataType.INT8, min=(1, 2), opt=(4, 2), max=(8, 2))
    assert (ranged.desc.dims, ranged.min, ranged.opt, ranged.max) == ((-1, 2), (1, 2), (4, 2), (8, 2))
    assert type(ranged.desc) is TensorDesc


def test_known_dims_are_their_own_range():
    for desc in (TensorDesc((2, 3), DataType.FLOAT), DynamicTensorDesc((2, 3), DataType.FLOAT)):
        assert (desc.min, desc.opt, desc.max) == ((2, 3), (2, 3), (2, 3))


def test_a_range_of_another_rank_is_refused():
    with raises(ShapeError, match="max"):
        DynamicTensorDesc((-1, 3), DataType.FLOAT, max=(8, 3, 1))


def test_new_dims_leave_no_range_behind():
    desc = DynamicTensorDesc((-1, 3), DataType.HALF, min=(1, 3), opt=(2, 3), max=(8, 3)).with_dims((8, 3))
    assert (desc.dims, desc.min, desc.allocated_size) == ((8, 3), (8, 3), 48)


def test_a_constant_says_so_and_is_contiguous():
    desc = TensorDesc((3, 2), DataType.INT32).with_data(counted((2, 3)).T)
    assert desc.flags == 1
    assert desc.data.flags.c_contiguous


# ---- packing


@mark.parametrize("format", ADDRESS, ids=lambda f: f.name)
@mark.parametrize("dims", [(2, 5, 3, 4), (1, 32, 2, 2), (3, 35, 1, 7)])
def test_every_element_lies_where_the_rule_says(format, dims):
    x, (_, C, H, W) = counted(dims), dims
    packed, desc = pack(x, format), TensorDesc(dims, DataType.INT32, format)
    for n, c, h, w in np.ndindex(*dims):
        assert desc.offset((n, c, h, w)) == ADDRESS[format](n, c, h, w, C, H, W)
        assert packed[desc.offset((n, c, h, w))] == x[n, c, h, w]


@mark.parametrize("format", ADDRESS_3D, ids=lambda f: f.name)
def test_every_element_of_a_volume_lies_where_the_rule_says(format):
    dims = (2, 9, 2, 3, 4)
    x, (_, C, D, H, W) = counted(dims), dims
    packed, desc = pack(x, format), TensorDesc(dims, DataType.INT32, format)
    for n, c, d, h, w in np.ndindex(*dims):
        assert desc.offset((n, c, d, h, w)) == ADDRESS_3D[format](n, c, d, h, w, C, D, H, W)
        assert packed[desc.offset((n, c, d, h, w))] == x[n, c, d, h, w]


@st.composite
def tensors(draw):
    format = draw(st.sampled_from(SUPPORTED))
    dtype = draw(st.sampled_from(list(DataType)))
    rank = draw(st.integers(format.least_rank, 6))
    dims = [draw(st.integers(0, 4)) for _ in range(rank)]
    axis = format.channel_axis(rank)
    if axis is not None:
        dims[axis] = draw(st.integers(0, 40))
    return TensorDesc(dims, dtype, format)


@given(tensors())
def test_unpack_undoes_pack_for_every_type_and_format(desc):
    x = (counted(desc.dims) % 2 + 1).astype(nptype(desc.dtype))
    packed = pack(x, desc.format)
    assert packed.nbytes == desc.allocated_size
    assert np.array_equal(unpack(packed, desc.dims, desc.dtype, desc.format), x)
    assert np.array_equal(unpack(packed.tobytes(), desc.dims, desc.dtype, desc.format), x)


@given(tensors())
def test_padding_lanes_are_zero_and_nothing_else_is(desc):
    packed = pack(np.ones(desc.dims, nptype(desc.dtype)), desc.format)
    assert np.count_nonzero(packed) == desc.volume


def test_padding_may_hold_anything_when_it_is_read():
    x = counted((1, 3, 2, 2))
    packed = pack(x, TensorFormat.CHW4)
    packed[packed == 0] = -1
    assert np.array_equal(unpack(packed, x.shape, DataType.INT32, TensorFormat.CHW4), x)


def test_pack_takes_any_strides_and_gives_a_copy():
    x = counted((4, 3, 2))
    packed = pack(x.T, TensorFormat.LINEAR)
    assert np.array_equal(packed, x.T.ravel())
    assert not np.shares_memory(packed, x)


def test_a_buffer_of_the_wrong_size_is_refused_with_both_sizes():
    with raises(ShapeError) as error:
        unpack(bytes(10), (1, 3, 2, 2), DataType.HALF, TensorFormat.CHW4)
    assert (error.value.expected, error.value.got) == (32, 10)


@mark.parametrize(
    ("own", "to", "scale", "given", "expected"),
    [
        (DataType.FLOAT, DataType.HALF, -1.0, [1.0, 70000.0, 2049.0], [1.0, np.inf, 2048.0]),
        (DataType.FLOAT, DataType.INT8, -1.0, [1.9, -1.9, 300.0, np.nan], [1, -1, 127, 0]),
        (DataType.FLOAT, DataType.INT8, 0.5, [0.25, 0.75, -1.0, 300.0, np.nan], [0, 2, -2, 127, 0]),
        (DataType.INT8, DataType.FLOAT, -1.0, [3, -4], [3.0, -4.0]),
        (DataType.INT8, DataType.HALF, 0.5, [3, -4], [1.5, -2.0]),
        (DataType.INT64, DataType.INT8, -1.0, [300, -1], [44, -1]),
        (DataType.BF16, DataType.BOOL, -1.0, [0.0, 0.5], [False, True]),
    ],
)
def test_elements_are_converted_as_cast_does_and_with_a_scale_as_quantize_and_dequantize(
    own, to, scale, given, expected
):
    x = np.array(given).astype(nptype(own))
    y = as_type(x, own, to, scale)
    assert y.dtype == nptype(to)
    np.testing.assert_array_equal(y, np.array(expected).astype(nptype(to)))


def test_what_keeps_its_place_is_not_copied():
    x = np.ones((2, 3), np.float32)
    assert stored_as(x, DataType.FLOAT, DataType.FLOAT, TensorFormat.LINEAR) is x
    half = stored_as(np.ones((1, 3, 1, 1), np.float32), DataType.FLOAT, DataType.HALF, TensorFormat.CHW4)
    assert (half.dtype, half.tolist()) == (np.float16, [1.0, 1.0, 1.0, 0.0])
