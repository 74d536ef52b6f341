"""Lists every way to run each group; raises an error if there is none."""

from __future__ import annotations

from dovetail.core.contract import Implementation
from dovetail.core.errors import DovetailError, NoImplementation
from dovetail.core.negotiation import Refusal
from dovetail.core.types import DataType, DeviceType
from dovetail.machine.builder.build import Build
from dovetail.machine.builder.candidates import other_device
from dovetail.machine.builder.control import only_way
from dovetail.machine.builder.graph import Found, Graph, GraphLayer, LayerGroup
from dovetail.machine.enums import BuilderFlag


def list_candidates(graph: Graph, build: Build) -> Graph:
    """Set `found` of each group, and for each layer of its tail the candidates that run it alone.

    Raises:
        NoImplementation: nothing can run a layer; every row tried is listed with its reason.
    """
    groups = list(graph.all_groups())
    for done, group in enumerate(groups):
        build.progress.at("looked up", done, len(groups))
        if group.blocks:
            group.found.candidates = [only_way(group.head)]
            continue
        group.found, *group.found_alone = (build.candidates.of(layer) for layer in group.layers)
        for layer, found in zip(group.layers, [group.found, *group.found_alone], strict=True):
            graph.notes += found.notes
            if not found.candidates:
                raise _nothing_runs(layer, found, build)
            _check_precision(layer, found, graph, build)
        _ask_plugins(group, graph)
        n_notes = len(group.found.notes)
        _absorb(group, graph, build)
        graph.notes += group.found.notes[n_notes:]
        for position, behind in group.behind.items():
            behind.found = Found(list(group.found_alone[position].candidates))
            behind.found.candidates = [
                one for one in build.candidates.absorbing(behind, behind.found) if one.n_absorbed
            ]
    return graph


def _absorb(group: LayerGroup, graph: Graph, build: Build) -> None:
    """Add rows with the layers of the tail that they compute, unless a plugin chooses how one of these runs."""
    for position, (layer, found) in enumerate(zip(group.tail, group.found_alone, strict=True)):
        alone = LayerGroup(layer, found=found)
        before = found.candidates
        _ask_plugins(alone, graph)
        if found.candidates is not before:
            graph.not_fused.append(f"{layer.name} is not fused into {group.head.name}: a plugin chose what runs it")
            group.behind = {}
            kept = group.part(group.cut_before(position))
            group.found.candidates = build.candidates.absorbing(kept, group.found)
            return
    group.found.candidates = build.candidates.absorbing(group, group.found)


def _ask_plugins(group: LayerGroup, graph: Graph) -> None:
    """Let `dovetail_choose_implementation` decide; the first plugin that names a candidate does.

    A plugin that fails, or names something else, is skipped. The report has the answers of all plugins.
    """
    by_id = {candidate.row.implementation.id: candidate.row.implementation for candidate in group.candidates}
    if len(by_id) < 2:
        return
    answers = graph.lookup.collect("dovetail_choose_implementation", layer=group.head, candidates=tuple(by_id.values()))
    for plugin, answer in answers:
        if answer is None:
            continue
        wanted = answer.id if isinstance(answer, Implementation) else answer
        if isinstance(answer, BaseException):
            said = f"failed in dovetail_choose_implementation: {type(answer).__name__}: {answer}"
        elif not isinstance(wanted, str) or wanted not in by_id:
            said = f"chose {wanted!r}, which is none of {', '.join(by_id)}"
        else:
            graph.notes.append(f"{group.label}: plugin {plugin} chose {wanted} among {', '.join(by_id)}")
            _leave_out_others(group, wanted, f"plugin {plugin} chose {wanted}")
            return
        graph.notes.append(f"{group.label}: plugin {plugin} {said}; passed over".replace("\n", " "))


def _leave_out_others(group: LayerGroup, wanted: str, reason: str) -> None:
    others = [c.row for c in group.candidates if c.row.implementation.id != wanted]
    group.trace.refused += [Refusal(row.implementation.id, row.tactic, -1, reason) for row in others]
    group.found.candidates = [c for c in group.candidates if c.row.implementation.id == wanted]


def _nothing_runs(layer: GraphLayer, found: Found, build: Build) -> DovetailError:
    failures = found.trace.failures
    if failures and len(found.trace.facts()) <= len(failures):  # nothing was refused but for its failure
        return failures[0]
    wanted = ", ".join(
        f"{tensor.name} {tensor.dtype.name} [{', '.join(map(str, tensor.dims))}]"
        for tensor in layer.tensors
        if tensor is not None
    )
    there = other_device(layer.device)
    tried = [layer.device, *([there] if build.candidates.may_fall_back_to(there) else [])]
    offered = {implementation.device for implementation in build.candidates.implementations_of(layer)}
    absent = [(f"on the {d.name}", "no implementation") for d in tried if offered and d not in offered]
    elsewhere = "" if len(tried) > 1 else _fits_elsewhere(layer, build)
    error = NoImplementation(
        f"nothing can run {layer.label} on {' or '.join(build.target.describe(device) for device in tried)}",
        facts=[
            ("wanted", wanted),
            *found.trace.facts(),
            *absent,
            *([(f"on the {there.name}", f"{elsewhere} fits")] if elsewhere else []),
        ],
        hint=_advice(layer, build, there if elsewhere else None),
        layer=layer.name,
        op=layer.spec.id,
        trace=found.trace,
        fits_on=there if elsewhere else None,
    )
    if failures:
        error.__cause__ = failures[0]
    return error


def _fits_elsewhere(layer: GraphLayer, build: Build) -> str:
    """The implementation that could run the layer on the other device; "" if there is none."""
    there = other_device(layer.device)
    candidates = build.candidates.on(there, layer).candidates if build.target.has(there) else []
    if not candidates:
        return ""
    row = candidates[0].row
    return f"#{row.implementation.name}" + (f" {row.tactic}" if row.tactic != row.implementation.name else "")


def _advice(layer: GraphLayer, build: Build, fits_on: DeviceType | None) -> str:
    if fits_on is not None:
        return (
            f"config.set_flag(BuilderFlag.GPU_FALLBACK) lets layers like this one run on the {fits_on.name}, "
            f"with copies; config.set_device_type(layer, DeviceType.{fits_on.name}) places this one there."
        )
    if not build.candidates.implementations_of(layer):
        return f"No implementation of {layer.spec.id} is registered: load a library that has one, or write one."
    if layer.advice:
        return layer.advice
    return "Change what is refused above, or load a library with another implementation; error.trace has every row."


def _check_precision(layer: GraphLayer, found: Found, graph: Graph, build: Build) -> None:
    """Weak typing: a requested precision that nothing offers is an error under OBEY, a note otherwise."""
    wanted = layer.precision
    if wanted is None or wanted == DataType.FLOAT or any(wanted in one.types for one in found.candidates):
        return
    text = f"{layer.label} was asked to run in {wanted.name}; only {layer.outputs[0].dtype.name} fits here"
    if build.config.get_flag(BuilderFlag.OBEY_PRECISION_CONSTRAINTS):
        raise NoImplementation(
            text, hint="Use PREFER_PRECISION_CONSTRAINTS instead of OBEY_PRECISION_CONSTRAINTS.", layer=layer.name
        )
    graph.notes.append(text)
