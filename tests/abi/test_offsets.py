"""Offsets and sizes of every struct of plugin.h, and the values of its tables, as released.

`python tests/abi/test_offsets.py` prints what gcc makes of the header; golden_offsets.txt holds it.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import dovetail

GOLDEN = Path(__file__).with_name("golden_offsets.txt")
STRUCT = re.compile(r"typedef struct (\w+) \{(.*?)\n\} \1;", re.DOTALL)
TABLES = {
    "DT_CODES": "DT_",
    "DT_DATA_TYPES": "DT_TYPE_",
    "DT_TENSOR_FORMATS": "DT_FORMAT_",
    "DT_DIM_OPERATIONS": "DT_DIM_",
    "DT_FIELD_TYPES": "DT_FIELD_",
    "DT_CPU_FEATURES": "DT_CPU_",
    "DT_STEP_OPERATIONS": "DT_STEP_",
}


def members(body: str) -> list[str]:
    """Names that a struct declares, in order: scalars, pointers, arrays, functions, several in one line."""
    names = []
    for declaration in re.sub(r"/\*.*?\*/", " ", body, flags=re.DOTALL).split(";"):
        function = re.search(r"\(\*(\w+)\)", declaration)
        if function:
            names.append(function[1])
        elif declaration.strip():
            names += [re.search(r"(\w+)\s*(\[\w+\])?\s*$", part)[1] for part in declaration.split(",")]
    return names


def program(header: str) -> str:
    """A C program that prints the layout of every struct of the header."""
    lines = ["#include <stddef.h>", "#include <stdio.h>", '#include "dovetail/plugin.h"']
    lines += ["#define FIRST_(value, ...) value", "#define FIRST(...) FIRST_(__VA_ARGS__, 0)"]
    lines += [
        '#define SHOW(name, ...) printf("  %s %d\\n", #name, (int)FIRST(__VA_ARGS__));',
        "int main(void) {",
    ]
    lines.append('printf("interface %d.%d\\n", DT_ABI_MAJOR, DT_ABI_MINOR);')
    for name, body in STRUCT.findall(header):
        lines.append(f'printf("{name} %zu\\n", sizeof({name}));')
        for member in members(body):
            size = f"sizeof((({name}*)0)->{member})"
            lines.append(f'printf("  {member} %zu %zu\\n", offsetof({name}, {member}), {size});')
    for table, prefix in TABLES.items():
        lines.append(f'printf("{prefix}\\n");')
        lines.append(f"{table}(SHOW)")
    enums = re.findall(r"^enum \{ ?\n?((?:[^}(]|/\*.*?\*/)*?)\};", header, re.DOTALL | re.MULTILINE)
    for name in re.findall(r"(DT_\w+) = ", " ".join(enums)):
        lines.append(f'printf("{name} %d\\n", (int){name});')
    return "\n".join([*lines, "return 0;", "}", ""])


def layout(folder: Path, include: Path, command: list[str], suffix: str) -> str:
    source = folder / f"offsets{suffix}"
    source.write_text(program((include / "dovetail/plugin.h").read_text()))
    subprocess.run([*command, f"-I{include}", str(source), "-o", str(folder / "offsets")], check=True)
    return subprocess.run([str(folder / "offsets")], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    ("compiler", "std", "suffix"),
    [
        ("gcc", "c11", ".c"),
        ("gcc", "c17", ".c"),
        ("g++", "c++17", ".cpp"),
        ("g++", "c++20", ".cpp"),
        ("clang", "c11", ".c"),
        ("clang++", "c++17", ".cpp"),
    ],
)
def test_every_compiler_lays_the_structs_out_as_released(toolchain, tmp_path, compiler, std, suffix):
    command = [*toolchain.compiler(compiler), f"-std={std}", "-Wall", "-Wextra", "-Werror"]
    command += ["-Wno-invalid-offsetof"] if suffix == ".cpp" else ["-Wpedantic"]
    assert layout(tmp_path, toolchain.include, command, suffix) == GOLDEN.read_text()


def test_no_struct_and_no_member_is_missed(toolchain):
    header = (toolchain.include / "dovetail/plugin.h").read_text()
    declared = re.findall(r"^typedef struct (\w+) \{", header, re.MULTILINE)
    shown = re.findall(r"^(dt_\w+) \d+$", GOLDEN.read_text(), re.MULTILINE)
    assert shown == declared
    assert members("uint16_t a, b; const char *c, *d; int64_t e[8], f[8]; dt_code (*g)(void* h, int i);") == [
        *"abcdefg"
    ]


def test_every_sized_struct_begins_with_its_header():
    """dt_hdr itself, the DLTensor view and the plain list of dims have none; all others may grow."""
    unsized = []
    for name, first in re.findall(r"^(dt_\w+) \d+\n  (\w+) 0 \d+$", GOLDEN.read_text(), re.MULTILINE):
        if first != "h":
            unsized.append(name)
    assert unsized == ["dt_hdr", "dt_tensor", "dt_dims_exprs"]


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        sys.stdout.write(layout(Path(folder), Path(dovetail.get_include()), ["gcc", "-std=c11"], ".c"))
