"""What is known of each plugin, whether it works or not."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from dovetail.core.strict import Strict

STATES = ("loaded", "disabled", "failed", "incompatible", "shadowed", "quarantined")
KINDS = ("built-in", "python", "native")
AT_RUN_TIME = "registered at run time"  # source of what a script or program registered itself
BROKEN = ("failed", "incompatible", "quarantined")


@dataclass(eq=False)
class PluginRecord(Strict):
    """One plugin: a module found by an entry point, a library, or what a script registered itself.

    Two records are equal only if they are the same object.
    """

    name: str
    version: str = ""
    state: str = "loaded"
    kind: str = "python"
    source: str = ""  # how it came here, for people: "dovetail (core)", "pip", "load_library"
    distribution: str = ""
    entry: str = ""  # value of the entry point: "acme_nms.plugin"
    path: str = ""  # of the library, or of the folder that the distribution lies in
    parent: str = ""  # name of the plugin that brought this library
    abi: str = ""  # "1.0"; "1.4*" where the library knows a newer minor than this host
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
        """Who owns what this record brings: a library belongs to the plugin that brought it."""
        return self.parent or self.name

    @property
    def title(self) -> str:
        """How messages call it: "acme-nms 2.1.4"."""
        return f"{self.distribution or self.name} {self.version}".strip()

    def home_of(self, where: str = "") -> str:
        """Version and place, for a fact line; `where` is the line of source that is meant, if any."""
        place = self.path if self.kind == "native" else where or self.entry or self.source
        return ", ".join(part for part in (self.version, place) if part)

    def fail(self, state: str, reason: str, traceback: str = "") -> None:
        """Put the record into `state`, with the first line of `reason`."""
        assert state in STATES, state
        self.state = state
        self.reason = reason.strip().splitlines()[0] if reason.strip() else ""
        self.traceback = traceback

    def as_dict(self) -> dict[str, object]:
        """All fields as JSON takes them; keys are part of the schema of `dovetail plugins list --json`."""
        return asdict(self)
