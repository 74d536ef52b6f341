"""The plans that `dovetail.load` keeps between processes, with a key of everything they depend on."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from dovetail import _native
from dovetail.machine.devices import gpus
from dovetail.machine.plan import IHostMemory

_CHUNK = 1 << 20  # bytes that are read at once
_DIGITS = 16


class PlanCache:
    """The file of one model's plan: in a folder, under a name with the key, or the file that was named.

    The key is also in the plan's name, so that a file of another model, version or machine is recognised.
    """

    def __init__(self, place: str | os.PathLike[str], title: str, key: str) -> None:
        self.key = key
        path = Path(place)
        is_file = path.suffix == ".plan" and not path.is_dir()
        self.path = path if is_file else path / f"{title}-{key}.plan"
        self.plan_name = f"{title} {key}"

    def is_there(self) -> bool:
        return self.path.is_file()

    def store(self, plan: IHostMemory) -> None:
        """Write the plan to a new file and rename it: a reader sees the old plan or the complete new one."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        import tempfile

        handle, name = tempfile.mkstemp(dir=self.path.parent, prefix=self.path.name, suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(plan)
            os.replace(name, self.path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def key_of(contents: Iterable[bytes | Path], settings: str, plugins: str) -> str:
    """A digest of a model, given as bytes and files, the version of dovetail, the machine, the settings and plugins."""
    digest = hashlib.sha256()
    devices = [(device["name"], device["sm"]) for device in gpus()[0]]
    for text in (_native.VERSION, " ".join(_native.cpu_features()), repr(devices), settings, plugins):
        digest.update(f"{len(text)}:{text}".encode())
    for one in contents:
        if isinstance(one, Path):
            with one.open("rb") as file:
                while chunk := file.read(_CHUNK):
                    digest.update(chunk)
        else:
            digest.update(one)
    return digest.hexdigest()[:_DIGITS]
