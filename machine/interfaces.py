"""Classes of TensorRT that users derive from. Some cannot be used here; setting such an object warns or raises."""

from __future__ import annotations


class IErrorRecorder:
    """Records errors; can be set as `error_recorder` of a builder, runtime, engine, context, parser or registry."""

    MAX_DESC_LENGTH = 127

    def __init__(self) -> None:
        self._errors: list[tuple[int, str]] = []

    def report_error(self, error_code: int, description: str) -> bool:
        """Record an error: its `code` (see docs/errors.md) and its text. True if it was recorded."""
        self._errors.append((int(error_code), str(description)))
        return True

    def num_errors(self) -> int:
        return len(self._errors)

    def get_error_code(self, index: int) -> int:
        return self._errors[index][0]

    def get_error_desc(self, index: int) -> str:
        return self._errors[index][1]

    def has_overflowed(self) -> bool:
        """False: no error has been dropped."""
        return False

    def clear(self) -> None:
        self._errors.clear()


class IProgressMonitor:
    """Would receive the phases of a build; `config.progress_monitor` warns that it is not called."""

    def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
        """A phase begins."""

    def step_complete(self, phase_name: str, step: int) -> bool:
        """A step of it is done; False cancels the build."""
        return True

    def phase_finish(self, phase_name: str) -> None:
        """A phase ends."""


class IGpuAllocator:
    """Would allocate device memory; `builder.gpu_allocator` and `runtime.gpu_allocator` warn that it is not used."""

    def allocate(self, size: int, alignment: int, flags: int) -> int:
        raise NotImplementedError(f"{type(self).__name__} does not have allocate")

    def reallocate(self, address: int, alignment: int, new_size: int) -> int:
        """0: the memory cannot be moved."""
        return 0

    def deallocate(self, memory: int) -> bool:
        raise NotImplementedError(f"{type(self).__name__} does not have deallocate")
