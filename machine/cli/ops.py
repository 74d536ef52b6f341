"""`dovetail ops`: all ops, with their inputs, fields and implementations on this machine."""

from __future__ import annotations

import argparse
import json
import textwrap
from collections.abc import Iterator
from typing import Any

from dovetail.core.contract import REQUIRED, Field, Implementation, OpSpec, Port, Row, parse_op_id
from dovetail.core.types import DeviceType
from dovetail.machine.devices import this_target
from dovetail.registry import Registry, load_entry_points

SCHEMA = 1  # of --json: keys may be added, their meaning does not change
_COLUMNS = 110


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="all ops, with what each computes")
    listing.add_argument("--json", action="store_true", help="as JSON, with everything that is known")
    show = actions.add_parser("show", help="all about one op: inputs, fields, rows, ONNX operators")
    show.add_argument("name", help="such as SoftMax, or acme::NMS@2")
    show.add_argument("--json", action="store_true", help="as JSON")


def run(args: argparse.Namespace) -> int:
    registry = Registry()
    load_entry_points(registry, strict=False)
    if args.action == "list":
        specs = sorted(registry.specs(), key=lambda spec: (spec.namespace, spec.name, spec.version))
        if args.json:
            print(json.dumps({"schema": SCHEMA, "ops": [as_dict(registry, spec) for spec in specs]}, indent=2))
        else:
            print("\n".join(table(registry, specs)))
        return 0
    spec = registry.find(*parse_op_id(args.name))
    if args.json:
        print(json.dumps({"schema": SCHEMA, **as_dict(registry, spec)}, indent=2))
    else:
        print("\n".join(describe(registry, spec)))
    return 0


def table(registry: Registry, specs: list[OpSpec]) -> list[str]:
    """A line for each op: its id, the implementations, and the first line of its documentation."""
    rows = [("OP", "RUNS ON", "COMPUTES")]
    for spec in specs:
        names = [one.name for one in registry.implementations_of(spec.id)]
        rows.append((spec.id, " ".join(names) or "-", spec.doc.strip().partition("\n")[0]))
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    return [f"{op:<{widths[0]}}  {names:<{widths[1]}}  {doc}".rstrip() for op, names, doc in rows]


def describe(registry: Registry, spec: OpSpec) -> list[str]:
    """Lines with everything that is known of an op."""
    home = registry.record_of(spec.id)
    lines = [f"{spec.id}  of {home.title if home else 'nobody'}{', ' + spec.where if spec.where else ''}", ""]
    lines += [f"  {line}".rstrip() for line in textwrap.dedent(spec.doc).strip().splitlines()]
    lines += _section("inputs", [_port_cells(port) for port in spec.inputs])
    lines += _section("outputs", [_port_cells(port) for port in spec.outputs])
    lines += _section("fields", [_field_cells(field) for field in spec.fields])
    lines += _section("in networks", [(f"network.{name}(...)", "") for name in sorted(spec.add_methods)])
    lines += _section("ONNX operators", [(text, "") for text in _onnx(spec)])
    lines += ["", "implementations, and their rows on this machine"]
    for one in registry.implementations_of(spec.id):
        lines.append(f"  {one.id}  {_where(registry, one)}")
        rows = [(row.tactic or "-", row.types, row.formats, reason or "runs here") for row, reason in _rows(one)]
        lines += [f"    {line}" for line in _aligned(rows or [("rows", "are asked for each combination of formats")])]
    return lines


def as_dict(registry: Registry, spec: OpSpec) -> dict[str, Any]:
    """Everything that is known of an op, as JSON takes it."""
    home = registry.record_of(spec.id)
    return {
        "op": spec.id,
        "plugin": home.title if home else "",
        "where": spec.where,
        "purpose": spec.purpose,
        "doc": textwrap.dedent(spec.doc).strip(),
        "inputs": [_port_dict(port) for port in spec.inputs],
        "outputs": [_port_dict(port) for port in spec.outputs],
        "fields": [_field_dict(field) for field in spec.fields],
        "methods": sorted(spec.add_methods),
        "onnx": _onnx(spec),
        "implementations": [
            {
                "id": one.id,
                "device": one.device.name.lower(),
                "library": one.library,
                "rows": [
                    {"tactic": row.tactic, "types": row.types, "formats": row.formats, "refused": reason}
                    for row, reason in _rows(one)
                ],
            }
            for one in registry.implementations_of(spec.id)
        ],
    }


