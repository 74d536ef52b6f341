"""Classes of TensorRT that users derive from. Some cannot be used here; setting such an object warns or raises."""

from __future__ import annotations

from dovetail.machine.enums import CalibrationAlgoType


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


class IInt8Calibrator:
    """Gives batches for calibration, which is not in this version of dovetail: `config.int8_calibrator` refuses it."""

    _algorithm = CalibrationAlgoType.ENTROPY_CALIBRATION_2

    def get_batch_size(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} does not have get_batch_size")

    def get_batch(self, names: list[str]) -> list[int] | None:
        raise NotImplementedError(f"{type(self).__name__} does not have get_batch")

    def read_calibration_cache(self) -> bytes | None:
        return None

    def write_calibration_cache(self, cache: bytes) -> None:
        """Takes the cache; the base class drops it."""

    def get_algorithm(self) -> CalibrationAlgoType:
        return self._algorithm


class IInt8EntropyCalibrator(IInt8Calibrator):
    """See `IInt8Calibrator`."""

    _algorithm = CalibrationAlgoType.ENTROPY_CALIBRATION


class IInt8EntropyCalibrator2(IInt8Calibrator):
    """See `IInt8Calibrator`."""


class IInt8MinMaxCalibrator(IInt8Calibrator):
    """See `IInt8Calibrator`."""

    _algorithm = CalibrationAlgoType.MINMAX_CALIBRATION


class IInt8LegacyCalibrator(IInt8Calibrator):
    """See `IInt8Calibrator`."""

    _algorithm = CalibrationAlgoType.LEGACY_CALIBRATION

    def get_quantile(self) -> float:
        raise NotImplementedError(f"{type(self).__name__} does not have get_quantile")

    def get_regression_cutoff(self) -> float:
        raise NotImplementedError(f"{type(self).__name__} does not have get_regression_cutoff")

    def read_histogram_cache(self, length: int) -> bytes | None:
        return None

    def write_histogram_cache(self, data: bytes) -> None:
        """Takes the cache; the base class drops it."""


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
