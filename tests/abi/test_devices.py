"""V2 classes on a device other than the CPU: what their tables say, and what the objects are told. No GPU is needed."""

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
