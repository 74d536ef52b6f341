"""Compilers, the installed headers, and libraries built from them once a run."""

import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from shared import once, run_folder

import dovetail

HERE = Path(__file__).parent
STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]
STRUCT = re.compile(r"typedef struct (\w+) \{(.*?)\n\} \1;", re.DOTALL)


class Toolchain:
    """Builds plugins as a stranger would: from the headers that the package brings, and from nothing else."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.include = Path(dovetail.get_include())

    def compiler(self, name: str) -> list[str]:
        """The command of "gcc", "g++", "clang" or "clang++"; skips the test where there is none."""
        if shutil.which(name):
            return [name]
        if name.startswith("clang"):
            found = subprocess.run([sys.executable, "-m", "ziglang", "version"], capture_output=True)
            if found.returncode == 0:
                return [sys.executable, "-m", "ziglang", "c++" if name == "clang++" else "cc"]
        pytest.skip(f"no {name} on this machine" + (", and no ziglang" if name.startswith("clang") else ""))

    def build(self, source, *flags, compiler="", std="", include=None, kind="library", strict=True) -> Path:
        """The library or program made of a file in tests/abi or of any path, built once for each way."""
        source = HERE / source
        is_c = source.suffix == ".c"
        compiler = compiler or ("gcc" if is_c else "g++")
        include = include or self.include
        std = std or ("c11" if is_c else "c++17")
        shape = ["-shared", "-fPIC", "-fvisibility=hidden"] if kind == "library" else ["-pthread", "-ldl"]
        warnings = STRICT if strict else []
        arguments = [f"-std={std}", *flags, *warnings, f"-I{include}", str(source), *shape]
        key = hashlib.sha1("\0".join([compiler, *arguments]).encode()).hexdigest()[:12]

        def compile_to(target):
            command = [*self.compiler(compiler), *arguments, "-o", str(target)]
            done = subprocess.run(command, capture_output=True, text=True)
            assert done.returncode == 0, f"{' '.join(command)}\n{done.stderr}"

        return once(self.folder / f"{source.stem}_{key}{'.so' if kind == 'library' else ''}", compile_to)

    @property
    def map(self) -> str:
        return f"-Wl,--version-script={self.include}/dovetail/plugin.map"

    def run(self, host: Path, *arguments) -> list[str]:
        """Lines that the host program prints; it must live to the end."""
        done = subprocess.run(
            [str(a) for a in (host, *arguments)], capture_output=True, text=True, errors="replace", timeout=60
        )
        assert done.returncode == 0, f"exit status {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout.splitlines()

    def past_header(self) -> Path:
        """The C header as of 1.0: without what has come since."""
        folder = self.folder / "past"
        if not folder.exists():
            (folder / "dovetail").mkdir(parents=True)
            text = (self.include / "dovetail/plugin.h").read_text().replace("DT_ABI_MINOR 1", "DT_ABI_MINOR 0")
            for member in (
                r"  const dt_epilogue\* epilogue;[^\n]*\n",
                r"  /\* Writes to \*n_steps.*?n_steps\);\n",
                r"  /\* Bit 1 << i is set.*?replaces;\n",
                r"  /\* Extents became known or changed: .*?\(\*plan\)\([^\n]*\n",
            ):
                text, n = re.subn(member, "", text, flags=re.DOTALL)
                assert n == 1, member
            (folder / "dovetail/plugin.h").write_text(text)
        return folder

    def future_headers(self) -> Path:
        """A copy of the headers as of the next minor: each sized struct has two members more at its end."""

        def make(folder):
            shutil.copytree(self.include, folder)
            header = folder / "dovetail/plugin.h"
            text = header.read_text()

            def grow(match: re.Match) -> str:
                if "dt_hdr h;" not in match[2]:
                    return match[0]
                more = "\n  double future_number;\n  const void* (*future_function)(void* self, double x);"
                return f"typedef struct {match[1]} {{{match[2]}{more}\n}} {match[1]};"

            text = STRUCT.sub(grow, text).replace("#define DT_ABI_MINOR 1", "#define DT_ABI_MINOR 2")
            assert text.count("future_number") > 10 and "DT_ABI_MINOR 2" in text
            header.write_text(text)

        return once(self.folder / "future", make)


@pytest.fixture(scope="session")
def toolchain(tmp_path_factory):
    return Toolchain(run_folder(tmp_path_factory, "abi"))


@pytest.fixture(scope="session")
def host(toolchain):
    """The small host program, built against the installed header."""
    return toolchain.build("host.cpp", kind="program")


@pytest.fixture(scope="session")
def probe(toolchain):
    return toolchain.build("plugins/probe.cpp", toolchain.map)
