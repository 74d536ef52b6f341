"""Rows that call oneDNN, for layers that another plugin owns: a library of implementations, opened where oneDNN is.

The library looks for libdnnl.so.3 when one of its rows is first asked whether it fits, as csrc/onednn/api.cpp says.
"""

import os
from pathlib import Path

from dovetail.core.contract import Library
from dovetail.core.environment import installed_file, is_no
from dovetail.core.types import DeviceType
from dovetail.plugins import hookimpl

VARIABLE = "DOVETAIL_ONEDNN"  # a path of the library, a name for the loader to find, or no
PACKAGE = "onednn-cpu-gomp"
LIBRARY = Path("lib", "libdovetail_onednn.so")
FILE = "libdnnl.so.3"


@hookimpl
def dovetail_native_libraries() -> list[Library]:
    """The library of rows, with the reason where it stays closed."""
    path = installed_file(LIBRARY)
    return [Library(str(path), DeviceType.CPU, _closed_because(path))]


def _closed_because(library: Path) -> str:
    given = os.environ.get(VARIABLE, "")
    if is_no(given):
        return f"{VARIABLE}={given}"
    if given or beside(library).is_file():
        return ""
    return f"oneDNN is not installed (pip install {PACKAGE}, or {VARIABLE}=<path of {FILE}>)"


def beside(library: Path) -> Path:
    """Where packages put the file: in <environment>/lib, if the library is in <environment>/lib/python3.x/..."""
    return library.parents[4] / FILE if len(library.parents) > 4 else Path(FILE)
