"""Runs what the documents show: fenced blocks marked `run` of README.md, docs/ and the READMEs of examples/.

A block opened by ```sh run or ```python run is executed; those of one document run in order, in a folder
with a copy of examples/ away from the repository, so that only installed files of dovetail can be used. A block marked
`run gpu` is executed where there is a GPU, and one marked `run nvcc` where there is that compiler; what such a block
lacks otherwise, torch say, it tells by the exit status 77.
"""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted(EXAMPLES.rglob("README.md"))]
BLOCK = re.compile(r"^```(sh|bash|python) run(?: (gpu|nvcc))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CANNOT_RUN_HERE = 77
SOURCES = {".py", ".c", ".cpp", ".hpp", ".cu"}


def blocks(document: Path, needs: str = "") -> list[tuple[str, str]]:
    """(language, text) of the blocks that need this."""
    found = BLOCK.findall(document.read_text(encoding="utf-8"))
    return [(language, text) for language, need, text in found if need == needs]


def with_blocks(needs: str = "") -> list:
    """The documents that have such blocks, as parameters of a test."""
    return [pytest.param(path, id=names([path])[0]) for path in DOCUMENTS if blocks(path, needs)]


def names(paths) -> list[str]:
    return [path.relative_to(ROOT).as_posix() for path in paths]


def environment(folder: Path) -> dict[str, str]:
    """This interpreter first on the path; what a block installs goes into the folder, and is found there."""
    site = folder / "site-packages"
    return os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")])),
        "PIP_TARGET": str(site),
        "PIP_UPGRADE": "1",
        "PIP_QUIET": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }


@pytest.mark.unsanitized
@pytest.mark.slow
@pytest.mark.parametrize("document", with_blocks())
def test_the_blocks_of_a_document_run(document, tmp_path):
    run_blocks(document, "", tmp_path)


@pytest.mark.gpu
@pytest.mark.unsanitized
@pytest.mark.slow
@pytest.mark.parametrize("document", with_blocks("gpu"))
def test_the_blocks_for_a_gpu_run(document, tmp_path):
    run_blocks(document, "gpu", tmp_path)


@pytest.mark.unsanitized
@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("nvcc"), reason="no nvcc on this machine")
@pytest.mark.parametrize("document", with_blocks("nvcc"))
def test_the_blocks_for_nvcc_run(document, tmp_path):
    run_blocks(document, "nvcc", tmp_path)


def run_blocks(document, needs, folder):
    ignore = shutil.ignore_patterns("__pycache__", "build", "*.so", "*.plan", "*.egg-info")
    shutil.copytree(EXAMPLES, folder / "examples", ignore=ignore)
    for number, (language, text) in enumerate(blocks(document, needs), 1):
        script = folder / f"block_{number}.{language}"
        script.write_text(text, encoding="utf-8")
        command = [sys.executable, script] if language == "python" else ["bash", "-eu", script]
        done = subprocess.run(command, cwd=folder, env=environment(folder), capture_output=True, text=True)
        if needs and done.returncode == CANNOT_RUN_HERE:
            pytest.skip(done.stderr.strip())
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"


def test_every_example_has_a_readme_that_runs_it():
    readmes = {path.parent for path in EXAMPLES.rglob("README.md") if BLOCK.search(path.read_text(encoding="utf-8"))}
    sources = [path for path in sorted(EXAMPLES.rglob("*")) if path.suffix in SOURCES]
    assert names(path for path in sources if not readmes & set(path.parents)) == []


def test_the_front_page_is_run():
    assert {language for language, _ in blocks(ROOT / "README.md")} == {"sh", "python"}


def module(path: Path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def windows(x: np.ndarray, size: int) -> np.ndarray:
    """[C, H, W, size, size]: what a kernel sees at each place, zeros outside."""
    low, high = (size - 1) // 2, size // 2
    padded = np.pad(x, ((0, 0), (low, high), (low, high)))
    return np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(1, 2))


@pytest.mark.unsanitized
def test_the_poster_is_what_numpy_makes(tmp_path):
    example = module(EXAMPLES / "image_pipeline" / "run.py")
    source, target = EXAMPLES / "image_pipeline" / "picture.png", tmp_path / "result.png"
    command = [sys.executable, example.__file__, source, "--out", target]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "acme::Posterize@1#cpu" in done.stdout and "reformats inserted" in done.stdout

    picture = example.read_picture(source)
    x = example.to_network(picture)[0] / 255
    low = np.einsum("chwij,ij->chw", windows(x, 5)[:, ::2, ::2], np.outer(*[example.BINOMIAL] * 2))
    poster = np.floor(np.clip(low, 0, 1) * (example.LEVELS - 1) + 0.5) / (example.LEVELS - 1)
    spread = np.zeros_like(x)
    spread[:, ::2, ::2] = poster
    paint = np.einsum("chwij,ij->chw", windows(spread, 5)[..., :4, :4], np.outer(*[example.TENT] * 2))
    edges = np.maximum(np.einsum("chwij,kcij->khw", windows(x, 5), example.slopes()) - example.GRAIN, 0)
    expected = np.clip(255 * (paint - example.INK * edges.sum(0)), 0, 255)[None]
    expected = example.from_network(expected, *picture.shape[:2]).astype(int)
    off = np.abs(example.read_picture(target).astype(int) - expected)
    # a value within rounding of the middle between two levels may go to either of them
    assert np.mean(off > 1) < 1e-3


@pytest.mark.unsanitized
@pytest.mark.parametrize(("script", "needs"), [("abi_call.py", []), ("overhead.py", ["onnx", "onnxruntime"])])
def test_a_benchmark_runs(script, needs, tmp_path):
    for name in needs:
        pytest.importorskip(name)
    options = ["--rounds", "2"] if script == "overhead.py" else []
    command = [sys.executable, ROOT / "benchmarks" / script, *options, "--json", tmp_path / "figures.json"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "figures.json").read_text())
