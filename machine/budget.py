"""Limits on the work of importing a network and of folding its constants."""

from __future__ import annotations

import time
from dataclasses import dataclass

from dovetail.core.errors import BuildError, FieldValueError


@dataclass(frozen=True)
class Budget:
    """Limits of one import, or of the constant folding of one build.

    bytes    that results take beyond the constants they are computed from: a transposed weight is free, a filled or
             repeated one is not
    layers   added by an import, or folded by a build
    seconds  of wall-clock time

    Raises:
        FieldValueError: a negative limit, or not a number.
    """

    bytes: int = 256 << 20
    layers: int = 200_000
    seconds: float = 60.0

    def __post_init__(self) -> None:
        for name in ("bytes", "layers", "seconds"):
            limit = getattr(self, name)
            if isinstance(limit, bool) or not isinstance(limit, (int, float)) or not limit >= 0:
                raise FieldValueError(f"a budget cannot have {name} = {limit!r}", hint="Give a number, 0 or more.")

    def meter(self, setting: str) -> Meter:
        """A meter that starts now. `setting` names the budget in messages, such as config.folding_budget."""
        return Meter(self, setting)


class Meter:
    """Measures how much of a budget has been used."""

    def __init__(self, budget: Budget, setting: str) -> None:
        self.budget, self.setting = budget, setting
        self.bytes = self.layers = 0
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since the meter was made."""
        return time.monotonic() - self._started

    def refusal(self, bytes: int = 0, layers: int = 0) -> str:
        """Why this amount cannot be used, with amount and limit; "" if it can. Does not count it."""
        if self.bytes + bytes > self.budget.bytes:
            return f"{self._total('bytes', bytes)} {self.setting}.bytes = {self.budget.bytes}"
        if self.layers + layers > self.budget.layers:
            return f"{self._total('layers', layers)} {self.setting}.layers = {self.budget.layers}"
        if self.seconds > self.budget.seconds:
            return f"it took {self.seconds:.1f} s, more than {self.setting}.seconds = {self.budget.seconds:g}"
        return ""

    def _total(self, name: str, more: int) -> str:
        used = getattr(self, name)
        return f"it needs {more} {name}{f' after {used} used before' if used else ''}, more than"

    def use(self, what: str, bytes: int = 0, layers: int = 0) -> None:
        """Count an amount before it is used.

        Raises:
            BuildError: it exceeds the rest of the budget; `what` is the subject of the message. Nothing is counted.
        """
        reason = self.refusal(bytes, layers)
        if reason:
            hint = f"Raise the limit: {self.setting} = Budget(bytes=..., layers=..., seconds=...)."
            raise BuildError(f"{what} exceeds the budget: {reason}", hint=hint, budget=self.budget)
        self.count(bytes, layers)

    def count(self, bytes: int = 0, layers: int = 0) -> None:
        """Count an amount that has been used, whether or not the budget allowed it."""
        self.bytes += bytes
        self.layers += layers
