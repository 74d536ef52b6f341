"""Loggers: `ILogger` to subclass, `Logger` that writes to standard error."""

from __future__ import annotations

import sys
from typing import Any

from dovetail.core.errors import DovetailError, DTypeError
from dovetail.core.named import Named
from dovetail.core.strict import Strict


class Severity(Named):
    """Severity of a message; lower is more severe. Values are TensorRT's."""

    INTERNAL_ERROR = 0
    ERROR = 1
    WARNING = 2
    INFO = 3
    VERBOSE = 4


Severity.__qualname__ = "Logger.Severity"  # where users find it


class ILogger(Strict):
    """Base of loggers: override `log(severity, msg)`. May be called from any thread."""

    Severity = Severity
    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = Severity

    def log(self, severity: Severity, msg: str) -> None:
        """Take one message. The base class drops it."""


class Logger(ILogger):
    """Writes messages that are at least as severe as `min_severity` to standard error."""

    _min_severity = Severity.WARNING

    def __init__(self, min_severity: Severity = Severity.WARNING) -> None:
        self.min_severity = min_severity

    @property
    def min_severity(self) -> Severity:
        return self._min_severity

    @min_severity.setter
    def min_severity(self, severity: Severity) -> None:
        self._min_severity = Severity(severity)

    def log(self, severity: Severity, msg: str) -> None:
        if severity <= self._min_severity:
            print(f"[dovetail] {Severity(severity).name}: {msg}", file=sys.stderr)


def checked(logger: Any) -> Any:
    """`logger`, if it can log. Raises DTypeError."""
    if not callable(getattr(logger, "log", None)):
        raise DTypeError(
            f"a {type(logger).__name__} cannot be a logger",
            hint="Pass trt.Logger(), or an object of a class derived from trt.ILogger that has log(severity, msg).",
            got=logger,
        )
    return logger


# Users' objects that are called later, and the methods called: an object without them is refused when it is set.
_CALLED = {"error_recorder": "report_error", "profiler": "report_layer_time"}


class Reporting(Strict):
    """An object with a logger and TensorRT's `error_recorder`, whose `report_error(code, text)` gets every error."""

    logger: ILogger
    error_recorder: Any = None

    def __setattr__(self, name: str, value: Any) -> None:
        method = _CALLED.get(name)
        if method is not None and value is not None and not callable(getattr(value, method, None)):
            raise DTypeError(
                f"a {type(value).__name__} cannot be the {name} of {type(self).__name__}",
                facts=[("lacks", f"the method {method}")],
                hint=f"Pass None, or an object of a class derived from trt.I{name.title().replace('_', '')}.",
                got=value,
            )
        super().__setattr__(name, value)

    def _report(self, error: DovetailError) -> None:
        text = f"{type(error).__name__}: {error}"
        self.logger.log(Severity.ERROR, text)
        if self.error_recorder is not None:
            self.error_recorder.report_error(error.code, text)

    def _warn(self, text: str) -> None:
        self.logger.log(Severity.WARNING, text)
