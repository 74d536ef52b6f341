"""Factors and sums per channel around a convolution or product with known weights go into its weights and bias.

    conv(x) * s + t             has the kernel W * s and the bias b * s + t
    conv(x * s + t), unpadded   has the kernel W * s along its input channels and the bias b + sum(W * t)
    (x W + b) * s + t           of matrices is x (W * s) + (b * s + t), with one sum behind it

Only where nothing else takes what is between. Results change by rounding: a weight is rounded after its factor, not
each product. What would make a finite weight infinite stays, and so does everything with BuilderFlag.REFIT.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy

from dovetail.core.types import FLOATS
from dovetail.plugins.rewrites import Rewrites, is_op, same_dims


@dataclass
class Affine:
    """y = x * scale + shift, both float64 and of the extents of one axis, or one number."""

    scale: numpy.ndarray
    shift: numpy.ndarray

    @property
    def is_finite(self) -> bool:
        return bool(numpy.isfinite(self.scale).all() and numpy.isfinite(self.shift).all())

    def then(self, other: Affine) -> Affine:
        """The other one after this one."""
        return Affine(self.scale * other.scale, self.shift * other.scale + other.shift)


def fold_into_weights(graph: Any, build: Any) -> Any:
    """Fold what is behind convolutions and products into their weights, then what is in front of them."""
    edit = Rewrites(graph, build, "fold_into_weights")
    for layer in edit.layers():
        weighted = WEIGHTED.get(layer.spec.id)
        if weighted is None or not _has_known_weights(layer):
            continue
        if build.keeps_weights:
            edit.note("nothing is folded into their weights, which BuilderFlag.REFIT keeps as they are", layer)
            continue
        now = _fold_behind(edit, layer, weighted)
        _fold_in_front(edit, now, weighted)
    return edit.finish()


def _has_known_weights(layer: Any) -> bool:
    x, *weights = layer.inputs[:3]
    known = all(w is None or (w.is_constant and w.dtype in FLOATS) for w in weights)
    return x is not None and not x.is_constant and x.dtype in FLOATS and known and layer.outputs[0].dtype in FLOATS


# ---- what is affine along an axis


def affine_of(layer: Any, x: Any, axis: int) -> Affine | None:
    """What a layer makes of its input x if it only multiplies and adds constants along the axis."""
    if len(layer.outputs) != 1 or layer.outputs[0].dtype != x.dtype or not same_dims(x, layer.outputs[0]):
        return None
    rank, extent = len(x.dims), x.static_dims[axis]
    if is_op(layer, "Scale"):
        found = _of_scale(layer, x, axis, rank)
    elif is_op(layer, "ElementWise"):
        found = _of_elementwise(layer, x, axis, rank)
    else:
        return None
    if found is None or not found.is_finite or any(v.size not in (1, extent) for v in (found.scale, found.shift)):
        return None
    return found


def _of_scale(layer: Any, x: Any, axis: int, rank: int) -> Affine | None:
    given, scale, shift, power = (*layer.inputs, None, None, None)[:4]
    mode = layer.values["mode"].name
    is_along = mode == "UNIFORM" or (mode == "CHANNEL" and layer.values["channel_axis"] % rank == axis)
    if given is not x or not is_along or not all(v is None or v.is_constant for v in (scale, shift, power)):
        return None
    if power is not None and not bool((_wide(power) == 1).all()):
        return None
    one, zero = numpy.ones(1), numpy.zeros(1)
    return Affine(one if scale is None else _wide(scale).ravel(), zero if shift is None else _wide(shift).ravel())


def _of_elementwise(layer: Any, x: Any, axis: int, rank: int) -> Affine | None:
    a, b = layer.inputs
    if (a is x) == (b is x):
        return None
    constant = b if a is x else a
    if not constant.is_constant or any(e != 1 for i, e in enumerate(constant.static_dims) if i != axis):
        return None
    values, one, zero = _wide(constant).ravel(), numpy.ones(1), numpy.zeros(1)
    op = layer.values["op"].name
    if op == "PROD":
        return Affine(values, zero)
    if op == "SUM":
        return Affine(one, values)
    if op == "SUB":
        return Affine(one, -values) if a is x else Affine(-one, values)
    if op == "DIV" and a is x and bool((values != 0).all()):
        return Affine(1 / values, zero)
    return None


def _wide(tensor: Any) -> numpy.ndarray:
    return numpy.asarray(tensor.constant).astype(numpy.float64)


# ---- how the weights of a layer lie


class Convolved:
    """A layer with a kernel and a bias; channels are in front of its spatial dims."""

    has_bias = True

    def channel_axis(self, layer: Any, tensor: Any) -> int:
        return len(tensor.dims) - len(layer.values["kernel_size_nd"]) - 1

    def scaled(self, layer: Any, kernel: numpy.ndarray, scale: numpy.ndarray) -> numpy.ndarray:
        """The kernel that makes outputs times `scale`."""
        return kernel * scale.reshape(-1, *(1,) * (kernel.ndim - 1))

    def scaled_inside(self, layer: Any, kernel: numpy.ndarray, scale: numpy.ndarray) -> numpy.ndarray:
        """The kernel that takes inputs times `scale`."""
        if scale.size == 1:
            return kernel * scale.reshape(())
        groups = layer.values["num_groups"]
        by_group = scale.reshape(groups, 1, -1, *(1,) * (kernel.ndim - 2))
        return (kernel.reshape(groups, -1, *kernel.shape[1:]) * by_group).reshape(kernel.shape)

    def shift_inside(self, layer: Any, kernel: numpy.ndarray, shift: numpy.ndarray) -> numpy.ndarray | None:
        """What inputs plus `shift` add to the outputs; None where that is not one number a channel."""
        values = layer.values
        padding = (*values["pre_padding"], *values["post_padding"])
        if any(padding) or values["padding_mode"].name != "EXPLICIT_ROUND_DOWN":
            return None
        added = self.scaled_inside(layer, kernel, shift)
        return added.reshape(kernel.shape[0], -1).sum(axis=1)


class Deconvolved(Convolved):
    """A deconvolution, whose kernel has the input channels first."""

    def scaled(self, layer: Any, kernel: numpy.ndarray, scale: numpy.ndarray) -> numpy.ndarray:
        if scale.size == 1:
            return kernel * scale.reshape(())
        groups = layer.values["num_groups"]
        by_group = scale.reshape(groups, 1, -1, *(1,) * (kernel.ndim - 2))
        return (kernel.reshape(groups, -1, *kernel.shape[1:]) * by_group).reshape(kernel.shape)

    def scaled_inside(self, layer: Any, kernel: numpy.ndarray, scale: numpy.ndarray) -> numpy.ndarray:
        return kernel * scale.reshape(-1, *(1,) * (kernel.ndim - 1))

    def shift_inside(self, layer: Any, kernel: numpy.ndarray, shift: numpy.ndarray) -> numpy.ndarray | None:
        return None if shift.any() else numpy.zeros(1)  # windows overlap differently from place to place


class Connected(Convolved):
    """A fully connected layer."""

    def channel_axis(self, layer: Any, tensor: Any) -> int:
        return len(tensor.dims) - 3

    def scaled_inside(self, layer: Any, kernel: numpy.ndarray, scale: numpy.ndarray) -> numpy.ndarray:
        inner = kernel.shape[1] // scale.size
        return kernel * numpy.repeat(scale, inner)

    def shift_inside(self, layer: Any, kernel: numpy.ndarray, shift: numpy.ndarray) -> numpy.ndarray | None:
        added: numpy.ndarray = self.scaled_inside(layer, kernel, shift).sum(axis=1)
        return added


class Multiplied(Convolved):
    """A product of matrices, the second of which is known. It has no bias."""

    has_bias = False

    def channel_axis(self, layer: Any, tensor: Any) -> int:
        return len(tensor.dims) - 1

    def scaled(self, layer: Any, kernel: numpy.ndarray, scale: numpy.ndarray) -> numpy.ndarray:
        return kernel * (scale[:, None] if scale.size > 1 and self._is_transposed(layer) else scale)

    def scaled_inside(self, layer: Any, kernel: numpy.ndarray, scale: numpy.ndarray) -> numpy.ndarray:
        return kernel * (scale[:, None] if scale.size > 1 and not self._is_transposed(layer) else scale)

    def shift_inside(self, layer: Any, kernel: numpy.ndarray, shift: numpy.ndarray) -> numpy.ndarray | None:
        return None if shift.any() else numpy.zeros(1)

    @staticmethod
    def _is_transposed(layer: Any) -> bool:
        return bool(layer.values["op1"].name == "TRANSPOSE")


WEIGHTED: dict[str, Convolved] = {
    "Convolution@1": Convolved(),
    "Deconvolution@1": Deconvolved(),
    "FullyConnected@1": Connected(),
    "MatrixMultiply@1": Multiplied(),
}


# ---- folding


def _fold_behind(edit: Rewrites, layer: Any, weighted: Convolved) -> Any:
    """Fold the chain of affine layers behind; returns the layer that is there then."""
    y = layer.outputs[0]
    if len(y.dims) < 2 or (not weighted.has_bias and "VECTOR" in _orders(layer)):
        return layer
    axis, chain, total = weighted.channel_axis(layer, y), [], Affine(numpy.ones(1), numpy.zeros(1))
    tensor = y
    while (taker := edit.only_taker(tensor)) is not None:
        found = affine_of(taker, tensor, axis)
        if found is None or edit.why_fixed(taker):
            break
        chain.append(taker)
        total = total.then(found)
        tensor = taker.outputs[0]
    if not chain:
        takers = [one for one in edit.takers(y) if affine_of(one, y, axis) is not None]
        if takers and weighted.has_bias:
            edit.note("not folded into weights, for more than one layer takes what is scaled", *takers)
        return layer
    needs_sum = not weighted.has_bias and bool(total.shift.any())
    if not weighted.has_bias and (len(chain) == 1 and needs_sum):
        return layer
    if edit.takers(layer.inputs[1])[1:]:
        edit.note("not folded into weights, for another layer has the same ones", *chain)
        return layer
    if not edit.may_change([layer, *chain]):
        return layer
    kernel = _as_weights(edit, layer, 1, lambda values: weighted.scaled(layer, values, total.scale), chain)
    if kernel is None:
        return layer
    inputs = [layer.inputs[0], kernel]
    if weighted.has_bias and (total.shift.any() or layer.inputs[2:] not in ([], [None])):
        bias = _biased(edit, layer, total, kernel, chain)
        if bias is None:
            return layer
        inputs.append(bias)
    edit.note("folded into the weights in front of them", *chain)
    if needs_sum:
        edit.set_inputs(layer, inputs)
        return _with_sum(edit, layer, chain, total.shift, axis)
    return _in_place_of(edit, layer, inputs, chain)


def _in_place_of(edit: Rewrites, layer: Any, inputs: list[Any], chain: list[Any]) -> Any:
    """The layer with other weights makes what the chain behind it made."""
    made = edit.substitute(chain[-1], layer.spec.id, inputs, **layer.values)
    made.name = layer.name
    edit.remove_unused([layer, *chain[:-1]])
    return made


def _with_sum(edit: Rewrites, layer: Any, chain: list[Any], shift: numpy.ndarray, axis: int) -> Any:
    last = chain[-1]
    y = layer.outputs[0]
    dims = tuple(shift.size if i == axis else 1 for i in range(len(y.dims)))
    values = _rounded(shift, layer.inputs[1]).reshape(dims)
    constant = edit.weights(f"{last.name}.shift", values, _constants(chain), y.dtype)
    total = next(one for one in chain if is_op(one, "ElementWise"))
    sum_ = total.spec.field_named("op").enum["SUM"]
    edit.substitute(last, "ElementWise@1", [y, constant], op=sum_)
    edit.remove_unused(chain[:-1])
    return layer


def _biased(edit: Rewrites, layer: Any, total: Affine, kernel: Any, chain: list[Any]) -> Any:
    """The bias after the chain; None if it does not fit its type."""
    old = layer.inputs[2] if len(layer.inputs) > 2 else None
    maps = _maps(layer)
    before = numpy.zeros(maps) if old is None else _wide(old).ravel()
    like = kernel if old is None else old
    values = numpy.broadcast_to(before * total.scale + total.shift, (maps,))
    with numpy.errstate(over="ignore"):
        array = _rounded(values, like)
    if not bool(numpy.isfinite(array.astype(numpy.float64)).all()) and bool(numpy.isfinite(before).all()):
        edit.note("not folded into weights, for a bias would be infinite", *chain)
        return None
    return edit.weights(f"{layer.name}.bias", array, [old, *_constants(chain)], like.dtype)


def _maps(layer: Any) -> int:
    name = "num_output_maps" if "num_output_maps" in layer.values else "num_output_channels"
    return int(layer.values[name])


def _as_weights(edit: Rewrites, layer: Any, index: int, change: Any, chain: list[Any]) -> Any:
    """The layer's weights after a change; None, with a line in the report, if that makes one infinite."""
    old = layer.inputs[index]
    before = _wide(old)
    with numpy.errstate(over="ignore"):
        array = _rounded(change(before), old)
    if not bool(numpy.isfinite(array.astype(numpy.float64)).all()) and bool(numpy.isfinite(before).all()):
        edit.note("not folded into weights, for one would be infinite", *chain)
        return None
    return edit.weights(f"{layer.name}.kernel", array, [old, *_constants(chain)], old.dtype)


