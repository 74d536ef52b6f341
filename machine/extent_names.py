"""Names of unknown extents of inputs. Extents with the same name are one unknown, which keeps expressions short."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dovetail.core.expr import DimsExprs, Expr, input_dim

if TYPE_CHECKING:
    from dovetail.machine.tensor import ITensor

Axis = tuple[int, int]  # (input, axis)


class ExtentNames:
    """Which inputs share which names. A name stands for the extent of the first axis, in input order, that has it."""

    def __init__(self) -> None:
        self._axes: dict[str, dict[Axis, ITensor]] = {}
        self._first: dict[str, Axis] = {}
        self._named: dict[ITensor, dict[int, str]] = {}  # unknown axes of each input that have a name
        self._changed: dict[ITensor, None] = {}

    def update(self, tensor: ITensor) -> None:
        """Note the shape and the names of one input."""
        shape = tensor.declared_shape
        names = {axis: tensor.get_dimension_name(axis) for axis, extent in enumerate(shape) if extent < 0}
        new = {axis: name for axis, name in names.items() if name}
        old = self._named.get(tensor, {})
        self._named[tensor] = new
        self._changed[tensor] = None
        for axis, name in old.items():
            if new.get(axis) != name:
                self._drop(name, (tensor._index, axis))
        for axis, name in new.items():
            if old.get(axis) != name:
                self._add(name, (tensor._index, axis), tensor)

    def changed(self) -> list[ITensor]:
        """The inputs whose dims may have changed since `dims_of` was called; calling this empties the list."""
        changed, self._changed = list(self._changed), {}
        return changed

    def dims_of(self, tensor: ITensor) -> DimsExprs:
        return DimsExprs(
            self._unknown(tensor, axis) if extent < 0 else extent for axis, extent in enumerate(tensor.declared_shape)
        )

    def _unknown(self, tensor: ITensor, axis: int) -> Expr:
        name = self._named[tensor].get(axis)
        if name is None:
            return input_dim(tensor._index, axis, f"{tensor.name}.{axis}")
        return input_dim(*self._first[name], name)

    def _add(self, name: str, axis: Axis, tensor: ITensor) -> None:
        axes = self._axes.setdefault(name, {})
        axes[axis] = tensor
        first = self._first.setdefault(name, axis)
        if axis < first:
            self._first[name] = axis
            self._changed.update(dict.fromkeys(axes.values()))

    def _drop(self, name: str, axis: Axis) -> None:
        axes = self._axes[name]
        del axes[axis]
        if not axes:
            del self._axes[name], self._first[name]
        elif self._first[name] == axis:
            self._first[name] = min(axes)
            self._changed.update(dict.fromkeys(axes.values()))
