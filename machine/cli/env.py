"""`dovetail env`: versions, machine, settings and plugins, for reports of problems."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections import Counter
from importlib import metadata
from typing import Any

from dovetail import _native
from dovetail.machine.devices import gpus
from dovetail.registry import Registry, load_entry_points

_PACKAGES = ("numpy", "pluggy", "safetensors", "ml_dtypes", "cuda-python")
_CUDA_LIBRARY = "libdovetail_cuda.so"


SCHEMA = 1  # of --json: keys may be added, their meaning does not change


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="as JSON: a section for each part, text by name")


def run(args: argparse.Namespace) -> int:
    registry = Registry()
    load_entry_points(registry, strict=False)
    sections = {
        "software": _software(),
        "machine": _machine(),
        "cuda": _cuda(registry),
        "settings": _settings(),
        "plugins": _plugins(registry),
        "reports": _headers(registry),
    }
    if args.json:
        print(json.dumps({"schema": SCHEMA, **{name: _by_name(lines) for name, lines in sections.items()}}, indent=2))
        return 0
    lines = [line for section in sections.values() for line in section]
    width = max(len(left) for left, _ in lines)
    for left, right in lines:
        print(f"{left:<{width}}  {right}")
    return 0


def _by_name(lines: list[tuple[str, str]]) -> dict[str, Any]:
    """Text by name; a name that comes several times has a list."""
    found: dict[str, Any] = {}
    for name, text in lines:
        if name in found:
            found[name] = [*(found[name] if isinstance(found[name], list) else [found[name]]), text]
        else:
            found[name] = text
    return found


def _software() -> list[tuple[str, str]]:
    major, minor = _native.ABI_VERSION
    lines = [
        ("dovetail", f"{_native.VERSION}, plugin interface {major}.{minor}"),
        ("python", f"{platform.python_version()} {platform.python_implementation()}, {sys.executable}"),
    ]
    for name in _PACKAGES:
        try:
            lines.append((name, metadata.version(name)))
        except metadata.PackageNotFoundError:
            lines.append((name, "not installed"))
    return lines


def _machine() -> list[tuple[str, str]]:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return [
        (
            "system",
            f"{platform.system()} {platform.release()} {platform.machine()}, {' '.join(platform.libc_ver())}",
        ),
        ("cores", f"{usable} usable"),
        ("cpu", " ".join(_native.cpu_features()) or "portable kernels only"),
    ]


def _cuda(registry: Registry) -> list[tuple[str, str]]:
    """The library for the GPU and a line for each device, or why there is none."""
    record = next((r for r in registry.records() if os.path.basename(r.path) == _CUDA_LIBRARY), None)
    if record is not None and record.state != "loaded":
        reason = record.reason.removeprefix("no NVIDIA driver: ")
        return [("cuda", reason if reason.startswith("not built") else f"no: {reason}")]
    devices, reason = gpus()
    if not devices:
        return [("cuda", f"no: {reason}")]
    count = "1 device" if len(devices) == 1 else f"{len(devices)} devices"
    lines = [("cuda", f"{_native.cuda_version()}, {count}")]
    for index, device in enumerate(devices):
        memory = f"{device['memory_bytes'] / 2**30:.1f} GiB"
        lines.append((f"gpu {index}", f"{device['name']}, sm_{device['sm']}, {memory}"))
    return lines


def _settings() -> list[tuple[str, str]]:
    return sorted((name, value) for name, value in os.environ.items() if name.startswith("DOVETAIL_"))


def _plugins(registry: Registry) -> list[tuple[str, str]]:
    states = Counter(record.state for record in registry.records())
    counts = ", ".join(f"{number} {state}" for state, number in states.items())
    ops, implementations = len(registry.specs()), len(registry.implementations())
    lines = [("plugins", f"{counts or 'none'}; {ops} ops, {implementations} implementations")]
    lines += [(record.name, f"{record.state}: {record.reason}") for record in registry.records() if record.reason]
    return lines + [("warning", warning) for warning in registry.warnings]


def _headers(registry: Registry) -> list[tuple[str, str]]:
    lines: list[tuple[str, str]] = []
    for name, answer in registry.collect("dovetail_report_header"):
        if isinstance(answer, BaseException):
            answer = f"its report failed: {type(answer).__name__}: {answer}"
        several = [answer] if isinstance(answer, str) else list(answer or ())
        lines += [(name, str(text)) for text in several]
    return lines
