"""Every way to run each layer: implementations x format rows x tactics that fit device, flags and memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

from dovetail.core.contract import Implementation, Lookup
from dovetail.core.errors import DovetailError, NoImplementation
from dovetail.core.negotiation import Machine, Refusal, Trace, negotiate
from dovetail.core.types import DataType, DeviceType, TensorFormat
from dovetail.machine.builder.graph import Candidate, Graph, GraphLayer
from dovetail.machine.builder.progress import Progress, silent
from dovetail.machine.config import IBuilderConfig
from dovetail.machine.enums import BuilderFlag, MemoryPoolType

EXHAUSTIVE_LEVEL = 5  # builder_optimization_level at which nothing is left out
FEW_FORMATS = 4  # a layer that offers more formats than these, or is pointwise, takes whatever its neighbours have
MOST_PADDING = 6  # such a layer does not take formats that make a tensor more times as large
# Rows of one implementation with the same formats that are timed, the first ones. For the CPU they are listed by
# instruction set, so that the best come first; for the GPU by tile, and which is best depends on the extents.
MOST_ALIKE = {DeviceType.CPU: 2, DeviceType.GPU: 16}
NO_LIMIT = 2**63 - 1  # of a memory pool, where none was set
REFERENCE = "reference"  # the name of the implementation that runs a spec's NumPy reference


def list_candidates(graph: Graph, config: IBuilderConfig, machine: Machine, progress: Progress | None = None) -> Graph:
    """Fill `layer.candidates` and `layer.trace`.

    Raises:
        NoImplementation: nothing can run a layer; every row tried is listed with its reason.
    """
    progress = progress or silent()
    for done, layer in enumerate(graph.layers):
        progress.at("looked up", done, len(graph.layers))
        find_candidates(graph, layer, config, machine)
        if not layer.candidates:
            raise _nothing_runs(layer, graph, config, machine)
        _ask_plugins(layer, graph)
        _check_precision(layer, graph, config)
    if config.builder_optimization_level < EXHAUSTIVE_LEVEL:
        _prune(graph, config)
    return graph


def _ask_plugins(layer: GraphLayer, graph: Graph) -> None:
    """Let `dovetail_choose_implementation` decide; the first plugin that names a candidate does.

    A plugin that fails, or names something else, is passed over. The report says what each of them answered.
    """
    by_id = {candidate.row.implementation.id: candidate.row.implementation for candidate in layer.candidates}
    if len(by_id) < 2:
        return
    answers = graph.lookup.collect("dovetail_choose_implementation", node=layer, candidates=tuple(by_id.values()))
    for plugin, answer in answers:
        if answer is None:
            continue
        wanted = answer.id if isinstance(answer, Implementation) else answer
        if isinstance(answer, BaseException):
            said = f"failed in dovetail_choose_implementation: {type(answer).__name__}: {answer}"
        elif not isinstance(wanted, str) or wanted not in by_id:
            said = f"chose {wanted!r}, which is none of {', '.join(by_id)}"
        else:
            graph.notes.append(f"{layer.label}: plugin {plugin} chose {wanted} among {', '.join(by_id)}")
            _leave_out_others(layer, wanted, f"plugin {plugin} chose {wanted}")
            return
        graph.notes.append(f"{layer.label}: plugin {plugin} {said}; passed over".replace("\n", " "))


def _leave_out_others(layer: GraphLayer, wanted: str, reason: str) -> None:
    others = [c.row for c in layer.candidates if c.row.implementation.id != wanted]
    layer.trace.refused += [Refusal(row.implementation.id, row.tactic, -1, reason) for row in others]
    layer.candidates = [c for c in layer.candidates if c.row.implementation.id == wanted]


def _prune(graph: Graph, config: IBuilderConfig) -> None:
    """Leave out what cannot be worth timing; the trace says so.

    A format matters only if somebody is bound to it: an input, an output, or a layer that does not offer all formats.
    The others have no use for one that is mostly padding, as where one channel fills 32 lanes. Of rows of one
    implementation with the same formats the first MOST_ALIKE are timed.
    """
    bound = {TensorFormat.LINEAR, None}
    for tensor in [*graph.inputs, *graph.outputs]:
        bound |= {f for f in TensorFormat if tensor.allowed_formats >> int(f) & 1}
    for layer in graph.layers:
        if not _is_flexible(layer):
            bound |= _formats_of(layer)
    for layer in graph.layers:
        is_flexible = _is_flexible(layer)
        kept: list[Candidate] = []
        seen: Counter[tuple] = Counter()
        for candidate in layer.candidates:
            row = candidate.row
            key = (row.implementation.id, candidate.places)
            seen[key] += 1
            if not set(candidate.formats) <= bound:
                reason = "no other layer is bound to these formats"
            elif is_flexible and _padding(layer, candidate) > MOST_PADDING:
                reason = f"padding makes a tensor more than {MOST_PADDING} times as large"
            elif seen[key] > MOST_ALIKE[candidate.device]:
                reason = f"{MOST_ALIKE[candidate.device]} rows listed before it have the same formats"
            else:
                kept.append(candidate)
                continue
            reason += f" (not timed below builder_optimization_level {EXHAUSTIVE_LEVEL})"
            layer.trace.refused.append(Refusal(row.implementation.id, row.tactic, -1, reason))
        layer.candidates = kept or layer.candidates


def _formats_of(layer: GraphLayer) -> set[TensorFormat | None]:
    return {format_ for candidate in layer.candidates for format_ in candidate.formats}


def _is_flexible(layer: GraphLayer) -> bool:
    """Does it take whatever formats its neighbours have? Layers that work element by element do."""
    return bool(layer.spec.scalar) or len(_formats_of(layer)) > FEW_FORMATS


def _padding(layer: GraphLayer, candidate: Candidate) -> float:
    """By how much its formats make a tensor larger, at most, at the likeliest extents."""
    worst = 1.0
    for tensor, format_ in zip(layer.tensors, candidate.formats, strict=True):
        axis = None if tensor is None or format_ is None else format_.channel_axis(len(tensor.dims))
        if axis is not None:
            channels = tensor.ranges[0][1][axis]  # type: ignore[union-attr]
            worst = max(worst, -(-channels // format_.lanes) * format_.lanes / max(channels, 1))  # type: ignore[union-attr]
    return worst


def find_candidates(graph: Graph, layer: GraphLayer, config: IBuilderConfig, machine: Machine) -> None:
    """Candidates of one layer on its device; where there are none and GPU_FALLBACK allows it, on the other one."""
    layer.fell_back = False
    find_on(layer.device, graph, layer, config, machine)
    if layer.candidates or not config.get_flag(BuilderFlag.GPU_FALLBACK) or not machine.has(other_device(layer.device)):
        return
    own = layer.trace
    find_on(other_device(layer.device), graph, layer, config, machine)
    layer.trace.refused[:0] = own.refused
    layer.trace.failures[:0] = own.failures
    layer.fell_back = bool(layer.candidates)


def other_device(device: DeviceType) -> DeviceType:
    return DeviceType.GPU if device == DeviceType.CPU else DeviceType.CPU


def find_on(device: DeviceType, graph: Graph, layer: GraphLayer, config: IBuilderConfig, machine: Machine) -> None:
    """Candidates on one device. The reference counts only where nothing else there fits, or where it is pinned."""
    layer.candidates, layer.trace = [], Trace()
    pin = config.pinned_implementation(layer.name)
    offered = [i for i in implementations_of(graph.lookup, layer) if i.device == device]
    native = [i for i in offered if i.name != REFERENCE]
    reference = [i for i in offered if i.name == REFERENCE]
    for implementation in native:
        _try(graph, layer, implementation, config, machine, pin)
    for implementation in reference:
        if layer.candidates or not config.allow_reference:
            reason = "other implementations fit" if layer.candidates else "refused by config.allow_reference = False"
            if pin is None or not pin.startswith(("#reference", implementation.id)):
                layer.trace.refused.append(Refusal(implementation.id, "", -1, reason))
                continue
        _try(graph, layer, implementation, config, machine, pin)
        if layer.candidates and pin is None:
            graph.notes.append(f"{layer.label} runs through its NumPy reference: nothing faster fits")


def _try(
    graph: Graph,
    layer: GraphLayer,
    implementation: Implementation,
    config: IBuilderConfig,
    machine: Machine,
    pin: str | None,
) -> None:
    refuse = layer.trace.refused.append
    trace = Trace()
    descs = [None if tensor is None else tensor.desc(with_data=True) for tensor in layer.tensors]
    n_inputs = len(layer.inputs)
    limit = config.get_memory_pool_limit(MemoryPoolType.WORKSPACE)
    is_limited = limit < NO_LIMIT  # without a limit no row is asked what it needs
    try:
        native_object = make_object(layer, implementation)
        negotiate(implementation, native_object, descs, n_inputs, machine, trace)
        for row in trace.found:
            if pin is not None and not _matches(pin, row.implementation, row.tactic):
                refuse(Refusal(implementation.id, row.tactic, -1, f"the layer is pinned to {pin}"))
                continue
            needed = workspace_of(layer, Candidate(row, native_object), 0, config.num_threads) if is_limited else 0
            if needed > limit:
                refuse(Refusal(implementation.id, row.tactic, -1, f"needs {needed} bytes of workspace, limit {limit}"))
                continue
            layer.candidates.append(Candidate(row, native_object))
            layer.trace.found.append(row)
    except DovetailError as error:
        if getattr(error, "plugin", None) is None:
            raise
        # A broken implementation loses to the next one, and the report says so; alone, its error is the answer.
        refuse(Refusal(implementation.id, "", -1, str(error).replace("\n", " ")))
        graph.notes.append(f"{layer.label}: {implementation.id} failed and was left out: {error}")
        layer.trace.failures.append(error)
    layer.trace.refused += trace.refused


def _matches(pin: str, implementation: Implementation, tactic: str) -> bool:
    wanted, _, wanted_tactic = pin.rpartition(":") if pin.count(":") % 2 else (pin, "", "")
    return wanted in (implementation.id, f"#{implementation.name}") and wanted_tactic in ("", tactic)


def make_object(layer: GraphLayer, implementation: Implementation) -> Any:
    """The implementation's object for this layer; a V2 class works on a clone of the op's own."""
    if implementation.native.uses_op_object:
        return layer.op.native.clone()  # type: ignore[attr-defined]
    with getattr(layer.op, "as_source", nullcontext)():
        return implementation.native.create(layer.name, layer.wire_fields())


def implementations_of(lookup: Lookup, layer: GraphLayer) -> Sequence[Implementation]:
    """All that are registered; where there are none, those that the op's own object brings along."""
    found = lookup.implementations_of(layer.spec.id)
    return found or tuple(lookup.bound(one) for one in getattr(layer.op, "implementations", ()))


