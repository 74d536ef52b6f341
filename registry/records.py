"""The record of each plugin, whether it works or not."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass

from dovetail.core.strict import Strict

STATES = ("loaded", "disabled", "failed", "incompatible", "shadowed", "quarantined")
KINDS = ("built-in", "python", "native")
AT_RUN_TIME = "registered at run time"  # source of ops that a script or program registers itself
BROKEN = ("failed", "incompatible", "quarantined")


@dataclass(eq=False)
class PluginRecord(Strict):
    """One plugin: a module found by an entry point, a library, or ops that a script registered itself.

    Two records are equal only if they are the same object.
    """

    name: str
    version: str = ""
    state: str = "loaded"
    kind: str = "python"
    source: str = ""  # how it was found, for messages: "dovetail (core)", "pip", "load_library"
    distribution: str = ""
    entry: str = ""  # value of the entry point: "acme_nms.plugin"
    path: str = ""  # of the library, or of the folder of the distribution
    parent: str = ""  # name of the plugin that this library belongs to
    abi: str = ""  # "1.0"; "1.4*" if the library's minor is newer than the host's
    hash: str = ""  # of the library's contents
    ops: tuple[str, ...] = ()
    implementations: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()  # "cpu", "gpu": where the implementations run
    reason: str = ""  # why it is in this state, one line
    traceback: str = ""

    def __post_init__(self) -> None:
        assert self.state in STATES and self.kind in KINDS, (self.state, self.kind)

    @property
    def owner(self) -> str:
        """The owner of this record's ops and implementations; of a library, the plugin that it belongs to."""
        return self.parent or self.name

    @property
    def title(self) -> str:
        """Its name in messages: "acme-nms 2.1.4"."""
        return f"{self.distribution or self.name} {self.version}".strip()

    @property
    def real_path(self) -> str:
        """Its path with links followed; "" without a path, or with one that no file can have, which was refused."""
        try:
            return os.path.realpath(self.path) if self.path else ""
        except ValueError:
            return ""

    def home_of(self, where: str = "") -> str:
        """Version and location, for a fact line; `where` is the line of source, if known."""
        place = self.path if self.kind == "native" else where or self.entry or self.source
        return ", ".join(part for part in (self.version, place) if part)

    def fail(self, state: str, reason: str, traceback: str = "") -> None:
        """Put the record into `state`, with the first line of `reason`."""
        assert state in STATES, state
        self.state = state
        self.reason = reason.strip().splitlines()[0] if reason.strip() else ""
        self.traceback = traceback

    def as_dict(self) -> dict[str, object]:
        """All fields in a form for JSON; the keys are part of the schema of `dovetail plugins list --json`."""
        return asdict(self)
