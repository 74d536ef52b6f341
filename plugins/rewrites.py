"""`Rewrites`: what a pass over the graph needs to find layers and to replace them, with a report of both.

def use_swish(graph, build):
    edit = Rewrites(graph, build, "use_swish")
    for layer in edit.layers():
        if is_op(layer, "ElementWise", op="PROD") and (x := swished(edit, layer)) is not None:
            edit.substitute(layer, "acme::Swish@1", [x])
            edit.note("computed as acme::Swish@1", layer)
    return edit.finish()
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy

from dovetail.core.contract import parse_op_id
from dovetail.core.errors import DovetailError
from dovetail.core.types import DataType

_NAMES = 40  # layers that one line of the report names; the others are counted


class Rewrites:
    """One run of a pass over a graph. Tensors and layers are those of the graph, which knows their dims and types."""

    def __init__(self, graph: Any, build: Any, name: str) -> None:
        self.graph, self.build, self.name = graph, build, name
        self._takers: dict[Any, list[Any]] = {}  # of each tensor the layers, once for each input
        self._block: dict[Any, Any] = {}  # of each layer
        self._outputs: set[Any] = set()  # of all blocks
        self._lines: dict[str, list[str]] = {}
        for block in graph.each_block():
            self._outputs.update(block.outputs)
            for layer in block.layers:
                self._enter(layer, block)
        self._sized = {layer for layer, _ in graph.sizes.values()}

    def _enter(self, layer: Any, block: Any) -> None:
        self._block[layer] = block
        for tensor in layer.inputs:
            if tensor is not None:
                self._takers.setdefault(tensor, []).append(layer)

    def _leave(self, layer: Any) -> None:
        self._block.pop(layer, None)
        for tensor in layer.inputs:
            if tensor is not None:
                self._takers[tensor].remove(layer)

    # ---- looking

    def layers(self) -> Iterator[Any]:
        """The layers of all blocks in their order; those that a rewrite has removed meanwhile are left out."""
        for layer in list(self.graph.all_layers()):
            if layer in self._block:
                yield layer

    def block_of(self, layer: Any) -> Any:
        """The block that a layer is in; the graph itself is the outermost."""
        return self._block[layer]

    def is_in(self, layer: Any, block: Any) -> bool:
        """True if the layer is directly in this block."""
        return self._block.get(layer) is block

    def takers(self, tensor: Any) -> list[Any]:
        """The layers that take a tensor, once for each input of theirs."""
        return list(self._takers.get(tensor, ()))

    def is_output(self, tensor: Any) -> bool:
        """True if the tensor is an output of the network or of a block."""
        return tensor in self._outputs

    def only_taker(self, tensor: Any) -> Any:
        """The layer that takes a tensor which nothing else does, in the block that makes it; None otherwise."""
        takers = self._takers.get(tensor, ())
        if len(takers) != 1 or tensor in self._outputs:
            return None
        made_in = self._block.get(tensor.producer)
        return takers[0] if made_in is not None and self._block[takers[0]] is made_in else None

    def is_used_by(self, tensor: Any, layers: Iterable[Any]) -> bool:
        """True if only these layers take the tensor."""
        allowed = set(layers)
        return tensor not in self._outputs and all(taker in allowed for taker in self._takers.get(tensor, ()))

    def why_fixed(self, layer: Any, may_have_scales: bool = False) -> str:
        """Why a layer must stay as it is, "" if it may change: the user chose how it runs, or it tells an extent.

        Args:
            may_have_scales: it may compute on INT8 tensors that have a scale, which the rewrite keeps.
        """
        pin = self.build.config.pinned_implementation(layer.name)
        if pin is not None:
            return f"pinned to {pin}"
        if layer.precision is not None:
            return f"its precision is set to {layer.precision.name}"
        if layer in self._sized:
            return "it writes a data-dependent extent"
        if not may_have_scales and any(tensor is not None and tensor.scale >= 0 for tensor in layer.tensors):
            return "it computes on INT8 with a scale"
        return "it has blocks" if layer.blocks else ""

    def may_change(self, layers: Iterable[Any], may_have_scales: bool = False) -> bool:
        """True if all layers may change and run on one device; the report says which may not."""
        found = list(layers)
        for layer in found:
            why = self.why_fixed(layer, may_have_scales)
            if why:
                self.note(f"left as they are by {self.name}, {why}", layer)
                return False
        return len({layer.device for layer in found}) == 1

    # ---- changing

    def replace(self, old: Any, new: Any) -> None:
        """Let all that takes `old`, which is not an output of a block, take `new`."""
        for layer in dict.fromkeys(self.takers(old)):
            self.set_inputs(layer, [new if tensor is old else tensor for tensor in layer.inputs])
        self._takers.pop(old, None)

    def drop(self, layer: Any, kept: Any, may_have_scales: bool = False) -> bool:
        """Remove a layer whose only output is its input `kept`. False if that is not possible.

        A result of the network keeps its tensor, which the layer in front then makes.
        """
        made = layer.outputs[0]
        if not self.is_output(made):
            self.replace(made, kept)
            self.remove(layer)
            return True
        source, block = kept.producer, self._block[layer]
        if source is None or not self.is_in(source, block) or block is not self.graph or self.is_output(kept):
            return False
        if (
            sum(tensor is made for tensor in block.outputs) != 1
            or self.why_fixed(source, may_have_scales)
            or source.blocks
        ):
            return False
        self.remove(layer)
        self.replace(kept, made)
        source.outputs = [made if tensor is kept else tensor for tensor in source.outputs]
        made.producer = source
        return True

    def remove(self, layer: Any) -> None:
        """Take a layer out of its block. Nothing may take its outputs any more."""
        block = self._block[layer]
        self._leave(layer)
        block.layers = [one for one in block.layers if one is not layer]

    def remove_unused(self, layers: Iterable[Any]) -> None:
        """Remove those of the layers whose results nothing takes; later ones first."""
        for layer in reversed(list(layers)):
            is_used = any(self._takers.get(tensor) or tensor in self._outputs for tensor in layer.outputs)
            if layer in self._block and not is_used:
                self.remove(layer)

    def substitute(self, layer: Any, op: str, inputs: Sequence[Any], /, **fields: Any) -> Any:
        """Put a layer of another op, or with other fields, in the place of one whose outputs it makes.

        Raises the errors of `graph.substitute`.
        """
        block = self._block[layer]
        made = self.graph.substitute(layer, op, inputs, **fields)
        self._leave(layer)
        self._enter(made, block)
        return made

    def try_substitute(self, layer: Any, op: str, inputs: Sequence[Any], /, **fields: Any) -> Any:
        """The same, or None where the new layer would make other outputs, or cannot tell."""
        try:
            return self.substitute(layer, op, inputs, **fields)
        except DovetailError:
            return None

    def insert(self, before: Any, op: str, inputs: Sequence[Any], /, name: str = "", **fields: Any) -> Any:
        """Put a new layer in front of another one; returns its first output. Members of enumerations go by name."""
        spec = self.graph.lookup.find(*parse_op_id(op))
        known = {
            field: member(spec, field, value) if isinstance(value, str) and spec.field_named(field).enum else value
            for field, value in fields.items()
        }
        made = self.graph.insert(before, op, inputs, name=name, **known)
        self._enter(made, self._block[before])
        return made.outputs[0]

    def set_inputs(self, layer: Any, inputs: Sequence[Any]) -> None:
        """Let a layer take other tensors; its outputs must stay what they are."""
        block = self._block[layer]
        self._leave(layer)
        layer.inputs = list(inputs)
        self._enter(layer, block)

    def weights(self, name: str, array: numpy.ndarray, of: Sequence[Any], dtype: DataType | None = None) -> Any:
        """A constant that this pass made of others."""
        return self.graph.weights(name, array, self.name, of, dtype)

    # ---- the report

    def note(self, what: str, *layers: Any) -> None:
        """Have the report say `what` of these layers."""
        self._lines.setdefault(what, []).extend(layer.name for layer in layers)

    def finish(self) -> Any:
        """The graph, without layers that nothing needs any more, and with the lines of the report."""
        for what, names in self._lines.items():
            shown = list(dict.fromkeys(names))
            more = f" and {len(shown) - _NAMES} more" if len(shown) > _NAMES else ""
            self.graph.notes.append(f"{what}: {', '.join(shown[:_NAMES])}{more}")
        self.graph.drop_dead_layers()
        return self.graph


# ---- questions about layers and tensors


def is_op(layer: Any, kind: str, /, **fields: str) -> bool:
    """True if this is a layer of the op, "Name" or "namespace::Name@version", with these members of enumerations."""
    if layer is None or layer.spec.id != (kind if "@" in kind else f"{kind}@1"):
        return False
    return all(layer.values[name].name == member for name, member in fields.items())


def member(layer_or_spec: Any, field: str, name: str) -> Any:
    """The member of the enumeration that a field takes."""
    spec = getattr(layer_or_spec, "spec", layer_or_spec)
    return spec.field_named(field).enum[name]


def same_dims(a: Any, b: Any) -> bool:
    """True if two tensors always have the same extents."""
    return len(a.dims) == len(b.dims) and all(one.same(other) for one, other in zip(a.dims, b.dims, strict=True))


def number_of(tensor: Any) -> float | None:
    """The number that a constant consists of; None if it is none, or of several."""
    if tensor is None or tensor.constant is None or not tensor.constant.size:
        return None
    flat = tensor.constant.reshape(-1)
    first = flat[0]
    if flat.size > 1 and not bool((flat == first).all()):
        return None
    if float(first) == 0 and flat.size > 1 and len(set(numpy.signbit(flat.astype(numpy.float64)).tolist())) > 1:
        return None
    return float(first)


def with_number(layer: Any) -> tuple[Any, float, int] | None:
    """(other input, number, place of the number) of a layer with two inputs, one of which is a constant number."""
    for place in (1, 0):
        number = number_of(layer.inputs[place])
        if number is not None and layer.inputs[1 - place] is not None and not layer.inputs[1 - place].is_constant:
            return layer.inputs[1 - place], number, place
    return None
