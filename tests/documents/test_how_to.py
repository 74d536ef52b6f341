"""Each how-to is followed in a copy of the sources: its blocks are the files and the changes that it speaks of.

Blocks marked `run`, which work outside of the repository, are run by tests/test_examples.py.
"""

import re

import pytest
from trees import ROOT, Tree, blocks

NATIVE = (
    "CMakeLists.txt",
    "cmake",
    "include",
    "runtime",
    "plugins/cpu_library.cpp",
    "kernels/simd",
    "kernels/layout",
    "kernels/spec",
)
PYTEST = ("-m", "pytest", "-q", "-p", "no:cacheprovider")

pytestmark = [pytest.mark.slow, pytest.mark.unsanitized]  # a compiler, and an interpreter for each step


def passed(output: str) -> int:
    """How many tests passed; none failed, or the run would have."""
    return int(re.findall(r"(\d+) passed", output)[-1])


def test_a_layer(tmp_path):
    tree = Tree(tmp_path, NATIVE)
    tree.follow("adding-a-layer.md")
    tests = "tests/builtin/test_hard_swish.py"
    by_reference = passed(tree.python(*PYTEST, tests))
    assert "def add_hard_swish(self, x: ITensor, offset: Any = ...)" in tree.python(
        "-m", "dovetail", "stubs", "--built-in"
    )

    tree.build()
    shown = tree.python("-m", "dovetail", "ops", "show", "HardSwish")
    assert "linear_scalar" in shown and "offset" in shown
    assert passed(tree.python(*PYTEST, tests)) == by_reference

    tree.python(".ci/layers.py", "pages")
    page = (tree.root / "pages/hard_swish.md").read_text()
    assert "| `#cpu` | CPU | `linear`, for" in page and "network.add_hard_swish(x, offset=None)" in page


PINNED = """
import dovetail as trt
builder = trt.Builder(trt.Logger())
network, config = builder.create_network(), builder.create_builder_config()
layer = network.add_softmax(network.add_input("x", trt.float32, (3, 1000)))
layer.axes, layer.name = 1 << 1, "softmax"
network.mark_output(layer.get_output(0))
config.pin_implementation("softmax", "#online")
print(trt.build_report(builder.build_serialized_network(network, config), "softmax"))
"""


def test_an_implementation(tmp_path):
    tree = Tree(tmp_path, (*NATIVE, "plugins/softmax", "kernels/reduce"))
    tree.follow("adding-an-implementation.md")
    tree.build()
    assert "SoftMax@1#online:rows" in tree.python("-c", PINNED)
    assert passed(tree.python(*PYTEST, "tests/builtin/test_softmax.py")) > 10


def test_a_pass(tmp_path):
    tree = Tree(tmp_path)
    tree.follow("adding-a-pass.md")
    tests = [f"tests/machine/builder/test_{name}.py" for name in ("drop_copies", "pipeline")]
    assert passed(tree.python(*PYTEST, *tests)) > 5


@pytest.mark.parametrize("document", ["adding-a-layer.md", "adding-an-implementation.md", "adding-a-pass.md"])
def test_a_how_to_has_files_to_write(document):
    assert blocks(document) != []


def test_what_is_shown_of_the_board_is_its_source():
    source = (ROOT / "examples/plugins/new_device/board.cpp").read_text()
    text = (ROOT / "docs/adding-a-device.md").read_text()
    shown = re.findall(r"^```cpp\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len(shown) >= 4
    assert [piece for piece in shown if piece not in source] == []
