"""Lines in the log while a build takes long."""

from __future__ import annotations

import time
from collections.abc import Callable

INTERVAL_S = 3.0  # between two lines, and before the first


class Progress:
    """Calls `log` with a line at most every few seconds; not at all in a quick build."""

    def __init__(self, log: Callable[[str], None], name: str = "", interval_s: float = INTERVAL_S) -> None:
        self._log, self._interval_s = log, interval_s
        self._subject = f"building '{name}'" if name else "building"
        self._started = self._last = time.monotonic()

    def at(self, what: str, done: int, total: int) -> None:
        """Say how far the build is: `done` of `total` layers are `what`."""
        now = time.monotonic()
        if now - self._last >= self._interval_s:
            self._last = now
            self._log(f"{self._subject}: {done} of {total} layers {what} after {now - self._started:.0f} s")


def silent() -> Progress:
    """Progress of a build without a log."""
    return Progress(lambda line: None)
