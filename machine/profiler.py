"""Profilers, which receive the time of each layer: `context.profiler = Profiler()`."""

from __future__ import annotations

from abc import ABC, abstractmethod

from dovetail.core.strict import Strict


class IProfiler(ABC):
    """Derive from it and set it as `context.profiler`; executions are then timed layer by layer."""

    @abstractmethod
    def report_layer_time(self, layer_name: str, ms: float) -> None:
        """Called for each layer after an execution, in order. `ms` is its time in milliseconds."""


class Profiler(IProfiler, Strict):
    """Prints one line per layer, with its time in milliseconds."""

    def report_layer_time(self, layer_name: str, ms: float) -> None:
        print(f"{layer_name}: {ms:.4f}ms")
