"""Defines an op in a namespace that belongs to another plugin."""

from dovetail.plugins import Input, Output, Plugin, hookimpl


class Thrice(Plugin):
    """y = 3 * x."""

    namespace = "acme"
    x = Input()
    y = Output(like="x")


@hookimpl
def dovetail_register_ops(registry):
    registry.add_op(Thrice)
