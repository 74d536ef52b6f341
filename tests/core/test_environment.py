"""Switches in the environment."""

import pytest

from dovetail.core.environment import switch
from dovetail.core.errors import DefinitionError


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1", True), ("On", True), ("yes", True), ("0", False), ("FALSE", False), ("", None), (None, None)],
)
@pytest.mark.parametrize("default", [True, False])
def test_a_switch_is_on_or_off_or_its_default(monkeypatch, text, expected, default):
    monkeypatch.delenv("DOVETAIL_X", raising=False)
    if text is not None:
        monkeypatch.setenv("DOVETAIL_X", text)
    assert switch("DOVETAIL_X", default) is (default if expected is None else expected)


def test_anything_else_is_an_error(monkeypatch):
    monkeypatch.setenv("DOVETAIL_X", "maybe")
    with pytest.raises(DefinitionError, match="DOVETAIL_X = 'maybe' is neither yes nor no"):
        switch("DOVETAIL_X", True)
