"""What CONTRIBUTING.md says of commands and dependencies is what the Makefile and pyproject.toml have."""

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_every_make_target_that_is_named_exists():
    targets = re.findall(r"^([\w.$()/-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    known = {target.replace("$(VENV)", ".venv") for target in targets}
    named = set(
        re.findall(r"\bmake ([a-z.][\w./-]*)", "".join(re.findall(r"`[^`]*`|^    make .*$", TEXT, re.MULTILINE)))
    )
    assert named and named <= known


@pytest.mark.skipif(sys.version_info < (3, 11), reason="tomllib came with Python 3.11")
def test_each_dependency_has_a_line():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    required = [*project["build-system"]["requires"], *project["project"]["dependencies"]]
    required += [one for extra in project["project"]["optional-dependencies"].values() for one in extra]
    names = {re.match(r"[\w-]+", one)[0].lower() for one in required}
    table = re.findall(r"^\| ([\w-]+) \| ", TEXT.partition("## Dependencies")[2], re.MULTILINE)
    assert table[:2] == ["package", "---"]
    assert sorted(table[2:]) == sorted(names)
