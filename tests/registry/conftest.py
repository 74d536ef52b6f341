"""A registry to fill, and libraries that nobody had to compile."""

import os
from types import SimpleNamespace

import pytest

from dovetail.core.errors import LibraryRefused
from dovetail.registry import Registry, library_files, native_tables


@pytest.fixture
def registry():
    return Registry()


@pytest.fixture
def libraries(monkeypatch):
    """Made-up libraries by path; `published` holds the ids in the process's native table."""
    made = SimpleNamespace(by_path={}, published={}, refuse_publishing="")

    def open_library(path):
        if os.fspath(path) not in made.by_path:
            raise LibraryRefused(f"{os.path.basename(path)} was not opened", facts=[("file", "there is none")])
        return made.by_path[os.fspath(path)]

    def publish(implementation, spec):
        if implementation.id == made.refuse_publishing:
            raise LibraryRefused(f"{implementation.id} is refused by the process")
        made.published[implementation.id] = implementation

    monkeypatch.setattr(library_files, "open_library", open_library)
    monkeypatch.setattr(native_tables, "bound", lambda implementation: implementation)
    monkeypatch.setattr(native_tables, "publish", publish)
    monkeypatch.setattr(native_tables, "withdraw", lambda one: made.published.pop(one.id, None))
    made.add = lambda library: made.by_path.setdefault(library.path, library)
    return made
