"""Checks of users' names, which must be legal in plans and readable by plugins."""

from __future__ import annotations

from typing import Any

from dovetail.core.errors import DefinitionError, DTypeError


def checked_name(what: str, name: Any) -> str:
    """The name as a str.

    Args:
        what: the subject of the error's sentence: "a network input".

    Raises:
        DTypeError: it is not a str.
        DefinitionError: it contains a NUL or a lone surrogate, which C strings in UTF-8 cannot contain.
    """
    if not isinstance(name, str):
        raise DTypeError(
            f"{what} cannot be named {name!r:.200}",
            facts=[("allowed", "a str"), ("given", type(name).__name__)],
            got=name,
        )
    text = str(name)
    if "\0" in text:
        raise DefinitionError(
            f"{what} cannot be named {text!r}: it holds a NUL",
            hint="Plugins get names as C strings, which end at a NUL. Leave it out.",
            got=name,
        )
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DefinitionError(
            f"{what} cannot be named {text!r}: it is not valid Unicode",
            facts=[(f"character {error.start}", repr(text[error.start]))],
            hint="Surrogates come from decoding bytes with errors='surrogateescape'; decode them as what they are.",
            got=name,
        ) from None
    return text
