"""runtime.h and runtime.hpp against libdovetail: a program in C, the example in C++, and what is exported."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import dovetail
from tests.runtime.plans import blocks, everything, open_chain

HERE = Path(__file__).parent
PACKAGE = Path(dovetail.__file__).parent
ROOT = HERE.parents[1]
GOLDEN = {"open": open_chain, "everything": everything}
VERSIONS = [(1, 0), (2, 0), (2, 1)]

pytestmark = pytest.mark.unsanitized


@pytest.fixture(scope="module")
def plan(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("plans") / "open.plan"
    path.write_bytes(open_chain().to_bytes())
    return path


def compile_with(variable: str, names: tuple[str, ...], source: Path, program: Path, *flags: str) -> Path:
    compiler = os.environ.get(variable) or next(filter(None, map(shutil.which, names)), None)
    if not compiler:
        pytest.skip(f"no compiler (set {variable})")
    strict = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", *flags]
    link = [f"-L{PACKAGE / 'lib'}", "-ldovetail", f"-Wl,-rpath,{PACKAGE / 'lib'}"]
    command = [compiler, *strict, f"-I{ROOT / 'csrc' / 'include'}", str(source), "-o", str(program), *link]
    subprocess.run(command, check=True)
    return program


def test_a_program_in_c_uses_every_function(tiny_library, plan, tmp_path):
    program = compile_with("CC", ("cc", "gcc"), HERE / "use_runtime.c", tmp_path / "use_runtime", "-std=c11")
    done = subprocess.run([program, tiny_library, plan], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "before: ''",
        "7 PluginNotFound: layer 'layer0' needs tiny::Add@1#c, which no loaded plugin provides",
        "  op              tiny::Add@1",
        "  implementation  tiny::Add@1#c",
        "  Load the plugin that provides it. Then load the plan again.",
        "1 1 1 1 1 x 2 [-1 3] 16",
        "11 ProfileError: input 'x' [17, 3] is outside profile 0 of engine 'open'",
        "  batch  17    allowed 1..16",
        '  Give dimensions inside it, choose another profile, or rebuild with a wider profile.set_shape("x", ...).',
        "1 [6] 24",
        "12 BindingError: tensor 'y' cannot live in a buffer of 4 bytes",
        "  buffer  4 bytes",
        "  needed  24 bytes",
        "4 8 12 16 20 24 ",
        "11 1 8 logged",
    ]


def test_the_example_reads_inputs_and_writes_outputs(tiny_library, plan, tmp_path):
    source = ROOT / "examples" / "run_plan" / "main.cpp"
    program = compile_with("CXX", ("c++", "g++"), source, tmp_path / "run_plan", "-std=c++17")
    x = np.arange(12, dtype=np.float32)
    (tmp_path / "x.bin").write_bytes(x.tobytes())
    arguments = [plan, tiny_library, f"x={tmp_path / 'x.bin'}", f"y={tmp_path / 'y.bin'}"]
    done = subprocess.run([program, *arguments], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "y [ 12 ] 0 4 8 12 16 20 24 28\n"), done.stderr
    assert np.frombuffer((tmp_path / "y.bin").read_bytes(), np.float32).tolist() == (4 * x).tolist()
    (tmp_path / "short.bin").write_bytes(b"1234")
    for wrong, said in (
        (f"X={tmp_path / 'x.bin'}", "'X'"),
        (f"x={tmp_path / 'absent.bin'}", "absent.bin cannot be read"),
        (f"x={tmp_path / 'short.bin'}", "input 'x' takes 48 bytes"),
    ):
        done = subprocess.run([program, plan, tiny_library, wrong], capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (1, "") and said in done.stderr, done.stderr
    done = subprocess.run([program, plan, tiny_library], capture_output=True, text=True)
    assert done.returncode == 0 and "input 'x' has no file: it is zero" in done.stderr
    done = subprocess.run([program, tmp_path / "x.bin"], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("PlanCorrupt: the plan cannot be loaded: its header length is wrong")


@pytest.fixture(scope="module")
def non_zero_plan(tmp_path_factory) -> Path:
    builder = dovetail.Builder(dovetail.Logger(dovetail.Logger.ERROR))
    network, config = builder.create_network(), builder.create_builder_config()
    config.default_device_type = dovetail.DeviceType.CPU
    y = network.add_non_zero(network.add_input("x", dovetail.float32, (2, 3))).get_output(0)
    y.name = "y"
    network.mark_output(y)
    path = tmp_path_factory.mktemp("plans") / "non_zero.plan"
    path.write_bytes(bytes(builder.build_serialized_network(network, config)))
    return path


def test_sizes_that_layers_tell_reach_programs_without_python(non_zero_plan, tmp_path):
    program = compile_with(
        "CXX", ("c++", "g++"), HERE / "use_late_sizes.cpp", tmp_path / "use_late_sizes", "-std=c++17"
    )
    done = subprocess.run(
        [program, PACKAGE / "lib" / "libdovetail_cpu.so", non_zero_plan], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "max 24 48",
        "12 BindingError: the size of output 'y' is not known before the layers have run",
        "12 BindingError: there is no input or output 7",
        "reallocate 1 24 at 64",
        "notify 1 [2 3]",
        "y 0 1 1 1 0 2",
        "24 of 48",
        "reallocate 1 32 at 64",
        "notify 1 [2 4]",
        "y 0 0 1 1 0 1 0 2",
        "reallocate 1 0 at 64",
        "notify 1 [2 0]",
        "y",
        "reallocate 1 8 at 64",
        "3 MemoryLimitError: the output allocator gave no memory for 'y'",
        "reallocate 1 8 at 64",
        "notify 1 [2 1]",
        "y 0 0",
        "silent 0 0",
        "12 BindingError: 'x' is an input: only outputs have allocators",
        "buffer 1 2",
        "[2 1]",
        "12 BindingError: tensor 'y' cannot live in a buffer of 4 bytes",
        "0 12 1 48",
        "0 0 0 0 1",
        "given 1 2",
        "0 3 0 0 0 1",
    ]


def test_both_headers_for_cpp_go_together(tmp_path):
    source = tmp_path / "both.cpp"
    source.write_text("#include <dovetail/runtime.hpp>\n#include <dovetail/plugin.hpp>\nint main() {}\n")
    compile_with("CXX", ("c++", "g++"), source, tmp_path / "both", "-std=c++17")


def test_only_the_interface_is_exported():
    nm = shutil.which("nm")
    if not nm:
        pytest.skip("no nm")
    names = subprocess.run(
        [nm, "-D", "--defined-only", PACKAGE / "lib" / "libdovetail.so"], capture_output=True, text=True, check=True
    )
    exported = {line.split()[-1] for line in names.stdout.splitlines()}
    header = (ROOT / "csrc" / "include" / "dovetail" / "runtime.h").read_text()
    declared = {line.split("(")[0].split()[-1].lstrip("*") for line in header.splitlines() if line.startswith("DT_API")}
    assert exported == declared


@pytest.mark.parametrize("version", VERSIONS, ids=str)
@pytest.mark.parametrize("name", GOLDEN)
def test_plans_of_released_versions_stay_what_they_are(name, version):
    """The stored files are loaded by the C++ tests; a later reader must load them too."""
    stored = HERE / "golden" / f"{name}_{version[0]}_{version[1]}.safetensors"
    assert stored.read_bytes() == GOLDEN[name](version=version).to_bytes()


def test_a_plan_with_blocks_stays_what_it_is():
    assert (HERE / "golden" / "blocks_2_1.safetensors").read_bytes() == blocks(version=(2, 1)).to_bytes()


def test_a_context_that_runs_refuses_to_be_changed(tiny_library, plan, tmp_path):
    source, program = HERE / "use_in_threads.c", tmp_path / "use_in_threads"
    program = compile_with("CC", ("cc", "gcc"), source, program, "-std=c11", "-pthread")
    done = subprocess.run([program, tiny_library, plan], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    subject = "12 BindingError: a context of engine 'open' cannot be used"
    assert done.stdout.splitlines()[:12] == [
        *["0 "] * 3,
        *[f"{subject} by two threads at once: another one is using it"] * 3,
        *[f"{subject} from within its own execution"] * 3,
        "0 ",
        "4 8 12 16 20 24 ",
        "0 ",
    ]
    assert done.stdout.splitlines()[12:15] == ["0 "] * 3
