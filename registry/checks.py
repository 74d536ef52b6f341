"""Compares an implementation with the op that it names, before anything of its plugin is registered."""

from __future__ import annotations

import os
from collections.abc import Iterator

from dovetail.core.contract import REQUIRED, Field, Implementation, OpSpec, Port
from dovetail.core.errors import ImplementationMismatch
from dovetail.core.types import DataType, FieldType

_TYPES = {dtype.short: dtype for dtype in DataType}
_SHOWN = 3  # disagreements in one message; each takes two lines

# what the implementation says, and what the op says: (text, place)
_Pair = tuple[tuple[str, str], tuple[str, str]]


def check_implementation(spec: OpSpec | None, implementation: Implementation, brought_by: str, near: str = "") -> None:
    """Compare the fields that the implementation reads, and the types of its rows, with the spec.

    Args:
        spec: None if the op is unknown; `near` then has similar names for the message.

    Raises:
        ImplementationMismatch: with both sides of every disagreement; `missing_op` if the op is unknown.
    """
    if spec is None:
        raise ImplementationMismatch(
            f"{implementation.id} implements an op that is not registered",
            facts=[(implementation.op, "unknown"), ("near", near or "nothing")],
            hint=f"Load the plugin that defines it first. Nothing of {brought_by} was registered.",
            implementation=implementation.id,
            plugin=brought_by,
            missing_op=implementation.op,
        )
    pairs = [*_reads(spec, implementation), *_rows(spec, implementation)]
    if not pairs:
        return
    lines = [(implementation.id, *mine) for mine, _ in pairs[:_SHOWN]]
    theirs = [(spec.id, *side) for _, side in pairs[:_SHOWN]]
    width = max(len(text) for _, text, _ in lines + theirs)
    facts = [
        (subject, f"{text:<{width}}  {place}".rstrip())
        for pair in zip(lines, theirs, strict=True)
        for subject, text, place in pair
    ]
    if len(pairs) > _SHOWN:
        facts.append(("...", f"and {len(pairs) - _SHOWN} more"))
    raise ImplementationMismatch(
        f"{implementation.id} does not fit {spec.id}",
        facts=facts,
        hint=f"Change one of the two. Nothing of {brought_by} was registered.",
        op=spec.id,
        implementation=implementation.id,
        plugin=brought_by,
        expected=[side[0] for _, side in pairs],
        got=[mine[0] for mine, _ in pairs],
    )


def _reads(spec: OpSpec, implementation: Implementation) -> Iterator[_Pair]:
    for name, wire, max_length, where in implementation.reads:
        mine = (f"reads '{name}' as {_wire_text(wire, max_length)}", where)
        field = spec.field_named(name)
        if field is None:
            yield mine, (f"fields: {', '.join(f.name for f in spec.fields) or 'none'}", spec.where)
        elif field.wire != wire or not _covers(max_length, field):
            yield mine, (_field_text(field), spec.where)


def _covers(max_length: int, field: Field) -> bool:
    if field.wire in (FieldType.CHAR, FieldType.TENSOR) or max_length < 0:
        return True
    return 0 <= field.max_length <= max_length


def _wire_text(wire: FieldType, max_length: int) -> str:
    name = "str" if wire == FieldType.CHAR else FieldType(wire).name.lower()
    if max_length == 1 or wire in (FieldType.CHAR, FieldType.TENSOR):
        return name
    return f"{name}[..{max_length if max_length >= 0 else ''}]"


def _field_text(field: Field) -> str:
    wire = _wire_text(field.wire, field.max_length)
    name = field.type_name
    if not name.startswith(wire.partition("[")[0]):  # an enum or a flag
        name += f" ({wire})"
    default = "" if field.default is REQUIRED or field.default is None else f" = {field.default!r}"
    return f"{field.name}: {name}{default}"


def _rows(spec: OpSpec, implementation: Implementation) -> Iterator[_Pair]:
    """A pair for each row that cannot be parsed; for each port, one pair with all types that it does not accept."""
    where = os.path.basename(implementation.library)
    excess: dict[Port, tuple[dict[str, None], dict[str, None]]] = {}  # types and tactics, each once
    faults: dict[str, list[tuple[Port, DataType | str]]] = {}  # by the text of `types`: many rows have the same
    for row in implementation.rows:
        if row.types not in faults:
            faults[row.types] = [claim for claim in _type_claims(spec, row.types) if not _is_taken(*claim)]
        for port, dtype in faults[row.types]:
            if isinstance(dtype, str):
                yield (f"row {row.tactic} says '{row.types}'", where), (dtype, spec.where)
            else:
                types, tactics = excess.setdefault(port, ({}, {}))
                types[dtype.name] = tactics[row.tactic] = None
    for port, (types, tactics) in excess.items():
        others = f" and {len(tactics) - 1} more" if len(tactics) > 1 else ""
        mine = f"row {next(iter(tactics))}{others}: '{port.name}' as {' | '.join(types)}"
        yield (mine, where), (f"{port.name}: {' | '.join(t.name for t in port.types)}", spec.where)


def _is_taken(port: Port, dtype: DataType | str) -> bool:
    if isinstance(dtype, str):
        return False
    return not port.types or dtype in port.types or (port.quantized and dtype == DataType.INT8)


def _type_claims(spec: OpSpec, text: str) -> Iterator[tuple[Port, DataType | str]]:
    """Each (port, type) that a row claims; if the row cannot be parsed, a message instead of the type."""
    left, arrow, right = text.partition("->")
    if not arrow:
        words = text.split()
        if len(words) == 1:
            yield from _side_claims(spec.inputs, words * len(spec.inputs), "inputs")
            yield from _side_claims(spec.outputs, words * len(spec.outputs), "outputs")
        else:
            yield Port(""), "a row is 'inputs -> outputs', or one word for all tensors"
        return
    yield from _side_claims(spec.inputs, left.split(), "inputs")
    yield from _side_claims(spec.outputs, right.split(), "outputs")


def _side_claims(ports: tuple[Port, ...], words: list[str], side: str) -> Iterator[tuple[Port, DataType | str]]:
    required = sum(not (port.optional or port.variadic) for port in ports)
    repeats = bool(words) and words[-1].endswith("...")
    open_ended = not ports or ports[-1].variadic or repeats
    if (len(words) < required and not repeats) or (len(words) > len(ports) and not open_ended):
        yield Port(""), f"{side}: {' '.join(port.name for port in ports) or 'none'}"
        return
    for index, word in enumerate(words):
        port = ports[min(index, len(ports) - 1)] if ports else Port("")
        for short in word.removesuffix("...").split("|"):
            dtype = _TYPES.get(short)
            yield port, f"types are {' '.join(_TYPES)}" if dtype is None else dtype
