"""The weights of a plan as text: where each is stored, how it was made, and whether it could be refitted."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from dovetail.core.errors import DefinitionError, PlanCorrupt
from dovetail.core.types import DataType
from dovetail.machine.report import steps_of


def weights_text(document: dict[str, Any], layer: str | None = None) -> str:
    """A line for each layer's weights; with `layer`, those of one.

    Raises:
        PlanCorrupt: the table cannot be read. The plan itself may run all the same.
        DefinitionError: no layer of that name has weights.
    """
    try:
        if "weights" not in document:
            return f"plan '{document['name']}' does not say where its constants are from: it is of an earlier version"
        return "\n".join(_lines(document, layer))
    except DefinitionError:
        raise
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        text = "the table of weights of this plan cannot be read"
        raise PlanCorrupt(text, facts=[("because", f"{type(error).__name__}: {error}")]) from error


def _lines(document: dict[str, Any], layer: str | None) -> list[str]:
    rows = document["weights"]
    made_of: list[list[int]] = [[] for _ in rows]
    for index, row in enumerate(rows):
        for source in row.get("of", ()):
            made_of[source].append(index)
    found: dict[tuple[str, str], set[int]] = {}
    for index, row in enumerate(rows):
        if row["how"] == "given" and layer in (None, row["layer"]):
            found.setdefault((row["layer"], row["role"]), set()).update(_behind(index, made_of))
    if layer is not None and not found:
        raise _no_weights(layer, sorted({row["layer"] for row in rows if row["how"] == "given"}))
    steps = list(steps_of(document["steps"]))
    lines = [f"plan '{document['name']}'  {len(found)} weights"]
    return lines + [
        f"  {name} {role}: {_way(document, steps, [rows[index] for index in sorted(reached)])}"
        for (name, role), reached in found.items()
    ]


def _no_weights(layer: str, names: list[str]) -> DefinitionError:
    near = difflib.get_close_matches(layer, names, n=3, cutoff=0.5)
    return DefinitionError(
        f"no layer '{layer}' of this plan has weights",
        facts=[("nearest", ", ".join(near))] if near else [],
        hint="Without a name, those of all layers are shown.",
        got=layer,
        expected=names,
    )


def _behind(start: int, made_of: list[list[int]]) -> set[int]:
    """The entry and all that was made from it."""
    reached, stack = {start}, [start]
    while stack:
        for index in made_of[stack.pop()]:
            if index not in reached:
                reached.add(index)
                stack.append(index)
    return reached


def _way(document: dict[str, Any], steps: list[Mapping[str, Any]], rows: list[dict[str, Any]]) -> str:
    """What was done, and where the results are."""
    parts = [f"as {DataType(row['dtype']).name}" for row in rows if row["how"] == "converted"]
    parts += [f"folded by '{row['layer']}' ({row['by']})" for row in rows if row["how"] == "folded"]
    if any("tensor" in row and document["tensors"][row["tensor"]]["constant"] >= 0 for row in rows):
        parts.append("in the plan" if parts else "in the plan as they are")
    for row in rows:
        if row["how"] == "packed":
            step = steps[row["step"]]
            is_late = "step" in document["constants"][step["packed"]]
            when = " when the plan is loaded" if is_late else ""
            parts.append(f"packed by '{step['layer']}' ({step['implementation']}:{step['row']}){when}")
    reasons = dict.fromkeys(row["not_refittable"] for row in rows if row.get("not_refittable"))
    if reasons:
        parts.append(f"not refittable: {'; '.join(reasons)}")
    return ", ".join(parts)
