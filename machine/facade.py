"""dovetail: an open, plugin-first inference runtime."""

from dovetail.machine.api import *
from dovetail.machine.api import __all__, __dir__, __getattr__
