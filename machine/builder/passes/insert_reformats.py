"""Inserts a reformat wherever a consumer needs a tensor in another place than its producer writes it."""

from __future__ import annotations

from collections import Counter

from dovetail.core.negotiation import Place
from dovetail.machine.builder.build import Build
from dovetail.machine.builder.candidates import has_other_types
from dovetail.machine.builder.graph import Block, Graph, GraphTensor, LayerGroup
from dovetail.machine.builder.measurements import note_loss
from dovetail.machine.builder.origins import converted
from dovetail.machine.builder.reformats import Reformats
from dovetail.machine.builder.selection import allowed_places


def insert_reformats(graph: Graph, build: Build) -> Graph:
    """Insert one for each tensor and place.

    Raises:
        PluginFailed: whatever reformats a tensor writes where it may not, or leaves elements unwritten.
    """
    for block in graph.each_block():
        _insert(block, build.reformats)
    _note_types(graph)
    graph.notes += build.reformats.notes
    for loss in build.reformats.losses.values():
        note_loss(graph, *loss)
    _note_devices(graph)
    return graph


def _insert(block: Block, reformats: Reformats) -> None:
    made: dict[tuple[int, Place], GraphTensor] = {}
    groups: list[LayerGroup] = []

    def step(tensor: GraphTensor, wanted: Place) -> GraphTensor:
        if (id(tensor), wanted) not in made:
            group = _reformat(tensor, wanted, reformats)
            groups.append(group)
            made[id(tensor), wanted] = group.outputs[0]
        return made[id(tensor), wanted]

    def moved(tensor: GraphTensor, wanted: Place) -> GraphTensor:
        if tensor.is_constant:
            return made.setdefault((id(tensor), wanted), _constant_in(tensor, wanted))
        for place in reformats.route(tensor, tensor.place, wanted)[1]:
            tensor = step(tensor, place)
        return tensor

    for group in block.groups:
        places = group.places(group.choice)
        for wanted, (layer, index) in zip(places, list(group.slots()), strict=False):
            tensor = layer.inputs[index]
            if tensor is not None and wanted is not None and wanted != tensor.place:
                layer.inputs[index] = moved(tensor, wanted)
        groups.append(group)
    for index, tensor in enumerate(block.outputs):
        allowed = allowed_places(tensor)
        if tensor.place not in allowed:
            target = moved(tensor, min(allowed, key=lambda place: reformats.cost(tensor, tensor.place, place)))
            target.name, tensor.name = tensor.name, f"{tensor.name}{_suffix(target.place, tensor.place)}"
            block.outputs[index] = target
    block.set_groups(groups)


def _reformat(tensor: GraphTensor, wanted: Place, reformats: Reformats) -> LayerGroup:
    source = tensor.place
    group = reformats.group(tensor, source, wanted)
    group.chosen = reformats.fastest(group, is_watched=True)
    assert group.chosen is not None
    group.head.inputs = [tensor]
    group.outputs[0].name = f"{tensor.name}{_suffix(source, wanted)}"
    group.head.inserted_for = f"{source.beside(wanted)} -> {wanted.beside(source)}"
    return group


def _suffix(before: Place, after: Place) -> str:
    """The suffix of a tensor's name in another place: ".half", ".chw32", ".gpu"."""
    pairs = ((before.device, after.device), (before.dtype, after.dtype), (before.format, after.format))
    return "".join(f".{new.name.lower()}" for old, new in pairs if old != new)


def _constant_in(tensor: GraphTensor, wanted: Place) -> GraphTensor:
    """A constant in another place: converted and packed in the plan, copied at load, without cost at run time."""
    origin = tensor.origin if tensor.dtype == wanted.dtype else converted(tensor.origin, wanted.dtype)
    copy = GraphTensor(tensor.name, tensor.dims, tensor.dtype, tensor.ranges, constant=tensor.constant, origin=origin)
    copy.scale, copy.chosen_place = tensor.scale, wanted
    return copy


def _note_types(graph: Graph) -> None:
    """Add a note for each layer that reads or writes other types than those of the network."""
    for group in graph.all_groups():
        pairs = zip(group.head.tensors, group.choice.types, strict=True)
        if not group.is_reformat and has_other_types(group.head, group.choice):
            changed = dict.fromkeys(
                f"{dtype.name} for {t.dtype.name}"
                for t, dtype in pairs
                if t is not None and dtype not in (None, t.dtype)
            )
            graph.notes.append(
                f"{group.label} runs with {' and '.join(changed)}: with its conversions, that costs least"
            )


def _note_devices(graph: Graph) -> None:
    """Add a note for each layer that does not run on its own device, with the reason and the cost."""
    moved = [group for group in graph.all_groups() if group.found.fell_back]
    if not moved:
        return
    makers = {tensor: group for group in graph.all_groups() for tensor in group.outputs}
    consumers = graph.consumers()
    beside = Counter(
        group for copy in graph.all_groups() if copy.is_copy for group in _groups_beside(copy, makers, consumers)
    )
    for group in moved:
        there, copies = group.choice.device.name, beside[group]
        what = "1 copy" if copies == 1 else f"{copies or 'no'} copies"
        graph.notes.append(
            f"{group.label} runs on the {there}: nothing on the {group.head.device.name} fits; {what} inserted"
        )


def _groups_beside(
    copy: LayerGroup, makers: dict[GraphTensor, LayerGroup], consumers: dict[GraphTensor, list[LayerGroup]]
) -> set[LayerGroup]:
    """The groups that are connected to the copy directly or through reformats only."""
    into = [copy.outputs[0]]  # what the copy feeds, through reformats
    fed: set[LayerGroup] = set()
    for tensor in into:
        for group in consumers.get(tensor, []):
            fed.add(group)
            into += group.outputs if group.is_reformat else []
    source = makers.get(copy.inputs[0])  # type: ignore[arg-type]
    while source is not None and source.is_reformat:
        source = makers.get(source.inputs[0])  # type: ignore[arg-type]
    return fed | ({source} if source is not None else set())
