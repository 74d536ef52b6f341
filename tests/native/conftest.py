"""Plugins of the tests, compiled from `plugins/` against the C header alone."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from shared import once, run_folder

HERE = Path(__file__).parent
INCLUDE = HERE.parents[1] / "csrc" / "include"

Compile = Callable[..., Path]


@pytest.fixture(scope="session")
def compile_plugin(tmp_path_factory: pytest.TempPathFactory) -> Compile:
    """compile_plugin("scale.c", "DEFINE=1", link=(...)) -> path; the same request compiles once."""
    folder = run_folder(tmp_path_factory, "plugins")

    def compile_one(source: str, *defines: str, link: tuple[str, ...] = ()) -> Path:
        compiler = os.environ.get("CC", "cc") if source.endswith(".c") else os.environ.get("CXX", "c++")
        if shutil.which(compiler.split()[0]) is None:
            pytest.skip(f"no compiler: {compiler}")
        key = hashlib.sha1("\0".join([*defines, "", *link]).encode()).hexdigest()[:12]

        def make(library: Path) -> None:
            standard = "-std=c11" if source.endswith(".c") else "-std=c++17"
            command = [*compiler.split(), standard, "-O1", "-fPIC", "-shared", "-Wall", "-Wextra", "-Werror"]
            command += ["-fvisibility=hidden", f"-I{INCLUDE}", *(f"-D{define}" for define in defines)]
            command += [str(HERE / "plugins" / source), "-o", str(library), *link]
            result = subprocess.run(command, capture_output=True, text=True)
            assert result.returncode == 0, result.stderr

        return once(folder / f"lib{Path(source).stem}_{key}.so", make)

    return compile_one
