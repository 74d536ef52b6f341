"""dovetail under TensorRT's name, for scripts that say `import tensorrt`: installed as dovetail/tensorrt.py.

One line before the script's own imports lets it run on dovetail; docs/tensorrt-scripts.md has the rest:

    import sys, dovetail.tensorrt; sys.modules["tensorrt"] = dovetail.tensorrt
"""

import sys
from typing import TYPE_CHECKING

from dovetail.core.failures import go_by_tensorrts_name
from dovetail.machine import api

if TYPE_CHECKING:
    from dovetail.machine.api import *

go_by_tensorrts_name()
__version__ = "8.5.3.1"  # of the contract; dovetail's own is dovetail.__version__
_package_name = "tensorrt"
tensorrt = sys.modules[__name__]  # where the classes are in TensorRT: trt.tensorrt.ICudaEngine


def __getattr__(name):
    return api.find(name)


def __dir__():
    return api.names()
