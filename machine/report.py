"""The build report: what runs, in which formats, how long each step took while it was timed, and what lost."""

from __future__ import annotations

from typing import Any


def report_text(document: dict[str, Any], layer: str | None = None) -> str:
    """The report of a plan as text; with `layer`, everything about that one."""
    report = document["report"]
    if layer is not None:
        return _layer_text(report, layer)
    lines = [f"plan '{document['name']}'  {document['producer']}  {len(document['steps'])} steps"]
    rows = [("step", "layer", "runs on", "inputs", "outputs", "us")]
    for index, step in enumerate(report["steps"]):
        rows.append(
            (
                str(index),
                step["layer"],
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
        bound = profile["lower_bound"]
        ratio = f", {profile['arena_bytes'] / bound:.3f} x the lower bound" if bound else ""
        lines.append(f"  profile {index}: arena {profile['arena_bytes']} bytes{ratio}")
    lines.append(f"  reformats inserted: {report['reformats']}; timing took {report['timing_s']:.2f} s")
    lines += [f"  note: {note}" for note in report["notes"]]
    return "\n".join(lines)


def _micros(time_ns: float | None) -> str:
    return "-" if time_ns is None else f"{time_ns / 1e3:.2f}"


def _layer_text(report: dict[str, Any], layer: str) -> str:
    steps = [step for step in report["steps"] if step["layer"] == layer]
    if not steps:
        names = ", ".join(step["layer"] for step in report["steps"])
        return f"no layer '{layer}' in this plan; it has: {names}"
    step = steps[0]
    lines = [f"{step['op']} '{layer}' runs on {step['runs_on']}, {_micros(step['time_ns'])} us"]
    lines += [f"  inputs   {' '.join(step['inputs'])}", f"  outputs  {' '.join(step['outputs'])}"]
    lines += [f"  lost     {loser}" for loser in step["lost"]]
    lines += [f"  refused  {refusal}" for refusal in step["refused"]]
    return "\n".join(lines)
