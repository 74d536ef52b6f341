"""Adding an instruction set as docs/adding-an-instruction-set.md says: one line in each table, and nothing else.

The same sources are configured with one more set in a copy; it is another way to compile for AVX-512, so that any
compiler knows its options.
"""

import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEADER, FLAGS = "csrc/include/dovetail/detail/isa.hpp", "csrc/cmake/isas.cmake"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.unsanitized,
    pytest.mark.skipif(platform.machine() != "x86_64", reason="the tables have lines to copy on x86-64 only"),
]


def run(*command, cwd) -> str:
    tools = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(list(map(str, command)), cwd=cwd, capture_output=True, text=True, env=os.environ | tools)
    assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def insert_after(path: Path, pattern: str, line: str) -> None:
    text = path.read_text()
    (found,) = re.finditer(rf"^.*{pattern}.*\n", text, re.M)
    path.write_text(text[: found.end()] + line + "\n" + text[found.end() :])


@pytest.fixture(scope="module", params=["all", "some"])
def tree(request, tmp_path_factory):
    """(of, the copy, the folder it was configured in)"""
    root = tmp_path_factory.mktemp(request.param)
    shutil.copytree(ROOT / "csrc", root / "csrc")
    shutil.copy(ROOT / "pyproject.toml", root)
    of = request.param
    insert_after(root / HEADER, r"X\(avx512vnni,", f"  X(narrow, DT_NEEDS_AVX512, 16, {of}, __VA_ARGS__) \\")
    options = "-march=x86-64-v4 -mprefer-vector-width=256"
    insert_after(root / FLAGS, r"dovetail_isa\(avx512vnni", f"  dovetail_isa(narrow {of} {options})")
    off = [f"-DDOVETAIL_{part}=OFF" for part in ("PYTHON", "CUDA")]
    run("cmake", "-S", root / "csrc", "-B", root / "build", *off, cwd=root)
    return of, root, root / "build"


def test_files_are_made_for_the_kernels_that_want_the_set(tree):
    of, root, build = tree
    made = {path.relative_to(build / "isas").as_posix() for path in build.rglob("cpu_narrow*.cpp")}
    wanted = set()
    for path in (root / "csrc").rglob("cpu_generic*.hpp"):
        named = re.search(r"^// Instruction sets: (.*)\.$", path.read_text(), re.M)
        if of == "all" and (not named or "all" in named[1].split(", ")):
            source = path.with_name(path.name.replace("cpu_generic", "cpu_narrow")).with_suffix(".cpp")
            wanted.add(source.relative_to(root / "csrc").as_posix())
    assert made == wanted
    assert (len(made) > 20) == (of == "all")


def test_layers_have_rows_for_a_set_of_all(tree):
    of, root, build = tree
    options = ["-std=c++20", f"-I{root}/csrc", f"-I{root}/csrc/include"]
    rows = root / "csrc/plugins/softmax/cpu_rows.cpp"
    text = run(os.environ.get("CXX", "c++"), *options, "-E", "-P", rows, cwd=root)
    assert re.search(r"namespace narrow\s*\{\s*void softmax\(", text)
    assert ("enqueue<narrow::softmax>" in text) == (of == "all")
    if of == "all":
        assert text.index("enqueue<narrow::softmax>") < text.index("enqueue<avx512::softmax>"), "best first"
        kernel = build / "isas/plugins/softmax/cpu_narrow.cpp"
        options += ["-march=x86-64-v4", "-DDT_ISA=narrow", "-fsyntax-only"]
        run(os.environ.get("CXX", "c++"), *options, kernel, cwd=root)
