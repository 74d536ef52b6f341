"""The build report: what runs, where, in which formats, the measured time of each step, and which candidates lost."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from dovetail.core.arguments import text
from dovetail.core.errors import DefinitionError, PlanCorrupt

_SHOWN = 12  # layers in a message
_MOST_INDENTED = 8  # blocks in each other; what a report says is not relied on
MAX_BYTES = 64 << 20  # of a report in a plan, as JSON


def report_json(report: dict[str, Any], max_bytes: int = MAX_BYTES) -> bytes:
    """The report as JSON. One that is too long omits refused candidates, then lost ones, then all steps."""
    if not report:
        return b"{}"
    cuts = [("", ()), ("what was refused", ("refused",)), ("what was refused and what lost", ("refused", "lost"))]
    for what, keys in cuts:
        steps = [{**step, **{key: [] for key in keys}} for step in report.get("steps", [])]
        found = _json({**report, "steps": steps}, what)
        if len(found) <= max_bytes:
            return found
    return _json({**report, "steps": [], "notes": []}, "every layer")


def _json(report: dict[str, Any], cut: str) -> bytes:
    if cut:
        note = f"{cut} is left out of this report: it would be too long for the plan"
        report = {**report, "notes": [*report.get("notes", []), note]}
    return json.dumps(report, separators=(",", ":")).encode()


def parse_report(report: bytes) -> dict[str, Any]:
    """The report in a plan; {} if it has none. Raises PlanCorrupt if it is not JSON."""
    try:
        found = json.loads(report) if report.strip() else {}
    except (ValueError, RecursionError) as error:
        facts = [("reading it", str(error))]
        raise PlanCorrupt("the build report of this plan is damaged", facts=facts) from None
    return found if isinstance(found, dict) else {}


def with_report(document: dict[str, Any], report: bytes) -> dict[str, Any]:
    """The document of a plan with its report; plans of earlier versions have it in the document already."""
    found = parse_report(report)
    return {**document, "report": found} if found else document


def steps_of(steps: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """The steps of a plan's document in the order of their numbers, each in front of those of its blocks."""
    for step in steps:
        yield step
        for block in step.get("blocks", ()):
            yield from steps_of(block["steps"])


@dataclass(frozen=True)
class StepReport:
    """The report of one step."""

    layer: str
    op: str
    runs_on: str  # implementation and row
    device: str
    inputs: tuple[str, ...]  # types and formats
    outputs: tuple[str, ...]
    time_ns: float | None  # None: it was not timed
    lost: tuple[str, ...]  # candidates that were slower
    refused: tuple[str, ...]  # candidates that could not be used, each with the reason
    facts: Mapping[str, Any] = field(repr=False)  # everything, as in the plan
    depth: int = 0  # blocks that it is in, beside the main one

    @property
    def indented(self) -> str:
        """The name of its layer, behind two blanks for each block."""
        return "  " * min(self.depth, _MOST_INDENTED) + self.layer

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> StepReport:
        inputs, outputs, lost, refused = (
            tuple(map(str, facts[side])) for side in ("inputs", "outputs", "lost", "refused")
        )
        return cls(
            str(facts["layer"]),
            str(facts["op"]),
            str(facts["runs_on"]),
            str(facts.get("device", "cpu")),
            inputs,
            outputs,
            None if facts["time_ns"] is None else float(facts["time_ns"]),
            lost,
            refused,
            facts,
            int(facts.get("depth", 0)),
        )


@dataclass(frozen=True)
class BuildReport:
    """The report of a build."""

    steps: tuple[StepReport, ...]
    reformats: int
    copies: int  # reformats between devices
    notes: tuple[str, ...]
    network_ns: float | None = None  # of one run of the whole network; None: it was not timed

    @property
    def sum_ns(self) -> float | None:
        """The sum of the times of all steps; None if one was not timed."""
        times = [step.time_ns for step in self.steps if step.time_ns is not None]
        return sum(times) if times and len(times) == len(self.steps) else None

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> BuildReport:
        return cls(
            tuple(map(StepReport.of, facts["steps"])),
            int(facts["reformats"]),
            int(facts.get("copies", 0)),
            tuple(map(str, facts["notes"])),
            float(facts["network_ns"]) if facts.get("network_ns") is not None else None,
        )


class Arena(NamedTuple):
    """Memory for intermediate tensors of one profile on one device, in bytes."""

    name: str
    size: int
    bound: int  # lower bound: no layout of the same tensors needs less


@dataclass(frozen=True)
class PlanFacts:
    """The facts of a plan as a whole. `report` is None if the plan was written without one."""

    name: str
    producer: str
    n_steps: int
    arenas: tuple[tuple[Arena, ...], ...]  # by profile
    report: BuildReport | None

    @property
    def steps(self) -> tuple[StepReport, ...]:
        return () if self.report is None else self.report.steps


def facts_of_engine(engine: Any) -> PlanFacts:
    """From a native engine, which has read the plan already. Raises PlanCorrupt for a report that is damaged."""
    report = parse_report(engine.report)
    profiles = [engine.profile(index) for index in range(engine.n_profiles)]
    return _facts(engine.name, engine.producer, engine.n_steps, profiles, report)


