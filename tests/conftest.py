"""What all test suites share: the guard against a second copy of our modules."""

import sys

import pytest

BARE_NAMES = ("core", "plugins", "registry", "machine")


def pytest_addoption(parser):
    parser.addoption("--refresh-golden", action="store_true", help="rewrite the files of tests/golden")


def pytest_collection_finish(session):
    """`import core`, possible from the repository's root, would make every class a second time."""
    for name in BARE_NAMES:
        if name in sys.modules:
            where = getattr(sys.modules[name], "__file__", "no file")
            pytest.exit(f"{name} ({where}) was imported by its bare name; write dovetail.{name}", returncode=3)
