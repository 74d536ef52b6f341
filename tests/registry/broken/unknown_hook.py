"""A hook of a name that there is not."""

from dovetail.plugins import hookimpl


@hookimpl
def dovetail_register_opps(registry):
    pass
