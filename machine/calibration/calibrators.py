"""The calibrators that users derive from."""

from __future__ import annotations

from typing import Any

from dovetail.core.errors import DTypeError
from dovetail.core.named import member_of
from dovetail.machine.calibration.histogram import Histogram, by_entropy, by_largest, by_quantile
from dovetail.machine.enums import CalibrationAlgoType


class IInt8Calibrator:
    """Gives a build with `BuilderFlag.INT8` the batches that it observes a float network on.

    Derive from one of the classes below, which decide how a tensor's range follows from what it held:
    `IInt8EntropyCalibrator2` and `IInt8EntropyCalibrator` cut off what costs least information, `IInt8MinMaxCalibrator`
    takes the largest magnitude, `IInt8LegacyCalibrator` a quantile. real = stored * range / 127.
    """

    _algorithm = CalibrationAlgoType.ENTROPY_CALIBRATION_2

    def get_batch_size(self) -> int:
        """How many samples a batch has; 1 if it is not overridden. Batches have the shapes of the network's inputs, or
        of `opt` in the calibration profile."""
        return 1

    def get_batch(self, names: list[str]) -> list[Any] | None:
        """The next batch: for each of the inputs named an address, or an array; None or [] if there are no more.

        Addresses are in host memory.
        """
        raise NotImplementedError(f"{type(self).__name__} does not have get_batch")

    def read_calibration_cache(self) -> bytes | None:
        """What `write_calibration_cache` was given once: then no batches are asked for. None: there is none."""
        return None

    def write_calibration_cache(self, cache: bytes) -> None:
        """Takes the result of a calibration, to be stored; the base class drops it."""

    def get_algorithm(self) -> CalibrationAlgoType:
        """How ranges follow from histograms; a class derived from this one may choose by overriding it."""
        return self._algorithm


class IInt8EntropyCalibrator(IInt8Calibrator):
    """See `IInt8Calibrator`. Observes before layers are fused, as `IInt8EntropyCalibrator2` does."""

    _algorithm = CalibrationAlgoType.ENTROPY_CALIBRATION


class IInt8EntropyCalibrator2(IInt8Calibrator):
    """See `IInt8Calibrator`."""


class IInt8MinMaxCalibrator(IInt8Calibrator):
    """See `IInt8Calibrator`."""

    _algorithm = CalibrationAlgoType.MINMAX_CALIBRATION


class IInt8LegacyCalibrator(IInt8Calibrator):
    """See `IInt8Calibrator`. TensorRT's formula is not published: the range is that of `get_quantile`, a share of the
    elements; `get_regression_cutoff` and histogram caches are not asked for."""

    _algorithm = CalibrationAlgoType.LEGACY_CALIBRATION

    def get_quantile(self) -> float:
        raise NotImplementedError(f"{type(self).__name__} does not have get_quantile")

    def get_regression_cutoff(self) -> float:
        raise NotImplementedError(f"{type(self).__name__} does not have get_regression_cutoff")

    def read_histogram_cache(self, length: int) -> bytes | None:
        return None

    def write_histogram_cache(self, data: bytes) -> None:
        """Takes the cache; the base class drops it."""


def range_of(calibrator: IInt8Calibrator, histogram: Histogram) -> float:
    """The largest magnitude that is stored without being cut off, by the calibrator's algorithm."""
    algorithm = algorithm_of(calibrator)
    if algorithm == CalibrationAlgoType.LEGACY_CALIBRATION:
        return by_quantile(histogram, float(calibrator.get_quantile()))  # type: ignore[attr-defined]
    return (by_largest if algorithm == CalibrationAlgoType.MINMAX_CALIBRATION else by_entropy)(histogram)


def algorithm_of(calibrator: IInt8Calibrator) -> CalibrationAlgoType:
    """What `get_algorithm` says, which a class may override. Raises an error of its type or value."""
    what = f"the algorithm of {type(calibrator).__name__}"
    return member_of(CalibrationAlgoType, calibrator.get_algorithm(), what)


def a_calibrator(what: str, calibrator: Any) -> IInt8Calibrator | None:
    """A calibrator, or None. Raises DTypeError for anything else."""
    if calibrator is None or isinstance(calibrator, IInt8Calibrator):
        return calibrator
    raise DTypeError(
        f"{what} takes a calibrator, got {type(calibrator).__name__}",
        hint="Derive its class from trt.IInt8EntropyCalibrator2, and pass an object of it.",
        got=calibrator,
    )
