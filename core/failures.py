"""Failures of calls for which TensorRT logs an error and returns False or None: log and return, or raise."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import wraps
from typing import Any, Protocol, TypeVar, cast

from dovetail.core.environment import switch
from dovetail.core.errors import DovetailError

VARIABLE = "DOVETAIL_RAISE_ON_ERROR"
_chosen: list[bool] = []  # argument of the last raise_on_error; empty: the environment decides
_names: set[str] = set()  # contains "tensorrt" if the package was imported under that name
_last = threading.local()

Method = TypeVar("Method", bound=Callable[..., Any])


class Reports(Protocol):
    """An object that can report an error, to its log and to its error recorder."""

    def _report(self, error: DovetailError) -> None: ...


class _Restore:
    """Returned by `raise_on_error`; as a context manager it restores the previous setting."""

    def __init__(self, before: list[bool]) -> None:
        self._before = before

    def __enter__(self) -> _Restore:
        return self

    def __exit__(self, *_: object) -> None:
        _chosen[:] = self._before


def raise_on_error(on: bool = True) -> _Restore:
    """Raise exceptions, in this process, where TensorRT returns False or None: `trt.raise_on_error(True)`.

    `with trt.raise_on_error(True): ...` restores the previous setting at the end. If it was never called, the variable
    DOVETAIL_RAISE_ON_ERROR decides. If that is unset, too, builds raise unless dovetail.tensorrt was imported; all
    other calls log the error and return False or None.
    """
    restore = _Restore(list(_chosen))
    _chosen[:] = [bool(on)]
    return restore


def go_by_tensorrts_name() -> None:
    """From now on builds, too, return None if they fail, unless raise_on_error or the environment decides otherwise."""
    _names.add("tensorrt")


def raises_on_error(builds: bool = False) -> bool:
    """True if calls that fail raise; `builds`: if builds do. DefinitionError for a wrong DOVETAIL_RAISE_ON_ERROR."""
    if _chosen:
        return _chosen[0]
    return switch(VARIABLE, builds and not _names)


def last_error() -> DovetailError | None:
    """The last error that was reported in this thread instead of being raised."""
    return getattr(_last, "error", None)


def failed(owner: Reports, error: DovetailError, value: Any, builds: bool = False) -> Any:
    """Report `error`; then raise it, or return `value`. Call it from the `except` clause."""
    owner._report(error)
    if raises_on_error(builds):
        raise error
    _last.error = error
    return value


def returns_on_error(value: Any, builds: bool = False) -> Callable[[Method], Method]:
    """Decorates a method that returns `value` in TensorRT when it fails; `builds`: it is a method of the builder."""

    def decorate(method: Method) -> Method:
        @wraps(method)
        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                return method(self, *args, **kwargs)
            except DovetailError as error:
                return failed(self, error, value, builds)

        return cast(Method, call)

    return decorate
