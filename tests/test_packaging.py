"""The sdist holds all sources, the wheel what it should, and what is installed works without this repository.

`make wheel` builds the wheel from the sdist; here it is built beside the editable install, in seconds.
"""

import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest
from shared import once, run_folder

import dovetail
from dovetail.core.environment import DISTRIBUTION

ROOT = Path(__file__).parents[1]
PACKAGES = ("core", "registry", "plugins", "machine")

pytestmark = [pytest.mark.slow, pytest.mark.unsanitized]

TINY = """
import sys
sys.path[:0] = sys.argv[1:]
import numpy as np
import dovetail as trt
assert trt.__file__.startswith(sys.argv[1]), trt.__file__
builder = trt.Builder(trt.Logger())
network = builder.create_network()
x = network.add_input("x", trt.float32, (2, 3))
y = network.add_plugin("Scale", [x], {"scale": 2.0, "shift": 1.0}).get_output(0)
y.name = "y"
network.mark_output(y)
plan = builder.build_serialized_network(network, builder.create_builder_config())
context = trt.Runtime(trt.Logger()).deserialize_cuda_engine(plan).create_execution_context()
print(context.run({"x": np.ones((2, 3), np.float32)})["y"].tolist())
"""


def run(*command, **options) -> str:
    tools = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, env=os.environ | tools, **options
    )
    assert done.returncode == 0, f"{done.stdout[-8000:]}\n{done.stderr[-8000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def sdist(tmp_path_factory) -> Path:

    def make(folder):
        code = f"from scikit_build_core.build import build_sdist; build_sdist({str(folder)!r})"
        run(sys.executable, "-c", code, cwd=ROOT)

    (path,) = once(run_folder(tmp_path_factory, "packaging") / "sdist", make).glob("*.tar.gz")
    return path


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Built in the folder where the editable install compiles, so that next to nothing is compiled again."""

    def make(folder):
        folder.mkdir()
        options = ["-q", "--no-deps", "--no-build-isolation", "--no-cache-dir", "-w", folder]
        run(sys.executable, "-m", "pip", "wheel", *options, ROOT, cwd=folder)

    (path,) = once(run_folder(tmp_path_factory, "packaging") / "wheel", make).glob("*.whl")
    return path


@pytest.fixture(scope="module")
def contents(wheel) -> set[str]:
    return set(zipfile.ZipFile(wheel).namelist())


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    def make(folder):
        run(sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", folder, wheel)

    return once(run_folder(tmp_path_factory, "packaging") / "site-packages", make)


def test_a_text_that_names_the_distribution_names_ours():
    """The package index has a `dovetail` that is another project."""
    texts = [path for suffix in ("py", "md", "toml", "txt") for path in ROOT.rglob(f"*.{suffix}") if is_ours(path)]
    assert len(texts) > 300
    wrong = re.compile(r"""pip install (-\S+ )*'?dovetail\b(?!-runtime)|(requires|dependencies) = .*"dovetail\"""")
    assert [str(path) for path in texts if wrong.search(path.read_text(encoding="utf-8"))] == []
    assert f'\nname = "{DISTRIBUTION}"' in (ROOT / "pyproject.toml").read_text()


def is_ours(path: Path) -> bool:
    return not {".venv", "build", "dist", ".hypothesis"} & set(path.relative_to(ROOT).parts) and path != Path(__file__)


def test_the_changelog_begins_with_the_version_that_is_built():
    (version,) = re.findall(r'^version = "(.*)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    first = re.search(r"^## (\S+?),? ?(not yet released)?$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert (first[1], dovetail.__version__) == (version, version)


def test_the_sdist_holds_the_sources_and_nothing_built(sdist):
    with tarfile.open(sdist) as archive:
        names = {"/".join(Path(name).parts[1:]) for name in archive.getnames()}
    expected = {
        "LICENSE",
        "README.md",
        "Makefile",
        "pyproject.toml",
        "csrc/CMakeLists.txt",
        "tests/conftest.py",
    }
    expected |= {path.relative_to(ROOT).as_posix() for name in PACKAGES for path in (ROOT / name).rglob("*.py")}
    assert expected - names == set()
    built = (".so", ".o", ".pyc", ".plan")
    assert [name for name in names if name.endswith(built) or name.startswith((".venv", "build"))] == []


def test_the_wheel_holds_every_module(contents):
    sources = {f"dovetail/{path.relative_to(ROOT)}" for name in PACKAGES for path in (ROOT / name).rglob("*.py")}
    assert sources - contents == set()
    modules = {name for name in contents if name.endswith(".py")}
    assert {"dovetail/py.typed", "dovetail/_native.pyi"} <= contents
    assert modules - sources == {"dovetail/__init__.py", "dovetail/__main__.py", "dovetail/tensorrt.py"}


def test_the_wheel_holds_headers_and_libraries(contents):
    headers = {path.relative_to(ROOT / "csrc").as_posix() for path in (ROOT / "csrc/include").rglob("*.*")}
    assert {name for name in contents if name.startswith("dovetail/include/")} == {
        f"dovetail/{name}" for name in headers
    }
    libraries = {
        "lib/libdovetail.so",
        "lib/libdovetail_cpu.so",
        "lib/libdovetail_onednn.so",
        f"_native{sysconfig.get_config_var('EXT_SUFFIX')}",
    }
    assert {f"dovetail/{name}" for name in headers | libraries} - contents == set()


def test_the_wheel_holds_nothing_else(contents):
    tops = {name.split("/")[0] for name in contents}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"dovetail"}


def test_the_command_and_the_built_in_plugins_are_entry_points(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("entry_points.txt"))
        text = archive.read(name).decode()
    plugins = re.search(r"^\[dovetail\.plugins\]\n((?:\w.*\n)*)", text, re.MULTILINE)[1].replace(" ", "").split()
    assert sorted(plugins) == ["builtin=dovetail.plugins.builtin", "onednn=dovetail.plugins.onednn"]
    assert "dovetail" in text and "[console_scripts]" in text


def test_the_installed_wheel_runs_by_itself(installed, tmp_path):
    # -I -S: no current directory, no .pth files, so the editable install of this environment is out of sight
    purelib = sysconfig.get_path("purelib")
    out = run(sys.executable, "-I", "-S", "-c", TINY, installed, purelib, cwd=tmp_path)
    assert out.strip() == "[[3.0, 3.0, 3.0], [3.0, 3.0, 3.0]]"


@pytest.mark.parametrize("name", ["cpu", "onednn"])
def test_a_plugin_library_exports_its_entry_alone(installed, name):
    out = run("nm", "--dynamic", "--defined-only", installed / f"dovetail/lib/libdovetail_{name}.so")
    assert [line.split()[-1] for line in out.splitlines()] == ["dovetail_plugin_entry_v1"]
