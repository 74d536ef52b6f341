"""Which format rows an implementation offers a layer, and why each of the others was refused.

A format row assigns a type and a format to every input and output. An implementation either lists its rows or is asked
position by position (`supportsFormatCombination`): that predicate is walked depth first, and nothing is cut off.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from dovetail.core.contract import Implementation, Row
from dovetail.core.tensor import DynamicTensorDesc, pack
from dovetail.core.types import DataType, TensorFormat


@dataclass(frozen=True)
class FormatRow:
    """One complete assignment, inputs first. None stands for an absent optional input."""

    implementation: Implementation
    row: int  # index in the implementation's table; -1 where it was asked position by position
    tactic: str
    formats: tuple[TensorFormat | None, ...]

    @property
    def label(self) -> str:
        return f"{self.implementation.id}:{self.tactic}" if self.tactic else self.implementation.id


@dataclass(frozen=True)
class Refusal:
    """Who said no, where, and why. Position -1: the row as a whole."""

    implementation: str
    tactic: str
    position: int
    reason: str

    def __str__(self) -> str:
        where = f" position {self.position}:" if self.position >= 0 else ""
        return f"{self.implementation}{':' + self.tactic if self.tactic else ''}{where} {self.reason}"


@dataclass
class Trace:
    """Every row tried for one layer: those found and those refused."""

    found: list[FormatRow] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)  # implementations that broke while they were asked

    def facts(self) -> list[tuple[str, str]]:
        """(who, why) lines for a message; rows of one implementation with the same reason share a line."""
        grouped: dict[tuple[str, str], list[str]] = {}
        for refusal in self.refused:
            who = "#" + (refusal.implementation.partition("#")[2] or refusal.implementation)
            at = f"tensor {refusal.position}: " if refusal.position >= 0 else ""
            grouped.setdefault((who, at + refusal.reason), []).append(refusal.tactic)
        return [
            (f"{who} {tactics[0]}".strip() + (f" and {len(tactics) - 1} more" if len(tactics) > 1 else ""), why)
            for (who, why), tactics in grouped.items()
        ]


def negotiate(
    implementation: Implementation,
    native_object: Any,
    tensors: Sequence[DynamicTensorDesc | None],
    n_inputs: int,
    features: frozenset[str],
    trace: Trace,
) -> None:
    """Add to `trace` what this implementation offers for these tensors, whose types are fixed.

    Args:
        native_object: the implementation's object for the layer.
        tensors: inputs, then outputs; their formats are ignored.
        features: instruction sets of the machine.
    """
    if implementation.rows:
        for row in implementation.rows:
            reason, position, formats = _fit_row(row, tensors, n_inputs, features)
            if not reason:
                descs = _with_formats(tensors, formats)
                reason = implementation.native.fits(native_object, row.index, descs[:n_inputs], descs[n_inputs:]) or ""
            if reason:
                trace.refused.append(Refusal(implementation.id, row.tactic, position, reason))
            else:
                trace.found.append(FormatRow(implementation, row.index, row.tactic, formats))
        return
    for formats in _walk_predicate(implementation, native_object, tensors, n_inputs, trace):
        trace.found.append(FormatRow(implementation, -1, "", formats))


def words_for(text: str, n_inputs: int, n_outputs: int) -> tuple[list[str], list[str]] | None:
    """Words of a row's types or formats, one for each input and output; None where the counts do not fit."""
    if "->" not in text:
        words = text.split()
        if len(words) == 1:
            return words * n_inputs, words * n_outputs
        return None
    left, right = (side.split() for side in text.split("->"))
    if left and left[-1].endswith("..."):
        repeated = left.pop()[:-3]
        left += [repeated] * max(0, n_inputs - len(left))
    if len(left) < n_inputs or len(right) != n_outputs:
        return None
    return left[:n_inputs], right


