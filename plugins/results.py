"""Checks the results of an author's methods, and stores them in the types of the tensors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import numpy as np

from dovetail.core.errors import DTypeError, PluginFailed, ShapeError
from dovetail.core.types import DataType, storage_nptype
from dovetail.plugins.author import note_method, shown

_COMPUTED_IN_FLOAT = (DataType.HALF, DataType.BF16)  # references get them as float32


@contextmanager
def naming(method: str, where: str = "") -> Iterator[None]:
    """Context manager around a call that the runtime makes of the author's `method`, defined at `where`."""
    try:
        yield
    except BaseException as error:
        note_method(error, method, where)
        raise


def method_name(plugin: Any) -> str:
    """The author's name for the reference: the name of the function if the plugin was made from one."""
    return str(getattr(plugin, "dovetail_function", "reference"))


def bytes_of(size: Any) -> int:
    """A workspace in bytes, as get_workspace_size returned it. Raises PluginFailed if it is not a number of bytes."""
    if isinstance(size, bool) or not hasattr(size, "__index__") or not 0 <= size.__index__() < 1 << 64:
        raise PluginFailed(f"it returned {shown(size)}", hint="Return the number of bytes as an int; 0 for none.")
    return int(size.__index__())


def refuse_result(result: Any, output: str) -> NoReturn:
    """Raises PluginFailed for a kernel that returned something instead of writing its outputs."""
    raise PluginFailed(
        f"it returned {shown(result)}, which is not used: a kernel writes into its outputs",
        hint=f"Write outputs[0][...] = value for '{output}', and return nothing.",
    )


def results_of(plugin: Any, result: Any, arrays: Sequence[Any], descs: Sequence[Any]) -> list[np.ndarray]:
    """The results of a reference, one array for each output, with the dims and type of the output.

    Raises:
        PluginFailed: the wrong number of results, or none.
        DTypeError: another type; nothing is converted silently. Python numbers get the type of the output, and the
            reference of a class may return wider floats, since kernels are compared with it.
        ShapeError: the dims differ from those of infer; if kernels decide extents, they are above their bounds.
    """
    ports = plugin.dovetail_spec.outputs
    several = isinstance(result, (tuple, list)) and (len(ports) != 1 or len(result) == 1)
    if isinstance(result, tuple) and any(isinstance(one, np.ndarray) for one in result):
        several = True
    results = list(result) if several else [result]
    names = ", ".join(port.name for port in ports)
    if any(one is None for one in results) or len(results) != len(ports):
        wanted = f"Return the array of '{names}'." if len(ports) == 1 else f"Return a tuple of arrays: {names}."
        raise PluginFailed(f"it returned {shown(result)}", facts=[("outputs", names or "none")], hint=wanted)
    late = any(port.size for port in ports)
    may_round = not hasattr(plugin, "dovetail_function")  # a class's reference may return any float type
    checked = []
    for port, value, array, desc in zip(ports, results, arrays, descs, strict=True):
        value = _of_type(port.name, value, DataType(desc.dtype), may_round)
        fits = value.shape == array.shape or (late and not port.size and _is_within(value.shape, array.shape))
        if not fits:
            raise ShapeError(
                f"{method_name(plugin)} of {plugin.label} gave '{port.name}' the wrong dims",
                facts=[
                    ("returned", str(list(value.shape))),
                    ("at most" if late and not port.size else "infer", str(list(array.shape))),
                ],
                hint="Without an infer, an output has the dims of the first input."
                if getattr(plugin.infer, "is_default", False)
                else "The dims must be those of infer.",
            )
        checked.append(value)
    return checked


def _of_type(output: str, value: Any, dtype: DataType, may_round: bool) -> np.ndarray:
    """`value` as an array whose type represents `dtype` without loss. Raises DTypeError if that is not possible.

    `may_round`: floating-point numbers may be wider.
    """
    given = np.asarray(value)
    if dtype == DataType.FP8 and given.dtype.itemsize == 1:
        return given.view(np.uint8)
    wanted = np.dtype(np.float32) if dtype in _COMPUTED_IN_FLOAT else storage_nptype(dtype)
    if (
        isinstance(value, (bool, int, float))
        and not isinstance(value, np.generic)
        and _kind(given.dtype) <= _kind(wanted)
    ):
        exact = given.astype(wanted)
        if wanted.kind == "f" or exact == given:
            return exact
    is_same_kind = _kind(given.dtype) == _kind(wanted) and given.dtype.kind not in "OUSV"
    if may_round and is_same_kind and wanted.kind == "f":
        return given
    is_own = given.dtype.name == {DataType.HALF: "float16", DataType.BF16: "bfloat16"}.get(dtype)
    if is_own or (is_same_kind and np.can_cast(given.dtype, wanted, "safe")):
        return given
    name = "bool" if dtype == DataType.BOOL else wanted.name
    is_array = hasattr(value, "astype")
    call = f"y.astype(np.{name})" if is_array else f"np.asarray(y, np.{name})"
    facts = [("returned", str(given.dtype) if is_array else f"{shown(value)}, {given.dtype} to NumPy")]
    facts.append((f"'{output}'", dtype.name))
    if dtype in _COMPUTED_IN_FLOAT:
        facts.append(("inputs", f"{dtype.name} is passed as float32"))
    raise DTypeError(
        f"it returned {given.dtype} for output '{output}', which is {dtype.name}; nothing is converted silently",
        facts=facts,
        hint=f"Return {call}, or declare an output of another type.",
        expected=dtype,
        got=given.dtype,
    )


def _kind(dtype: np.dtype) -> int:
    return {"b": 0, "u": 1, "i": 1, "f": 2, "c": 3}.get(dtype.kind, 4)


def _is_within(shape: Sequence[int], bounds: Sequence[int]) -> bool:
    return len(shape) == len(bounds) and all(n <= most for n, most in zip(shape, bounds, strict=True))


def widen(array: Any, desc: Any) -> Any:
    """HALF and BF16 converted to float32, the type that references compute in; other arrays unchanged."""
    if array is None or desc.dtype not in (DataType.HALF, DataType.BF16):
        return array
    if desc.dtype == DataType.HALF:
        return array.astype(np.float32)
    return (array.view(np.uint16).astype(np.uint32) << 16).view(np.float32).reshape(array.shape)


def store(value: Any, array: Any, desc: Any) -> None:
    """Write `value` into a tensor's memory in the tensor's type, rounding to nearest even."""
    with np.errstate(all="ignore"):
        if desc.dtype == DataType.BF16:
            bits = np.asarray(value, dtype=np.float32).view(np.uint32)
            rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
            quiet_nan = (bits >> 16) | 0x40  # rounding up could carry a nan into infinity
            value = np.where(np.isnan(bits.view(np.float32)), quiet_nan, rounded).astype(np.uint16)
            array = array.view(np.uint16)
        np.copyto(array, value, casting="unsafe")
