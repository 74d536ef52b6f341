"""Devices other than the CPU, without a GPU: tables of devices, and V2 classes that say where they run."""

import subprocess
import sys

import pytest

from dovetail import _native
from dovetail.core.tensor import TensorDesc
from dovetail.core.types import DataType

CPU, CUDA = 1, 2
OP_OBJECT, CAPTURE_SAFE = 1, 2


@pytest.fixture(scope="session")
def twofold(toolchain):
    return toolchain.build("plugins/twofold.cpp", toolchain.map)


@pytest.fixture
def library(twofold):
    return _native.open_library(str(twofold))


def test_an_op_is_listed_once_and_has_an_implementation_on_each_device(toolchain, host, twofold):
    assert toolchain.run(host, "list", twofold) == [
        "plugin twofold 1.0 namespace 'acme' vendor -, 2 ops, 3 implementations",
        "op acme::Both@1: ",
        "op acme::Cuda@1: ",
        f"implementation acme::Both@1#cpu device {CPU} traits {OP_OBJECT}",
        f"implementation acme::Both@1#cuda device {CUDA} traits {OP_OBJECT}",
        f"implementation acme::Cuda@1#cuda device {CUDA} traits {OP_OBJECT | CAPTURE_SAFE}",
    ]


@pytest.mark.parametrize(("device", "word", "scratch"), [(CPU, "cpu", 64), (CUDA, "cuda", 256)])
def test_the_object_is_told_where_it_runs(library, device, word, scratch):
    op = next(op for op in library.ops if op.name == "Both")
    native = next(i for i in library.implementations if i.op == "acme::Both@1" and i.device == device)
    made = op.create("layer", []).clone()
    single, half = (TensorDesc((2, 3), dtype) for dtype in (DataType.FLOAT, DataType.HALF))
    lines = []
    _native.set_log_sink(lambda level, text: lines.append(text))
    try:
        assert native.supports(made, 0, [single, single], 1, 1)
        assert native.supports(made, 0, [half, half], 1, 1) == (device == CUDA)
        native.configure(made, [single], [single])
        assert native.workspace(made, -1, [single], [single], 1) == scratch
    finally:
        _native.set_log_sink(None)
    methods = ["supportsFormatCombination"] * 2 + ["configurePlugin", "initialize", "getWorkspaceSize"]
    assert lines == [f"{method} on {word}" for method in methods]


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_clone_that_copies_nothing_is_told_too(toolchain, host, twofold, device):
    lines = toolchain.run(host, "run", twofold, f"acme::Both@1#{device}")
    assert {line.strip() for line in lines if "enqueue" in line} == {f"enqueue on {device}"}


# ---- tables of devices. One that is taken stays for good, so each case has a process of its own.

OPEN = """
import sys
from dovetail import _native
from dovetail.core.errors import LibraryRefused
for path in sys.argv[1:]:
    try:
        _native.open_library(path)
        print("opened")
    except LibraryRefused as error:
        print("refused:", "; ".join(text for key, text in error.facts if key.startswith("device")))
"""


def opened(*libraries) -> list[str]:
    command = [sys.executable, "-c", OPEN, *map(str, libraries)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (["-DWITHOUT=copy"], "has no copy"),
        (["-DWITHOUT=elapsed"], "has no elapsed"),
        (["-DTYPE=7"], "is for device type 7; beside the CPU there is 2 (DT_DEVICE_CUDA) alone"),
        (["-DOLD"], "has 16 bytes, fewer than interface 1.0 has"),
    ],
)
def test_a_table_that_cannot_be_used_refuses_its_library(toolchain, flags, reason):
    assert opened(toolchain.build("plugins/devices.c", *flags)) == [f"refused: {reason}"]


def test_a_second_device_is_refused_and_says_whose_the_first_is(toolchain):
    first, second = toolchain.build("plugins/devices.c"), toolchain.build("plugins/devices.c", "-O1")
    lines = opened(first, second, first)
    assert lines == [
        "opened",
        f"refused: a process has one kind beside the CPU, and {first.resolve()} offers it",
        "opened",
    ]
