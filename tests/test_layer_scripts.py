"""The scripts of examples/layers print the matrices of the layer pages; those are stated in tests/documents.

On a GPU the scripts run as they are. Elsewhere their networks are checked with memory of the host in the place of
CUDA's.
"""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matrices import PRINTED

ROOT = Path(__file__).parents[1]
LAYERS = ROOT / "examples" / "layers"
ON_CPU = ROOT / "examples" / "tensorrt_scripts"  # where the memory of the host in the place of CUDA's is
OUTPUT = re.compile(r"^==== (.*)\n(?:.*\n)*?outputH0: \((.*)\)\n((?:[ \[].*\n|\n)*)", re.MULTILINE)
ON_THE_HOST = """
import runpy, sys
import frame, cuda_on_cpu
frame.cudart, frame.why_no_gpu = cuda_on_cpu, lambda: ""
runpy.run_path(sys.argv.pop(1), run_name="__main__")
"""

# What is left where two large sums cancel: 18 terms of at most 1e5, each rounded to half of its last place.
ROUNDING = 18 * 0.004


def page(layer):
    spec = importlib.util.spec_from_file_location(f"page_on_{layer}", ROOT / "tests" / "documents" / f"test_{layer}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def convolution(page):
    modes = {"SAME_UPPER": page.SAME_UPPER, "SAME_LOWER": page.SAME_LOWER}
    modes |= {"EXPLICIT_ROUND_UP": page.ROUND_UP, "CAFFE_ROUND_UP": page.ROUND_UP}
    modes |= {"EXPLICIT_ROUND_DOWN": page.STRIDE_2_2, "CAFFE_ROUND_DOWN": page.STRIDE_2_2}
    fields = {"stride_nd": "STRIDE", "padding_nd": "PADDING", "pre_padding": "PRE", "post_padding": "POST"}
    return common(page, fields | {"dilation_nd": "DILATION"}, modes) | {"three_dims": np.zeros((1, 1, 1, 4, 7))}


def deconvolution(page):
    modes = dict.fromkeys(("EXPLICIT_ROUND_UP", "EXPLICIT_ROUND_DOWN", "CAFFE_ROUND_UP", "CAFFE_ROUND_DOWN"))
    modes = dict.fromkeys(modes, page.STRIDE_2_2) | {"SAME_UPPER": page.SAME_UPPER, "SAME_LOWER": page.SAME_LOWER}
    fields = {"stride_nd": "STRIDE", "padding_nd": "PADDING", "pre_padding": "PRE", "post_padding": "POST"}
    planes = np.stack([page.DEFAULT, np.zeros_like(page.DEFAULT), -page.DEFAULT])
    return common(page, fields, modes) | {"three_dims": planes[None, None]}


def common(page, fields, modes):
    """Title of a section: what it prints. The pages call their matrices STRIDE_2_1 and so on."""
    expected = dict.fromkeys(("initial", "set_later"), page.DEFAULT) | {"set_input": page.INT8}
    for field, name in fields.items():
        for matrix in (key for key in vars(page) if re.fullmatch(rf"{name}_\d_\d", key)):
            value = tuple(map(int, matrix.split("_")[1:]))
            expected[f"{field} = {value}"] = getattr(page, matrix)
    expected |= {f"padding_mode = {mode}": matrix for mode, matrix in modes.items()}
    expected = {title: matrix[None, None] for title, matrix in expected.items()}
    return expected | {"num_groups = 2": np.stack([page.DEFAULT, -page.DEFAULT])[None]}


def scale(page):
    expected = dict.fromkeys(("initial", "set_later", "elementwise"), page.UNIFORM) | {"channel": page.CHANNEL}
    for axis in (0, 1):
        shape = [2 if i == axis else 1 for i in range(4)]
        values = np.array([2.0, 3.0]).reshape(shape)
        expected[f"channel_axis = {axis}"] = np.broadcast_to(values, (2, 2, 3, 4))
    return expected


EXPECTED = {"convolution": convolution, "deconvolution": deconvolution, "scale": scale}


def printed(text):
    """{title: output} of what a script printed."""
    found = {}
    for title, dims, rows in OUTPUT.findall(text):
        shape = [int(dim) for dim in dims.split(",") if dim.strip()]
        found[title] = np.array([float(word) for word in re.findall(r"[^\s\[\]]+", rows)]).reshape(shape)
    return found


def check(layer, text):
    expected, found = EXPECTED[layer](page(layer)), printed(text)
    assert sorted(found) == sorted(expected)
    for title, matrix in expected.items():
        # The scripts print eight digits after the point, and the pages drop some of what is below 1e-8.
        atol = ROUNDING if title == "three_dims" else 2e-8
        np.testing.assert_allclose(found[title], matrix, rtol=PRINTED["rtol"], atol=atol, err_msg=title)


def run(command, **more):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(LAYERS), str(ON_CPU), *pythonpath()])}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, **more)


def pythonpath():
    return filter(None, [os.environ.get("PYTHONPATH")])


@pytest.mark.gpu
@pytest.mark.unsanitized
@pytest.mark.parametrize("options", [[], ["--v3"]], ids=["execute_async_v2", "execute_async_v3"])
@pytest.mark.parametrize("layer", list(EXPECTED))
def test_a_script_prints_what_its_page_prints(layer, options):
    done = run([sys.executable, LAYERS / f"{layer}.py", *options])
    assert done.returncode == 0, done.stderr
    check(layer, done.stdout)


@pytest.mark.unsanitized
@pytest.mark.parametrize("options", [[], ["--v3"]], ids=["execute_async_v2", "execute_async_v3"])
@pytest.mark.parametrize("layer", list(EXPECTED))
def test_its_networks_give_the_same_on_the_cpu(layer, options):
    done = run([sys.executable, "-c", ON_THE_HOST, LAYERS / f"{layer}.py", *options])
    assert done.returncode == 0, done.stderr
    check(layer, done.stdout)


@pytest.mark.unsanitized
def test_sections_are_chosen_by_name():
    done = run([sys.executable, "-c", ON_THE_HOST, LAYERS / "scale.py", "channel", "initial"])
    assert list(printed(done.stdout)) == ["channel", "initial"]
    wrong = run([sys.executable, LAYERS / "scale.py", "chan"])
    assert wrong.returncode == 2 and "no section chan; there are initial, set_later, channel" in wrong.stderr


@pytest.mark.unsanitized
def test_without_a_gpu_one_line_says_so():
    done = run([sys.executable, LAYERS / "scale.py"])  # DOVETAIL_DEVICE is cpu in tests without the mark
    assert (done.returncode, done.stdout) == (77, "")
    assert done.stderr.startswith("this script needs a GPU: ") and done.stderr.count("\n") == 1


def test_every_script_is_checked():
    assert sorted(path.stem for path in LAYERS.glob("*.py")) == sorted([*EXPECTED, "frame"])
