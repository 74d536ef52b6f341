"""The build report: what runs, where, in which formats, how long each step took while it was timed, and what lost."""

from __future__ import annotations

from typing import Any


def report_text(document: dict[str, Any], layer: str | None = None) -> str:
    """The report of a plan as text; with `layer`, everything about that one."""
    report = document["report"]
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
    lines.append(f"  reformats inserted: {report['reformats']}{copies}; timing took {report['timing_s']:.2f} s")
    lines += [f"  note: {note}" for note in report["notes"]]
    return "\n".join(lines)


def _arena_text(name: str, size: int, bound: int) -> str:
    return f"{name} {size} bytes" + (f", {size / bound:.3f} x the lower bound" if bound else "")


def _micros(time_ns: float | None) -> str:
    return "-" if time_ns is None else f"{time_ns / 1e3:.2f}"


def _layer_text(report: dict[str, Any], layer: str) -> str:
    steps = [step for step in report["steps"] if step["layer"] == layer]
    if not steps:
        names = ", ".join(step["layer"] for step in report["steps"])
        return f"no layer '{layer}' in this plan; it has: {names}"
    step = steps[0]
    device = step.get("device", "cpu")
    lines = [f"{step['op']} '{layer}' runs on the {device} by {step['runs_on']}, {_micros(step['time_ns'])} us"]
    lines += [f"  inputs   {' '.join(step['inputs'])}", f"  outputs  {' '.join(step['outputs'])}"]
    lines += [f"  lost     {loser}" for loser in step["lost"]]
    lines += [f"  refused  {refusal}" for refusal in step["refused"]]
    return "\n".join(lines)
