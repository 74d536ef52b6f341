"""Attention that is spelled out becomes an Attention layer, on the CPU.

    softmax(query key^T * scale + mask) value

with the scale on the product, on query or on key, as factor or divisor, in front of the mask or behind it; any number
of masks, added or by Select with a very small number, also between two reshapes that split the batch into windows; and
heads of key and value that are repeated for several of query. The layer reads rows of all heads, [batch, length,
heads * size], where query, key and value were transposed from such, and so it writes its result. Where they are parts
of one product with a constant matrix, each becomes a product of its own.

Results change by rounding. Where a mask of -inf leaves no key, they were nan and are 0, as exporters that put 0 in the
place of nan want it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy

from dovetail.core.expr import as_expr
from dovetail.core.types import FLOATS, DataType, DeviceType, nptype
from dovetail.plugins.rewrites import Rewrites, is_op, number_of, same_dims, with_number
from dovetail.plugins.rewrites_heads import Heads
from dovetail.plugins.rewrites_moves import Move, fields_of, is_in_order, move_of, same_extents

MOST_MASK = 1 << 20  # elements of a constant made of several masks
NEVER = -1e30  # a number that small hides a score beside all others
DEPTH = 12  # layers between the two products at most


@dataclass
class Mask:
    """What is added to scores, times a factor; the dims of the scores there, where they are reshaped for it."""

    tensor: Any
    factor: float
    windows: Any = None
    fill: float = 0.0  # where `tensor` is a condition: added where it is `fills_where`, else 0
    fills_where: bool | None = None


@dataclass
class Found:
    """The scores of an attention: a product, and what happens to it in front of the softmax."""

    product: Any
    scale: float = 1.0
    masks: list[Mask] = field(default_factory=list)
    layers: list[Any] = field(default_factory=list)


def find_attention(graph: Any, build: Any) -> Any:
    """Replace the two products with the softmax between them."""
    edit = Rewrites(graph, build, "find_attention")
    for layer in edit.layers():
        if layer.device == DeviceType.CPU and is_op(layer, "MatrixMultiply", op0="NONE"):
            softmax, *guard = _softmax(layer.inputs[0])
            if is_op(softmax, "SoftMax") and layer.values["op1"].name != "VECTOR":
                _replace(edit, softmax, guard, layer)
    return edit.finish()


def _softmax(tensor: Any) -> list[Any]:
    """The layer that makes a tensor, a softmax perhaps, and those behind it that put 0 in the place of nan."""
    layer = tensor.producer
    if not is_op(layer, "Select"):
        return [layer]
    condition, number, weights = layer.inputs
    is_nan = condition.producer
    is_guard = is_op(is_nan, "Unary", op="ISNAN") and is_nan.inputs[0] is weights and number_of(number) == 0
    return [weights.producer, is_nan, layer] if is_guard else [layer]


# ---- the scores


def _scores(tensor: Any, depth: int = DEPTH) -> Iterator[Found]:
    """What a tensor is as scaled and masked scores, if it is that."""
    layer = tensor.producer
    if layer is None or depth == 0:
        return
    if is_op(layer, "MatrixMultiply"):
        if "VECTOR" not in (layer.values["op0"].name, layer.values["op1"].name):
            yield Found(layer)
    elif is_op(layer, "ElementWise"):
        yield from _changed(layer, depth)
    elif is_op(layer, "Select"):
        yield from _selected(layer, depth)
    elif is_op(layer, "Shuffle"):
        yield from _in_windows(layer, depth)


def _changed(layer: Any, depth: int) -> Iterator[Found]:
    op, number = layer.values["op"].name, with_number(layer)
    if number is not None and (op == "PROD" or (op == "DIV" and number[2] == 1)):
        x, factor, _ = number
        if factor == 0 or not numpy.isfinite(factor):
            return
        for found in _scores(x, depth - 1):
            by = factor if op == "PROD" else 1 / factor
            found.scale *= by
            for mask in found.masks:
                mask.factor *= by
            found.layers.append(layer)
            yield found
    elif op == "SUM":
        for x, mask in (layer.inputs, layer.inputs[::-1]):
            if x.is_constant or not _are_scores(x, layer.outputs[0]):
                continue
            for found in _scores(x, depth - 1):
                found.masks.append(Mask(mask, 1.0))
                found.layers.append(layer)
                yield found


def _selected(layer: Any, depth: int) -> Iterator[Found]:
    """Scores, or a very small number."""
    condition = layer.inputs[0]
    for place, fills_where in ((1, False), (2, True)):
        x, other = layer.inputs[place], layer.inputs[3 - place]
        if x.is_constant or not other.is_constant or other.constant.size != 1:
            continue
        fill = float(other.constant.reshape(-1)[0])
        if not fill <= NEVER or not _are_scores(x, layer.outputs[0]):
            continue
        for found in _scores(x, depth - 1):
            found.masks.append(Mask(condition, 1.0, fill=fill, fills_where=fills_where))
            found.layers.append(layer)
            yield found


def _in_windows(layer: Any, depth: int) -> Iterator[Found]:
    """A mask for each window of a picture is added to scores of dims [pictures, windows, heads, queries, keys]."""
    move, added = move_of(layer), layer.inputs[0].producer
    if move is None or not move.is_reshape or len(layer.outputs[0].dims) != 4 or len(layer.inputs[0].dims) != 5:
        return
    if not is_op(added, "ElementWise", op="SUM"):
        return
    for x, mask in (added.inputs, added.inputs[::-1]):
        split = None if x.is_constant else x.producer
        before = move_of(split)
        if before is None or not before.is_reshape or not same_dims(split.inputs[0], layer.outputs[0]):
            continue
        if not same_dims(x, layer.inputs[0]):
            continue
        for found in _scores(split.inputs[0], depth - 1):
            found.masks.append(Mask(mask, 1.0, windows=x.dims))
            found.layers += [split, added, layer]
            yield found


def _are_scores(x: Any, y: Any) -> bool:
    """True if y has the dims of x, but for keys that a mask may have repeated: `_fits` asks for that."""
    return same_extents(x.dims[:-1], y.dims[:-1]) and len(x.dims) == len(y.dims)


# ---- the mask


def _fits(mask: Mask, scores: Any) -> bool:
    """True if the layer can add the mask: it has all keys, and windows lie in one picture.

    A mask of another extent than 1 has, or what adds it would be an error.
    """
    if not mask.tensor.dims:
        return False
    has_more_than_one = bool(mask.tensor.ranges) and all(low[-1] > 1 for low, _, _ in mask.tensor.ranges)
    if not mask.tensor.dims[-1].same(scores.dims[-1]) and not has_more_than_one:
        return False
    if mask.windows is not None:
        static = mask.tensor.static_dims
        return len(static) == 5 and mask.windows[0].value == 1 and static[0] == 1 and -1 not in static[1:3]
    return len(mask.tensor.dims) == len(scores.dims)


def _is_one_tensor(masks: list[Mask]) -> bool:
    """True if no more is added than one tensor as it is."""
    return len(masks) < 2 and all(
        mask.factor == 1 and mask.fills_where is None and mask.windows is None for mask in masks
    )


def _may_compute(edit: Rewrites, masks: list[Mask], dtype: Any) -> bool:
    """True if new masks may be made of these: NumPy knows the type, and none is kept for refitting."""
    return dtype != DataType.BF16 and not (edit.build.keeps_weights and any(mask.tensor.is_constant for mask in masks))


def _added(edit: Rewrites, mask: Mask, before: Any, dtype: Any) -> Any:
    """The mask as a tensor of the type and the rank of the scores."""
    tensor, array = mask.tensor, mask.tensor.constant
    if mask.fills_where is not None:
        values = [numpy.asarray(value, nptype(dtype)).reshape((1,) * len(tensor.dims)) for value in (mask.fill, 0)]
        a, b = values if mask.fills_where else values[::-1]
        if array is None:
            name = f"{before.name}.mask"
            constants = [edit.weights(name, one, [], dtype) for one in (a, b)]
            return edit.insert(before, "Select@1", [tensor, *constants], name=f"{name} by {tensor.name}")
        array = numpy.where(array, a, b)
    if array is not None:
        array = array[0] if mask.windows is not None else array
        array = (array.astype(numpy.float64) * mask.factor).astype(array.dtype) if mask.factor != 1 else array
        return edit.weights(f"{before.name}.mask", numpy.ascontiguousarray(array), [tensor], dtype)
    if mask.windows is not None:
        dims = tuple(dim.value if dim.value is not None else 0 for dim in tensor.dims[1:])
        tensor = edit.insert(before, "Shuffle@1", [tensor], name=f"{before.name}.mask", reshape_dims=dims)
    if mask.factor != 1:
        number = numpy.full((1,) * len(tensor.dims), mask.factor, nptype(dtype))
        factor = edit.weights(f"{before.name}.factor", number, [], dtype)
        name = f"{before.name}.mask times {mask.factor:.3g}"
        tensor = edit.insert(before, "ElementWise@1", [tensor, factor], name=name, op="PROD")
    return tensor


def _sum_of(edit: Rewrites, masks: list[Any], before: Any, dtype: Any) -> Any:
    """One mask of several."""
    known = [mask for mask in masks if mask.is_constant]
    given = [mask for mask in masks if not mask.is_constant]
    arrays = [mask.constant for mask in known]
    if len(known) > 1 and numpy.prod(numpy.broadcast_shapes(*(array.shape for array in arrays))) <= MOST_MASK:
        type_ = arrays[0].dtype
        total = numpy.ascontiguousarray(sum(array.astype(numpy.float64) for array in arrays))
        least = numpy.maximum(total, float(numpy.finfo(type_).min))  # what is finite stays so
        array = numpy.where(numpy.isneginf(total), total, least).astype(type_)
        known = [edit.weights(f"{before.name}.mask", array, known, dtype)]
    total, *others = [*given, *known]
    for other in others:
        name = f"{before.name}.masks"
        total = edit.insert(before, "ElementWise@1", [total, other], name=name, op="SUM")
    return total


# ---- replacing


def _replace(edit: Rewrites, softmax: Any, guard: list[Any], layer: Any) -> None:
    weights, y = layer.inputs[0], layer.outputs[0]
    rank, block = len(y.dims), edit.block_of(layer)
    axes = softmax.values["axes"] or 1 << max(0, rank - 3)
    if rank not in (3, 4) or axes != 1 << rank - 1 or y.dtype not in FLOATS or softmax.inputs[0].dtype != y.dtype:
        return
    if edit.only_taker(weights) is not layer:
        return
    for found in _scores(softmax.inputs[0]):
        inside = [found.product, *found.layers, softmax, *guard]
        scores = found.product.outputs[0]
        if len(scores.dims) != rank or not _are_scores(scores, softmax.inputs[0]) or scores.dtype != y.dtype:
            continue
        if not all(edit.is_in(one, block) for one in inside) or not all(_fits(mask, scores) for mask in found.masks):
            continue
        if not _is_one_tensor(found.masks) and not _may_compute(edit, found.masks, y.dtype):
            continue
        if not all(edit.is_used_by(one.outputs[0], [*inside, layer]) for one in inside):
            edit.note("not made an Attention, for something else takes what is inside", layer)
            return
        if edit.may_change([*inside, layer]) and _attend(edit, found, layer, inside):
            edit.remove_unused(inside)
            edit.note("one Attention layer each, which other layers spelled out", layer)
        return


def _attend(edit: Rewrites, found: Found, layer: Any, inside: list[Any]) -> bool:
    product, y = found.product, layer.outputs[0]
    query = Heads.of(edit, layer, product.inputs[0], product.values["op0"].name == "TRANSPOSE")
    key = Heads.of(edit, layer, product.inputs[1], product.values["op1"].name != "TRANSPOSE")
    value = Heads.of(edit, layer, layer.inputs[1], layer.values["op1"].name == "TRANSPOSE")
    heads = (query, key, value)
    scale = found.scale * query.factor * key.factor
    if value.factor != 1 or not numpy.isfinite(scale) or key.n_heads != value.n_heads or not query.n_heads:
        return False
    own = [*inside, layer, *(one for each in heads for one in each.peeled)]
    last = edit.only_taker(y) if len(y.dims) == 4 else None
    if not _joins_heads(move_of(last)) or not edit.may_change([last]):
        last = query.rows = None  # rows of heads apart are what is needed
    may_split = not edit.build.keeps_weights and all(one.needs_only(own) for one in heads)
    if not may_split or key.rows is None or value.rows is None:
        for one in heads:
            one.rows = None if one.rows is None or one.rows[1] is not None else one.rows
    if key.rows is None or value.rows is None:
        key.rows = value.rows = None
    inputs = [one.whole() if one.rows is None else one.by_rows() for one in heads]
    masks = [_added(edit, mask, layer, y.dtype) for mask in found.masks]
    masks = [mask for mask in masks if edit.build.keeps_weights or not mask.is_constant or mask.constant.any()]
    if masks:
        inputs.append(_with_heads(edit, _sum_of(edit, masks, layer, y.dtype), layer))
    fields = {"scale": scale}
    fields["num_heads"] = 0 if len(inputs[0].dims) == 4 else query.n_heads
    fields["num_kv_heads"] = 0 if len(inputs[1].dims) == 4 else key.n_heads
    return _put(edit, layer, last if query.rows is not None else None, inputs, fields)


def _joins_heads(move: Any) -> bool:
    """True if it makes rows of all heads, [batch, length, heads, size] in any dims."""
    if move is None:
        return False
    return (move.first == (0, 2, 1, 3) and is_in_order(move.second)) or move.order == (0, 2, 1, 3)


def _with_heads(edit: Rewrites, mask: Any, before: Any) -> Any:
    """A mask of scores without heads as one of scores with a single head."""
    if len(mask.dims) != 3:
        return mask
    if mask.is_constant:
        return edit.weights(mask.name, mask.constant[:, None], [mask], mask.dtype)
    dims = (mask.dims[0], as_expr(1), *mask.dims[1:])
    fields = fields_of(mask, Move((0, 1, 2), dims, (0, 1, 2, 3), False))
    return edit.insert(before, "Shuffle@1", [mask], name=f"{before.name}.mask of one head", **fields)


def _put(edit: Rewrites, layer: Any, last: Any, inputs: list[Any], fields: dict[str, Any]) -> bool:
    """Put the layer in the place of the second product, or of the layer behind it that joins heads."""
    if last is None:
        return edit.try_substitute(layer, "Attention@1", inputs, **fields) is not None
    if len(last.outputs[0].dims) == 3 and edit.try_substitute(last, "Attention@1", inputs, **fields) is not None:
        edit.remove_unused([layer])
        return True
    y = edit.insert(layer, "Attention@1", inputs, name=layer.name, **fields)
    dims = last.outputs[0].dims
    reshape = fields_of(y, Move((0, 1, 2), tuple(dims), tuple(range(len(dims))), False))
    if reshape is None or edit.try_substitute(last, "Shuffle@1", [y], **reshape) is None:
        return False
    edit.remove_unused([layer])
    return True
