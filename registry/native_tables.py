"""Tables of functions: made for implementations written in Python, and published where engines look them up."""

from __future__ import annotations

from dataclasses import replace

from dovetail import _native
from dovetail.core.contract import Implementation, OpSpec

TRAITS = {"op_object": 1, "capture_safe": 2, "in_place": 4, "python": 8}  # DT_TRAIT_*


def bound(implementation: Implementation) -> Implementation:
    """The same with a C table: one written in Python gets a table that calls its factory.

    The factory keeps its table, so that registries of one process agree on it.
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
    """Put the table where engines look it up. The process has one such place; the same table twice is one.

    Raises:
        PluginConflict: another table has that id.
    """
    if implementation.native is not None:
        op_table = None if spec is None else getattr(spec.make, "table", None)  # of an op that a library describes
        _native.register_implementation(implementation.native, op_table)


def withdraw(implementation: Implementation) -> None:
    """Take the table away again. Engines that already use it keep it."""
    if implementation.native is not None:
        _native.deregister_implementation(implementation.id)
