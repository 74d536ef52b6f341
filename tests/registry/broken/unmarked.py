"""The decorator was forgotten."""


def dovetail_register_ops(registry):
    pass
