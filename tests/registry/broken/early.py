"""Nothing is wrong here: it implements an op of a plugin that is loaded after it."""

from dovetail.core.contract import Implementation
from dovetail.plugins import hookimpl


@hookimpl
def dovetail_register_ops(registry):
    registry.add_implementation(Implementation("acme::Twice@1", "early.fast"))
