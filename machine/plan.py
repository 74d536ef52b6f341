"""The plan: one safetensors file with the weights as tensors and everything else as JSON in its metadata."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from dovetail import _native
from dovetail.core.errors import PlanCorrupt
from dovetail.machine.report import report_text

VERSION = (1, 0)
ALIGNMENT = 64  # bytes, of every tensor in the file
_CHECKSUM_DIGITS = 16


class IHostMemory(_native.HostMemory):
    """A serialised plan in memory: `file.write(plan)`, `bytes(plan)`, `len(plan)` and `plan.save(path)`.

    It has the buffer protocol and is aligned, so that an engine uses it where it lies.
    """

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(np.uint8)

    def __getitem__(self, index: Any) -> Any:
        return memoryview(self)[index]

    def save(self, path: str | Path) -> None:
        """Write the plan to a file."""
        Path(path).write_bytes(self)

    def __str__(self) -> str:
        return report_text(read_plan(self))


def write_plan(document: dict[str, Any], constants: list[bytes]) -> IHostMemory:
    """The file's bytes: each constant padded to 64 bytes and 64-byte aligned, under a checksum of the whole."""
    names = [f"constant.{index:06d}" for index in range(len(constants))]
    document = {
        "version": list(VERSION),
        **document,
        "constants": [{"name": name, "bytes": len(data)} for name, data in zip(names, constants, strict=True)],
    }
    tensors = {name: _padded(data) for name, data in zip(names, constants, strict=True)}
    blank = "0" * _CHECKSUM_DIGITS
    metadata = {"format": "dovetail.plan", "checksum": blank, "plan": json.dumps(document, separators=(",", ":"))}
    data = _aligned_header(save(tensors, metadata))
    marker = f'"checksum":"{blank}"'.encode()
    at = data.index(marker) + len(b'"checksum":"')
    digits = _native.checksum(data).encode()
    return IHostMemory(data[:at] + digits + data[at + _CHECKSUM_DIGITS :])


def _padded(data: bytes) -> np.ndarray:
    return np.frombuffer(data + bytes(-len(data) % ALIGNMENT), dtype=np.uint8)


def _aligned_header(data: bytes) -> bytes:
    """Lengthen the header with spaces, which the container allows, until the tensors start at a multiple of 64."""
    (length,) = struct.unpack_from("<Q", data)
    padding = -(8 + length) % ALIGNMENT
    return struct.pack("<Q", length + padding) + data[8 : 8 + length] + b" " * padding + data[8 + length :]


def read_plan(plan: Any) -> dict[str, Any]:
    """The plan's JSON document, for people and tools. An engine reads the file by itself and checks much more.

    Raises:
        PlanCorrupt: not a plan, or damaged in its header.
    """
    view = memoryview(Path(plan).read_bytes() if isinstance(plan, (str, Path)) else plan)
    try:
        (length,) = struct.unpack_from("<Q", view)
        header = json.loads(bytes(view[8 : 8 + length]))
        document = json.loads(header["__metadata__"]["plan"])
    except (struct.error, ValueError, KeyError, TypeError) as error:
        raise PlanCorrupt("this is not a dovetail plan", facts=[("reading its header", str(error))]) from None
    return document