def workspace_of(layer: GraphLayer, candidate: Candidate, profile: int, n_threads: int) -> int:
    """Scratch in bytes for extents up to the profile's largest."""
    descs = descs_of(layer, candidate, profile)
    n_inputs = len(layer.inputs)
    row = candidate.row
    native = row.implementation.native
    native.configure(candidate.object, descs[:n_inputs], descs[n_inputs:])
    return native.workspace(candidate.object, row.row, descs[:n_inputs], descs[n_inputs:], n_threads)


def descs_of(layer: GraphLayer, candidate: Candidate, profile: int, with_data: bool = False) -> list[Any]:
    return [
        None if tensor is None else tensor.desc(profile, format_, with_data)
        for tensor, format_ in zip(layer.tensors, candidate.formats, strict=True)
    ]


def _nothing_runs(layer: GraphLayer, graph: Graph, config: IBuilderConfig, machine: Machine) -> DovetailError:
    failures = layer.trace.failures
    if failures and len(layer.trace.facts()) <= len(failures):  # nothing was refused but for its failure
        return failures[0]
    wanted = ", ".join(
        f"{tensor.name} {tensor.dtype.name} [{', '.join(map(str, tensor.dims))}]"
        for tensor in layer.tensors
        if tensor is not None
    )
    tried = [layer.device]
    if config.get_flag(BuilderFlag.GPU_FALLBACK) and machine.has(other_device(layer.device)):
        tried.append(other_device(layer.device))
    offered = {implementation.device for implementation in implementations_of(graph.lookup, layer)}
    absent = [(f"on the {d.name}", "no implementation") for d in tried if offered and d not in offered]
    elsewhere = "" if len(tried) > 1 else _fits_elsewhere(layer, graph, config, machine)
    there = other_device(layer.device)
    error = NoImplementation(
        f"nothing can run {layer.label} on {' or '.join(machine.describe(device) for device in tried)}",
        facts=[
            ("wanted", wanted),
            *layer.trace.facts(),
            *absent,
            *([(f"on the {there.name}", f"{elsewhere} fits")] if elsewhere else []),
        ],
        hint=_advice(layer, graph, there if elsewhere else None),
        layer=layer.name,
        op=layer.spec.id,
        trace=layer.trace,
        fits_on=there if elsewhere else None,
    )
    if failures:
        error.__cause__ = failures[0]
    return error


