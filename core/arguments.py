"""Checks of the arguments of public methods. Errors name the argument, its value, and what is allowed."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from dovetail.core.dims import MAX_RANK
from dovetail.core.errors import DTypeError, ShapeError


def whole(what: str, value: Any, hint: str = "") -> int:
    """`value` as an int.

    Args:
        what: the subject of the error's sentence: "the index of a layer".

    Raises:
        DTypeError: it is not an integer.
    """
    try:
        return operator.index(value)
    except TypeError:
        raise _wrong(what, value, "an integer", hint) from None


def text(what: str, value: Any, hint: str = "") -> str:
    """`value`. Raises DTypeError if it is not a str."""
    if not isinstance(value, str):
        raise _wrong(what, value, "a str", hint)
    return value


def extents(what: str, value: Any) -> tuple[int, ...]:
    """Extents as a tuple of ints.

    Raises:
        DTypeError: they are not a sequence of integers.
        ShapeError: there are too many, or one does not fit into 64 bits.
    """
    try:
        dims = tuple(operator.index(extent) for extent in value)
    except TypeError:
        is_one = hasattr(value, "__index__")
        hint = f"Write ({value},) for one dimension." if is_one else ""
        raise _wrong(what, value, f"a sequence of integers, at most {MAX_RANK}", hint) from None
    if len(dims) > MAX_RANK:
        raise ShapeError(f"{what} cannot have {len(dims)} dims", facts=[("allowed", f"at most {MAX_RANK}")], got=dims)
    check_range(what, dims)
    return dims


def shape_of(what: str, tensor: Any) -> Any:
    """The shape of a network's tensor. Raises DTypeError for anything else."""
    if not hasattr(tensor, "symbolic"):
        raise _wrong(what, tensor, "a tensor", "Pass layer.get_output(0), or what network.add_input returned.")
    return tensor.shape


def integers(what: str, values: Any) -> tuple[int, ...]:
    """Contents of a shape (a sequence or an array) as ints.

    Raises:
        DTypeError: they are not integers.
        ShapeError: one does not fit into 64 bits.
    """
    is_list = isinstance(values, (list, tuple))  # of numbers of any size, which NumPy would make into floats
    try:
        found = tuple(operator.index(value) for value in np.ravel(np.array(values, object) if is_list else values))
    except (TypeError, ValueError):
        raise _wrong(what, values, "integers") from None
    check_range(what, found)
    return found


def check_range(what: str, values: Sequence[int], bits: int = 64) -> None:
    """Raise ShapeError, naming the values that do not fit into this number of bits."""
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    beyond = [value for value in values if not low <= value <= high]
    if beyond:
        raise ShapeError(
            f"{what} cannot be {list(values)!s:.200}",
            facts=[(f"beyond {bits} bits", f"{str(beyond)[1:-1]:.200}"), ("allowed", f"{low}..{high}")],
            expected=f"{low}..{high}",
            got=tuple(values),
        )


def sequence(what: str, value: Any, of: str, hint: str = "") -> Sequence[Any]:
    """`value`. Raises DTypeError if it is not a sequence: a list, a tuple or an array."""
    if isinstance(value, (str, bytes)) or not hasattr(value, "__len__") or not hasattr(value, "__getitem__"):
        raise _wrong(what, value, f"a sequence of {of}", hint)
    return cast(Sequence[Any], value)


def _wrong(what: str, value: Any, allowed: str, hint: str = "") -> DTypeError:
    return DTypeError(
        f"{what} cannot be {value!r:.200}",
        facts=[("allowed", allowed), ("given", type(value).__name__)],
        hint=hint,
        expected=allowed,
        got=value,
    )
