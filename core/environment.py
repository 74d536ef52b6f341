"""The installed distribution: its name and its files; and environment variables that are yes or no."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

from dovetail.core.errors import DefinitionError

DISTRIBUTION = "dovetail-runtime"  # what pip calls this package: its `dovetail` is another project

_YES, _NO = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


def switch(variable: str, default: bool) -> bool:
    """True if it is set to yes; the default if unset or empty. Raises DefinitionError if it is neither yes nor no."""
    text = os.environ.get(variable, "")
    if text.lower() not in (*_YES, *_NO, ""):
        raise DefinitionError(
            f"{variable} = {text!r} is neither yes nor no",
            facts=[("yes", ", ".join(_YES)), ("no", ", ".join(_NO)), ("unset", "yes" if default else "no")],
            hint="Set it to 1 or 0, or unset it.",
            got=text,
        )
    return text.lower() in _YES if text else default


def is_no(text: str) -> bool:
    """True if the text of a variable says no."""
    return text.lower() in _NO


def installed_file(path: str | Path) -> Path:
    """A file of this package that was built. In an editable install it is in another folder than the sources."""
    package = importlib.util.find_spec("dovetail")
    native = importlib.util.find_spec("dovetail._native")
    folders = [Path(place) for place in (package and package.submodule_search_locations) or []]
    if native is not None and native.origin:
        folders.insert(0, Path(native.origin).parent)
    places = [folder / path for folder in folders]
    return next((place for place in places if place.is_file()), places[0] if places else Path(path))
