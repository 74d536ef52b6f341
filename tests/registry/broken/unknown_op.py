"""One good op, and an implementation of an op that nobody describes."""

from dovetail.core.contract import Implementation
from dovetail.plugins import Input, Output, Plugin, hookimpl


class Third(Plugin):
    """y = x / 3."""

    namespace = "third"
    x = Input()
    y = Output(like="x")


@hookimpl
def dovetail_register_ops(registry):
    registry.add_op(Third)
    registry.add_implementation(Implementation("acme::Twize@1", "third.fast"))
