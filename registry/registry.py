"""The registry: plugins with their ops and implementations, and lookups for the machine and for TensorRT's scripts."""

from __future__ import annotations

import logging
import os
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pluggy

from dovetail.core.contract import Implementation, OpSpec, checked_op_name, op_id, parse_op_id
from dovetail.core.errors import DovetailError, LibraryRefused, PluginNotFound
from dovetail.registry import hookspecs, library_files, native_tables, near
from dovetail.registry.checks import check_implementation
from dovetail.registry.isolated import TIMEOUT_S, check_library
from dovetail.registry.offer import Offer, describe
from dovetail.registry.records import AT_RUN_TIME, PluginRecord
from dovetail.registry.tables import AddMethod, Tables
from dovetail.registry.tensorrt import TensorRTNames

_log = logging.getLogger("dovetail")


class Registry(TensorRTNames):
    """Ops, implementations and the plugins that registered them. A new registry is empty.

    A change is made completely or not at all, from any thread; lookups take no lock. `plugins` is the pluggy manager,
    `parent` another registry, which is searched if a lookup here finds nothing.
    """

    warnings: list[str]
    plugins: pluggy.PluginManager
    parent: Registry | None
    parent_search_enabled: bool

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.RLock()
        self._tables = Tables()
        self._records: list[PluginRecord] = []
        self.warnings = []  # of discovery, for `dovetail plugins list`
        self.plugins = pluggy.PluginManager(hookspecs.PROJECT)
        self.plugins.add_hookspecs(hookspecs)
        self.parent = None
        self.parent_search_enabled = True
        self._adopts = False  # True: it registers libraries that the process opened by itself
        self._looked_at: set[str] = set()

    # ---- lookup (core.contract.Lookup)
    def find(self, name: str, version: str = "1", namespace: str = "") -> OpSpec:
        """The spec of an op; `name` may be a complete id, "acme::NMS@2".

        Raises:
            PluginNotFound: there is none; the message lists near misses.
            DTypeError: name, version or namespace is not a str.
        """
        checked_op_name(name, version, namespace)
        if "::" in name or "@" in name:
            name, version, namespace = parse_op_id(name)
        spec = self._inherited_or_own(op_id(name, version, namespace))
        if spec is None and self.adopt_opened():
            spec = self._inherited_or_own(op_id(name, version, namespace))
        if spec is None:
            raise near.not_found(name, version, namespace, *self._visible())
        return spec

    def _inherited_or_own(self, op: str) -> OpSpec | None:
        tables = (registry._tables.specs for registry in self._lineage())
        return next((specs[op] for specs in tables if op in specs), None)

    def implementations_of(self, op: str) -> Sequence[Implementation]:
        """All implementations of `namespace::Name@version`, in order of registration; none if the op is unknown."""
        tables = [registry._tables for registry in self._lineage()]
        return tuple(one for table in tables for one in table.implementations.get(op, ()))

    def bound(self, implementation: Implementation) -> Implementation:
        """The implementation with the table that the runtime calls, without registering it."""
        return native_tables.bound(implementation)

    def near_misses(self, name: str, version: str = "1", namespace: str = "") -> list[tuple[str, str]]:
        """(what, why) lines for the message of a lookup that failed, nearest first."""
        checked_op_name(name, version, namespace)
        misses = near.near_misses(name, version, namespace, *self._visible())
        return [(miss.what, miss.why) for miss in misses]

    def why_closed(self, library: str) -> str:
        """Why a library of an installed plugin was not opened, by the name of its file; "" where there is no reason."""
        return next((one.reason for one in self.records() if one.name == library and one.state == "disabled"), "")

    def with_role(self, role: str) -> OpSpec:
        """The op with a role, such as "reformat"; if there are several, the one registered first.

        Raises:
            PluginNotFound: no plugin has one.
        """
        roles = {}
        for registry in self._lineage():
            for spec in registry._tables.specs.values():
                if spec.role == role and role:
                    return spec
                roles[spec.role] = spec.id
        known = ", ".join(f"{part} ({op})" for part, op in roles.items() if part) or "none"
        raise PluginNotFound(
            f"no plugin has an op for the role '{role}'",
            facts=[("roles", known)],
            hint="The built-in layers have them: dovetail plugins list",
            role=role,
        )

    def find_add_method(self, name: str) -> AddMethod | None:
        """The spec and function behind `network.add_<layer>`, or None."""
        return next((r._tables.add_methods[name] for r in self._lineage() if name in r._tables.add_methods), None)

    def add_methods(self) -> list[str]:
        """Names of all `network.add_<layer>` methods, sorted."""
        return sorted({name for registry in self._lineage() for name in registry._tables.add_methods})

    def specs(self) -> list[OpSpec]:
        """All specs of this registry, in order of registration."""
        return list(self._tables.specs.values())

    def implementations(self) -> list[Implementation]:
        """All implementations of this registry, by op."""
        return [one for several in self._tables.implementations.values() for one in several]

    def records(self) -> list[PluginRecord]:
        """Every plugin found so far, loaded or not, in order of discovery."""
        return list(self._records)

    def record_of(self, op_or_implementation: str) -> PluginRecord | None:
        """The record of the plugin that registered this op or implementation id, or None."""
        for registry in self._lineage():
            for records in (registry._tables.op_owner, registry._tables.implementation_owner):
                if op_or_implementation in records:
                    return records[op_or_implementation]
        return None

    def _lineage(self) -> Iterator[Registry]:
        registry: Registry | None = self
        while registry is not None:
            yield registry
            registry = registry.parent if registry.parent_search_enabled else None

    def _visible(self) -> tuple[Tables, list[PluginRecord]]:
        """Ops and records of this registry and its parents, for reports."""
        tables, records = Tables(), []
        for registry in reversed(list(self._lineage())):
            tables.specs.update(registry._tables.specs)
            tables.op_owner.update(registry._tables.op_owner)
            records += registry._records
        return tables, records

    # ---- registration
    def add_op(self, op: Any, owner: str | PluginRecord = "user", replace: bool = False) -> OpSpec:
        """Register an op, with its own implementations: an OpSpec, a Plugin class or a creator.

        Args:
            owner: the plugin that is recorded as the owner.
            replace: replace the owner's earlier op of that id. Without it, an earlier op is also replaced, with a
                warning in the log, if both are the same class or function by name, or both were defined in `__main__`
                (a notebook cell that is run again, a module that is reloaded). Existing engines keep the earlier op.

        Raises:
            PluginConflict: id, namespace or `add_...` name belongs to another plugin. Nothing was registered.
        """
        offer = Offer(self._record_named(owner))
        spec = offer.add_op(op)
        self.commit(
            offer, self._earlier(spec, offer.record) if replace or self._is_edited(spec, offer.record) else None
        )
        return spec

    def _is_edited(self, spec: OpSpec, record: PluginRecord) -> bool:
        """True, with a warning in the log, if the same owner defines this op again where it was defined before."""
        known = self._tables.specs.get(spec.id)
        if known is None or known is spec or self._tables.op_owner[spec.id].owner != record.owner:
            return False
        modules = {known.origin.partition(".")[0], spec.origin.partition(".")[0]}
        if not spec.origin or (known.origin != spec.origin and modules != {"__main__"}):
            return False
        _log.warning(
            "%s is defined again (%s) and replaces the earlier one (%s). Engines that exist keep the earlier one.",
            spec.id,
            spec.where,
            known.where,
        )
        return True

    def _earlier(self, spec: OpSpec, record: PluginRecord) -> Callable[[str, PluginRecord], bool]:
        """Selects what `commit` drops when an op is defined again: the owner's op with its own implementations."""
        return lambda id, owner: owner.owner == record.owner and id.partition("#")[0] == spec.id

    def add_implementation(self, implementation: Any, owner: str | PluginRecord = "user") -> None:
        """Register a way to compute an op, of this or another plugin.

        Raises:
            ImplementationMismatch: the op is unknown or lacks a field that is read. Nothing was registered.
            PluginConflict: the id is taken, or the name lacks the owner's namespace ("acme.winograd").
        """
        offer = Offer(self._record_named(owner))
        offer.add_implementation(implementation)
        self.commit(offer)

    def load_library(
        self,
        path: str | os.PathLike[str],
        replace: bool = False,
        isolated: bool = False,
        timeout_s: float = TIMEOUT_S,
    ) -> PluginRecord:
        """Open a library and register all its ops and implementations. Returns its record.

        Args:
            path: of the file; a bare name is searched in DOVETAIL_PLUGIN_PATH, then in the working directory.
            replace: replace an earlier library of the same path or plugin name.
            isolated: open it in a child process first, and refuse it if that process crashes, exits or hangs.
            timeout_s: seconds that the child may take.

        Raises:
            LibraryRefused: it cannot work with this host, or the child process failed. Nothing was registered.
            ImplementationMismatch, PluginConflict: its contents do not fit. Nothing was registered.
        """
        if not isinstance(path, (str, bytes, os.PathLike)):
            raise LibraryRefused(
                f"load_library cannot take an object of {type(path).__name__}",
                hint='Give the path of a file, such as "./libacme.so".',
                got=path,
            )
        _expect_name(os.fspath(path))
        record = PluginRecord(os.path.basename(path), source="load_library")
        return self.adopt_library(path, record, replace, timeout_s if isolated else None)

    def adopt_library(
        self,
        path: str | os.PathLike[str],
        record: PluginRecord,
        replace: bool = False,
        child_timeout_s: float | None = None,
    ) -> PluginRecord:
        """`load_library` with a record that says where the library was found. No timeout: not isolated."""
        with self._lock:
            record.path, record.kind = os.fspath(path), "native"
            try:
                if child_timeout_s is not None:
                    check_library(path, child_timeout_s)
                library = library_files.open_library(path)
                for known in self._records:
                    if known.hash == library.hash and known.state == "loaded":
                        return known
                describe(record, library)
                offer = Offer(record)
                offer.add_library(library)
                self.commit(offer, (lambda _, old: _same_library(old, record)) if replace else None)
                if not offer.specs and not offer.implementations:
                    record.reason = library_files.BRINGS_NOTHING
                    _log.warning("%s: %s (%s)", record.name, record.reason, library.path)
            except DovetailError as error:
                refused = isinstance(error, LibraryRefused) and os.path.exists(path)
                reason = f"{type(error).__name__}: {error}"
                record.fail("incompatible" if refused else "failed", reason, traceback.format_exc())
                self.note(record)
                raise
            return record

    def adopt_opened(self) -> list[PluginRecord]:
        """Register plugin libraries that the process opened by itself, as `ctypes.CDLL(path)` does; their records.

        Only the registry of the process does this: in `init_libnvinfer_plugins`, in `plugin_creator_list`, and when a
        lookup fails. A library that does not fit is recorded and logged, and not tried again.
        """
        if not self._adopts:
            return []
        with self._lock:
            ours = {record.real_path for record in self._records}
            adopted = []
            for path in library_files.opened_libraries(self._looked_at):
                if os.path.realpath(path) in ours:
                    continue
                try:
                    record = PluginRecord(os.path.basename(path), source="opened by the process")
                    adopted.append(self.adopt_library(path, record))
                except DovetailError as error:
                    self._report(error)
            return adopted

    def deregister_library(self, record: PluginRecord) -> bool:
        """Unregister a library; False if it was not registered. Its code stays mapped, since engines may use it."""
        with self._lock:
            if record not in self._records or record.state != "loaded":
                return False
            self._swap(self._tables.without(lambda _, owner: owner is record)[0])
            self._records.remove(record)
            return True

    def commit(self, offer: Offer, drop: Callable[[str, PluginRecord], bool] | None = None) -> None:
        """Register everything in an offer, replacing what `drop` selects; or raise and register nothing."""
        with self._lock:
            old = self._tables
            tables, orphans = old.without(drop) if drop is not None else (old.copy(), [])
            known = {record.hash for record in self._records if record.hash and record.state == "loaded"}
            here = [record for record in offer.libraries if record.hash in known]  # the same file again
            for spec, record in offer.specs:
                if record not in here:
                    tables.add_spec(spec, record)
            offered = [pair for pair in offer.implementations if pair[1] not in here]
            for one, record in [*offered, *((one, old.implementation_owner[one.id]) for one in orphans)]:
                op = tables.specs.get(one.op) or self._inherited(one.op)
                check_implementation(op, one, record.name, "" if op else self._nearby(one.op, tables))
                tables.add_implementation(native_tables.bound(one), record)
            self._swap(tables)
            if drop is not None:
                kept = [*tables.op_owner.values(), *tables.implementation_owner.values()]
                gone = [*old.op_owner.values(), *old.implementation_owner.values()]
                self._records = [r for r in self._records if r in kept or r not in gone]
            for record in offer.records:
                if record not in here:
                    self.note(record)

    def _swap(self, tables: Tables) -> None:
        """Make `tables` current, here and in the process's native table; on failure, in neither."""
        before = {one.id: one for several in self._tables.implementations.values() for one in several}
        after = {one.id: one for several in tables.implementations.values() for one in several}
        gone = [one for key, one in before.items() if after.get(key) is not one]
        new = [one for key, one in after.items() if before.get(key) is not one]
        done: list[Implementation] = []
        for one in gone:
            native_tables.withdraw(one)
        try:
            for one in new:
                native_tables.publish(one, tables.specs.get(one.op) or self._inherited(one.op))
                done.append(one)
        except DovetailError:
            for one in done:
                native_tables.withdraw(one)
            for one in gone:
                native_tables.publish(one, self._tables.specs.get(one.op) or self._inherited(one.op))
            raise
        self._tables = tables

    def note(self, record: PluginRecord) -> None:
        """Add a record, once, and list in it what is registered under its name."""
        with self._lock:
            if record.kind == "native":  # a second attempt for the same file replaces its record
                self._records = [r for r in self._records if r.state == "loaded" or r.path != record.path]
            if record not in self._records:
                self._records.append(record)
            tables = self._tables
            record.ops = tuple(op for op, owner in tables.op_owner.items() if owner is record)
            record.implementations = tuple(one for one, owner in tables.implementation_owner.items() if owner is record)
            found = [one for one in self.implementations() if one.id in record.implementations]
            record.devices = tuple(sorted({one.device.name.lower() for one in found}))

    def _record_named(self, owner: str | PluginRecord) -> PluginRecord:
        if isinstance(owner, PluginRecord):
            return owner
        known = (r for r in self._records if r.name == owner and r.kind != "native" and r.state == "loaded")
        return next(known, None) or PluginRecord(owner, source=AT_RUN_TIME)

    def _inherited(self, op: str) -> OpSpec | None:
        elders = [registry._tables.specs for registry in self._lineage()][1:]
        return next((specs[op] for specs in elders if op in specs), None)

    def _nearby(self, op: str, tables: Tables) -> str:
        misses = near.near_misses(*parse_op_id(op), tables, self._records)
        return "; ".join(f"{miss.what} ({miss.why})" for miss in misses[:3])

    # ---- hooks
    def collect(self, hook: str, /, **arguments: Any) -> list[tuple[str, Any]]:
        """(plugin name, result) of each plugin that implements `hook`; if it raises, the exception is the result."""
        results: list[tuple[str, Any]] = []
        for name, plugin in self.plugins.list_name_plugin():
            others = [other for other in self.plugins.get_plugins() if other is not plugin]
            try:
                caller = self.plugins.subset_hook_caller(hook, others)
                answer = caller(**arguments)
                is_one = caller.spec is not None and caller.spec.opts["firstresult"]  # else a list of answers
                results += [(name, one) for one in ([answer] if is_one else answer)]
            except (Exception, SystemExit) as error:
                results.append((name, error))
        return results


def _expect_name(path: str | bytes) -> None:
    """Raise for what cannot be the name of a file: it is not kept in a record, which every later lookup would show."""
    reason = ""
    try:
        if b"\0" in os.fsencode(path):
            reason = "a zero byte ends its name"
    except UnicodeEncodeError as error:
        reason = str(error)
    text = "" if reason else os.fsdecode(path)
    if text in (os.curdir, os.pardir) or (os.sep in text and os.path.isdir(text)):
        reason = "it is a folder"
    if reason:
        raise LibraryRefused(f"no library can be called {path!r}", facts=[("reason", reason)], got=path)


def _same_library(old: PluginRecord, new: PluginRecord) -> bool:
    is_same_file = bool(old.real_path) and old.real_path == new.real_path
    return old.kind == "native" and (is_same_file or (old.name == new.name and old.owner == new.owner))
