"""The C++ test programs of csrc/tests, built without Python and run by ctest."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.unsanitized
def test_the_runtime_builds_without_python_and_passes(tmp_path):
    cmake, ninja = shutil.which("cmake"), shutil.which("ninja")
    if not cmake or not ninja:
        pytest.skip("needs cmake and ninja")
    build = ROOT / "build" / "native"  # kept, so that the next run compiles only what changed
    options = ["-DDOVETAIL_PYTHON=OFF", "-DDOVETAIL_TESTS=ON", f"-DPython_EXECUTABLE={sys.executable}"]
    targets = ["tests/all", "dovetail"]
    for command in (
        [cmake, "-S", ROOT / "csrc", "-B", build, "-G", "Ninja", "-Wno-dev", *options],
        [cmake, "--build", build, "-j2", "--target", *targets],
        [Path(cmake).with_name("ctest"), "--test-dir", build, "--output-on-failure", "--no-tests=error"],
    ):
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
