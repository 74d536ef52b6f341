"""Normalisations that are spelled out become Normalization layers.

    (x - mean(x)) / sqrt(mean((x - mean(x))^2) + epsilon) * scale + bias

with the square as a product or a power, the division as one or as a product with a reciprocal, and factor and bias
left out or there; RMS normalisation, x / sqrt(mean(x^2) + epsilon) * scale, in the same spellings; TensorFlow's
x * s + (bias - mean(x) * s), where s = scale / sqrt(...); and PyTorch's group normalisation, which is an instance
normalisation of reshaped groups. A factor and a bias behind a Normalization layer become its own. Results change by
rounding.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy

from dovetail.core.types import nptype
from dovetail.plugins.rewrites import Rewrites, is_op, number_of, same_dims
from dovetail.plugins.rewrites_moves import move_of


def find_normalization(graph: Any, build: Any) -> Any:
    """Replace what is spelled out, then take in factors and sums behind Normalization layers."""
    edit = Rewrites(graph, build, "find_normalization")
    for layer in edit.layers():
        if is_op(layer, "ElementWise"):
            found = _spelled_out(layer) or _by_one_factor(layer)
            if found is not None:
                _replace(edit, layer, found)
    for layer in edit.layers():
        if is_op(layer, "Normalization"):
            _take_in(edit, _of_groups(edit, layer))
    return edit.finish()


@dataclass
class Found:
    """A normalisation of x over axes; `layers` are those that spell it out, without the last."""

    x: Any
    axes: int
    epsilon: float
    layers: list[Any] = field(default_factory=list)
    scale: Any = None
    bias: Any = None
    centered: bool = True


# ---- (x - mean) / deviation


def _spelled_out(layer: Any) -> Found | None:
    for centered, factor in _factors(layer):
        found = _inverse_deviation(factor)
        if found is None or found.layers[-1] is None:
            continue
        if not found.centered:
            if centered is found.x:
                return found
            continue
        sub = centered.producer
        if sub is not None and sub is not layer and _is_centered(centered, found):
            found.layers = [one for one in found.layers if one is not None]
            found.layers += [sub, sub.inputs[1].producer]
            return found
    return None


def _factors(layer: Any) -> Iterator[tuple[Any, Any]]:
    """(a, b) where the layer is a * b or a / (1 / b)."""
    a, b = layer.inputs
    op = layer.values["op"].name
    if op == "PROD":
        yield a, b
        yield b, a
    elif op == "DIV":
        yield a, _Inverse(b)


@dataclass
class _Inverse:
    """1 / root, which no layer computes."""

    root: Any


def _inverse_deviation(factor: Any) -> Found | None:
    """1 / sqrt(mean(d * d) + epsilon) of d = x - mean(x), or of d = x."""
    layers: list[Any] = []
    root = factor.root if isinstance(factor, _Inverse) else None
    if root is None:
        inverse = factor.producer
        if is_op(inverse, "Unary", op="RECIP"):
            root = inverse.inputs[0]
        elif is_op(inverse, "ElementWise", op="DIV") and number_of(inverse.inputs[0]) == 1:
            root = inverse.inputs[1]
        elif is_op(inverse, "ElementWise", op="POW") and number_of(inverse.inputs[1]) == -0.5:
            return _variance(inverse.inputs[0], [inverse])
        else:
            return None
        layers.append(inverse)
    if is_op(root.producer, "Unary", op="SQRT"):
        return _variance(root.producer.inputs[0], [*layers, root.producer])
    if is_op(root.producer, "ElementWise", op="POW") and number_of(root.producer.inputs[1]) == 0.5:
        return _variance(root.producer.inputs[0], [*layers, root.producer])
    return None


def _variance(total: Any, layers: list[Any]) -> Found | None:
    """mean(d * d) + epsilon."""
    added = total.producer
    if not is_op(added, "ElementWise", op="SUM"):
        return None
    for variance, constant in (added.inputs, added.inputs[::-1]):
        epsilon, mean = number_of(constant), variance.producer
        if epsilon is None or not epsilon >= 0 or not _is_mean(mean):
            continue
        square = mean.inputs[0].producer
        if is_op(square, "ElementWise", op="PROD"):
            d, same = square.inputs
        elif is_op(square, "ElementWise", op="POW") and number_of(square.inputs[1]) == 2:
            d = same = square.inputs[0]
        else:
            continue
        sub, twin, axes = d.producer, same.producer, mean.values["axes"]
        if is_op(sub, "ElementWise", op="SUB") and (d is same or _is_same_difference(sub, twin)):
            x, middle = sub.inputs
            if _is_mean_of(middle, x, axes):
                own = [added, mean, square, sub, middle.producer]
                own += [] if d is same else [twin, twin.inputs[1].producer]
                return Found(x, axes, epsilon, [*layers, *own])
        if d is same:
            return Found(d, axes, epsilon, [*layers, added, mean, square], centered=False)
    return None


def _is_mean(layer: Any) -> bool:
    return is_op(layer, "Reduce", op="AVG") and layer.values["keep_dims"] and layer.values["axes"] != 0


def _is_mean_of(tensor: Any, x: Any, axes: int) -> bool:
    layer = tensor.producer
    return _is_mean(layer) and layer.inputs[0] is x and layer.values["axes"] == axes


def _is_same_difference(one: Any, other: Any) -> bool:
    """True if both subtract the mean over the same axes of one tensor."""
    if not is_op(other, "ElementWise", op="SUB") or one.inputs[0] is not other.inputs[0]:
        return False
    means = [layer.inputs[1].producer for layer in (one, other)]
    return all(_is_mean(mean) for mean in means) and (
        means[0] is means[1]
        or (means[0].inputs[0] is means[1].inputs[0] and means[0].values["axes"] == means[1].values["axes"])
    )


def _is_centered(tensor: Any, found: Found) -> bool:
    sub = tensor.producer
    return (
        is_op(sub, "ElementWise", op="SUB")
        and sub.inputs[0] is found.x
        and _is_mean_of(sub.inputs[1], found.x, found.axes)
    )


# ---- x * s + (bias - mean * s)


def _by_one_factor(layer: Any) -> Found | None:
    if layer.values["op"].name != "SUM":
        return None
    for product, rest in (layer.inputs, layer.inputs[::-1]):
        scaled, difference = product.producer, rest.producer
        if not is_op(scaled, "ElementWise", op="PROD") or not is_op(difference, "ElementWise", op="SUB"):
            continue
        bias, shifted = difference.inputs[0], difference.inputs[1].producer
        if not bias.is_constant or not is_op(shifted, "ElementWise", op="PROD"):
            continue
        shared = [tensor for tensor in scaled.inputs if any(tensor is other for other in shifted.inputs)]
        if len(shared) != 1:
            continue
        x, mean = (next((t for t in one.inputs if t is not shared[0]), None) for one in (scaled, shifted))
        found, scale = _scaled_inverse(shared[0])
        if found is None or not found.centered or x is not found.x or mean is None:
            continue
        if not _is_mean_of(mean, x, found.axes):
            continue
        found.scale, found.bias = scale, bias
        found.layers += [scaled, difference, shifted, mean.producer]
        return found
    return None


def _scaled_inverse(tensor: Any) -> tuple[Found | None, Any]:
    """scale / sqrt(...), and the scale; None without one."""
    found = _inverse_deviation(tensor)
    if found is not None or not is_op(tensor.producer, "ElementWise", op="PROD"):
        return found, None
    a, b = tensor.producer.inputs
    for scale, inverse in ((a, b), (b, a)):
        found = _inverse_deviation(inverse) if scale.is_constant and not inverse.is_constant else None
        if found is not None:
            found.layers.append(tensor.producer)
            return found, scale
    return None, None


# ---- replacing


def _replace(edit: Rewrites, layer: Any, found: Found) -> None:
    inside = list(dict.fromkeys(found.layers))
    y = layer.outputs[0]
    if not same_dims(found.x, y) or found.x.dtype != y.dtype or len(found.x.dims) < 1:
        return
    if not all(edit.is_in(one, edit.block_of(layer)) for one in inside):
        return
    if not all(edit.is_used_by(one.outputs[0], [*inside, layer]) for one in inside):
        edit.note("not made a Normalization, for something else takes what is inside", layer)
        return
    if not edit.may_change([*inside, layer]):
        return
    rank = len(y.dims)
    given = [tensor for tensor in (found.scale, found.bias) if tensor is not None]
    dims = numpy.broadcast_shapes((1,) * rank, *(tensor.constant.shape for tensor in given))
    values = [
        numpy.broadcast_to(numpy.asarray(number, nptype(found.x.dtype)) if tensor is None else tensor.constant, dims)
        for tensor, number in ((found.scale, 1), (found.bias, 0))
    ]
    parameters = [
        edit.weights(f"{layer.name}.{name}", numpy.ascontiguousarray(array), [tensor], y.dtype)
        for name, array, tensor in zip(("scale", "bias"), values, (found.scale, found.bias), strict=True)
    ]
    fields = {"axes": found.axes, "epsilon": found.epsilon, "centered": found.centered}
    if edit.try_substitute(layer, "Normalization@1", [found.x, *parameters], **fields) is None:
        return
    places = {one: index for index, one in enumerate(edit.block_of(inside[0]).layers)}
    edit.remove_unused(sorted(inside, key=places.__getitem__))
    edit.note("one Normalization layer each, which other layers spelled out", layer)


# ---- a factor and a bias behind


def _take_in(edit: Rewrites, layer: Any) -> None:
    """Constants that are multiplied with and added to the result, where the layer's own are constants too."""
    while True:
        y = layer.outputs[0]
        taker = edit.only_taker(y)
        x, scale, bias = layer.inputs
        if not scale.is_constant or not bias.is_constant or not is_op(taker, "ElementWise"):
            return
        op, constant = taker.values["op"].name, next((t for t in taker.inputs if t is not y), None)
        if op not in ("PROD", "SUM") or constant is None or not constant.is_constant:
            return
        if constant.dtype != scale.dtype or not same_dims(taker.outputs[0], y) or not edit.may_change([layer, taker]):
            return
        wide = [numpy.asarray(t.constant).astype(numpy.float64) for t in (scale, bias, constant)]
        new = (wide[0] * wide[2], wide[1] * wide[2]) if op == "PROD" else (wide[0], wide[1] + wide[2])
        dims = numpy.broadcast_shapes(*(array.shape for array in new))
        dtype = scale.constant.dtype
        arrays = [numpy.ascontiguousarray(numpy.broadcast_to(array, dims)).astype(dtype) for array in new]
        if not all(bool(numpy.isfinite(array.astype(numpy.float64)).all()) for array in arrays):
            return
        parameters = [
            edit.weights(f"{layer.name}.{name}", array, [old, constant], scale.dtype)
            for name, array, old in zip(("scale", "bias"), arrays, (scale, bias), strict=True)
        ]
        made = edit.try_substitute(taker, "Normalization@1", [x, *parameters], **layer.values)
        if made is None:
            return
        edit.note("taken into the normalisation in front of them", taker)
        edit.remove_unused([layer])
        layer = made


