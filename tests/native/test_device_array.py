"""What a Python plugin is handed on a GPU, as other libraries read it. Nothing is read, so no GPU is needed."""

import numpy as np
import pytest

from dovetail import _native
from dovetail.core.types import DataType

ADDRESS = 0x7F0000001000


def made(dtype=DataType.FLOAT, **more):
    return _native.DeviceArray(ADDRESS, [2, 3], dtype=int(dtype), **more)


def test_the_cuda_array_interface():
    assert made().__cuda_array_interface__ == {
        "shape": (2, 3),
        "strides": None,
        "typestr": "<f4",
        "data": (ADDRESS, False),
        "version": 3,
    }
    strided = made(DataType.HALF, strides=[8, 1], read_only=True).__cuda_array_interface__
    assert (strided["strides"], strided["typestr"], strided["data"]) == ((16, 2), "<f2", (ADDRESS, True))


@pytest.mark.parametrize("dtype", list(DataType))
def test_dlpack_knows_every_type(dtype):
    array = made(dtype, device=1)
    taken = _native.DLPackArray(array.__dlpack__(stream=None, max_version=(1, 0)))
    code = next(dlpack for _, value, _, dlpack, _, _ in _native.DATA_TYPES if value == dtype)
    assert (taken.address, taken.shape, taken.device) == (ADDRESS, (2, 3), (2, 1))
    assert taken.type == (code, 8 * array.nbytes // 6, 1)
    assert array.__dlpack_device__() == (2, 1)


def test_a_capsule_that_nobody_takes_is_let_go():
    for _ in range(3):
        made().__dlpack__()


def test_a_strided_array_has_no_capsule():
    with pytest.raises(BufferError, match="__cuda_array_interface__"):
        made(strides=[4, 1]).__dlpack__()


def test_its_address_size_and_look():
    array = made(DataType.BF16)
    assert int(array) == array.pointer == ADDRESS and np.int64(array) == ADDRESS
    assert (array.shape, array.nbytes) == ((2, 3), 12)
    assert repr(array) == "<DeviceArray <u2 (2, 3) on CUDA device 0>"


def test_what_cannot_be():
    with pytest.raises(ValueError, match="no data type: 77"):
        _native.DeviceArray(ADDRESS, [2], dtype=77)
    with pytest.raises(ValueError, match="as many strides as extents"):
        _native.DeviceArray(ADDRESS, [2, 3], strides=[1])
