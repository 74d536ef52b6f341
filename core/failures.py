"""What a call does where TensorRT logs an error and returns False or None: the same, or it raises."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import wraps
from typing import Any, Protocol, TypeVar, cast

from dovetail.core.environment import switch
from dovetail.core.errors import DovetailError

VARIABLE = "DOVETAIL_RAISE_ON_ERROR"
_chosen: list[bool] = []  # what raise_on_error said last; empty: the environment decides
_names: set[str] = set()  # "tensorrt" where the package goes by that name
_last = threading.local()

Method = TypeVar("Method", bound=Callable[..., Any])


class Reports(Protocol):
    """An object that can report an error, to its log and to its error recorder."""

    def _report(self, error: DovetailError) -> None: ...


class _Restore:
    """What `raise_on_error` returns; as a context manager it restores the choice before."""

    def __init__(self, before: list[bool]) -> None:
        self._before = before

    def __enter__(self) -> _Restore:
        return self

    def __exit__(self, *_: object) -> None:
        _chosen[:] = self._before


def raise_on_error(on: bool = True) -> _Restore:
    """Raise, in this process, where TensorRT returns False or None: `trt.raise_on_error(True)`.

    `with trt.raise_on_error(True): ...` restores the choice before at the end. Without a call DOVETAIL_RAISE_ON_ERROR
    decides; without that, errors are logged and False or None is returned, but by builds, which raise unless
    dovetail.tensorrt was imported.
    """
    restore = _Restore(list(_chosen))
    _chosen[:] = [bool(on)]
    return restore


def go_by_tensorrts_name() -> None:
    """From now on builds too return None where they fail, unless something else was chosen."""
    _names.add("tensorrt")


def raises_on_error(builds: bool = False) -> bool:
    """Do calls that fail raise, or `builds`? DefinitionError if DOVETAIL_RAISE_ON_ERROR is neither yes nor no."""
    if _chosen:
        return _chosen[0]
    return switch(VARIABLE, builds and not _names)


def last_error() -> DovetailError | None:
    """The error that was reported last in this thread, instead of being raised."""
    return getattr(_last, "error", None)


def failed(owner: Reports, error: DovetailError, value: Any, builds: bool = False) -> Any:
    """Report `error`; then raise it, or return `value`. To be called where it was caught."""
    owner._report(error)
    if raises_on_error(builds):
        raise error
    _last.error = error
    return value


def returns_on_error(value: Any, builds: bool = False) -> Callable[[Method], Method]:
    """Decorate a method that, when it fails, returns `value` in TensorRT; `builds` says that it is of a builder."""

    def decorate(method: Method) -> Method:
        @wraps(method)
        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                return method(self, *args, **kwargs)
            except DovetailError as error:
                return failed(self, error, value, builds)

        return cast(Method, call)

    return decorate
