"""Forms layer groups: a layer, and the pointwise layers after it that a kernel may absorb."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dovetail.core.epilogue import Given, NotAbsorbed, Program, Taken, extended
from dovetail.core.types import FLOATS
from dovetail.machine.builder.build import Build
from dovetail.machine.builder.graph import Block, Graph, GraphLayer, GraphTensor, LayerGroup

MOST_LAYERS = 16  # between a value that several layers take and the layer where all of them have met again


def group_layers(graph: Graph, build: Build) -> Graph:
    """Put every layer into a group: a layer whose kernels may absorb, with the pointwise layers that use its result.

    A result is passed on inside a group if nothing outside takes it and it is not an output: either one layer uses it,
    or several pointwise layers do whose results meet again, as in y * sigmoid(y). Results of other layers may be
    operands. The group takes the position of its last layer, so that its operands have been computed. If the results
    of two layers are combined, the later of the two absorbs the combination.
    """
    takers = _takers(graph)
    for block in graph.each_block():
        _Grouping(block, graph, build, takers).run()
    return graph


Takers = dict[GraphTensor, list[tuple[Block, GraphLayer | None]]]


def _takers(graph: Graph) -> Takers:
    """The layers that take each tensor and their blocks, once for each input; None for an output of the block."""
    found: Takers = {}
    for block in graph.each_block():
        for layer in block.layers:
            for tensor in layer.inputs:
                if tensor is not None:
                    found.setdefault(tensor, []).append((block, layer))
        for tensor in block.outputs:
            found.setdefault(tensor, []).append((block, None))
    return found


def _may_be_extended(layer: GraphLayer, build: Build) -> bool:
    """True if it has one float result, and an implementation on its device with a row that absorbs."""
    if not build.config.allow_fusion or len(layer.outputs) != 1 or layer.outputs[0].dtype not in FLOATS:
        return False
    offered = build.candidates.implementations_of(layer)
    return any(row.absorbs for one in offered if one.device == layer.device for row in one.rows)


@dataclass
class _Part:
    """Layers behind a group that it may take as a whole, with what its program then is."""

    tail: list[GraphLayer]
    program: Program
    taken: list[list[Taken]]


class _Grouping:
    """Groups the layers of one block."""

    def __init__(self, block: Block, graph: Graph, build: Build, takers: Takers) -> None:
        self._block, self._graph, self._build, self._takers = block, graph, build, takers
        self._place = {layer: index for index, layer in enumerate(block.layers)}
        self._owner: dict[GraphLayer, LayerGroup] = {}
        self._reasons: list[tuple[GraphLayer, str]] = []  # why a layer is not in a group that it could be in

    def run(self) -> None:
        computing = [layer for layer in reversed(self._block.layers) if layer.spec.scalar is None]
        pointwise = [layer for layer in self._block.layers if layer.spec.scalar is not None]
        for head in (*computing, *pointwise):
            if head not in self._owner:
                group = LayerGroup(head)
                if _may_be_extended(head, self._build):
                    self._extend(group)
                    self._add_behind(group)
                self._owner.update(dict.fromkeys(group.layers, group))
        if self._build.config.allow_fusion:
            self._explain()
        groups = dict.fromkeys(self._owner.values())
        self._block.set_groups(sorted(groups, key=lambda group: self._place[group.layers[-1]]))

    def _explain(self) -> None:
        """Say of each pointwise layer that begins a group why it is not in that of a layer before it."""
        explained = {layer for layer, _ in self._reasons}
        makers = {tensor: layer for layer in self._block.layers for tensor in layer.outputs}
        for layer in self._block.layers:
            if layer.spec.scalar is None or layer in explained or layer.outputs[0].dtype not in FLOATS:
                continue
            for maker in (makers[tensor] for tensor in layer.inputs if tensor in makers):
                group = self._owner[maker]
                if maker.outputs[0].dtype in FLOATS and group.tail == [] and not _may_be_extended(maker, self._build):
                    reason = f"no kernel of {maker.spec.id} computes layers behind its own"
                    self._reasons.append((layer, f"{layer.name} is not fused into {group.name}: {reason}"))
                    break
        self._graph.not_fused += [text for layer, text in self._reasons if self._owner[layer].head is layer]

    def _extend(self, group: LayerGroup) -> None:
        """Append layers to the group while they can be part of its program; note which one could not, and why."""
        while True:
            first = self._first(self._beside(group.outputs[0]))
            if not self._may_join(first):
                self._leave(group, self._beside(group.outputs[0]))
                return
            assert first is not None
            part = self._part_behind(group, first)
            if part is None:
                return
            group.tail += part.tail
            group.program = part.program
            group.taken += part.taken

    def _leave(self, group: LayerGroup, takers: list[GraphLayer | None]) -> None:
        """Note of pointwise layers why they stay behind a result that something else takes, too."""
        for layer in takers:
            other = next((one for one in takers if one is not layer), None)
            if layer is not None and self._may_join(layer) and len(takers) > 1:
                also = f"; {other.name} does too" if other else ", which is an output"
                reason = f"it is not all that takes {group.outputs[0].name}{also}"
                self._reasons.append((layer, f"{layer.name} is not fused into {group.name}: {reason}"))

    def _add_behind(self, group: LayerGroup) -> None:
        """What is left of the tail at each cut as a group of its own, whose head may absorb if that of all does not."""
        for cut in group.cuts[:-1]:
            head, others = group.tail[cut], group.tail[cut + 1 :]
            behind = LayerGroup(head)
            if not others or not _may_be_extended(head, self._build):
                continue
            part = _Part([], Program(head.outputs[0].dtype), [])
            try:
                for layer in others:
                    self._append(behind, part, layer)
            except NotAbsorbed:
                continue  # the reason is that of the whole group, or the layers take what the head has not made
            behind.tail, behind.program, behind.taken = part.tail, part.program, part.taken
            group.behind[cut] = behind

    def _beside(self, tensor: GraphTensor) -> list[GraphLayer | None]:
        """The layers of this block that take a tensor, each once; None for an output and for layers of other blocks."""
        return list(dict.fromkeys(layer if own is self._block else None for own, layer in self._takers.get(tensor, [])))

    def _first(self, layers: Iterable[GraphLayer | None]) -> GraphLayer | None:
        there = [layer for layer in layers if layer is not None]
        return min(there, key=self._place.__getitem__, default=None)

    def _part_behind(self, group: LayerGroup, layer: GraphLayer) -> _Part | None:
        """The fewest layers behind the group, from `layer` on, whose last one gives all that is taken of them."""
        result, first = group.outputs[0], layer
        part = _Part([], group.program or Program(group.head.outputs[0].dtype), [])
        inner = [result]
        while True:
            try:
                self._append(group, part, layer)
            except NotAbsorbed as error:
                self._reasons.append((layer, f"{layer.name} is not fused into {group.name}: it {error}"))
                return None
            outside = [taker for tensor in inner for taker in self._beside(tensor) if taker not in part.tail]
            if not outside:
                return part
            inner.append(layer.outputs[0])
            following = self._first([*outside, *self._beside(inner[-1])])
            if None in outside or not self._may_join(following) or len(part.tail) == MOST_LAYERS:
                other = self._first(outside)
                also = f"; {other.name} does too" if other else ", which is an output"
                reason = f"it is not all that takes {result.name}{also}"
                self._reasons.append((first, f"{first.name} is not fused into {group.name}: {reason}"))
                return None
            assert following is not None
            layer = following

    def _may_join(self, layer: GraphLayer | None) -> bool:
        return layer is not None and layer.spec.scalar is not None and layer not in self._owner

    def _append(self, group: LayerGroup, part: _Part, layer: GraphLayer) -> None:
        """Add a layer to the part. Raises NotAbsorbed."""
        result = group.head.outputs[0]
        if len(layer.outputs) != 1:
            raise NotAbsorbed(f"has {len(layer.outputs)} outputs")
        output = layer.outputs[0]
        if len(output.dims) != len(result.dims) or not all(
            a.same(b) for a, b in zip(output.dims, result.dims, strict=True)
        ):
            raise NotAbsorbed(f"gives {output.dims} out of {result.dims}")
        if layer.device != group.head.device:
            raise NotAbsorbed(f"is to run on the {layer.device.name}")
        pin = self._build.config.pinned_implementation(layer.name)
        if pin is not None:
            raise NotAbsorbed(f"is pinned to {pin}")
        if any(tensor is not None and tensor.scale >= 0 for tensor in (*layer.tensors, result)):
            raise NotAbsorbed("computes on INT8 with a scale")
        numbers = {one.outputs[0]: number - 1 for number, one in enumerate([*group.layers, *part.tail])}
        made = {index: numbers[tensor] for index, tensor in enumerate(layer.inputs) if tensor in numbers}
        inputs = [None if t is None else Given(t.dims, t.dtype, t.constant) for t in layer.inputs]
        part.program, taken = extended(part.program, layer.spec, layer.values, inputs, made, result.dims, output.dtype)
        part.tail.append(layer)
        part.taken.append(taken)