# ---- parts
def _section(title: str, rows: list[tuple[str, ...]]) -> list[str]:
    return ["", title, *(f"  {line}" for line in _aligned(rows))] if rows else []


def _aligned(rows: list[tuple[str, ...]]) -> Iterator[str]:
    """Cells in columns; the last one is wrapped."""
    n = max(len(row) for row in rows)
    widths = [max(len(row[column]) for row in rows if column < len(row)) for column in range(n - 1)]
    for row in rows:
        head = "".join(f"{cell:<{width}}  " for cell, width in zip(row[: n - 1], widths, strict=False))
        more = textwrap.wrap(row[-1], max(_COLUMNS - len(head), 40)) or [""] if len(row) == n else [""]
        yield (head + more[0]).rstrip()
        yield from (" " * len(head) + line for line in more[1:])


def _types(port: Port) -> str:
    if port.like:
        return f"type of {port.like}"
    return " | ".join(dtype.name for dtype in port.types) or "any type"


def _port_cells(port: Port) -> tuple[str, ...]:
    kinds = ("optional", "variadic", "weights", "shape", "size", "quantized")
    notes = [kind for kind in kinds if getattr(port, kind)]
    return port.name, _types(port), ", ".join(notes), port.doc


def _port_dict(port: Port) -> dict[str, Any]:
    return {
        "name": port.name,
        "types": [dtype.name for dtype in port.types],
        "like": port.like,
        "optional": port.optional,
        "variadic": port.variadic,
        "weights": port.weights,
        "doc": port.doc,
    }


def default_text(field: Field) -> str:
    """The default as a person writes it, "required" where there is none."""
    if field.default is REQUIRED:
        return "required"
    return field.default.name if field.enum is not None and field.default is not None else repr(field.default)


def range_text(field: Field) -> str:
    """The members of an enumeration, or the range of a number; "" where anything of the type will do."""
    if field.enum is not None:
        return " | ".join(member.name for member in field.enum)
    low, high = (None if limit is None else _number(limit) for limit in (field.low, field.high))
    if low is None:
        return "" if high is None else f"At most {high}"
    return f"At least {low}" if high is None else f"{low} to {high}"


def _number(value: float) -> str:
    """All digits of an integer that people write so."""
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e12 else f"{value:g}"


def _field_cells(field: Field) -> tuple[str, ...]:
    texts = [f"{text.rstrip('.')}." for text in (field.doc, range_text(field)) if text]
    default = default_text(field)
    return field.name, field.type_name, default if default == "required" else f"= {default}", " ".join(texts)


def _field_dict(field: Field) -> dict[str, Any]:
    default = None if field.default is REQUIRED else field.default
    return {
        "name": field.name,
        "type": field.type_name,
        "required": field.default is REQUIRED,
        "default": default if isinstance(default, (int, float, str, bool, tuple, type(None))) else repr(default),
        "low": field.low,
        "high": field.high,
        "values": [member.name for member in field.enum] if field.enum else None,
        "doc": field.doc,
    }


def _onnx(spec: OpSpec) -> list[str]:
    """ "Softmax", "com.acme::NMS", with the opsets where they are not all."""
    texts = []
    for row in spec.onnx:
        name = f"{row.domain}::{row.op_type}" if row.domain else row.op_type
        until = "" if row.until is None else row.until
        texts.append(name if row.since == 1 and row.until is None else f"{name}, opsets {row.since}..{until}")
    return texts


def _where(registry: Registry, one: Implementation) -> str:
    record = registry.record_of(one.id)
    traits = ", ".join(sorted(one.traits))
    return ", ".join(part for part in (one.device.name.lower(), record.title if record else "", traits) if part)


def _rows(one: Implementation) -> list[tuple[Row, str]]:
    """Rows, each with the reason why this machine cannot run it; "" if it can."""
    target = this_target(with_gpu=one.device == DeviceType.GPU)
    found = []
    for row in one.rows:
        missing = [name for name in row.needs if name not in target.features]
        reason = f"needs {' '.join(missing)}, which this cpu lacks" if missing else ""
        if row.min_sm > target.sm:
            reason = f"needs sm_{row.min_sm}, " + (f"this GPU is sm_{target.sm}" if target.sm else "there is no GPU")
        found.append((row, reason))
    return found
