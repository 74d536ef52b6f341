"""The text of calibration caches."""

import struct

import numpy as np
import pytest

import dovetail as trt
from dovetail.machine.calibration.cache import read, written

ENTROPY_2 = trt.CalibrationAlgoType.ENTROPY_CALIBRATION_2
RANGES = {"x": 127.0, "a: b": 1.0, "(Unnamed Layer* 1) [Activation]_output_0": 3.5e-5}


@pytest.mark.parametrize("algorithm", trt.CalibrationAlgoType)
def test_what_is_written_is_read(algorithm):
    found, reason = read(written(RANGES, algorithm), algorithm)
    assert reason == "" and list(found) == list(RANGES)
    assert all(found[name] == pytest.approx(RANGES[name], rel=1e-6) for name in RANGES)


def test_a_line_is_the_name_and_the_bytes_of_a_float32_largest_first():
    lines = written({"x": 127.0}, ENTROPY_2).decode().splitlines()
    assert lines == ["TRT-8503-EntropyCalibration2", "x: 3f800000"]
    step = np.float32(5.0 / 127)
    assert written({"y": 5.0}, ENTROPY_2).decode().splitlines()[1] == f"y: {struct.pack('>f', step).hex()}"


def test_caches_of_other_versions_and_line_ends_are_read():
    found, reason = read(b"TRT-7103-EntropyCalibration2\r\nx: 3F800000\r\n\r\n", ENTROPY_2)
    assert (found, reason) == ({"x": 127.0}, "")


WRONG = {
    b"": "its first line",
    b"x: 3f800000": "its first line",
    b"\xff\xfe": "not text",
    b"TRT-8503-MinMaxCalibration\nx: 3f800000": "MinMaxCalibration, and the calibrator of EntropyCalibration2",
    b"TRT-8503-EntropyCalibration2\nx 3f800000": "line 2",
    b"TRT-8503-EntropyCalibration2\nx: 3f8000": "line 2",
    b"TRT-8503-EntropyCalibration2\nx: 3f800000\ny: 7f800000": "line 3",  # inf
    b"TRT-8503-EntropyCalibration2\nx: bf800000": "line 2",  # negative
    b"TRT-8503-EntropyCalibration2\nx: 7fc00000": "line 2",  # nan
}


@pytest.mark.parametrize("cache", WRONG, ids=range(len(WRONG)))
def test_why_a_cache_cannot_be_used(cache):
    found, reason = read(cache, ENTROPY_2)
    assert not found and WRONG[cache] in reason
