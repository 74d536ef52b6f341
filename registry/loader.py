"""Discovery: entry points are found, sorted, filtered and imported one by one; each gets a record, even if it fails."""

from __future__ import annotations

import fnmatch
import os
import re
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from typing import Any

import pluggy

from dovetail.core.contract import Library
from dovetail.core.environment import DISTRIBUTION, switch
from dovetail.core.errors import DovetailError, LibraryRefused, PluginFailed
from dovetail.registry import hookspecs, library_files, near
from dovetail.registry.offer import Offer
from dovetail.registry.records import PluginRecord
from dovetail.registry.registry import Registry

GROUP = "dovetail.plugins"
BLOCK = "DOVETAIL_PLUGINS_BLOCK"  # names or globs, separated by commas
AUTOLOAD = "DOVETAIL_PLUGIN_AUTOLOAD"  # "0": third-party plugins are not loaded
STRICT = "DOVETAIL_PLUGINS_STRICT"  # "1": the first failure is raised


_Step = Callable[..., list[Any]]


@dataclass
class _Found:
    """An entry point, its record, and after the import the object that it names."""

    point: metadata.EntryPoint
    record: PluginRecord
    plugin: Any = None

    @property
    def is_built_in(self) -> bool:
        return self.record.kind == "built-in"


def load_entry_points(registry: Registry, strict: bool | None = None) -> list[PluginRecord]:
    """Load the plugins of all installed distributions. Returns the records, in order.

    Built-ins come first, then the others by distribution and entry name. A plugin that fails is recorded and skipped.

    Args:
        strict: raise the first failure instead; None: DOVETAIL_PLUGINS_STRICT decides.
    """
    if strict is None:
        strict = switch(STRICT, False)
    found = _entry_points(registry)
    _apply_rules(registry, found)
    active = [one for one in found if one.record.state == "loaded"]
    steps: list[_Step] = [partial(_load, registry, one, strict) for one in active]
    while steps:  # an op that one plugin needs may be registered by a later one
        n_ops = len(registry.specs())
        steps = [again for step in steps for again in step(last=False)]
        if len(registry.specs()) == n_ops:
            for step in steps:
                step(last=True)
            break
    return registry.records()


def default_registry() -> Registry:
    """The registry of this process, filled on first use.

    A plugin that calls this while it is being loaded gets the registry as filled so far.
    """
    if not _default.is_loaded:
        with _default.lock:
            if _default.registry is None:
                _default.registry = Registry()
                try:
                    load_entry_points(_default.registry)
                except BaseException:
                    _default.registry = None
                    raise
                _default.registry._adopts = True
                _default.is_loaded = True
    assert _default.registry is not None
    return _default.registry


