"""`dovetail explain`: what a plan runs, in which formats, what lost and why."""

from __future__ import annotations

import argparse
import json

from dovetail.machine.plan import read_plan
from dovetail.machine.report import report_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("plan", help="file of a plan")
    parser.add_argument("layer", nargs="?", help="name of one layer: everything that is known of it")
    parser.add_argument("--json", action="store_true", help="the plan's document as JSON")


def run(args: argparse.Namespace) -> int:
    document = read_plan(args.plan)
    print(json.dumps(document, indent=1) if args.json else report_text(document, args.layer))
    return 0
