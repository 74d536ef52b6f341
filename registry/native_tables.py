"""Function tables: makes them for implementations written in Python, and publishes them for engines."""

from __future__ import annotations

from dataclasses import replace

from dovetail import _native
from dovetail.core.contract import Implementation, OpSpec

TRAITS = {"op_object": 1, "capture_safe": 2, "in_place": 4, "python": 8, "winograd": 16}  # DT_TRAIT_*


def bound(implementation: Implementation) -> Implementation:
    """The implementation with a C table: one written in Python gets a table that calls its factory.

    The factory keeps the table, so that all registries of a process use the same one.
    """
    factory = implementation.native
    if factory is None or isinstance(factory, _native.NativeImplementation):
        return implementation
    tables = factory.__dict__.setdefault("dovetail_tables", {})
    if implementation.id not in tables:
        tables[implementation.id] = _native.make_python_implementation(
            implementation.op,
            implementation.name,
            implementation.device.dlpack_code,
            [{name: getattr(row, name) for name in ("tactic", "types", "formats")} for row in implementation.rows],
            factory,
            sum(bit for name, bit in TRAITS.items() if name in implementation.traits),
        )
    return replace(implementation, native=tables[implementation.id])


def publish(implementation: Implementation, spec: OpSpec | None) -> None:
    """Publish the table for engines, once per process. Publishing the same table again does nothing.

    Raises:
        PluginConflict: another table has that id.
    """
    if implementation.native is not None:
        op_table = None if spec is None else getattr(spec.make, "table", None)  # if the op is a library's
        _native.register_implementation(implementation.native, op_table)


def withdraw(implementation: Implementation) -> None:
    """Withdraw the table. Engines that already use it keep it."""
    if implementation.native is not None:
        _native.deregister_implementation(implementation.id)
