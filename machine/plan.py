"""The plan: one safetensors file with the weights as tensors and everything else as JSON in its metadata."""

from __future__ import annotations

import json
import os
import stat
import struct
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dovetail import _native
from dovetail.core.errors import DTypeError, PlanCorrupt
from dovetail.core.strict import Strict
from dovetail.machine.report import report_json, report_text, with_report

VERSION = (2, 1)  # 2.1: steps may own blocks
ALIGNMENT = 64  # bytes, of every tensor in the file
_CHECKSUM_DIGITS = 16


class IHostMemory(_native.HostMemory, Strict):
    """A serialised plan in memory: `file.write(plan)`, `bytes(plan)`, `len(plan)` and `plan.save(path)`.

    It has the buffer protocol and is aligned, so that an engine uses it in place.
    """

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(np.uint8)

    def __getitem__(self, index: Any) -> Any:
        return memoryview(self)[index]

    def save(self, path: str | Path) -> None:
        """Write the plan to a file atomically: the file has either the old contents or the complete new ones.

        A new file is written and then renamed, so that engines which have mapped the old file keep running on it.
        """
        replace_file(path, self)

    def __str__(self) -> str:
        return report_text(read_plan(self))


REPORT = "report"  # the tensor of the file that holds the build report, as JSON


def replace_file(path: str | Path, data: Any) -> None:
    """Write a file next to `path`, with the same permissions, and rename it to `path`.

    If `path` is not a regular file, such as /dev/stdout, it is written to directly.
    """
    target = Path(os.path.realpath(path))
    known = target.stat() if target.exists() else None
    if known is not None and not stat.S_ISREG(known.st_mode):
        target.write_bytes(data)
        return
    handle, beside = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with open(handle, "wb") as file:
            file.write(data)
            os.fchmod(file.fileno(), stat.S_IMODE(known.st_mode) if known else 0o666 & ~_umask())
        os.replace(beside, target)
    except BaseException:
        os.unlink(beside)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def read_file(path: str | Path, n_bytes: int = -1) -> bytes:
    """The contents of a regular file, or its first bytes.

    Raises:
        PlanCorrupt: it is a directory, a FIFO or a device. OSError: it cannot be read.
    """
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise PlanCorrupt(f"'{path}' is not a regular file")
        return file.read(n_bytes)


@dataclass(frozen=True)
class PackedAtLoad:
    """A constant that is not in the file: a step packs it when the plan is loaded."""

    step: int
    n_bytes: int


def write_plan(document: dict[str, Any], constants: Sequence[Any]) -> IHostMemory:
    """The file: a header, each constant padded and aligned to 64 bytes, and a checksum of the whole.

    `constants` are bytes-like, or PackedAtLoad.

    `document["report"]` is stored after the constants, so that only its own limit applies to it.
    """
    report = report_json(document.get("report", {}))
    listed: list[dict[str, Any]] = []
    blobs: list[tuple[str, Any]] = []
    for index, data in enumerate(constants):
        if isinstance(data, PackedAtLoad):
            listed.append({"step": data.step, "bytes": data.n_bytes})
            continue
        blobs.append((f"constant.{index:06d}", data))
        listed.append({"name": blobs[-1][0], "bytes": len(data)})
    document = {
        "version": list(VERSION),
        **{key: value for key, value in document.items() if key != "report"},
        "constants": listed,
    }
    blobs.append((REPORT, report + b" " * (-len(report) % ALIGNMENT)))
    header = _header(document, [(name, len(data)) for name, data in blobs])
    parts = [header]
    for _, data in blobs:
        parts += [data, bytes(-len(data) % ALIGNMENT)]
    return IHostMemory(parts, header.index(_BLANK) + len(_BLANK) - _CHECKSUM_DIGITS - 1)


_BLANK = b'"checksum":"' + b"0" * _CHECKSUM_DIGITS + b'"'


def _header(document: dict[str, Any], blobs: list[tuple[str, int]]) -> bytes:
    """The header of a safetensors file, padded with spaces so that the data start at a multiple of 64."""
    text = json.dumps(document, separators=(",", ":"))
    metadata = {"format": "dovetail.plan", "checksum": "0" * _CHECKSUM_DIGITS, "plan": text}
    entries: dict[str, Any] = {"__metadata__": metadata}
    at = 0
    for name, size in blobs:
        end = at + size + -size % ALIGNMENT
        entries[name] = {"dtype": "U8", "shape": [end - at], "data_offsets": [at, end]}
        at = end
    header = json.dumps(entries, separators=(",", ":")).encode()
    header += b" " * (-(8 + len(header)) % ALIGNMENT)
    return struct.pack("<Q", len(header)) + header


def check_is_plan(plan: Any) -> None:
    """Raises DTypeError if it is not the path of a file and does not have the buffer protocol."""
    if isinstance(plan, (str, os.PathLike)):
        return
    try:
        view = memoryview(plan)
    except TypeError:
        raise DTypeError(
            f"a plan cannot be {plan!r:.200}",
            facts=[("allowed", "bytes, what build_serialized_network returned, or the path of a file")],
            hint="Pass what builder.build_serialized_network returned, or open(path, 'rb').read().",
            got=plan,
        ) from None
    if not view.c_contiguous:
        raise DTypeError(
            "the bytes of a plan have gaps between them", hint="Pass bytes(plan), which is a copy without.", got=plan
        )


def check_is_whole(plan: Any) -> None:
    """Raise PlanCorrupt if a plan that `read_plan` can read is not what its checksum was made of."""
    data = bytearray(read_file(plan) if isinstance(plan, (str, Path)) else plan)
    at = data.find(_BLANK[: -_CHECKSUM_DIGITS - 1]) + len(_BLANK) - _CHECKSUM_DIGITS - 1
    found = bytes(data[at : at + _CHECKSUM_DIGITS])
    data[at : at + _CHECKSUM_DIGITS] = b"0" * _CHECKSUM_DIGITS
    wanted = _native.checksum(data)
    if found != wanted.encode():
        raise PlanCorrupt(
            "this plan is damaged, and no engine loads it",
            facts=[("its checksum", found.decode("latin-1")), ("that of its bytes", wanted)],
            hint="Build it again, or take another copy.",
        )


def read_plan(plan: Any) -> dict[str, Any]:
    """The plan's JSON document, for people and tools, with the build report as `report`.

    Its checksum is not looked at: `check_is_whole`. An engine reads the file by itself and checks much more.

    Raises:
        PlanCorrupt: not a plan, or damaged in its header.
        DTypeError: neither bytes nor a path.
    """
    check_is_plan(plan)
    view = memoryview(read_file(plan) if isinstance(plan, (str, Path)) else plan)
    _native.refuse_foreign(view[:16])
    try:
        (length,) = struct.unpack_from("<Q", view)
        header = json.loads(bytes(view[8 : 8 + length]))
        document = json.loads(header["__metadata__"]["plan"])
        begin, end = header[REPORT]["data_offsets"] if REPORT in header else (0, 0)
        report = bytes(view[8 + length + begin : 8 + length + end])
        return with_report(document, report)
    except (struct.error, ValueError, KeyError, TypeError, RecursionError) as error:
        raise PlanCorrupt("this is not a dovetail plan", facts=[("reading its header", str(error))]) from None
