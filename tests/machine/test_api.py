"""The public names: found when they are first asked for, and the same at run time, in stubs and for `import *`."""

import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import dovetail as trt
from dovetail.core.environment import DISTRIBUTION
from dovetail.machine import api
from dovetail.machine.cli import stubs

LIGHT = """
import json, sys
import numpy
import dovetail
before = set(sys.modules)
dovetail.Runtime(dovetail.Logger)
print(json.dumps([sorted(before), sorted(sys.modules)]))
"""


def test_every_public_name_is_there():
    for name in api.public_names():
        assert getattr(trt, name) is not None, name
        assert name in dir(trt)


def test_star_imports_take_all_of_them():
    taken = {}
    exec("from dovetail import *", taken)
    assert set(api.public_names()) <= set(taken)


def test_packages_are_attributes_without_an_import_of_their_own():
    done = subprocess.run(
        [sys.executable, "-c", "import dovetail; print(dovetail.core.types.DataType, dovetail.registry.Registry)"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_name_that_is_not_there_is_named_with_the_nearest():
    with pytest.raises(AttributeError, match="did you mean 'Runtime'"):
        trt.Runtim  # noqa: B018


def test_the_checked_in_stub_is_fresh():
    written = (Path(api.__file__).parent / "api.pyi").read_text()
    assert written == stubs.names_stub(), "run: make refresh"


def test_an_import_pays_for_what_it_uses():
    """`import dovetail` reads a handful of files; a program that only runs plans reads no builder and no importer."""
    done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, timeout=60)
    after_import, with_runtime = json.loads(done.stdout)
    ours = {name for name in after_import if name.startswith("dovetail.")}
    assert ours == {"dovetail._native", "dovetail.machine", "dovetail.machine.api"}
    for heavy in ("dovetail.machine.builder", "dovetail.machine.onnx", "dovetail.machine.network", "onnx"):
        assert heavy not in with_runtime, heavy


def test_what_pip_shows_is_true():
    shown = metadata.metadata(DISTRIBUTION)
    assert shown["Author"] == "The dovetail authors"
    assert shown["License-Expression"] == "Apache-2.0"
    assert shown["Summary"]
    assert shown["Home-page"] is None and shown["Project-URL"] is None  # there is none yet
