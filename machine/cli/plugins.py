"""`dovetail plugins`: all plugins with their states, and the reasons for these."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import fields

from dovetail.registry import PluginRecord, Registry, load_entry_points
from dovetail.registry.isolated import TIMEOUT_S, check_library
from dovetail.registry.library_files import BRINGS_NOTHING
from dovetail.registry.near import known_libraries, spelled_like
from dovetail.registry.records import BROKEN, STATES

SCHEMA = 1  # of --json: keys may be added, their meaning does not change
_COLUMNS = ("NAME", "VERSION", "STATE", "KIND", "OPS", "IMPLS", "ABI", "FOR", "SOURCE")
_COUNTS = (_COLUMNS.index("OPS"), _COLUMNS.index("IMPLS"))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="all plugins, loaded or not")
    listing.add_argument("--json", action="store_true", help="as JSON, with everything that is known")
    listing.add_argument("--state", choices=STATES, help="only those in this state")
    listing.add_argument("--ops", action="store_true", help="with the ops and implementations of each")
    listing.add_argument("--strict", action="store_true", help="exit status 1 if a plugin is broken")
    why = actions.add_parser("why", help="all about one plugin, with the traceback if it failed")
    why.add_argument("name", help="name of a plugin, distribution or library")
    check = actions.add_parser("check-load", help="open a library in a child process, and list its contents")
    check.add_argument("path", help="of the library; a bare name is looked for in DOVETAIL_PLUGIN_PATH first")
    check.add_argument(
        "--timeout", type=float, default=TIMEOUT_S, metavar="S", help="seconds it may take (%(default)g)"
    )


def run(args: argparse.Namespace) -> int:
    if args.action == "check-load":
        return _check_load(args.path, args.timeout)
    registry = Registry()
    load_entry_points(registry, strict=False)
    return _list(registry, args) if args.action == "list" else _why(registry, args.name)


def _check_load(path: str, timeout_s: float) -> int:
    """Raises LibraryRefused, which the command prints with exit status 1."""
    library = check_library(path, timeout_s)
    print(
        f"{library['path']} can be loaded: {library['name']} {library['version']}, interface {library['abi']}".rstrip()
    )
    for noun in ("ops", "implementations"):
        print(f"  {noun:<15}  {', '.join(library[noun]) or 'none'}")
    if not library["ops"] and not library["implementations"]:
        print(f"  warning          {BRINGS_NOTHING}")
    return 0


def _list(registry: Registry, args: argparse.Namespace) -> int:
    records = [record for record in registry.records() if args.state in (None, record.state)]
    if args.json:
        document = {
            "schema": SCHEMA,
            "plugins": [record.as_dict() for record in records],
            "warnings": registry.warnings,
        }
        print(json.dumps(document, indent=2))
    else:
        print("\n".join(table(records, args.ops)))
        for warning in registry.warnings:
            print(f"warning: {warning}")
    is_broken = registry.warnings or any(record.state in BROKEN for record in registry.records())
    return 1 if args.strict and is_broken else 0


def table(records: Sequence[PluginRecord], with_ops: bool = False) -> list[str]:
    """Lines of the listing, the heading first."""
    rows = [_COLUMNS, *(_cells(record) for record in records)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    lines = []
    for index, row in enumerate(rows):
        cells = [
            f"{cell:>{width}}" if column in _COUNTS else f"{cell:<{width}}"
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        record = records[index - 1] if index else None
        lines.append("  ".join([*cells, _remark(record) if record else ""]).rstrip())
        if record and with_ops:
            lines += [f"    {text}" for text in (*record.ops, *record.implementations)]
    return lines


def _cells(record: PluginRecord) -> tuple[str, ...]:
    is_known = record.state == "loaded"
    source = record.source or record.path
    return (
        record.name,
        record.version or "-",
        record.state,
        record.kind,
        str(len(record.ops)) if is_known else "-",
        str(len(record.implementations)) if is_known else "-",
        record.abi or "-",
        ",".join(record.devices) or "-",
        source or "-",
    )


def _remark(record: PluginRecord) -> str:
    if record.abi.endswith("*"):
        return "* newer interface than this host's: works at the host's"
    if record.state in BROKEN:
        return f"{record.reason} (dovetail plugins why {record.name})"
    return record.reason


def _why(registry: Registry, name: str) -> int:
    found = [r for r in registry.records() if name in (r.name, r.distribution, r.name.rpartition("/")[2])]
    for record in found:
        print("\n".join(describe(record)))
    if found:
        return 0
    print(f"no plugin is called '{name}'")
    home = _home_of_op(registry, name)
    if home is not None:
        print(f"  {home[0]}  is an op of {home[1]}: dovetail ops show {home[0]}")
    names = {text for r in registry.records() for text in (r.name, r.distribution) if text}
    for near in spelled_like(name, names):
        print(f"  {near}  is near")
    for path in known_libraries():
        if name.lower() in path.name.lower():
            print(f"  {path}  is in DOVETAIL_PLUGIN_PATH, not loaded")
    print("  All: dovetail plugins list")
    return 1


def _home_of_op(registry: Registry, name: str) -> tuple[str, str] | None:
    """The id of an op of this name, ignoring case, and the name of its plugin."""
    for spec in registry.specs():
        if name.lower() in (spec.name.lower(), spec.id.lower(), f"{spec.namespace}::{spec.name}".lower()):
            record = registry.record_of(spec.id)
            return spec.id, record.name if record else "nobody"
    return None


def describe(record: PluginRecord) -> list[str]:
    """Lines with everything that is known of a plugin."""
    lines = [f"{record.name}  {record.state}" + (f": {record.reason}" if record.reason else "")]
    skipped = {"name", "state", "reason", "traceback"}
    shown = [field.name for field in fields(record) if field.name not in skipped]
    for name in shown:
        value = getattr(record, name)
        values = value if isinstance(value, tuple) else [value] if value else []
        lines += [f"  {name if index == 0 else '':<15}  {text}" for index, text in enumerate(values)]
    lines += [f"  | {line}" for line in record.traceback.splitlines()]
    return lines
