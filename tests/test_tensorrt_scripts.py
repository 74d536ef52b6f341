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


@pytest.mark.unsanitized
def test_the_helpers_of_the_samples_find_what_they_import(tmp_path):
    """As common.py of TensorRT 8.5 allocates: page-locked memory seen as an array, errors of driver and run time."""
    script = tmp_path / "helpers.py"
    script.write_text(
        "import ctypes, numpy as np, pycuda.driver\n"
        "from cuda import cuda, cudart\n"
        "assert not isinstance(cudart.cudaMalloc(4)[0], cuda.CUresult)\n"
        "error, address = cudart.cudaMallocHost(16)\n"
        "host = np.ctypeslib.as_array(ctypes.cast(address, ctypes.POINTER(ctypes.c_float)), (4,))\n"
        "host[:] = [1, 2, 3, 4]\n"
        "_, device = cudart.cudaMalloc(16)\n"
        "cudart.cudaMemcpyAsync(device, host, 16, cudart.cudaMemcpyKind.cudaMemcpyHostToDevice, 0)\n"
        "back = pycuda.driver.pagelocked_zeros(4, np.float32)\n"
        "pycuda.driver.memcpy_dtoh(back, device)\n"
        "print(back)\n"
        "assert cudart.cudaFreeHost(host.ctypes.data) == (cudart.cudaError_t.cudaSuccess,)\n"
    )
    found, _ = numbers(script)
    np.testing.assert_array_equal(found, [[1, 2, 3, 4]])
