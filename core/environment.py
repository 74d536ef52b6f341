"""The name of the installed distribution, and environment variables that are yes or no."""

from __future__ import annotations

import os

from dovetail.core.errors import DefinitionError

DISTRIBUTION = "dovetail-runtime"  # what pip calls this package: its `dovetail` is another project

_YES, _NO = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


def switch(variable: str, default: bool) -> bool:
    """True if it is set to yes; the default if unset or empty. Raises DefinitionError if it is neither yes nor no."""
    text = os.environ.get(variable, "")
    if text.lower() not in (*_YES, *_NO, ""):
        raise DefinitionError(
            f"{variable} = {text!r} is neither yes nor no",
            facts=[("yes", ", ".join(_YES)), ("no", ", ".join(_NO)), ("unset", "yes" if default else "no")],
            hint="Set it to 1 or 0, or unset it.",
            got=text,
        )
    return text.lower() in _YES if text else default