def _rounded(values: numpy.ndarray, like: Any) -> numpy.ndarray:
    return numpy.ascontiguousarray(values).astype(like.constant.dtype)


def _constants(chain: list[Any]) -> list[Any]:
    return [tensor for layer in chain for tensor in layer.inputs if tensor is not None and tensor.is_constant]


def _orders(layer: Any) -> tuple[str, ...]:
    return tuple(layer.values[name].name for name in ("op0", "op1"))


def _fold_in_front(edit: Rewrites, layer: Any, weighted: Convolved) -> None:
    x = layer.inputs[0]
    before = x.producer
    if before is None or len(x.dims) < 2 or edit.only_taker(x) is not layer:
        return
    if not weighted.has_bias and _orders(layer)[0] != "NONE":
        return
    source = next((t for t in before.inputs if t is not None and not t.is_constant), None)
    found = None if source is None else affine_of(before, source, weighted.channel_axis(layer, x))
    if found is None or (source.producer is not None and source.producer.spec.scalar is not None):
        return  # what is behind a pointwise layer is fused with it
    with numpy.errstate(over="ignore", invalid="ignore"):
        added = weighted.shift_inside(layer, _wide(layer.inputs[1]), found.shift)
    if added is None and found.shift.any():
        edit.note("not folded into the weights behind them, for zeros around their result are not shifted", before)
        return
    if edit.takers(layer.inputs[1])[1:] or not edit.may_change([before, layer]):
        return
    kernel = _as_weights(edit, layer, 1, lambda values: weighted.scaled_inside(layer, values, found.scale), [before])
    if kernel is None:
        return
    inputs = [source, kernel, *layer.inputs[2:]]
    if weighted.has_bias and found.shift.any():
        bias = _biased(edit, layer, Affine(numpy.ones(1), added), kernel, [before])
        if bias is None:
            return
        inputs = [source, kernel, bias]
    edit.set_inputs(layer, inputs)
    edit.remove_unused([before])
    edit.note("folded into the weights behind them", before)
