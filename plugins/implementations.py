"""The implementations of a plugin class: their rows of types and formats, and the factory of each."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from math import prod
from typing import Any

from dovetail.core.contract import Implementation, OpSpec, Row
from dovetail.core.errors import DefinitionError
from dovetail.core.types import ALL_TYPES, DataType, DeviceType
from dovetail.plugins.adapter import KernelFactory, ReferenceFactory
from dovetail.plugins.kernels import PYTHON_NAMES, kernels_of

REFERENCE_TYPES = tuple(t for t in ALL_TYPES if t != DataType.FP8)  # numpy computes with these
MAX_COMBINATIONS = 1024  # of types in one row; with more, the class probably lacks the types of its ports


def implementations_of(cls: Any) -> tuple[Implementation, ...]:
    """The implementations of a class: "python" and "python.cuda" if it has kernels, "reference" if it has a reference.

    `native` of each is a factory until it is registered; the registry makes a table of functions from it.
    """
    spec: OpSpec = cls.dovetail_spec
    found: list[Implementation] = []
    for device, kernels in kernels_of(cls).items():
        rows = [
            (row.tactic, types, row.formats)
            for row, _ in kernels
            for types in ([row.types] if row.types else legal_types(spec, cls.type_rows))
        ]
        name = PYTHON_NAMES[device]
        found.append(python_implementation(spec.id, name, rows, KernelFactory(cls, kernels), device))
    if hasattr(cls, "reference"):
        texts = legal_types(spec, cls.type_rows, REFERENCE_TYPES)
        rows = [("reference", text, "linear") for text in texts]
        found.append(python_implementation(spec.id, "reference", rows, ReferenceFactory(cls)))
    return tuple(found)


def python_implementation(
    op: str, name: str, rows: Sequence[tuple[str, str, str]], factory: Any, device: DeviceType = DeviceType.CPU
) -> Implementation:
    """The record of an implementation whose (tactic, types, formats) rows are computed by a Python factory."""
    uses = Counter(tactic for tactic, _, _ in rows)
    table = tuple(
        Row(tactic if uses[tactic] == 1 else f"{tactic}_{index}", types, formats, index=index)
        for index, (tactic, types, formats) in enumerate(rows)
    )
    return Implementation(op, name, device=device, rows=table, traits=frozenset({"python"}), native=factory)


def legal_types(spec: OpSpec, type_rows: Sequence[str], among: Sequence[DataType] = ALL_TYPES) -> Sequence[str]:
    """Rows of types: `type_rows`, else one with the product of the ports' types, where `like` is followed."""
    if type_rows:
        return type_rows
    ports = (*spec.inputs, *spec.outputs)
    leaders = [port for port in ports if port.like is None]
    choices = [[t for t in (port.types or ALL_TYPES) if t in among] for port in leaders]
    n_combinations = prod(map(len, choices))
    if n_combinations > MAX_COMBINATIONS:
        raise DefinitionError(
            f"{spec.id} allows {n_combinations} combinations of types",
            facts=[(port.name, f"{len(c)} types") for port, c in zip(leaders, choices, strict=True)],
            hint="Give ports types, or like=, or list those that are meant in type_rows.",
        )
    columns: list[list[str]] = [[] for _ in ports]
    for assignment in itertools.product(*choices):
        by_name = dict(zip((port.name for port in leaders), assignment, strict=True))
        chosen = [by_name[port.like or port.name] for port in ports]
        if all(t in (port.types or among) for port, t in zip(ports, chosen, strict=True)):
            for column, dtype in zip(columns, chosen, strict=True):
                column.append(dtype.short)
    words = ["|".join(column) for column in columns]
    left = [word + ("..." if port.variadic else "") for word, port in zip(words, spec.inputs, strict=False)]
    return (" ".join([*left, "->", *words[len(spec.inputs) :]]).strip(),)
