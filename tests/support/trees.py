"""A copy of the sources in which the steps of a how-to are done, and the package `dovetail` of that copy.

A block of a document whose first line is a path in a comment is a new file. A `diff` block whose first line is
`--- path` changes one: lines with a plus are put where the others are found, which must be one place.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("core", "registry", "plugins", "machine")
PARTS = (
    ".ci/layers.py",
    "pyproject.toml",
    "tests/conftest.py",
    "tests/support",
    "tests/builtin",
    "tests/machine/builder",
)
BLOCK = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PATH = re.compile(r"^(?:#|//|---) (\S+/[\w./]+\.\w+)$")


def blocks(document: str) -> list[tuple[str, str, str]]:
    """(language, path, text) of the blocks of docs/`document` that are files or changes of files."""
    found = BLOCK.findall((ROOT / "docs" / document).read_text(encoding="utf-8"))
    named = [(language, PATH.match(text.partition("\n")[0]), text) for language, text in found]
    return [(language, match[1], text) for language, match, text in named if match]


class Tree:
    """The copy. Its Python sources are whole; of csrc it has what `native` names, so that builds take seconds."""

    def __init__(self, folder: Path, native: tuple[str, ...] = ()) -> None:
        self.root, self.site = folder / "tree", folder / "site"
        for name in (*PACKAGES, *PARTS, *(f"csrc/{part}" for part in native)):
            source, target = ROOT / name, self.root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target)
        package = self.site / "dovetail"
        package.mkdir(parents=True)
        for name in PACKAGES:
            (package / name).symlink_to(self.root / name)
        shutil.copy(ROOT / "machine" / "facade.py", package / "__init__.py")
        shutil.copy(ROOT / "machine" / "cli" / "__main__.py", package)
        installed = Path(importlib.util.find_spec("dovetail._native").origin).parent
        for path in (*installed.glob("_native*"), installed / "include"):
            (package / path.name).symlink_to(path)
        shutil.copytree(installed / "lib", package / "lib", symlinks=True)

    def follow(self, document: str) -> None:
        """Do what the blocks of docs/`document` say."""
        for language, path, text in blocks(document):
            if language == "diff":
                self.change(path, text.partition("\n")[2])
            else:
                file = self.root / path
                assert not file.exists(), f"{path} is there already"
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8")

    def change(self, path: str, diff: str) -> None:
        """Apply each part of a diff; parts are divided by lines that begin with @@."""
        file = self.root / path
        text = file.read_text(encoding="utf-8")
        for part in re.split(r"^@@.*\n", diff, flags=re.MULTILINE):
            lines = part.splitlines(keepends=True)
            old = "".join(line[1:] for line in lines if line[0] in " -")
            new = "".join(line[1:] for line in lines if line[0] in " +")
            assert text.count(old) == 1, f"{path} has these lines {text.count(old)} times:\n{old}"
            text = text.replace(old, new)
        file.write_text(text, encoding="utf-8")

    def python(self, *arguments: object) -> str:
        """What this interpreter prints with the copy's package; without `site`, which would find the installed one."""
        installed = [path for path in sys.path if path.endswith("-packages")]
        paths = os.pathsep.join(map(str, [self.site, *installed, self.root / "tests" / "support"]))
        environment = os.environ | {"PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1", "DOVETAIL_DEVICE": "cpu"}
        return self._run([sys.executable, "-S", *map(str, arguments)], environment)

    def build(self) -> Path:
        """Compile the kernels for CPUs that the copy has; they take the place of the library that was installed."""
        tools = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
        build = self.root / "build"
        off = [f"-DDOVETAIL_{part}=OFF" for part in ("PYTHON", "CUDA")]
        self._run(["cmake", "-G", "Ninja", "-S", str(self.root / "csrc"), "-B", str(build), *off], tools)
        self._run(["cmake", "--build", str(build), "--target", "dovetail_cpu", "-j2"], tools)
        made = build / "libdovetail_cpu.so"
        target = self.site / "dovetail" / "lib" / made.name
        target.unlink()
        shutil.copy(made, target)
        return target

    def _run(self, command: list[str], environment: dict[str, str]) -> str:
        done = subprocess.run(command, cwd=self.root, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
        return done.stdout
