"""Memory addresses given by users: numbers, or pointers of other libraries."""

from __future__ import annotations

import operator
from typing import Any

from dovetail.core.errors import BindingError

_END = 1 << 64
_FIRST_MAPPED = 4096  # the page at 0 is never mapped: a smaller number is probably a count or an index


def address_of(value: Any, what: str) -> int:
    """`value` as an address; 0 stands for none.

    Args:
        value: an integer, or an object with `__int__`, such as pointers of cuda-python and PyCUDA; not a float.
        what: the object that the address belongs to, such as "tensor 'x'".

    Raises:
        BindingError: it is something else, or cannot be an address.
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
