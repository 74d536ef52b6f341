"""What the tests of one run make once, however many processes run them."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest


def run_folder(tmp_path_factory: pytest.TempPathFactory, name: str) -> Path:
    """A folder that all processes of the run see."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / name
    folder.mkdir(exist_ok=True)
    return folder


def once(target: Path, make: Callable[[Path], None]) -> Path:
    """`target`, made by the process that asks first while the others wait.

    `make` writes the file or folder that it is given, which gets its name when it is whole; what fails is tried again.
    """
    with open(target.with_name(f"{target.name}.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # until the file is closed, or its process gone
        if not target.exists():
            unfinished = target.with_name(f"unfinished_{target.name}")
            make(unfinished)
            unfinished.replace(target)
    return target
