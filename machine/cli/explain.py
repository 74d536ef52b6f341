"""`dovetail explain`: what a plan runs, in which formats, what lost and why."""

from __future__ import annotations

import argparse
import difflib
import json
import os
from pathlib import Path

from dovetail.core.errors import DefinitionError, PlanCorrupt
from dovetail.machine.plan import check_is_whole, read_plan
from dovetail.machine.report import report_text
from dovetail.machine.weights_table import weights_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("plan", help="file of a plan")
    parser.add_argument("layer", nargs="?", help="name of one layer: everything that is known of it")
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--weights", action="store_true", help="where weights are stored, and how they were made")
    shown.add_argument("--json", action="store_true", help="the document of the whole plan as JSON")


def run(args: argparse.Namespace) -> int:
    if not os.path.exists(args.plan):
        raise _no_file(Path(args.plan))
    if os.path.isdir(args.plan):
        raise PlanCorrupt(f"'{args.plan}' is a folder; a plan is a file", got=args.plan)
    if args.json and args.layer is not None:
        raise DefinitionError("--json prints the whole plan, not a layer", hint="Leave out the name.", got=args.layer)
    document = read_plan(args.plan)
    if args.json:
        print(json.dumps(document, indent=1))
    elif args.weights:
        print(weights_text(document, args.layer))
    else:
        print(report_text(document, args.layer))
    check_is_whole(args.plan)  # last: what a damaged plan still says may tell where it is from
    return 0


def _no_file(path: Path) -> PlanCorrupt:
    folder = path.parent if path.parent.is_dir() else None
    names = sorted(entry.name for entry in folder.iterdir() if entry.is_file()) if folder else []
    near = difflib.get_close_matches(path.name, names, n=3, cutoff=0.6)
    facts = [("nearest", ", ".join(str(path.parent / name) for name in near))] if near else []
    return PlanCorrupt(f"there is no plan '{path}'", facts=facts, got=str(path))
