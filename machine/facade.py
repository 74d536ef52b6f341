"""dovetail: an open, plugin-first inference runtime."""

from typing import TYPE_CHECKING

from dovetail.machine import api

if TYPE_CHECKING:
    from dovetail.machine.api import *

__version__ = api.__version__


def __getattr__(name):
    found = api.find(name)
    if name in api._PLACES:
        globals()[name] = found
    return found


def __dir__():
    return api.names()
