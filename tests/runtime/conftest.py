"""The small C library of these tests, compiled once."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from shared import once, run_folder

from dovetail import _native

HERE = Path(__file__).parent
INCLUDE = HERE.parents[1] / "csrc" / "include"


@pytest.fixture(scope="session")
def tiny_library(tmp_path_factory) -> Path:
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc")
    if not compiler:
        pytest.skip("no C compiler (set CC)")
    flags = ["-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-fvisibility=hidden"]
    source = str(HERE / "tiny_plugin.c")

    def make(library):
        subprocess.run([compiler, *flags, f"-I{INCLUDE}", source, "-o", str(library), "-lm"], check=True)

    return once(run_folder(tmp_path_factory, "tiny") / "libtiny.so", make)


@pytest.fixture(scope="session")
def tiny(tiny_library):
    """The library, its implementations offered to engines."""
    library = _native.open_library(str(tiny_library))
    ops = {"tiny::Fill@1": library.ops[0]}
    for implementation in library.implementations:
        _native.register_implementation(implementation, ops.get(implementation.op))
    return library
