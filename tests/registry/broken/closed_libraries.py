"""Fine; its libraries are for a GPU, and for a package that is not there."""

from pathlib import Path

from dovetail.core.types import DeviceType
from dovetail.plugins import Input, Library, Output, Plugin, hookimpl


class Fifth(Plugin):
    """y = x / 5."""

    namespace = "fifth"
    x = Input()
    y = Output(like="x")


@hookimpl
def dovetail_register_ops(registry):
    registry.add_op(Fifth)


@hookimpl
def dovetail_native_libraries():
    here = Path(__file__).parent
    return [
        Library(str(here / "libgpu.so"), DeviceType.GPU),
        Library(str(here / "libdnn.so"), reason="cuDNN is not installed"),
    ]
