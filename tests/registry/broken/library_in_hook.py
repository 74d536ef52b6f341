"""Asks for a library in its hook, which makes the whole plugin depend on it."""

from dovetail.plugins import hookimpl


@hookimpl
def dovetail_register_ops(registry):
    registry.load_library("/nowhere/libgone.so")
