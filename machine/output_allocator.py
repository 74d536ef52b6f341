"""`IOutputAllocator`: gives memory for outputs within an execution."""

from __future__ import annotations

from typing import Any

from dovetail.core.errors import BindingError
from dovetail.core.types import Dims


class IOutputAllocator:
    """Gives memory for outputs whose size is known only in an execution. To be derived from."""

    def reallocate_output(self, tensor_name: str, memory: int, size: int, alignment: int) -> int:
        """Address of at least `size` bytes at a multiple of `alignment`, on the output's device; 0 is a failure.

        Args:
            memory: the address before, which may be given again if there is room.
        """
        raise TypeError(f"{type(self).__name__} has no reallocate_output")

    def notify_shape(self, tensor_name: str, shape: Dims) -> None:
        """The extents of the output in this execution."""


def checked_allocator(name: str, allocator: Any) -> None:
    """Raises BindingError if the object cannot be the allocator of output `name`."""
    if isinstance(allocator, type) or not callable(getattr(allocator, "reallocate_output", None)):
        raise BindingError(
            f"output '{name}' cannot have {allocator!r} as its allocator",
            hint="Give an object of a class derived from IOutputAllocator, with reallocate_output.",
            got=allocator,
        )
