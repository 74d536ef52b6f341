"""Ranges of a network's tensors, from the batches of a calibrator."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dovetail.core.errors import BuildError, DovetailError
from dovetail.core.types import FLOATS, DataType, nptype
from dovetail.machine.addresses import address_of
from dovetail.machine.calibration.cache import read, written
from dovetail.machine.calibration.calibrators import IInt8Calibrator, IInt8LegacyCalibrator, algorithm_of, range_of
from dovetail.machine.calibration.histogram import Histogram

if TYPE_CHECKING:
    from dovetail.machine.context import IExecutionContext
    from dovetail.machine.tensor import ITensor

MOST_BYTES = 1 << 30  # of the tensors that one run keeps
_NO_CUTOFF = IInt8LegacyCalibrator.get_regression_cutoff
Shape = tuple[int, ...]
Runs = Callable[[Sequence["ITensor"]], "IExecutionContext"]  # a context whose outputs are these tensors, and others


def ranges_of(
    calibrator: IInt8Calibrator,
    inputs: Sequence[tuple[str, DataType, Shape]],
    tensors: Sequence[tuple[ITensor, Shape]],
    runs: Runs,
    log: Callable[[str], None],
    warn: Callable[[str], None],
) -> dict[str, float]:
    """The largest magnitude to be stored, by tensor: from the cache of the calibrator if it has one, else from batches.

    Args:
        inputs: name, type and shape of what a batch consists of.
        tensors: those to be observed, with their shapes.
        runs: builds the network, not quantised, with some of them as outputs.

    Raises:
        BuildError: a method of the calibrator fails, or it gives no batch or one that is no batch of these inputs.
    """
    algorithm = algorithm_of(calibrator)
    if getattr(type(calibrator), "get_regression_cutoff", _NO_CUTOFF) is not _NO_CUTOFF:
        warn(
            f"{type(calibrator).__name__}.get_regression_cutoff has no effect: the formula that it belongs to is not "
            "published. The range is that of get_quantile."
        )
    cache = _cache_of(calibrator)
    if cache:
        found, reason = read(cache, algorithm)
        if found:
            log(f"calibration: {len(found)} ranges from the calibrator's cache")
            return found
        warn(f"the cache of {type(calibrator).__name__} is not used, batches are: {reason or 'it has no tensors'}")
    histograms = _observed(calibrator, inputs, tensors, runs, log)
    made = {name: _range_of(calibrator, histogram) for name, histogram in histograms.items()}
    _asked(calibrator, "write_calibration_cache", written(made, algorithm))
    return made


def calibration_text(calibrator: IInt8Calibrator | None) -> str | None:
    """What a calibrator makes of a build, for the key of a plan; None if only its batches decide that."""
    if calibrator is None:
        return ""
    cache = _cache_of(calibrator)
    return f" {algorithm_of(calibrator).name} {cache.hex()}" if cache else None


def _cache_of(calibrator: IInt8Calibrator) -> bytes:
    """What the calibrator has kept; empty if it has nothing. Raises BuildError if that is not bytes."""
    cache = _asked(calibrator, "read_calibration_cache")
    if cache is None:
        return b""
    try:
        return bytes(memoryview(cache))
    except TypeError:
        raise BuildError(
            f"{type(calibrator).__name__}.read_calibration_cache returned {type(cache).__name__}, not bytes",
            hint='Read the file in binary mode, open(path, "rb").read(), and return None where there is none.',
            got=cache,
        ) from None


def _observed(
    calibrator: IInt8Calibrator,
    inputs: Sequence[tuple[str, DataType, Shape]],
    tensors: Sequence[tuple[ITensor, Shape]],
    runs: Runs,
    log: Callable[[str], None],
) -> dict[str, Histogram]:
    histograms = {tensor.name: Histogram() for tensor, _ in tensors}
    names = [name for name, _, _ in inputs]
    contexts = [runs(part) for part in _parts([one for one in tensors if one[0].name not in names])]
    n_batches = 0
    while True:
        given = _asked(calibrator, "get_batch", names)
        # An array is no answer to whether there is another batch.
        if given is None or (isinstance(given, (list, tuple)) and not given):
            break
        batch = _batch(calibrator, given, inputs)
        _count(histograms, batch)
        for context in contexts:
            _count(histograms, _run(calibrator, context, batch))
        n_batches += 1
        log(f"calibration: {n_batches} batches")
    if not n_batches:
        raise BuildError(
            f"{type(calibrator).__name__} gave no batch to calibrate with",
            facts=[("get_batch returned", repr(given))],
            hint="Let get_batch return an address or an array for each input, and None after the last batch.",
            got=given,
        )
    return histograms


def _run(calibrator: IInt8Calibrator, context: IExecutionContext, batch: dict[str, Any]) -> dict[str, Any]:
    try:
        return context.run(batch)
    except DovetailError as error:
        raise BuildError(
            f"the network cannot be calibrated with what {type(calibrator).__name__}.get_batch returned",
            facts=[(type(error).__name__, str(error))],
        ) from error


def _count(histograms: dict[str, Histogram], arrays: Mapping[str, Any]) -> None:
    for name, array in arrays.items():
        if name in histograms:
            histograms[name].add(np.asarray(array).astype(np.float32, copy=False))


def _parts(tensors: Sequence[tuple[ITensor, Shape]]) -> list[list[ITensor]]:
    """The tensors in parts that fit into memory, each of which is observed in a run of its own."""
    parts: list[list[ITensor]] = [[]]
    n_bytes = 0
    for tensor, shape in tensors:
        own = 4 * math.prod(shape)
        if parts[-1] and n_bytes + own > MOST_BYTES:
            parts.append([])
            n_bytes = 0
        parts[-1].append(tensor)
        n_bytes += own
    return parts


def _batch(calibrator: IInt8Calibrator, given: Any, inputs: Sequence[tuple[str, DataType, Shape]]) -> dict[str, Any]:
    """Arrays by input. Raises BuildError if these are not as many, or no arrays and addresses."""
    owner = f"{type(calibrator).__name__}.get_batch"
    values = list(given) if isinstance(given, (list, tuple)) else [given]
    if len(values) != len(inputs):
        raise BuildError(
            f"{owner} returned {len(values)} values for {len(inputs)} inputs",
            facts=[("inputs", ", ".join(name for name, _, _ in inputs))],
            hint="Return a list with one address, or one array, for each name that get_batch was given.",
            expected=len(inputs),
            got=len(values),
        )
    batch = {}
    for value, (name, dtype, shape) in zip(values, inputs, strict=True):
        if any(hasattr(value, one) for one in ("__array_interface__", "__array__", "__dlpack__")):
            batch[name] = value
            continue
        try:
            address = address_of(value, f"input '{name}' in the list of {owner}")
        except DovetailError as error:
            raise BuildError(f"{owner} failed", facts=[(type(error).__name__, str(error))]) from error
        if not address:
            raise BuildError(f"{owner} returned no address for input '{name}'", got=value)
        memory = memoryview((ctypes.c_byte * (math.prod(shape) * dtype.itemsize)).from_address(address))
        batch[name] = np.frombuffer(memory, nptype(dtype)).reshape(shape)
    return batch


def _range_of(calibrator: IInt8Calibrator, histogram: Histogram) -> float:
    try:
        return range_of(calibrator, histogram)
    except Exception as error:
        raise _failed(calibrator, "get_quantile", error) from error


def _asked(calibrator: IInt8Calibrator, method: str, *args: Any) -> Any:
    """What a method of the calibrator returns. Raises BuildError if it fails."""
    try:
        return getattr(calibrator, method)(*args)
    except Exception as error:
        raise _failed(calibrator, method, error) from error


def _failed(calibrator: IInt8Calibrator, method: str, error: Exception) -> BuildError:
    return BuildError(
        f"calibrator {type(calibrator).__name__} failed in {method}",
        facts=[(type(error).__name__, str(error) or "no text")],
    )


def is_observed(dtype: DataType) -> bool:
    """True for tensors of real numbers, which INT8 may stand for."""
    return dtype in FLOATS
