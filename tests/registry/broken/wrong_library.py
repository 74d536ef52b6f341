"""Fine itself; of its libraries one is missing and one is no library."""

from pathlib import Path

from dovetail.plugins import Input, Output, Plugin, hookimpl


class Fourth(Plugin):
    """y = x / 4."""

    namespace = "fourth"
    x = Input()
    y = Output(like="x")


@hookimpl
def dovetail_register_ops(registry):
    registry.add_op(Fourth)


@hookimpl
def dovetail_native_libraries():
    here = Path(__file__).parent
    (here / "libtext.so").write_text("this is a text")
    return [str(here / "libmissing.so"), str(here / "libtext.so")]
