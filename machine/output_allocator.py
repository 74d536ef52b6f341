"""`IOutputAllocator`: allocates outputs during an execution."""

from __future__ import annotations

from typing import Any

from dovetail.core.errors import BindingError
from dovetail.core.types import Dims


class IOutputAllocator:
    """Allocates outputs whose size is known only during an execution. Derive a class from it."""

    def reallocate_output(self, tensor_name: str, memory: int, size: int, alignment: int) -> int:
        """Return the address of `size` bytes or more, a multiple of `alignment`, on the output's device; 0: failure.

        Args:
            memory: the previous address, which may be returned again if the memory is large enough.
        """
        raise TypeError(f"{type(self).__name__} has no reallocate_output")

    def notify_shape(self, tensor_name: str, shape: Dims) -> None:
        """Receives the extents of the output in this execution."""


def checked_allocator(name: str, allocator: Any) -> None:
    """Raises BindingError if the object cannot be the allocator of output `name`."""
    if isinstance(allocator, type) or not callable(getattr(allocator, "reallocate_output", None)):
        raise BindingError(
            f"output '{name}' cannot have {allocator!r} as its allocator",
            hint="Give an object of a class derived from IOutputAllocator, with reallocate_output.",
            got=allocator,
        )
