"""dovetail: an open, plugin-first inference runtime."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dovetail.machine.api import *

api: Any = importlib.import_module("dovetail.machine.api")  # its stub has the public names alone
__version__: str = api.__version__


def __getattr__(name: str) -> Any:
    found = api.find(name)
    if name in api._PLACES:
        globals()[name] = found
    return found


def __dir__() -> list[str]:
    names: list[str] = api.names()
    return names
