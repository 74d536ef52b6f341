"""Arrays of other libraries as NumPy views on the host, without copies where none are needed."""

from __future__ import annotations

from typing import Any

import numpy as np

from dovetail.core.errors import BindingError
from dovetail.core.types import DataType, nptype

_DLPACK_CPU = (1, 3)  # kDLCPU, kDLCUDAHost


def host_view(value: Any, dtype: DataType, what: str, writable: bool = False) -> np.ndarray:
    """`value` as a C-contiguous array of `dtype`.

    Args:
        what: its name in messages, such as "input 'x'".
        writable: for outputs; arrays that would have to be copied are refused, since the result would be lost.

    Raises:
        BindingError: another type, another device, or (writable) read-only or strided memory.
    """
    array = _as_array(value, dtype, what)
    if hasattr(array, "mask"):
        array = _unmasked(array, what)
    wanted = nptype(dtype)
    if array.dtype.kind in "OSUcmM" and not isinstance(value, np.ndarray):
        raise BindingError(
            f"{what} cannot be {value!r:.200}",
            facts=[("given", type(value).__name__), ("needed", f"an array of {wanted}")],
            expected=str(wanted),
            got=value,
        )
    if array.dtype != wanted:
        if isinstance(value, (int, float, list, tuple)) and not writable:
            array = _of_numbers(array, wanted, what)
        else:
            raise BindingError(
                f"{what} cannot be {array.dtype}",
                facts=[("given", str(array.dtype)), ("needed", str(wanted))],
                hint=f"Convert it: array.astype(np.{wanted.name})." if wanted.isbuiltin == 1 else "",
                expected=str(wanted),
                got=str(array.dtype),
            )
    if writable and not array.flags.carray:
        raise BindingError(
            f"{what} needs a writable, aligned array in row-major order", facts=[("flags", str(array.flags))]
        )
    return np.require(array, requirements="CA")


def _unmasked(array: Any, what: str) -> np.ndarray:
    """The data of a masked array. Raises BindingError if it has masked elements, whose data are meaningless."""
    if np.any(array.mask):
        raise BindingError(
            f"{what} has {np.count_nonzero(array.mask)} masked elements",
            hint="Give array.filled(value), or array.data for the data under the mask.",
        )
    return np.asarray(array)


def _of_numbers(array: np.ndarray, wanted: np.dtype, what: str) -> np.ndarray:
    """Python numbers, which have no fixed type, converted to this type; floats are rounded, integers must be exact.

    Raises:
        BindingError: the type cannot hold a number: a fraction or NaN for integers, or a number beyond its range.
    """
    with np.errstate(all="ignore"):
        made = array.astype(wanted)
        is_lost = np.isfinite(made) != np.isfinite(array) if wanted.kind not in "iub" else made != array
    if np.any(is_lost):
        lost = ", ".join(str(value) for value in array[is_lost][:4].tolist())
        raise BindingError(
            f"{what} cannot hold {lost}: it is {wanted}",
            facts=[("not of this type", f"{np.count_nonzero(is_lost)} of {array.size} numbers")],
            hint="Give an array of the type that is needed, converted as you want it.",
            expected=str(wanted),
            got=lost,
        )
    return made


def _as_array(value: Any, dtype: DataType, what: str) -> np.ndarray:
    if isinstance(value, np.ndarray):
        return value
    if hasattr(value, "__dlpack_device__"):
        device, index = value.__dlpack_device__()
        if int(device) not in _DLPACK_CPU:
            raise BindingError(
                f"{what} is on another device",
                facts=[("given", f"DLPack device {int(device)}:{index}"), ("needed", "the CPU, DLPack device 1")],
                hint="Move it first: tensor.cpu().",
            )
        return _from_dlpack(value, dtype, what)
    try:
        return np.asarray(value)
    except (TypeError, ValueError) as error:
        raise BindingError(f"{what} cannot be read from a {type(value).__name__}", hint=str(error)) from None


def _from_dlpack(value: Any, dtype: DataType, what: str) -> np.ndarray:
    try:
        return np.from_dlpack(value)
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        if dtype == DataType.BF16 and hasattr(value, "view"):
            return _bf16_view(value, what)
        raise BindingError(f"{what} cannot be exchanged through DLPack", hint=str(error)) from None


def _bf16_view(value: Any, what: str) -> np.ndarray:
    """NumPy's DLPack does not support bfloat16: pass the data as 16-bit integers of the tensor's own library."""
    import sys

    library = sys.modules.get(type(value).__module__.partition(".")[0])
    int16 = getattr(library, "int16", None)
    if int16 is None or str(value.dtype).rpartition(".")[2] != "bfloat16":
        raise BindingError(f"{what} needs bfloat16, got {value.dtype}")
    return np.from_dlpack(value.view(int16)).view(nptype(DataType.BF16))
