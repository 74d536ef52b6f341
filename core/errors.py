"""One exception class per error code of the C interface; the branches only group them.

    DovetailError
      DefinitionError (ValueError)         a network, field or spec is wrong
        ShapeError
        DTypeError (TypeError)
        FieldValueError
          UnknownAttribute (AttributeError)
            NotAvailable (NotImplementedError)
      BuildError (RuntimeError)            a correct network cannot be built as asked
        NoImplementation
        FormatError
        MemoryLimitError (MemoryError)
      PluginError                          a plugin is missing, wrong, or failed
        PluginNotFound (LookupError)
        PluginConflict (ValueError)
        LibraryRefused (ImportError)
        ImplementationMismatch (TypeError)
        PluginFailed (RuntimeError)
      PlanError (ValueError)               a stored plan cannot be used
        PlanVersionError
        PlanCorrupt
      ExecutionError (RuntimeError)        a run cannot be done
        ProfileError (ValueError)
        BindingError (ValueError)
        DeviceFault

The built-in in brackets is a base as well, so `except ValueError` catches a ShapeError. Every fact in a message is
also an attribute of the exception, so that messages need not be parsed. docs/errors.md explains each class.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from dovetail import _native

COLUMNS = 110  # of a text; longer facts and hints are wrapped
MOST_CHARACTERS = 2000  # of a message, a fact or a hint in a text; the attributes keep all of it
MOST_FACTS = 60


class DovetailError(Exception):
    """Base of everything that dovetail raises on purpose.

    Args:
        message: one line, "subject cannot ...", with the values.
        facts: (left, right) pairs, one per line, aligned.
        hint: what to do now, as a call, a setting or a command to type.
        attributes: become attributes of the exception.
    """

    code: ClassVar[int] = 0  # the native error code; each class gets its own below

    def __init__(
        self, message: str = "", facts: Iterable[tuple[Any, Any]] = (), hint: str = "", **attributes: Any
    ) -> None:
        super().__init__(message)
        self.message = message
        self.facts = [(str(left), str(right)) for left, right in facts]
        self.hint = hint
        for name, value in attributes.items():
            setattr(self, name, value)

    def __str__(self) -> str:
        width = min(max((len(left) for left, _ in self.facts), default=0), COLUMNS)
        lines = [_shortened(self.message)]
        for left, right in self.facts[:MOST_FACTS]:
            first, *more = _wrapped(_shortened(right), COLUMNS - width - 4) or [""]
            lines.append(f"  {left:<{width}}  {first}".rstrip())
            lines += [f"  {'':<{width}}  {line}".rstrip() for line in more]
        if len(self.facts) > MOST_FACTS:
            lines.append(f"  ... {len(self.facts) - MOST_FACTS} more lines, in the attribute `facts`")
        lines += [f"  {line}" for line in _wrapped(_shortened(self.hint), COLUMNS - 2)]
        return "\n".join(lines)


def _shortened(text: str) -> str:
    """The text without its middle if it is very long."""
    if len(text) <= MOST_CHARACTERS:
        return text
    half = MOST_CHARACTERS // 2
    return f"{text[:half]} ... {len(text) - 2 * half} more characters ... {text[-half:]}"


def _wrapped(text: str, width: int) -> list[str]:
    """Lines of at most `width`, broken at spaces; a path or a name is never broken."""
    wrap = textwrap.TextWrapper(max(width, 40), break_long_words=False, break_on_hyphens=False)
    return [part for line in text.splitlines() for part in wrap.wrap(line) or [""]]


class DefinitionError(DovetailError, ValueError):
    """A network, a field or a spec is wrong."""


class ShapeError(DefinitionError):
    """Extents do not fit together, or are asked for before they are known."""


class DTypeError(DefinitionError, TypeError):
    """A data type that is not accepted here, or a value of the wrong Python type."""


class FieldValueError(DefinitionError):
    """A field's value has the wrong type, length or range."""


class UnknownAttribute(FieldValueError, AttributeError):
    """An attribute that does not exist was set or read."""


class NotAvailable(UnknownAttribute, NotImplementedError):
    """A part of TensorRT that this version of dovetail does not have; the message says what to use instead."""


class BuildError(DovetailError, RuntimeError):
    """A correct network that cannot be built as asked."""


class NoImplementation(BuildError):
    """No implementation can run a layer under the given flags."""


class FormatError(BuildError):
    """No assignment of tensor formats satisfies all layers."""


class MemoryLimitError(BuildError, MemoryError):
    """More memory is needed than is allowed or available."""


class PluginError(DovetailError):
    """A plugin is missing, wrong, or failed."""


class PluginNotFound(PluginError, LookupError):
    """No plugin of that name, version and namespace."""


class PluginConflict(PluginError, ValueError):
    """Two plugins claim the same identity."""


class LibraryRefused(PluginError, ImportError):
    """A shared library was not opened; none of its code stays registered."""


class ImplementationMismatch(PluginError, TypeError):
    """An implementation reads a field that its op does not have, or with another type."""


class PluginFailed(PluginError, RuntimeError):
    """A plugin's own code returned an error or raised."""


class PlanError(DovetailError, ValueError):
    """A stored plan cannot be used."""


class PlanVersionError(PlanError):
    """A plan for another plan format, device or plugin version."""


class PlanCorrupt(PlanError):
    """A plan that is incomplete or damaged, or a file that is not a plan."""


class ExecutionError(DovetailError, RuntimeError):
    """A run that cannot be done."""


class ProfileError(ExecutionError, ValueError):
    """An extent outside the optimization profile."""


class BindingError(ExecutionError, ValueError):
    """A buffer is missing, or of the wrong type, size or place."""


class DeviceFault(ExecutionError):
    """The device reported an error."""


def _classes_by_code() -> dict[int, type[DovetailError]]:
    classes = {}
    for _, code, class_name in _native.CODES:
        if class_name:
            classes[code] = globals()[class_name]
            classes[code].code = code
    return classes


by_code: dict[int, type[DovetailError]] = _classes_by_code()


def from_native(
    code: int,
    message: str,
    facts: Iterable[tuple[Any, Any]] = (),
    hint: str = "",
    attributes: Mapping[str, Any] | None = None,
) -> DovetailError:
    """The exception for a native failure; the native module calls this and raises the result."""
    error = by_code.get(code, DovetailError)(message, facts, hint, **(attributes or {}))
    if code not in by_code:
        error.facts.append(("code", f"{code}, unknown to this version"))
    error.code = code  # type: ignore[misc]
    return error


if hasattr(_native, "set_error_factory"):
    _native.set_error_factory(from_native)
