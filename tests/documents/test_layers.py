"""The reference of the layers is what their specs give, and can be read. To refresh it: make refresh."""

import importlib.util
import platform
import re
from pathlib import Path

import pytest

from dovetail.registry import default_registry

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "layers"


@pytest.fixture(scope="module")
def generator():
    spec = importlib.util.spec_from_file_location("layers", ROOT / ".ci" / "layers.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the pages have the kernels of x86-64")
def test_the_pages_are_those_of_the_specs(generator):
    made = generator.pages(default_registry())
    assert sorted(made) == sorted(path.name for path in FOLDER.iterdir()), "run: make refresh"
    for name, text in made.items():
        assert (FOLDER / name).read_text(encoding="utf-8") == text, "run: make refresh"


def test_a_page_has_what_a_reader_looks_for():
    text = (FOLDER / "softmax.md").read_text(encoding="utf-8")
    for piece in (
        "y = exp(x - max(x)) / sum(exp(x - max(x)))",
        "network.add_softmax(input)",
        "| input | `x` | `[d0, ..., dn-1]`, rank 1..8 | float32, float16, bfloat16 |",
        "| `axes` | `int64` | `0` | 0 to 255 | Which axes add up to 1",
        "ShapeError if x is a scalar",
        "`Softmax`, `LogSoftmax`",
        "| `#cpu` | CPU | `linear`, for avx2, avx512, scalar | `linear` |",
        "| `#cuda` | GPU |",
        "(../../tests/builtin/test_softmax.py)",
    ):
        assert piece in text, piece


def test_every_layer_says_what_it_is_for():
    built_in = (s for s in default_registry().specs() if default_registry().record_of(s.id).kind == "built-in")
    assert [spec.id for spec in built_in if not spec.purpose] == []


def test_no_page_shows_how_python_prints_objects():
    noise = re.compile(r"<\w+(\.\w+)*: |object at 0x|\bREQUIRED\b|DataType\(|dtype\(|<class |``(?!`)")
    found = [
        f"{path.name}: {line}"
        for path in sorted(FOLDER.iterdir())
        for line in path.read_text(encoding="utf-8").splitlines()
        if noise.search(line) and not line.startswith("```")
    ]
    assert found == []


def test_implementations_for_gpus_are_found_in_the_sources(generator):
    """The same search finds exactly the implementations for the CPU that the registry has."""
    found = generator.implemented()
    registered = {
        (spec.id, one.name, "CPU")
        for spec in default_registry().specs()
        for one in default_registry().implementations_of(spec.id)
        if Path(one.library).stem == "libdovetail_cpu"
    }
    assert {one for one in found if one[2] == "CPU"} == registered
    assert len(found) > len(registered)
