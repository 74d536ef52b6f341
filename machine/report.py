"""The build report: what runs, where, in which formats, how long each step took while it was timed, and what lost."""

from __future__ import annotations

import difflib
import json
from typing import Any

from dovetail.core.errors import DefinitionError, PlanCorrupt

_SHOWN = 12  # layers in a message
MAX_BYTES = 64 << 20  # of a report in a plan, as JSON


def report_json(report: dict[str, Any], max_bytes: int = MAX_BYTES) -> bytes:
    """The report as JSON; one that is too long loses what was refused, then what lost, then all steps, and says so."""
    if not report:
        return b"{}"
    cuts = [("", ()), ("what was refused", ("refused",)), ("what was refused and what lost", ("refused", "lost"))]
    for what, keys in cuts:
        steps = [{**step, **{key: [] for key in keys}} for step in report.get("steps", [])]
        text = _json({**report, "steps": steps}, what)
        if len(text) <= max_bytes:
            return text
    return _json({**report, "steps": [], "notes": []}, "every layer")


def _json(report: dict[str, Any], cut: str) -> bytes:
    if cut:
        note = f"{cut} is left out of this report: it would be too long for the plan"
        report = {**report, "notes": [*report.get("notes", []), note]}
    return json.dumps(report, separators=(",", ":")).encode()


def with_report(document: dict[str, Any], report: bytes) -> dict[str, Any]:
    """The document of a plan with its report; plans of earlier versions have it in the document already."""
    try:
        found = json.loads(report) if report.strip() else {}
    except (ValueError, RecursionError) as error:
        facts = [("reading it", str(error))]
        raise PlanCorrupt("the build report of this plan is damaged", facts=facts) from None
    return {**document, "report": found} if isinstance(found, dict) and found else document


def steps_of(document: dict[str, Any]) -> list[dict[str, Any]]:
    """What the report says of each step; [] for a plan without one."""
    return document.get("report", {}).get("steps", [])


_NO_REPORT = "this plan has no build report: it was written without one"


def report_text(document: dict[str, Any], layer: str | None = None) -> str:
    """The report of a plan as text; with `layer`, everything about that one.

    Raises:
        DefinitionError: no layer has that name.
        PlanCorrupt: the plan has a report that nobody can read. The plan itself may run all the same.
    """
    try:
        if layer is not None:
            _check_layer(document, layer)
        return _text(document, layer)
    except DefinitionError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        text = "the build report of this plan cannot be read"
        raise PlanCorrupt(text, facts=[("because", f"{type(error).__name__}: {error}")]) from error


def _check_layer(document: dict[str, Any], layer: str) -> None:
    if "steps" not in document.get("report", {}):
        return
    names = [str(step["layer"]) for step in steps_of(document)]
    if layer in names:
        return
    near = difflib.get_close_matches(layer, names, n=3, cutoff=0.5)
    more = f", ... {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    facts = [("layers", ", ".join(names[:_SHOWN]) + more or "none")]
    raise DefinitionError(
        f"the plan '{document.get('name', '')}' has no layer '{layer}'",
        facts=[("nearest", ", ".join(near)), *facts] if near else facts,
        got=layer,
        expected=names,
    )


def _text(document: dict[str, Any], layer: str | None) -> str:
    report = document.get("report", {})
    if "steps" not in report:
        return f"plan '{document['name']}'  {len(document['steps'])} steps\n  {_NO_REPORT}"
    if layer is not None:
        return _layer_text(report, layer)
    lines = [f"plan '{document['name']}'  {document['producer']}  {len(document['steps'])} steps"]
    rows = [("step", "layer", "device", "runs on", "inputs", "outputs", "us")]
    for index, step in enumerate(report["steps"]):
        rows.append(
            (
                str(index),
                step["layer"],
                step.get("device", "cpu"),
                step["runs_on"],
                " ".join(step["inputs"]),
                " ".join(step["outputs"]),
                _micros(step["time_ns"]),
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        lines.append("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    for step in report["steps"]:
        lines += [f"  {step['layer']}: {loser} lost" for loser in step["lost"]]
    for index, profile in enumerate(document["profiles"]):
        arenas = [_arena_text("arena", profile["arena_bytes"], profile["lower_bound"])]
        if profile.get("cuda_arena_bytes"):
            arenas.append(_arena_text("on the gpu", profile["cuda_arena_bytes"], profile["cuda_lower_bound"]))
        lines.append(f"  profile {index}: {'; '.join(arenas)}")
    copies = f", {report['copies']} of them copies between devices" if report.get("copies") else ""
    lines.append(f"  reformats inserted: {report['reformats']}{copies}")
    lines += [f"  note: {note}" for note in report["notes"]]
    return "\n".join(lines)


def _arena_text(name: str, size: int, bound: int) -> str:
    return f"{name} {size} bytes" + (f", {size / bound:.3f} x the lower bound" if bound else "")


def _micros(time_ns: float | None) -> str:
    return "-" if time_ns is None else f"{time_ns / 1e3:.2f}"


def _layer_text(report: dict[str, Any], layer: str) -> str:
    step = next(step for step in report["steps"] if step["layer"] == layer)
    device = step.get("device", "cpu")
    lines = [f"{step['op']} '{layer}' runs on the {device} by {step['runs_on']}, {_micros(step['time_ns'])} us"]
    lines += [f"  inputs   {' '.join(step['inputs'])}", f"  outputs  {' '.join(step['outputs'])}"]
    lines += [f"  lost     {loser}" for loser in step["lost"]]
    lines += [f"  refused  {refusal}" for refusal in step["refused"]]
    return "\n".join(lines)
