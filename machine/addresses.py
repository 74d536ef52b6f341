"""Addresses of memory as users give them: numbers, or other libraries' pointers."""

from __future__ import annotations

import operator
from typing import Any

from dovetail.core.errors import BindingError

_END = 1 << 64
_FIRST_MAPPED = 4096  # no system maps the page at 0: a smaller number is a count or an index


def address_of(value: Any, what: str) -> int:
    """`value` as an address; 0 stands for none.

    Args:
        value: an integer, or an object that converts to one and is not a number with a fraction: pointers of
            cuda-python and PyCUDA have `__int__` alone.
        what: has the address, as in "tensor 'x'".

    Raises:
        BindingError: it is something else, or no memory can lie there.
    """
    try:
        number = _integer(value)
    except (TypeError, ValueError):
        number = -1
    if number == 0 or _FIRST_MAPPED <= number < _END:
        return number
    raise BindingError(
        f"the address of {what} cannot be {str(value)[:100]}",
        facts=[("given", type(value).__name__), ("allowed", f"an integer, {_FIRST_MAPPED}..{_END - 1}, or 0 for none")],
        hint="The address of an array is array.ctypes.data, or array.data_ptr() in torch.",
        expected=f"0, {_FIRST_MAPPED}..{_END - 1}",
        got=value,
    )


def _integer(value: Any) -> int:
    if isinstance(value, bool):
        raise TypeError("a bool is not an address")
    if hasattr(value, "__index__"):
        return operator.index(value)
    if hasattr(value, "__float__") or isinstance(value, (str, bytes, bytearray)):
        raise TypeError("int() would cut its fraction, or read its digits")
    return int(value)
