"""Query, key or value of attention that is spelled out, and the forms in which an Attention layer takes it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy

from dovetail.plugins.rewrites import Rewrites, is_op, same_dims, with_number
from dovetail.plugins.rewrites_moves import Move, fields_of, move_of, same_extents
from dovetail.plugins.rewrites_views import Run, View, views_of


@dataclass
class Heads:
    """A tensor of dims [batch, heads, length, size], or without heads; `is_turned` with the last two exchanged."""

    edit: Rewrites
    layer: Any  # in front of which layers are inserted
    tensor: Any
    is_turned: bool
    factor: float = 1.0  # that it is multiplied by
    peeled: list[Any] = field(default_factory=list)  # the layers that do so
    rows: tuple[Any, numpy.ndarray | None] | None = None  # [batch, length, heads * size], or a product and its columns

    @classmethod
    def of(cls, edit: Rewrites, layer: Any, tensor: Any, is_turned: bool) -> Heads:
        found = cls(edit, layer, tensor, is_turned)
        while found._peel():
            pass
        found._ungroup()
        found.rows = found._find_rows()
        return found

    def _peel(self) -> bool:
        """Leave out a multiplication with a number."""
        scaled = self.tensor.producer
        number = with_number(scaled) if is_op(scaled, "ElementWise") else None
        if number is None or not self._is_near(scaled) or not same_dims(number[0], self.tensor):
            return False
        op, (x, value, place) = scaled.values["op"].name, number
        if not numpy.isfinite(value) or value == 0 or not (op == "PROD" or (op == "DIV" and place == 1)):
            return False
        self.factor *= value if op == "PROD" else 1 / value
        self.tensor = x
        self.peeled.append(scaled)
        return True

    def _ungroup(self) -> None:
        """Leave out the repetition of each head for several of query: [b, kv, 1, l, s], repeated, then [b, h, l, s]."""
        joined: Any = self.tensor.producer
        move = move_of(joined)
        repeated: Any = None if move is None or not move.is_reshape else joined.inputs[0].producer
        if not is_op(repeated, "Slice") or self.is_turned or len(self.tensor.dims) != 4:
            return
        x, y = repeated.inputs[0], repeated.outputs[0]
        if any(tensor is not None for tensor in repeated.inputs[1:]) or len(x.dims) != 5 or x.dims[2].value != 1:
            return
        kept = [x.dims[axis].same(y.dims[axis]) for axis in (0, 1, 3, 4)]
        is_whole = all(kept) and not any(repeated.values["start"])
        if not is_whole or x.dims[1].value is None or y.dims[2].value is None or not self._is_near(repeated, joined):
            return
        if not same_extents(self.tensor.dims, (y.dims[0], y.dims[1] * y.dims[2], y.dims[3], y.dims[4])):
            return
        source: Any = x.producer.inputs[0] if x.producer is not None and self._is_near(x.producer) else None
        wanted = (x.dims[0], x.dims[1], x.dims[3], x.dims[4])
        before = move_of(x.producer)
        if source is not None and before is not None and before.is_reshape and same_extents(source.dims, wanted):
            self.tensor = source
            return
        self.tensor = self._reshaped(x, wanted) or self.tensor

    def _is_near(self, *layers: Any) -> bool:
        """True if the layers are in the block of that layer."""
        block = self.edit.block_of(self.layer)
        return all(self.edit.is_in(layer, block) for layer in layers)

    @property
    def dims(self) -> list[Any]:
        dims = list(self.tensor.dims)
        return [*dims[:-2], dims[-1], dims[-2]] if self.is_turned else dims

    @property
    def n_heads(self) -> int:
        """0 if it is not known."""
        return (self.dims[1].value or 0) if len(self.dims) == 4 else 1

    # ---- the forms

    def whole(self) -> Any:
        """The tensor itself, with the last two dims in order."""
        if not self.is_turned:
            return self.tensor
        rank = len(self.tensor.dims)
        order = (*range(rank - 2), rank - 1, rank - 2)
        name = f"{self.tensor.name} in order"
        return self.edit.insert(self.layer, "Shuffle@1", [self.tensor], name=name, first_transpose=order)

    def by_rows(self) -> Any:
        """[batch, length, heads * size]; None if there is no such tensor."""
        if self.rows is None:
            return None
        source, columns = self.rows
        if columns is not None:
            source = self._part_of_product(source, columns)
        batch, heads, length, size = self.dims
        wanted = [batch, length, heads * size]
        return source if same_extents(source.dims, wanted) else self._reshaped(source, wanted)

    def _reshaped(self, source: Any, dims: Sequence[Any]) -> Any:
        order = tuple(range(len(source.dims)))
        fields = fields_of(source, Move(order, tuple(dims), tuple(range(len(dims))), False))
        name = f"{source.name} in rows"
        return None if fields is None else self.edit.insert(self.layer, "Shuffle@1", [source], name=name, **fields)

    def _find_rows(self) -> tuple[Any, numpy.ndarray | None] | None:
        """The nearest tensor whose rows are those of all heads, or the nearest product that has them as columns."""
        if len(self.dims) != 4 or not self.n_heads or self.dims[3].value is None or self.tensor.is_constant:
            return None
        part = None
        for source, view in views_of(self.tensor, self._is_near):
            if self._is_rows(source, view):
                return source, None
            columns = self._columns(source, view)
            if columns is None:
                continue
            if part is None and linear_of(self.edit, source, self._is_near) is not None:
                part = (source, columns)
        return part

    def _in_order(self, view: View) -> tuple[list[Run], list[Run]]:
        """The runs of batch and length, and those of heads and size."""
        batch, heads, length, size = [*view.axes[:2], *(view.axes[3:1:-1] if self.is_turned else view.axes[2:])]
        return [*batch, *length], [*heads, *size]

    def _is_rows(self, source: Any, view: View) -> bool:
        """True if the first axes of the source are batch and length, and the others heads and size, all of them."""
        rows, elements = self._in_order(view)
        cuts = range(1, len(source.dims))
        return not any(view.start) and any(
            _is_all(rows, source.dims[:cut], 0) and _is_all(elements, source.dims[cut:], cut) for cut in cuts
        )

    def _columns(self, source: Any, view: View) -> numpy.ndarray | None:
        """The element of a row of the source for each head and element of it; None if rows are not whole rows."""
        (rows, elements), last = self._in_order(view), len(source.dims) - 1
        if any(run.axis != last for run in elements) or any(view.start[:last]):
            return None
        if not _is_all(rows, source.dims[:last], 0) or source.dims[last].value is None:
            return None
        columns = numpy.full(1, view.start[last])
        for run in elements:
            columns = (columns[:, None] + numpy.arange(run.extent.value) * run.step).reshape(-1)
        return columns

    def _part_of_product(self, source: Any, columns: numpy.ndarray) -> Any:
        """A product of its own for some columns of one."""
        edit, found = self.edit, linear_of(self.edit, source, self._is_near)
        assert found is not None
        product, bias = found
        x, matrix = product.inputs
        is_turned = product.values["op1"].name == "TRANSPOSE"
        part = f", columns {columns[0]} to {columns[-1]}"
        some = numpy.ascontiguousarray(numpy.take(matrix.constant, columns, axis=-2 if is_turned else -1))
        inputs = [x, edit.weights(f"{matrix.name}{part}", some, [matrix], matrix.dtype)]
        made = edit.insert(self.layer, "MatrixMultiply@1", inputs, name=f"{product.name}{part}", **product.values)
        if bias is None:
            return made
        array = bias.constant
        array = numpy.ascontiguousarray(numpy.take(array, columns, axis=-1)) if array.shape[-1] != 1 else array
        added = edit.weights(f"{bias.name}{part}", array, [bias], bias.dtype)
        return edit.insert(self.layer, "ElementWise@1", [made, added], name=f"{product.name}{part}, bias", op="SUM")

    def needs_only(self, layers: Iterable[Any]) -> bool:
        """True if nothing but these layers uses the product that would be taken apart."""
        if self.rows is None or self.rows[1] is None:
            return True
        allowed, tensors = set(layers), [self.rows[0]]
        while tensors:
            tensor = tensors.pop()
            if self.edit.is_output(tensor):
                return False
            for taker in self.edit.takers(tensor):
                if taker in allowed:
                    continue
                if not (move_of(taker) is not None or is_op(taker, "Gather") or is_op(taker, "Slice")):
                    return False
                tensors.append(taker.outputs[0])
        return True


def _is_all(runs: Sequence[Run], dims: Sequence[Any], first: int) -> bool:
    """True if the runs are all elements of axes from `first` on, which have these extents, in order."""
    at = 0
    for axis, extent in enumerate(dims, first):
        here = []
        while at < len(runs) and runs[at].axis == axis:
            here.append(runs[at])
            at += 1
        if not (len(here) == 1 and here[0].extent.same(extent) and here[0].step == 1) and not _is_axis(here, extent):
            return False
    return at == len(runs)


def _is_axis(runs: Sequence[Run], extent: Any) -> bool:
    """True if the runs are all elements of an axis with this extent, in order."""
    left = extent.value
    for run in runs:
        if left is None or run.extent.value is None or left != run.step * run.extent.value:
            return False
        left = run.step
    return bool(left == 1)


def linear_of(edit: Rewrites, tensor: Any, is_near: Any) -> tuple[Any, Any] | None:
    """(product with a constant matrix, constant that is added to each row or None) that a tensor is."""
    layer, bias = tensor.producer, None
    if is_op(layer, "ElementWise", op="SUM") and is_near(layer):
        x, bias = layer.inputs if layer.inputs[1].is_constant else layer.inputs[::-1]
        if not bias.is_constant or any(extent != 1 for extent in bias.constant.shape[:-1]) or not same_dims(x, tensor):
            return None
        if edit.only_taker(x) is not layer or edit.why_fixed(layer):
            return None
        layer = x.producer
    if not is_op(layer, "MatrixMultiply", op0="NONE") or not is_near(layer) or edit.why_fixed(layer):
        return None
    x, matrix = layer.inputs
    if not matrix.is_constant or x.is_constant or layer.values["op1"].name == "VECTOR":
        return None
    return (layer, bias) if all(extent == 1 for extent in matrix.constant.shape[:-2]) else None