def _fits_elsewhere(layer: GraphLayer, graph: Graph, config: IBuilderConfig, machine: Machine) -> str:
    """What could run the layer on the other device, "" if nothing."""
    there = other_device(layer.device)
    if not machine.has(there):
        return ""
    probe = replace(layer)
    find_on(there, graph, probe, config, machine)
    if not probe.candidates:
        return ""
    row = probe.candidates[0].row
    return f"#{row.implementation.name}" + (f" {row.tactic}" if row.tactic != row.implementation.name else "")


def _advice(layer: GraphLayer, graph: Graph, fits_on: DeviceType | None) -> str:
    if fits_on is not None:
        return (
            f"config.set_flag(BuilderFlag.GPU_FALLBACK) lets layers like this one run on the {fits_on.name}, "
            f"with copies; config.set_device_type(layer, DeviceType.{fits_on.name}) places this one there."
        )
    if not implementations_of(graph.lookup, layer):
        return f"No implementation of {layer.spec.id} is registered: load a library that brings one, or write one."
    if layer.advice:
        return layer.advice
    return "Change what is refused above, or load a library with another implementation; error.trace has every row."


def _check_precision(layer: GraphLayer, graph: Graph, config: IBuilderConfig) -> None:
    """Weak typing: a requested precision that nothing offers is an error under OBEY, a note otherwise."""
    wanted = layer.precision
    if wanted is None or wanted == DataType.FLOAT or any(t is not None and t.dtype == wanted for t in layer.tensors):
        return
    text = f"{layer.label} was asked to run in {wanted.name}; only {layer.outputs[0].dtype.name} fits here"
    if config.get_flag(BuilderFlag.OBEY_PRECISION_CONSTRAINTS):
        raise NoImplementation(
            text, hint="Use PREFER_PRECISION_CONSTRAINTS instead of OBEY_PRECISION_CONSTRAINTS.", layer=layer.name
        )
    graph.notes.append(text)