class _Default:
    """The registry of the process."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.registry: Registry | None = None
        self.is_loaded = False


_default = _Default()


# ---- what is installed


def _entry_points(registry: Registry) -> list[_Found]:
    """Every entry point of the group: built-ins first, then sorted by distribution and name."""
    found: list[_Found] = []
    folders: dict[str, str] = {}  # where each distribution was seen first
    for dist in metadata.distributions():
        text = dist.read_text("entry_points.txt")
        if not text or GROUP not in text:
            continue
        name, folder = dist.metadata["Name"] or "?", str(dist.locate_file(""))
        first = folders.setdefault(normal(name), folder)
        if any((one.record.path, one.record.distribution) == (folder, name) for one in found):
            continue  # the same folder twice in sys.path
        found += _of_distribution(dist, name, folder, "" if first == folder else first)
    found.sort(key=lambda one: (not one.is_built_in, normal(one.record.distribution), one.record.name))
    in_use = Counter(one.record.name for one in found if one.record.state == "loaded")
    for one in found:
        if in_use[one.record.name] > 1:
            one.record.name = f"{one.record.distribution}/{one.record.name}"
    for one in found:
        if one.record.state != "loaded":
            registry.note(one.record)
    if not any(one.is_built_in for one in found):
        registry.warnings.append(f"no built-in layers: the distribution '{DISTRIBUTION}' is not installed")
    return found


def _of_distribution(dist: metadata.Distribution, name: str, folder: str, shadow: str) -> list[_Found]:
    kind = "built-in" if normal(name) == DISTRIBUTION else "python"
    installer = (dist.read_text("INSTALLER") or "").strip()
    source = "dovetail (core)" if kind == "built-in" else installer or folder
    facts: dict[str, Any] = {
        "version": dist.version,
        "kind": kind,
        "source": source,
        "distribution": name,
        "path": folder,
    }
    try:
        points = [point for point in dist.entry_points if point.group == GROUP]
    except Exception as error:
        record = PluginRecord(name, **facts)
        record.fail("failed", f"entry_points.txt cannot be read: {_reason(error)}", _trace(error))
        return [_Found(metadata.EntryPoint(name, "", GROUP), record)]
    found = [_Found(point, PluginRecord(point.name, entry=point.value, **facts)) for point in points]
    for one in found if shadow else ():
        one.record.fail("shadowed", f"another copy of {name} comes first in sys.path: {shadow}")
    return found


def _apply_rules(registry: Registry, found: Iterable[_Found]) -> None:
    """Mark the plugins that environment variables disable; they are not imported."""
    active = [one for one in found if one.record.state == "loaded"]
    patterns = [part.strip() for part in os.environ.get(BLOCK, "").split(",") if part.strip()]
    autoload = switch(AUTOLOAD, True)
    for pattern in patterns:
        hit = [one for one in active if _matches(one.record, pattern)]
        for one in hit:
            if one.is_built_in:
                one.record.reason = f"{BLOCK}={pattern} has no effect: built-in layers cannot be blocked"
            else:
                one.record.fail("disabled", f"{BLOCK}={pattern}")
        if not hit:
            names = {name for one in active for name in (one.record.name, one.record.distribution)}
            close = near.spelled_like(pattern, names)
            hint = f"; did you mean {' or '.join(close)}?" if close else ""
            registry.warnings.append(f"{BLOCK}={pattern} matches no plugin{hint}")
    for one in active:
        if not autoload and not one.is_built_in and one.record.state == "loaded":
            one.record.fail("disabled", f"{AUTOLOAD}=0")
        if one.record.state == "disabled":
            registry.note(one.record)


def _matches(record: PluginRecord, pattern: str) -> bool:
    names = (record.name, record.name.rpartition("/")[2], record.distribution)
    return any(fnmatch.fnmatchcase(normal(name), normal(pattern)) for name in names)


def normal(name: str) -> str:
    """The normalised name of a package: "Acme_NMS" is "acme-nms"."""
    return re.sub(r"[-_.]+", "-", name).lower()


# ---- loading one; each step returns the steps that must be tried again later


def _load(registry: Registry, one: _Found, strict: bool, last: bool) -> list[_Step]:
    """Import the plugin, let pluggy check its hooks, and collect its ops and implementations."""
    offer = Offer(one.record)
    try:
        one.plugin = one.point.load()
        known = registry.plugins.get_name(one.plugin)
        if known is not None:
            one.record.fail("shadowed", f"the same object as plugin {known}")
            registry.note(one.record)
            return []
        if hasattr(one.plugin, "dovetail_spec"):  # the entry point names an op itself
            offer.add_op(one.plugin)
        else:
            _meet(registry, one)
            _call(registry, one, "dovetail_register_ops", registry=offer)
    except (Exception, SystemExit) as error:
        _fail(registry, one, error, strict)
        return []
    return _commit(registry, one, offer, strict, last)


def _meet(registry: Registry, one: _Found) -> None:
    """Give the plugin to pluggy. Raises PluginValidationError for an unknown hook or wrong arguments."""
    registry.plugins.register(one.plugin, one.record.name)
    registry.plugins.check_pending()
    if registry.plugins.get_hookcallers(one.plugin):
        return
    unmarked = [name for name in dir(one.plugin) if name.startswith(hookspecs.PREFIX)]
    raise PluginFailed(
        f"plugin {one.record.name} registers nothing: no function of {one.record.entry} is a hook",
        facts=[(name, "is not marked with @hookimpl") for name in unmarked],
        hint="Mark its hooks: from dovetail.plugins import hookimpl",
        plugin=one.record.name,
    )


def _call(registry: Registry, one: _Found, hook: str, /, **arguments: Any) -> list[Any]:
    """The result of calling a hook of this plugin only."""
    others = [plugin for plugin in registry.plugins.get_plugins() if plugin is not one.plugin]
    answers: list[Any] = registry.plugins.subset_hook_caller(hook, others)(**arguments)
    return answers


def _commit(registry: Registry, one: _Found, offer: Offer, strict: bool, last: bool) -> list[_Step]:
    """Register the collected ops and implementations, then the plugin's libraries one by one."""
    try:
        registry.commit(offer)
        answers = _call(registry, one, "dovetail_native_libraries") if one.plugin is not None else []
    except (Exception, SystemExit) as error:
        if getattr(error, "missing_op", "") and not last:
            return [partial(_commit, registry, one, offer, strict)]
        _fail(registry, one, error, strict)
        return []
    given = [item for answer in answers for item in ([answer] if isinstance(answer, (str, Library)) else answer)]
    libraries = [item if isinstance(item, Library) else Library(os.fspath(item)) for item in given]
    return [again for library in libraries for again in _load_library(registry, one, library, strict, last)]


def _load_library(registry: Registry, one: _Found, library: Library, strict: bool, last: bool) -> list[_Step]:
    """Register a library of a plugin. If it is refused or not opened, the plugin stays."""
    mine = one.record
    name = os.path.basename(library.path)
    record = PluginRecord(name, source=mine.source, distribution=mine.distribution, parent=mine.name)
    reason = library.reason or library_files.closed_because(library.device)
    if reason:
        record.path, record.kind = library.path, "native"
        record.fail("disabled", reason)
        registry.note(record)
        return []
    try:
        registry.adopt_library(library.path, record)
    except DovetailError as error:
        if getattr(error, "missing_op", "") and not last:
            return [partial(_load_library, registry, one, library, strict)]
        if strict:
            raise
    return []


def _fail(registry: Registry, one: _Found, error: BaseException, strict: bool) -> None:
    """Record the failure, and remove everything of the plugin."""
    if one.plugin is not None and registry.plugins.get_name(one.plugin) is not None:
        registry.plugins.unregister(one.plugin)
    state = "incompatible" if isinstance(error, LibraryRefused) else "failed"
    one.record.fail(state, _reason(error), _trace(error))
    registry.note(one.record)
    if strict:
        raise error


def _reason(error: BaseException) -> str:
    """The error in one line. pluggy's second and third lines have the signature and the error in it."""
    lines = str(error).strip().splitlines()
    text = "; ".join(lines) if isinstance(error, pluggy.PluginValidationError) else "".join(lines[:1])
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _trace(error: BaseException) -> str:
    return "".join(traceback.format_exception(type(error), error, error.__traceback__))
