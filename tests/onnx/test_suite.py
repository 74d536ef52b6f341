"""The test-suite of the package onnx: what does not pass is in `not_passing.txt`, with the reason, and nothing else."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

onnx = pytest.importorskip("onnx")

HERE = Path(__file__).parent
GROUPS = ("node", "simple", "pytorch-operator", "pytorch-converted", "light")


def read_list():
    """(version of onnx that the list was made with, ["group/case", ...])."""
    lines = [line.strip() for line in (HERE / "not_passing.txt").read_text().splitlines()]
    (version,) = (line.removeprefix("onnx ") for line in lines if line.startswith("onnx "))
    return version, [line for line in lines if line and not line.startswith(("#", "onnx "))]


VERSION, LISTED = read_list()


@pytest.mark.skipif(onnx.__version__ != VERSION, reason=f"the list is that of onnx {VERSION}, not {onnx.__version__}")
@pytest.mark.parametrize("group", GROUPS)
def test_the_list_is_right_in_both_directions(group):
    command = [sys.executable, str(HERE / "suite.py"), "--json", group]
    done = subprocess.run(command, env=os.environ | {"DOVETAIL_DEVICE": "cpu"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    outcomes = {f"{group}/{name}": reason for _, name, reason in json.loads(done.stdout)}
    failing = {name for name, reason in outcomes.items() if reason}
    listed = {name for name in LISTED if name.startswith(f"{group}/")}
    unlisted = [f"{name}: {outcomes[name]}" for name in sorted(failing - listed)]
    assert not unlisted, "\n".join(["these fail and are not in not_passing.txt:", *unlisted])
    passing = sorted(listed - failing)
    assert not passing, f"these pass, or are no cases; take them out of not_passing.txt: {', '.join(passing)}"


def test_no_case_is_listed_twice():
    assert len(LISTED) == len(set(LISTED))
