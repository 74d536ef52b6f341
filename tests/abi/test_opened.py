"""Plugin libraries that a process opens by itself, with ctypes.CDLL, are registered by the next look-up."""

import subprocess
import sys
from pathlib import Path

import pytest

LOOK_UPS = {
    "init_libnvinfer_plugins": "assert trt.init_libnvinfer_plugins(trt.Logger(), '')\nspecs = ids()",
    "plugin_creator_list": "registry.plugin_creator_list\nspecs = ids()",
    "get_plugin_creator": "assert registry.get_plugin_creator('Probe', '1', 'acme') is not None\nspecs = ids()",
    "a name that is in none": "assert registry.get_plugin_creator('Nobody', '1', '') is None\nspecs = ids()",
    "add_plugin": (
        "network = trt.Builder(trt.Logger()).create_network()\n"
        "network.add_plugin('acme::Probe@1', [network.add_input('x', trt.float32, (4,))])\nspecs = ids()"
    ),
}

CODE = """
import ctypes, sys
import dovetail as trt
registry = trt.get_plugin_registry()
ids = lambda: [spec.id for spec in registry.specs()]
assert 'acme::Probe@1' not in ids()
ctypes.CDLL(sys.argv[1])
{look_up}
assert 'acme::Probe@1' in specs, specs
record = registry.record_of('acme::Probe@1')
assert (record.state, record.source) == ('loaded', 'opened by the process'), record
n = len(registry.records())
registry.adopt_opened(); registry.get_plugin_creator('Nobody', '1', '')
assert len(registry.records()) == n
assert registry.load_library(sys.argv[1]) is record
"""


@pytest.mark.parametrize("look_up", LOOK_UPS.values(), ids=LOOK_UPS)
def test_the_next_look_up_registers_it(probe, look_up):
    command = [sys.executable, "-c", CODE.format(look_up=look_up), str(probe)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_registry_of_ones_own_takes_no_library_that_it_was_not_given(probe):
    code = (
        "import ctypes, sys\n"
        "from dovetail.registry import Registry\n"
        "ctypes.CDLL(sys.argv[1]); registry = Registry()\n"
        "assert registry.get_plugin_creator('Probe', '1', 'acme') is None and registry.specs() == []"
    )
    subprocess.run([sys.executable, "-c", code, str(probe)], check=True)


def test_a_library_that_does_not_fit_is_reported_once(toolchain, probe, tmp_path):
    """A second library with the ops of the first."""
    source = tmp_path / "again.cpp"
    text = (Path(__file__).parent / "plugins/probe.cpp").read_text()
    source.write_text(text.replace("with one row more.", "and the same again."))
    second = toolchain.build(source, toolchain.map)
    code = (
        "import ctypes, sys\n"
        "import dovetail as trt\n"
        "registry = trt.get_plugin_registry()\n"
        "for path in sys.argv[1:]: ctypes.CDLL(path)\n"
        "assert trt.init_libnvinfer_plugins(None, '')\n"
        "states = sorted(r.state for r in registry.records() if r.source == 'opened by the process')\n"
        "assert states == ['failed', 'loaded'], states\n"
        "n = len(registry.records()); registry.adopt_opened(); assert len(registry.records()) == n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(probe), str(second)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "acme::Probe@1" in done.stderr  # the log names what is taken
