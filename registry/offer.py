"""Ops, implementations and libraries of one plugin, collected before any of them is registered."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from dovetail.core.contract import Implementation, OpSpec
from dovetail.core.errors import DefinitionError
from dovetail.registry import library_files, library_records
from dovetail.registry.records import PluginRecord


class Offer:
    """The object that `dovetail_register_ops(registry)` gets.

    It only collects; when the hook has returned, the registry accepts everything in one step, or nothing.
    """

    def __init__(self, record: PluginRecord) -> None:
        self.record = record
        self.specs: list[tuple[OpSpec, PluginRecord]] = []
        self.implementations: list[tuple[Implementation, PluginRecord]] = []
        self.libraries: list[PluginRecord] = []

    def add_op(self, op: Any, called: str = "add_op") -> OpSpec:
        """Offer an op, with its own implementations: an OpSpec, a Plugin class or a creator.

        Raises:
            DefinitionError: `op` is none of these; the message names the function that the author `called`.
        """
        spec, implementations = described(op, called)
        self.specs.append((spec, self.record))
        for implementation in implementations:
            self.add_implementation(implementation)
        return spec

    def add_implementation(self, implementation: Any) -> None:
        """Offer a way to compute an op, of this plugin or of any other.

        Raises:
            DefinitionError: `implementation` is not an Implementation and has none.
        """
        for one in _implementations(implementation):
            owned = replace(one, plugin=one.plugin or self.record.name)
            self.implementations.append((owned, self.record))

    def load_library(self, path: str | os.PathLike[str]) -> PluginRecord:
        """Offer all ops and implementations of a library; its record lists them.

        Raises:
            LibraryRefused: it cannot work with this host.
        """
        return self.add_library(library_files.open_library(path), parent=self.record)

    def add_library(self, library: Any, parent: PluginRecord | None = None) -> PluginRecord:
        """Offer the ops and implementations of an opened library, as part of `parent` or as a plugin of its own."""
        record = PluginRecord(library.name) if parent else self.record
        describe(record, library)
        if parent is not None:
            record.source, record.distribution = parent.source, parent.distribution
            record.parent = parent.owner
            self.libraries.append(record)
        self.specs += [(spec, record) for spec in library_records.specs_of(library)]
        for implementation in library_records.implementations_of(library, record.name):
            self.implementations.append((implementation, record))
        return record

    @property
    def records(self) -> list[PluginRecord]:
        return [self.record, *self.libraries]


def describe(record: PluginRecord, library: Any) -> None:
    """Fill the record with the library's description of itself."""
    record.name = library.name
    record.version = library.version or ""
    record.kind = "native"
    record.path = library.path
    record.abi = library_files.abi_text(library.abi)
    record.hash = library.hash


def described(op: Any, called: str) -> tuple[OpSpec, Iterable[Implementation]]:
    """The spec of `op`, and its implementations.

    `op` is an OpSpec, or has `dovetail_spec` and `dovetail_implementations`, as attributes or methods; a creator may
    return an object that has them from `to_plugin()`.
    """
    if isinstance(op, OpSpec):
        return op, ()
    source = op if hasattr(op, "dovetail_spec") or not hasattr(op, "to_plugin") else op.to_plugin()
    spec = _value(getattr(source, "dovetail_spec", None))
    if not isinstance(spec, OpSpec):
        raise DefinitionError(
            f"{called} cannot take {_shown(op)}",
            facts=[("dovetail_spec", "missing" if spec is None else f"is a {type(spec).__name__}")],
            hint=_instead_of(op),
            got=op,
        )
    return spec, _implementations(source, optional=True)


def _implementations(source: Any, optional: bool = False) -> Iterable[Implementation]:
    if isinstance(source, Implementation):
        return (source,)
    found = _value(getattr(source, "dovetail_implementations", None))
    if found is None and optional:
        return ()
    several = (found,) if isinstance(found, Implementation) else tuple(found or ())
    if (not several and not optional) or not all(isinstance(one, Implementation) for one in several):
        shown = source.__name__ if isinstance(source, type) else type(source).__name__
        raise DefinitionError(
            f"add_implementation cannot take {shown}",
            hint="Give an Implementation, or an object with `dovetail_implementations`.",
            got=source,
        )
    return several


def _shown(op: Any) -> str:
    if inspect.isfunction(op):
        return f"the function {op.__name__}"
    return f"the class {op.__name__}" if isinstance(op, type) else f"an object of {type(op).__name__}"


def _instead_of(op: Any) -> str:
    """The hint for an object that does not describe an op."""
    if inspect.isfunction(op):
        return f'Decorate it: @op("namespace::Name@1") above def {op.__name__}.'
    if isinstance(op, type) and hasattr(op, "create_plugin"):
        return f"Give an object of it: {op.__name__}()."
    return "Give an OpSpec, a class derived from Plugin or IPluginV2DynamicExt, or an IPluginCreator."


def _value(attribute: Any) -> Any:
    """An attribute, or what it returns if it is a method."""
    return attribute() if inspect.isroutine(attribute) else attribute
