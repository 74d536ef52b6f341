"""Fails in the middle of offering ops."""

from dovetail.plugins import Input, Output, Plugin, hookimpl


class Half(Plugin):
    """y = x / 2."""

    namespace = "raises"
    x = Input()
    y = Output(like="x")


@hookimpl
def dovetail_register_ops(registry):
    registry.add_op(Half)
    raise ZeroDivisionError("half of the ops were offered")
