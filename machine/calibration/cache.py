"""The text that calibration is stored as: a line with the algorithm, then `tensor: scale` with a float32 in hex."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Mapping

from dovetail.machine.enums import CalibrationAlgoType

_NAMES = {
    CalibrationAlgoType.LEGACY_CALIBRATION: "LegacyCalibration",
    CalibrationAlgoType.ENTROPY_CALIBRATION: "EntropyCalibration",
    CalibrationAlgoType.ENTROPY_CALIBRATION_2: "EntropyCalibration2",
    CalibrationAlgoType.MINMAX_CALIBRATION: "MinMaxCalibration",
}
_HEADER = re.compile(r"TRT-\d+-(\w+)")
_LINE = re.compile(r"(.+): ([0-9a-fA-F]{8})")
STEPS = 127  # of a range, in INT8


def written(ranges: Mapping[str, float], algorithm: CalibrationAlgoType) -> bytes:
    """The cache of these ranges, the largest magnitude by tensor."""
    lines = [f"TRT-8503-{_NAMES[algorithm]}"]
    lines += [f"{name}: {struct.pack('>f', range_ / STEPS).hex()}" for name, range_ in ranges.items()]
    return "\n".join([*lines, ""]).encode()


def read(cache: bytes, algorithm: CalibrationAlgoType) -> tuple[dict[str, float], str]:
    """Ranges by tensor; or none, and why the cache cannot be used."""
    try:
        lines = bytes(cache).decode().splitlines()
    except UnicodeDecodeError:
        return {}, "it is not text"
    header = _HEADER.fullmatch(lines[0].strip()) if lines else None
    if header is None:
        return {}, f"its first line is not 'TRT-<version>-{_NAMES[algorithm]}'"
    if header[1] != _NAMES[algorithm]:
        return {}, f"it is of {header[1]}, and the calibrator of {_NAMES[algorithm]}"
    ranges = {}
    for number, line in enumerate(lines[1:], 2):
        if not line.strip():
            continue
        found = _LINE.fullmatch(line.strip())
        scale = struct.unpack(">f", bytes.fromhex(found[2]))[0] if found else math.nan
        if found is None or not 0 <= scale < math.inf:
            return {}, f"line {number} is not 'tensor: scale', a positive float32 in hex: {line[:60]!r}"
        ranges[found[1]] = scale * STEPS
    return ranges, ""
