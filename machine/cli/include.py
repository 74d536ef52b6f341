"""`dovetail include`: the folder of the headers that native plugins are built against."""

from __future__ import annotations

import argparse
from pathlib import Path

from dovetail import _native


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """No arguments."""


def run(args: argparse.Namespace) -> int:
    print(Path(_native.__file__).parent / "include")
    return 0
