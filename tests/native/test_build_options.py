"""What CMake decides by itself, asked of configurations that compile nothing of ours."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CSRC = Path(__file__).parents[2] / "csrc"

pytestmark = [pytest.mark.slow, pytest.mark.unsanitized]


@pytest.fixture(scope="module")
def configure(tmp_path_factory):
    """configure("AUTO", LD_LIBRARY_PATH=...): the lines about CUDA, where nvcc is a program that compiles nothing."""
    cmake = shutil.which("cmake", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if cmake is None or shutil.which("ninja") is None:
        pytest.skip("needs cmake and ninja")
    build = tmp_path_factory.mktemp("configured")
    command = [cmake, "-S", CSRC, "-B", build, "-G", "Ninja", "-Wno-dev", "-DDOVETAIL_PYTHON=OFF"]
    command += [f"-DPython_EXECUTABLE={sys.executable}", "-DDOVETAIL_NVCC=/bin/false"]

    def ask(cuda, **environment):
        done = subprocess.run(
            [*command, f"-DDOVETAIL_CUDA={cuda}"], capture_output=True, text=True, env=os.environ | environment
        )
        return done.returncode, " ".join(f"{done.stdout}\n{done.stderr}".split())

    return ask


def test_cuda_is_left_out_where_no_driver_is_and_the_line_says_how_to_have_it(configure, tmp_path):
    if any(Path(folder, "libcuda.so.1").exists() for folder in ("/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib")):
        pytest.skip("this machine has a driver")
    code, said = configure("AUTO")
    assert code == 0 and "CUDA kernels are not built: nvcc is here, but no NVIDIA driver (libcuda.so.1)." in said
    assert "pip install . -C cmake.define.DOVETAIL_CUDA=ON" in said
    (tmp_path / "libcuda.so.1").touch()
    code, said = configure("AUTO", LD_LIBRARY_PATH=str(tmp_path))
    assert code == 0 and "not built: nvcc was found but compiles nothing" in said  # so it was asked


@pytest.mark.parametrize(
    ("cuda", "code", "words"),
    [
        ("NVCC", 0, "not built: nvcc was found but compiles nothing"),
        ("ON", 1, "DOVETAIL_CUDA=ON, but nvcc was found but compiles nothing"),
        ("OFF", 0, "not built: DOVETAIL_CUDA=OFF"),
        ("yes", 1, "DOVETAIL_CUDA is 'yes'; it may be AUTO, NVCC, ON or OFF"),
    ],
)
def test_nvcc_runs_where_it_was_asked_for(configure, cuda, code, words):
    got, said = configure(cuda)
    assert (got, words in said) == (code, True), said
