"""Library files: search paths, which are opened already, which must not be opened on this machine."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Any

from dovetail import _native
from dovetail.core.errors import LibraryRefused
from dovetail.core.types import DeviceType

_ENTRY = f"dovetail_plugin_entry_v{_native.ABI_VERSION[0]}"
PATH = "DOVETAIL_PLUGIN_PATH"  # folders of libraries, separated as in PATH
_SUFFIXES = (".so", ".dylib", ".dll")
BRINGS_NOTHING = (
    "it registers no op and no implementation: write REGISTER_DOVETAIL_PLUGIN(Creator) for a class, "
    "DOVETAIL_IMPLEMENTS(...) for rows"
)


def open_library(path: str | os.PathLike[str]) -> Any:
    """Open a library; `locate` finds the file of a bare name.

    Raises:
        LibraryRefused: no such file, or it cannot work with this host. Nothing of it stays registered.
    """
    return _native.open_library(locate(path))


def locate(path: str | os.PathLike[str]) -> str:
    """The path of a library. A bare name is searched in DOVETAIL_PLUGIN_PATH, then in the working directory.

    Raises:
        LibraryRefused: a bare name that is in none of these folders; attribute `searched` lists them.
    """
    text = os.fspath(path)
    if isinstance(text, bytes):
        text = os.fsdecode(text)
    if os.sep in text:
        return text
    folders = [folder for folder in os.environ.get(PATH, "").split(os.pathsep) if folder]
    for folder in [*folders, os.getcwd()]:
        if text and os.path.isfile(os.path.join(folder, text)):
            return os.path.join(folder, text)
    raise LibraryRefused(
        f"{text} was not opened",
        facts=[
            ("reason", "there is no such file"),
            (PATH, os.pathsep.join(folders) or "not set"),
            ("working directory", os.getcwd()),
        ],
        hint=f"Give a path with a '/', or put the folder into {PATH}.",
        path=text,
        searched=(*folders, os.getcwd()),
    )


def closed_because(device: DeviceType) -> str:
    """Why libraries for `device` are not opened in this process; "" if they may be."""
    if device != DeviceType.GPU:
        return ""
    if os.environ.get("DOVETAIL_DEVICE", "").lower() == "cpu":
        return "DOVETAIL_DEVICE=cpu"
    missing = _native.cuda_driver()
    return f"no NVIDIA driver: {missing}" if missing else ""


def known_libraries() -> list[Path]:
    """Libraries in the folders of DOVETAIL_PLUGIN_PATH, sorted within each folder. None is opened."""
    found: list[Path] = []
    for folder in os.environ.get(PATH, "").split(os.pathsep):
        if folder and os.path.isdir(folder):
            found += sorted(path for path in Path(folder).iterdir() if path.suffix in _SUFFIXES)
    return found


def opened_libraries(known: set[str]) -> list[str]:
    """Paths of plugin libraries in this process that dovetail did not open itself.

    Those in `known` are left out; all libraries examined are added to it. Without /proc the list is empty.
    """
    try:
        lines = os.fsdecode(Path("/proc/self/maps").read_bytes()).split("\n")
    except OSError:
        return []
    mapped = {parts[5] for parts in (line.split(maxsplit=5) for line in lines) if len(parts) == 6 and "x" in parts[1]}
    known.update(_native.opened_paths())
    new = sorted(path for path in mapped - known if path.startswith("/"))
    known.update(new)
    return [path for path in new if _is_plugin(path)]


def _is_plugin(path: str) -> bool:
    try:
        library = ctypes.CDLL(path, mode=os.RTLD_NOLOAD | os.RTLD_LAZY)
    except (OSError, UnicodeDecodeError):  # deleted, or not a shared object; the message has the path's bytes
        return False
    return hasattr(library, _ENTRY)


def abi_text(abi: tuple[int, int]) -> str:
    """The library's interface version, with a star if its minor is newer than the host's."""
    newer = tuple(abi) > tuple(_native.ABI_VERSION)
    return f"{abi[0]}.{abi[1]}{'*' if newer else ''}"
