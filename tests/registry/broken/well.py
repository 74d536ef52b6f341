"""Nothing is wrong here: an op, and somebody else's op implemented under a name of its own."""

from dovetail.plugins import Input, Output, Plugin, hookimpl


class Twice(Plugin):
    """y = 2 * x."""

    namespace = "acme"
    x = Input()
    y = Output(like="x")

    def reference(self, x):
        return 2 * x


@hookimpl
def dovetail_register_ops(registry):
    registry.add_op(Twice)


@hookimpl
def dovetail_report_header():
    return ["acme is well"]
