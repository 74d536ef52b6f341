"""Zeros around the input of a convolution or an average become its own padding, which is less where outputs are cut.

A convolution pads with zeros itself. An average over a padded input counts the cells of the padding, so it must not
have padding of its own that it does not count; a maximum sees zeros where its own padding does not count, and stays.
Causal convolutions are often written with padding on both sides and a slice that leaves out the last outputs: these are
not computed.
"""

from __future__ import annotations

from typing import Any

from dovetail.plugins.rewrites import Rewrites, is_op, number_of


def fold_padding(graph: Any, build: Any) -> Any:
    """Let convolutions and averages take what is padded for them."""
    edit = Rewrites(graph, build, "fold_padding")
    for layer in edit.layers():
        if is_op(layer, "Convolution") or is_op(layer, "Pooling"):
            _fold(edit, layer)
        elif is_op(layer, "Slice", mode="STRICT_BOUNDS"):
            _cut(edit, layer)
    return edit.finish()


def _cut(edit: Rewrites, layer: Any) -> None:
    """Let a convolution not compute what the slice that alone takes its result leaves out at the edges."""
    x, y = layer.inputs[0], layer.outputs[0]
    before = None if x is None else x.producer
    if not is_op(before, "Convolution", padding_mode="EXPLICIT_ROUND_DOWN") or edit.only_taker(x) is not layer:
        return
    if any(tensor is not None for tensor in layer.inputs[1:]) or set(layer.values["stride"]) != {1}:
        return
    n, start = len(before.values["kernel_size_nd"]), layer.values["start"]
    left_out = [(a - b).value for a, b in zip(x.dims, y.dims, strict=True)]
    if any(left_out[:-n]) or None in left_out or not edit.may_change([before, layer]):
        return
    fields = {}
    ends = [more - first for more, first in zip(left_out, start, strict=True)]
    for name, outputs in (("pre_padding", start), ("post_padding", ends)):
        own, steps = (before.values[field] or (other,) * n for field, other in ((name, 0), ("stride_nd", 1)))
        fields[name] = tuple(a - cut * step for a, cut, step in zip(own, outputs[-n:], steps, strict=True))
        if min(fields[name]) < 0:
            return
    made = edit.try_substitute(layer, before.spec.id, before.inputs, **{**before.values, **fields})
    if made is not None:
        made.name = before.name
        edit.note("outputs that are cut off are not computed", made)
        edit.remove_unused([before])


def _fold(edit: Rewrites, layer: Any) -> None:
    x = layer.inputs[0]
    before = None if x is None else x.producer
    pads = _padding_of(before)
    window = layer.values["kernel_size_nd" if layer.spec.id == "Convolution@1" else "window_size_nd"]
    if pads is None or not any(map(any, pads)):
        return
    n = len(window)
    why = _refusal(layer, pads, n)
    if why:
        edit.note(f"padding that is not folded into the layer behind it, {why}", before)
        return
    if not edit.is_in(before, edit.block_of(layer)) or not edit.may_change([before, layer]):
        return
    own = {name: layer.values[name] or (0,) * n for name in ("pre_padding", "post_padding")}
    fields = {
        name: tuple(a + pad[side] for a, pad in zip(own[name], pads[-n:], strict=True))
        for side, name in enumerate(("pre_padding", "post_padding"))
    }
    if is_op(layer, "Pooling"):
        fields["average_count_excludes_padding"] = False  # type: ignore[assignment]
    inputs = [before.inputs[0], *layer.inputs[1:]]
    if edit.try_substitute(layer, layer.spec.id, inputs, **{**layer.values, **fields}) is not None:
        edit.note("folded into the padding of the layers behind them", before)
        edit.remove_unused([before])


def _refusal(layer: Any, pads: list[tuple[int, int]], n: int) -> str:
    mode = layer.values["padding_mode"].name
    if any(map(any, pads[:-n])):
        return "for it pads other axes than the window has"
    if min(min(pad) for pad in pads) < 0:
        return "for it cuts off elements"
    if not mode.startswith("EXPLICIT"):
        return f"whose padding mode is {mode}"
    if is_op(layer, "Pooling"):
        if layer.values["type"].name != "AVERAGE":
            return "which takes a maximum"
        if mode != "EXPLICIT_ROUND_DOWN":
            return f"whose padding mode is {mode}"
        own = any(layer.values["pre_padding"]) or any(layer.values["post_padding"])
        if own and layer.values["average_count_excludes_padding"]:
            return "which does not count padding of its own"
    return ""


def _padding_of(layer: Any) -> list[tuple[int, int]] | None:
    """(in front, behind) on each axis, of a layer that puts zeros around its input; None of others."""
    if is_op(layer, "Padding"):
        pairs = list(zip(layer.values["pre_padding"], layer.values["post_padding"], strict=True))
        return [(0, 0)] * (len(layer.outputs[0].dims) - len(pairs)) + pairs
    if not is_op(layer, "Slice", mode="FILL"):
        return None
    x, y = layer.inputs[0], layer.outputs[0]
    value = layer.inputs[4] if len(layer.inputs) > 4 else None
    start, stride = layer.values["start"], layer.values["stride"]
    if any(tensor is not None for tensor in layer.inputs[1:4]) or len(start) != len(x.dims) or set(stride) != {1}:
        return None
    if value is not None and number_of(value) != 0:
        return None
    grown = [(after - before).value for before, after in zip(x.dims, y.dims, strict=True)]
    if any(more is None for more in grown):
        return None
    return [(-first, more + first) for first, more in zip(start, grown, strict=True)]