# ---- groups


def _of_groups(edit: Rewrites, layer: Any) -> Any:
    """A normalisation of [N, groups, rest], reshaped there and back, as one of groups; the layer itself otherwise."""
    x, scale, bias = layer.inputs
    before, after = x.producer, edit.only_taker(layer.outputs[0])
    one, back = move_of(before), move_of(after)
    if (
        one is None
        or back is None
        or not (one.is_reshape and back.is_reshape)
        or not edit.is_in(before, edit.block_of(layer))
    ):
        return layer
    source, y = before.inputs[0], after.outputs[0]
    groups, channels = x.static_dims[1] if len(x.dims) == 3 else -1, source.static_dims[1:2]
    is_grouped = layer.values["axes"] == 1 << 2 and layer.values["num_groups"] == 1 and groups > 0
    if not is_grouped or not channels or channels[0] <= 0 or channels[0] % groups or len(source.dims) < 3:
        return layer
    if not same_dims(source, y) or not x.dims[0].same(source.dims[0]) or not edit.may_change([before, layer, after]):
        return layer
    if (
        not scale.is_constant
        or not bias.is_constant
        or any(t.static_dims not in ((1, groups, 1), (1, 1, 1)) for t in (scale, bias))
    ):
        return layer
    dims = (1, channels[0], *(1,) * (len(source.dims) - 2))
    parameters = []
    for name, tensor in (("scale", scale), ("bias", bias)):
        by_group = numpy.broadcast_to(tensor.constant, (1, groups, 1)).ravel()
        array = numpy.repeat(by_group, channels[0] // groups).reshape(dims)
        parameters.append(edit.weights(f"{layer.name}.{name}", array, [tensor], tensor.dtype))
    first = 1 if groups == 1 else 2
    fields = {
        **layer.values,
        "axes": sum(1 << axis for axis in range(first, len(source.dims))),
        "num_groups": groups,
    }
    made = edit.try_substitute(after, "Normalization@1", [source, *parameters], **fields)
    if made is None:
        return layer
    made.name = layer.name
    edit.note("one normalisation of groups each, without the reshapes around it", layer)
    edit.remove_unused([before, layer])
    return made
