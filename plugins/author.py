"""Calls of an author's code, whose errors then name the plugin, the layer and the method."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, NoReturn

from dovetail.core.errors import DovetailError, PluginFailed


@contextmanager
def calling(plugin: str, layer: str, method: str) -> Iterator[None]:
    """Context manager around a call of `method`, written by the author of `plugin`.

    KeyboardInterrupt and SystemExit pass unchanged. Errors of dovetail keep their class and get a line that says where
    they come from; everything else becomes PluginFailed.

    Raises:
        PluginFailed: with the original exception as its cause.
    """
    try:
        yield
    except DovetailError as error:
        if plugin not in str(error):
            called = getattr(error, "dovetail_method", method)
            error.facts.append(("raised in", f"{called} of {_named(plugin, layer)}"))
            where = place_of(error.__traceback__)
            error.facts += [("at", where)] if where else []
        raise
    except Exception as error:
        fail(plugin, layer, method, error)


def fail(plugin: str, layer: str, method: str, error: Exception) -> NoReturn:
    """Raises PluginFailed for `error`, which the author's code raised."""
    method = vars(error).pop("dovetail_method", method)  # removed, since the exception may be raised again elsewhere
    where = place_of(error.__traceback__)
    raise PluginFailed(
        f"{plugin} failed in {method}" + (f" of layer '{layer}'" if layer else ""),
        facts=[(type(error).__name__, str(error) or "no text"), *([("raised at", where)] if where else [])],
        plugin=plugin,
        layer=layer,
        method=method,
        kind=type(error).__name__,
        reason=str(error),
    ) from error


def note_method(error: BaseException, method: str, where: str = "") -> None:
    """Note in which of the author's methods `error` was raised, for the message that the runtime makes.

    `where` the method is defined is used if the traceback has no line of the author's file.
    """
    if not hasattr(error, "dovetail_method"):
        error.dovetail_method = method  # type: ignore[attr-defined]
        error.dovetail_where = where  # type: ignore[attr-defined]


def place_of(trace: TracebackType | None) -> str:
    """ "file:line" of the innermost line in the author's file, the first file outside dovetail; "" if there is none."""
    author = ("", 0)
    while trace is not None:
        frame = trace.tb_frame
        here = frame.f_code.co_filename, trace.tb_lineno
        module = str(frame.f_globals.get("__name__", ""))
        is_ours = module.startswith("dovetail.") and not module.startswith("dovetail.plugins.builtin.")
        if (not author[0] and not is_ours) or author[0] == here[0]:
            author = here
        trace = trace.tb_next
    file, line = author
    return f"{file}:{line}" if file else ""


def shown(value: Any) -> str:
    """Describes a wrong value in messages: "None", "a tuple of 2", "an array of float32 [2, 3]"."""
    if value is None or type(value) in (bool, int, float, complex, str, bytes):
        return f"{value!r:.60}"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    kind = type(value).__name__
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return f"{'an array' if kind == 'ndarray' else f'an object of {kind},'} of {value.dtype} {list(value.shape)}"
    return f"a {kind} of {len(value)}" if isinstance(value, (tuple, list, dict)) else f"an object of {kind}"


def _named(plugin: str, layer: str) -> str:
    return f"{plugin} '{layer}'" if layer else plugin
