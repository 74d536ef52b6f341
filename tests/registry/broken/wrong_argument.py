"""A hook asks for an argument that there is not."""

from dovetail.plugins import hookimpl


@hookimpl
def dovetail_register_ops(registry, colour):
    pass
