"""The scripts of examples/tensorrt_scripts, which know nothing of dovetail, compute what NumPy does."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPTS = Path(__file__).parents[1] / "examples" / "tensorrt_scripts"


def numbers(*command, cwd=SCRIPTS):
    """What a script prints in square brackets, run as users run it: failures return None or False."""
    environment = {name: value for name, value in os.environ.items() if name != "DOVETAIL_RAISE_ON_ERROR"}
    command = [sys.executable, "cuda_on_cpu.py", *map(str, command)]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = re.findall(r"\[([^\[\]]+)\]", done.stdout)
    return np.array([[float(number) for number in row.split()] for row in rows]), done.stdout


@pytest.mark.unsanitized
def test_a_script_with_pycuda_builds_stores_and_runs(tmp_path):
    plan = tmp_path / "classify.plan"
    first, text = numbers("classify_pycuda.py", plan)
    again, _ = numbers("classify_pycuda.py", plan)
    assert plan.stat().st_size > 1000 and "data: (3, 1, 12, 12)" in text
    x = np.linspace(-1, 1, 3 * 144, dtype=np.float32).reshape(3, 12, 12)
    kernels = np.random.default_rng(0).normal(size=(4, 3, 3))
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2))
    best = np.maximum(np.einsum("nhwij,cij->nchw", windows, kernels), 0).max(axis=(2, 3))
    expected = np.exp(best) / np.exp(best).sum(1, keepdims=True)
    np.testing.assert_allclose(first, expected, atol=6e-4)  # three digits are printed
    np.testing.assert_array_equal(again, first)


@pytest.mark.unsanitized
def test_a_script_with_cuda_python_binds_by_name():
    found, _ = numbers("scale_cudart.py")
    np.testing.assert_array_equal(found, np.arange(6).reshape(2, 3) ** 2)