def facts_of_document(document: dict[str, Any]) -> PlanFacts:
    """From the result of `read_plan`. Raises PlanCorrupt as well."""
    try:
        name, producer = document["name"], document.get("producer", "")
        n_steps = sum(1 for _ in steps_of(document["steps"]))
        return _facts(name, producer, n_steps, document["profiles"], document.get("report", {}))
    except (KeyError, TypeError, AttributeError) as error:
        raise _unreadable(error) from error


def _facts(name: str, producer: str, n_steps: int, profiles: Iterable[Mapping[str, Any]], report: Any) -> PlanFacts:
    try:
        found = BuildReport.of(report) if "steps" in report else None
        return PlanFacts(name, producer, n_steps, tuple(map(_arenas, profiles)), found)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise _unreadable(error) from error


def _arenas(profile: Mapping[str, Any]) -> tuple[Arena, ...]:
    arenas = [Arena("arena", int(profile["arena_bytes"]), int(profile["lower_bound"]))]
    if profile.get("cuda_arena_bytes"):
        arenas.append(Arena("on the gpu", int(profile["cuda_arena_bytes"]), int(profile["cuda_lower_bound"])))
    return tuple(arenas)


def _unreadable(error: Exception) -> PlanCorrupt:
    message = "the build report of this plan cannot be read"
    return PlanCorrupt(message, facts=[("because", f"{type(error).__name__}: {error}")])


_NO_REPORT = "this plan has no build report: it was written without one"


def report_text(document: dict[str, Any], layer: str | None = None) -> str:
    """The report of a plan's document as text; with `layer`, everything about that one. Raises as `facts_text`."""
    return facts_text(facts_of_document(document), layer)


def facts_text(facts: PlanFacts, layer: str | None = None) -> str:
    """The report as text; with `layer`, everything about the step that computes it, alone or in a group.

    Raises:
        DefinitionError: no layer has that name. DTypeError: `layer` is not a name.
    """
    report = facts.report
    if report is None:
        return f"plan '{facts.name}'  {facts.n_steps} steps\n  {_NO_REPORT}"
    if layer is not None:
        return _layer_text(_step_of(facts, layer))
    lines = [f"plan '{facts.name}'  {facts.producer}  {facts.n_steps} steps", *_table(report.steps)]
    for step in report.steps:
        lines += [f"  {step.layer}: {loser} lost" for loser in step.lost]
    for index, arenas in enumerate(facts.arenas):
        lines.append(f"  profile {index}: {'; '.join(map(_arena_text, arenas))}")
    copies = f", {report.copies} of them copies between devices" if report.copies else ""
    lines.append(f"  reformats inserted: {report.reformats}{copies}")
    if report.sum_ns is not None:
        lines.append(_sum_text(report.sum_ns, report.network_ns))
    lines += [f"  note: {note}" for note in report.notes]
    return "\n".join(lines)


def _sum_text(sum_ns: float, network_ns: float | None) -> str:
    text = f"  steps add up to {sum_ns / 1e6:.3f} ms"
    if network_ns is None or sum_ns <= 0:
        return text
    return f"{text}; the network takes {network_ns / 1e6:.3f} ms, {network_ns / sum_ns:.2f} times as long"


def _step_of(facts: PlanFacts, layer: str) -> StepReport:
    text("the name of a layer", layer)
    for step in facts.steps:
        if step.layer == layer:
            return step
    for step in facts.steps:  # of a group, "conv1 + relu1"
        if f" + {layer} + " in f" + {step.layer} + ":
            return step
    names = [step.layer for step in facts.steps]
    near = difflib.get_close_matches(layer, names, n=3, cutoff=0.5)
    more = f", ... {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    shown = [("layers", ", ".join(names[:_SHOWN]) + more or "none")]
    raise DefinitionError(
        f"the plan '{facts.name}' has no layer '{layer}'",
        facts=[("nearest", ", ".join(near)), *shown] if near else shown,
        got=layer,
        expected=names,
    )


def _table(steps: Iterable[StepReport]) -> list[str]:
    rows = [("step", "layer", "device", "runs on", "inputs", "outputs", "us")]
    for index, step in enumerate(steps):
        inputs, outputs = " ".join(step.inputs), " ".join(step.outputs)
        rows.append((str(index), step.indented, step.device, step.runs_on, inputs, outputs, _micros(step.time_ns)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def _arena_text(arena: Arena) -> str:
    ratio = f", {arena.size / arena.bound:.3f} x the lower bound" if arena.bound else ""
    return f"{arena.name} {arena.size} bytes{ratio}"


def _micros(time_ns: float | None) -> str:
    return "-" if time_ns is None else f"{time_ns / 1e3:.2f}"


def _layer_text(step: StepReport) -> str:
    lines = [f"{step.op} '{step.layer}' runs on the {step.device} by {step.runs_on}, {_micros(step.time_ns)} us"]
    lines += [f"  inputs   {' '.join(step.inputs)}", f"  outputs  {' '.join(step.outputs)}"]
    lines += [f"  lost     {loser}" for loser in step.lost]
    lines += [f"  refused  {refusal}" for refusal in step.refused]
    return "\n".join(lines)
