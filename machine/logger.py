"""Loggers: `ILogger` to subclass, `Logger` that writes to standard error."""

from __future__ import annotations

import sys
from enum import IntEnum


class Severity(IntEnum):
    """How grave a message is; lower is graver. Values are TensorRT's."""

    INTERNAL_ERROR = 0
    ERROR = 1
    WARNING = 2
    INFO = 3
    VERBOSE = 4


class ILogger:
    """Base of loggers: override `log(severity, msg)`. May be called from any thread."""

    Severity = Severity
    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = Severity

    def log(self, severity: Severity, msg: str) -> None:
        """Take one message. The base class drops it."""


class Logger(ILogger):
    """Writes messages at least as grave as `min_severity` to standard error."""

    def __init__(self, min_severity: Severity = Severity.WARNING) -> None:
        self.min_severity = Severity(min_severity)

    def log(self, severity: Severity, msg: str) -> None:
        if severity <= self.min_severity:
            print(f"[dovetail] {Severity(severity).name}: {msg}", file=sys.stderr)
