"""What a library of plugins is to others: one symbol, nothing shared, and any minor on either side."""

import shutil
import subprocess

import pytest

PLUGINS = ["plugins/plain.c", "plugins/probe.cpp", "plugins/rows.cpp"]


def symbols(library) -> list[str]:
    if not shutil.which("nm"):
        pytest.skip("no nm on this machine")
    done = subprocess.run(["nm", "-D", "--defined-only", library], capture_output=True, text=True, check=True)
    return [line.split()[-1] for line in done.stdout.splitlines()]


@pytest.mark.parametrize("source", PLUGINS)
@pytest.mark.parametrize("compiler", ["gnu", "clang"])
@pytest.mark.parametrize("flags", [("-O0",), ("-O2",)])
def test_one_symbol_is_exported(toolchain, source, compiler, flags):
    is_c = source.endswith(".c")
    name = {"gnu": "gcc" if is_c else "g++", "clang": "clang" if is_c else "clang++"}[compiler]
    library = toolchain.build(source, *flags, toolchain.map, compiler=name)
    assert symbols(library) == ["dovetail_plugin_entry_v1"]


def test_one_line_of_g_plus_plus_exports_nothing_else_of_the_headers(toolchain):
    """Without the linker's map, what the standard library leaves may show; nothing of dovetail's does."""
    library = toolchain.build("plugins/rows.cpp")
    assert [name for name in symbols(library) if "dovetail" in name] == ["dovetail_plugin_entry_v1"]


KERNEL = """
#include "dovetail/plugin.hpp"
struct Params { double factor = 1; dovetail::Ints axes; };
DOVETAIL_READS(Params, factor, axes)
namespace wide {
void scale(const Params& params, const dovetail::Run& run) {
  const dovetail::Tensor x = run.input(0), y = run.output(0);
  if (x.rank() != y.rank() || x.is_constant() || run.has_input(1)) dovetail::fail(DT_SHAPE, "%d", x.rank());
  float* scratch = run.workspace<float>();
  run.parallel_for(x.extent(0), [&](int i) {
    y.data<float>()[i] = x.data<float>()[i] * float(params.factor) + float(params.axes[0]) + scratch[i];
  });
}
}
"""


@pytest.mark.parametrize("level", ["-O0", "-O2"])
def test_a_kernel_leaves_no_inline_function_that_others_could_get(toolchain, tmp_path, level):
    """The linker keeps one copy of an inline function, maybe the one with instructions that the CPU lacks."""
    source, made = tmp_path / "kernel_avx2.cpp", tmp_path / "kernel_avx2.o"
    source.write_text(KERNEL)
    flags = ["-std=c++17", level, "-fPIC", "-fvisibility=hidden", f"-I{toolchain.include}"]
    subprocess.run([*toolchain.compiler("g++"), *flags, "-c", str(source), "-o", str(made)], check=True)
    done = subprocess.run(["nm", "-C", str(made)], capture_output=True, text=True, check=True)
    shared = {line.split(" W ")[1] for line in done.stdout.splitlines() if " W " in line}
    trivial = {
        "dovetail::v1::Error::~Error()",
        "dovetail::v1::Error::what() const",
        "std::exception::exception()",
    }
    assert shared <= trivial


@pytest.mark.parametrize("std", ["c++17", "c++20"])
@pytest.mark.parametrize("compiler", ["g++", "clang++"])
@pytest.mark.parametrize(
    "source", ["plugins/probe.cpp", "plugins/rows.cpp", "plugins/refuser.cpp", "plugins/twofold.cpp"]
)
def test_the_headers_are_clean_of_warnings(toolchain, source, compiler, std):
    """Toolchain.build asks for -Wall -Wextra -Wpedantic -Werror; here with more still."""
    more = ["-Wconversion", "-Wshadow", "-Wnon-virtual-dtor", "-Wimplicit-fallthrough"]
    toolchain.build(source, *more, toolchain.map, compiler=compiler, std=std)


def test_two_libraries_share_no_inline_variable(toolchain, host):
    """Not even where their authors leave everything visible: each has its own host and its own list."""
    visible = "-fvisibility=default"
    libraries = [
        toolchain.build("plugins/probe.cpp", visible, '-DPROBE_NAMESPACE="first"'),
        toolchain.build("plugins/probe.cpp", visible, '-DPROBE_NAMESPACE="second"'),
        toolchain.build("plugins/rows.cpp", visible),
    ]
    lines = [line for line in toolchain.run(host, "list", *libraries) if line.startswith(("plugin", "op"))]
    assert lines == [
        "plugin probe 1.2.3 namespace 'first' vendor Acme, 1 ops, 1 implementations",
        "op first::Probe@1: y = gain * x + bias, with one row more.",
        "plugin probe 1.2.3 namespace 'second' vendor Acme, 1 ops, 1 implementations",
        "op second::Probe@1: y = gain * x + bias, with one row more.",
        "plugin rows 1.0 namespace '' vendor -, 0 ops, 3 implementations",
    ]
    unique = subprocess.run(["nm", "-D", libraries[0]], capture_output=True, text=True).stdout.splitlines()
    assert [line for line in unique if " u " in line and "dovetail" in line] == []


IDS = {
    "plugins/plain.c": "plain::Negate@1#cpu",
    "plugins/probe.cpp": "acme::Probe@1",
    "plugins/rows.cpp": "other::Sum@1#rows.cpu",
}


@pytest.mark.parametrize("source", PLUGINS)
@pytest.mark.parametrize("newer", ["plugin", "host", "both"])
def test_a_newer_minor_on_either_side_changes_nothing(toolchain, host, source, newer):
    """The newer side has two members more at the end of every struct."""
    future = toolchain.future_headers()
    plugin_include = future if newer != "host" else None
    host_include = future if newer != "plugin" else None
    skewed_host = toolchain.build("host.cpp", kind="program", include=host_include, strict=False)
    skewed = toolchain.build(source, toolchain.map, include=plugin_include, strict=False)
    plain = toolchain.build(source, toolchain.map)
    assert toolchain.run(skewed_host, "list", skewed) == toolchain.run(host, "list", plain)
    told = toolchain.run(skewed_host, "run", skewed, IDS[source])
    assert told == toolchain.run(host, "run", plain, IDS[source])


@pytest.mark.parametrize("source", PLUGINS)
def test_a_library_of_clang_and_another_standard_library_works_in_a_host_of_gcc(toolchain, host, source):
    compiler = "clang" if source.endswith(".c") else "clang++"
    foreign = toolchain.build(source, toolchain.map, compiler=compiler)
    plain = toolchain.build(source, toolchain.map)
    assert toolchain.run(host, "run", foreign, IDS[source]) == toolchain.run(host, "run", plain, IDS[source])