def _fit_row(
    row: Row, tensors: Sequence[DynamicTensorDesc | None], n_inputs: int, features: frozenset[str]
) -> tuple[str, int, tuple[TensorFormat | None, ...]]:
    """("", -1, formats) if the row's words fit, else the reason and the position."""
    missing = [need for need in row.needs if need not in features]
    if missing:
        return f"needs {', '.join(missing)}, which this cpu lacks", -1, ()
    n_outputs = len(tensors) - n_inputs
    types = words_for(row.types, n_inputs, n_outputs)
    formats = words_for(row.formats or "linear", n_inputs, n_outputs)
    if types is None or formats is None:
        return f"takes tensors '{row.types}', here are {n_inputs} inputs and {n_outputs} outputs", -1, ()
    type_words, format_words = types[0] + types[1], formats[0] + formats[1]
    alternatives: set[int] | None = None
    chosen: list[TensorFormat | None] = []
    for position, (desc, type_word, format_word) in enumerate(zip(tensors, type_words, format_words, strict=True)):
        if desc is None:
            chosen.append(None)
            continue
        legal = [DataType.from_short(word) for word in type_word.split("|")]
        fitting = {i for i, dtype in enumerate(legal) if dtype == desc.dtype}
        if len(legal) > 1:
            fitting = fitting if alternatives is None else fitting & alternatives
            alternatives = fitting
        if not fitting:
            return f"takes {type_word} only, got {DataType(desc.dtype).name}", position, ()
        format_ = TensorFormat.from_short(format_word)
        if len(desc.dims) < format_.least_rank:
            return f"format {format_.name} needs more dimensions than {len(desc.dims)}", position, ()
        chosen.append(format_)
    return "", -1, tuple(chosen)


def _walk_predicate(
    implementation: Implementation,
    native_object: Any,
    tensors: Sequence[DynamicTensorDesc | None],
    n_inputs: int,
    trace: Trace,
) -> Iterator[tuple[TensorFormat | None, ...]]:
    """All rows that the predicate accepts, LINEAR tried first at each position."""
    n_outputs = len(tensors) - n_inputs
    if any(desc is None for desc in tensors):
        trace.refused.append(Refusal(implementation.id, "", -1, "takes no absent inputs"))
        return
    stack: list[tuple[TensorFormat, ...]] = [()]
    while stack:
        chosen = stack.pop()
        position = len(chosen)
        if position == len(tensors):
            yield chosen
            continue
        accepted = []
        refused = []
        for format_ in TensorFormat:
            if not format_.is_supported or len(tensors[position].dims) < format_.least_rank:  # type: ignore[union-attr]
                continue
            descs = _with_formats(tensors, (*chosen, format_))
            if implementation.native.supports(native_object, position, descs, n_inputs, n_outputs):
                accepted.append((*chosen, format_))
            else:
                refused.append(format_.name)
        if not accepted:
            dtype = DataType(tensors[position].dtype).name  # type: ignore[union-attr]
            given = f" after {', '.join(f.name for f in chosen)}" if chosen else ""
            reason = f"supportsFormatCombination refused {dtype} in {', '.join(refused)}{given}"
            trace.refused.append(Refusal(implementation.id, "", position, reason))
        stack += reversed(accepted)


def _with_formats(
    tensors: Sequence[DynamicTensorDesc | None], formats: Sequence[TensorFormat | None]
) -> list[DynamicTensorDesc | None]:
    """Descs with these formats; positions beyond them keep LINEAR."""
    result: list[DynamicTensorDesc | None] = []
    for position, desc in enumerate(tensors):
        format_ = formats[position] if position < len(formats) else TensorFormat.LINEAR
        result.append(desc if desc is None or format_ is None else _in_format(desc, format_))
    return result


def _in_format(desc: DynamicTensorDesc, format_: TensorFormat) -> DynamicTensorDesc:
    data = desc.data if desc.data is None or format_ == TensorFormat.LINEAR else pack(desc.data, format_)
    return replace(desc, format=format_, data=data)
