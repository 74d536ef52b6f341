"""Which format rows an implementation offers a layer, and why each of the others was refused.

A format row assigns a type and a place, which is a format and a device, to every input and output. An implementation
either lists its rows or is asked position by position (`supportsFormatCombination`): that predicate is walked depth
first. A predicate that looks at types only says yes to every combination of formats, ten for each tensor: the walk ends
after `MOST_COMBINATIONS`, and the trace says so.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from dovetail.core.contract import Implementation, Row
from dovetail.core.tensor import DynamicTensorDesc, pack
from dovetail.core.types import DataType, DeviceType, TensorFormat

Made = dict[tuple[int, TensorFormat], DynamicTensorDesc]  # a tensor's desc in a format, by position
MOST_COMBINATIONS = 100  # of formats that a predicate is asked about, found or refused; TensorRT's number
ON_CPU = "@cpu"  # suffix of a format word: the tensor lies in memory of the host, whatever device the row runs on


class Place(NamedTuple):
    """Where and how a tensor lies."""

    format: TensorFormat
    device: DeviceType

    @classmethod
    def of_word(cls, word: str, device: DeviceType) -> Place:
        """What a word of `Row.formats` says in an implementation for `device`: "chw32", "linear@cpu"."""
        on_cpu = word.endswith(ON_CPU)
        return cls(TensorFormat.from_short(word.removesuffix(ON_CPU)), DeviceType.CPU if on_cpu else device)

    def __str__(self) -> str:
        return f"{self.format.name} on the {self.device.name}"


@dataclass(frozen=True)
class Target:
    """The processors that a plan is built for: what rows may need of them."""

    features: frozenset[str] = frozenset()  # instruction sets of its CPU
    sm: int = 0  # compute capability of its GPU: 90; 0: no GPU is used
    device_name: str = ""  # of the GPU: "NVIDIA H100 80GB HBM3"

    def has(self, device: DeviceType) -> bool:
        return device == DeviceType.CPU or (device == DeviceType.GPU and self.sm > 0)

    def describe(self, device: DeviceType) -> str:
        """How messages call a device of this machine."""
        if device == DeviceType.CPU:
            return f"this cpu ({' '.join(sorted(self.features))})"
        return f"this gpu ({self.device_name}, sm_{self.sm})" if self.sm else "a gpu (there is none)"


@dataclass(frozen=True)
class FormatRow:
    """One complete assignment, inputs first. None stands for an absent optional input."""

    implementation: Implementation
    row: int  # index in the implementation's table; -1 where it was asked position by position
    tactic: str
    places: tuple[Place | None, ...]

    @property
    def formats(self) -> tuple[TensorFormat | None, ...]:
        return tuple(None if place is None else place.format for place in self.places)

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
    target: Target,
    trace: Trace,
    wanted: Sequence[Place | None] | None = None,
) -> None:
    """Add to `trace` what this implementation offers for these tensors, whose types are fixed.

    Args:
        native_object: the implementation's object for the layer.
        tensors: inputs, then outputs; their formats are ignored.
        target: the processors that the layer is to run on.
        wanted: the only places that are asked about, where they are known.
    """
    made: Made = {}
    if implementation.rows:
        kinds = tuple(None if desc is None else (desc.dtype, len(desc.dims)) for desc in tensors)
        for row in implementation.rows:
            reason, position, places = _fit_row(row, implementation.device, kinds, n_inputs, target)
            if not reason and wanted is not None and places != tuple(wanted):
                continue
            if not reason:
                descs = _with_formats(tensors, [None if place is None else place.format for place in places], made)
                reason = implementation.native.fits(native_object, row.index, descs[:n_inputs], descs[n_inputs:]) or ""
            if reason:
                trace.refused.append(Refusal(implementation.id, row.tactic, position, reason))
            else:
                trace.found.append(FormatRow(implementation, row.index, row.tactic, places))
        return
    for formats in _walk_predicate(implementation, native_object, tensors, n_inputs, trace, made):
        linear = (TensorFormat.LINEAR if format_ is None else format_ for format_ in formats)  # None: an absent input
        places = tuple(Place(format_, implementation.device) for format_ in linear)
        if wanted is not None and places != tuple(wanted):
            continue
        trace.found.append(FormatRow(implementation, -1, "", places))


def words_for(text: str, n_inputs: int, n_outputs: int) -> tuple[list[str], list[str]] | None:
    """Words of a row's types or formats, one for each input and output; None where the counts do not fit.

    Words of formats keep their suffix "@cpu": `Place.of_word` reads them.
    """
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


@functools.cache  # the rows of all plugins, which are asked anew for every layer
def _tensors_of(
    types: str, formats: str, device: DeviceType, n_inputs: int, n_outputs: int
) -> tuple[tuple[str, tuple[DataType, ...], Place], ...] | None:
    """What a row's words say of each tensor: the word of its type, the types in it, and the place."""
    type_words, format_words = (words_for(text, n_inputs, n_outputs) for text in (types, formats))
    if type_words is None or format_words is None:
        return None
    return tuple(
        (word, tuple(DataType.from_short(part) for part in word.split("|")), Place.of_word(format_word, device))
        for word, format_word in zip(type_words[0] + type_words[1], format_words[0] + format_words[1], strict=True)
    )


@functools.lru_cache(maxsize=1 << 14)  # layers of a network are alike
def _fit_row(
    row: Row, device: DeviceType, tensors: tuple[tuple[DataType, int] | None, ...], n_inputs: int, target: Target
) -> tuple[str, int, tuple[Place | None, ...]]:
    """("", -1, places) if the row's words fit tensors of these types and ranks, else the reason and the position."""
    missing = [need for need in row.needs if need not in target.features]
    if missing:
        return f"needs {', '.join(missing)}, which this cpu lacks", -1, ()
    if device == DeviceType.GPU and row.min_sm > target.sm:
        return f"needs sm_{row.min_sm}, {_sm_text(target)}", -1, ()
    n_outputs = len(tensors) - n_inputs
    wanted = _tensors_of(row.types, row.formats or "linear", device, n_inputs, n_outputs)
    if wanted is None:
        return f"takes tensors '{row.types}', here are {n_inputs} inputs and {n_outputs} outputs", -1, ()
    alternatives: set[int] | None = None
    chosen: list[Place | None] = []
    for position, (tensor, (type_word, legal, place)) in enumerate(zip(tensors, wanted, strict=True)):
        if tensor is None:
            chosen.append(None)
            continue
        own, rank = tensor
        fitting = {i for i, dtype in enumerate(legal) if dtype == own}
        if len(legal) > 1:
            fitting = fitting if alternatives is None else fitting & alternatives
            alternatives = fitting
        if not fitting:
            return f"takes {type_word} only, got {DataType(own).name}", position, ()
        if rank < place.format.least_rank:
            return f"format {place.format.name} needs more dimensions than {rank}", position, ()
        chosen.append(place)
    return "", -1, tuple(chosen)


def _sm_text(target: Target) -> str:
    return f"this device is sm_{target.sm}" if target.sm else "no GPU is used here"


def _walk_predicate(
    implementation: Implementation,
    native_object: Any,
    tensors: Sequence[DynamicTensorDesc | None],
    n_inputs: int,
    trace: Trace,
    made: Made,
) -> Iterator[tuple[TensorFormat | None, ...]]:
    """All rows that the predicate accepts, LINEAR tried first at each position."""
    if any(desc is None for desc in tensors):
        trace.refused.append(Refusal(implementation.id, "", -1, "takes no absent inputs"))
        return
    walk = _Walk(implementation, native_object, tensors, n_inputs, made)
    stack: list[tuple[TensorFormat, ...]] = [()]
    tried = 0
    while stack and tried < MOST_COMBINATIONS:
        chosen = stack.pop()
        if len(chosen) == len(tensors):
            tried += 1
            yield chosen
            continue
        accepted, refused = walk.extend(chosen)
        if not accepted:
            tried += 1
            trace.refused.append(Refusal(implementation.id, "", len(chosen), walk.reason(chosen, refused)))
        stack += [(*chosen, format_) for format_ in reversed(accepted)]
    if stack:
        yield from _uniform(walk, [row.formats for row in trace.found if row.implementation is implementation])
        trace.refused.append(Refusal(implementation.id, "", -1, _capped(tensors)))


class _Walk:
    """Questions to one predicate, and its answers in words."""

    def __init__(
        self,
        implementation: Implementation,
        native_object: Any,
        tensors: Sequence[DynamicTensorDesc | None],
        n_inputs: int,
        made: Made,
    ) -> None:
        self.native, self.object = implementation.native, native_object
        self.tensors, self.n_inputs, self.made = tensors, n_inputs, made

    def extend(self, chosen: tuple[TensorFormat, ...]) -> tuple[list[TensorFormat], list[TensorFormat]]:
        """(accepted, refused) formats of the tensor behind those chosen."""
        accepted: list[TensorFormat] = []
        refused: list[TensorFormat] = []
        for format_ in _formats_for(self.tensors[len(chosen)]):
            (accepted if self.takes((*chosen, format_)) else refused).append(format_)
        return accepted, refused

    def takes(self, formats: tuple[TensorFormat, ...]) -> bool:
        """What the predicate says of the last of `formats`."""
        descs = _with_formats(self.tensors, formats, self.made)
        n_outputs = len(self.tensors) - self.n_inputs
        return bool(self.native.supports(self.object, len(formats) - 1, descs, self.n_inputs, n_outputs))

    def reason(self, chosen: tuple[TensorFormat, ...], refused: Sequence[TensorFormat]) -> str:
        dtype = DataType(self.tensors[len(chosen)].dtype).name  # type: ignore[union-attr]
        given = f" after {', '.join(f.name for f in chosen)}" if chosen else ""
        return f"supportsFormatCombination refused {dtype} in {', '.join(f.name for f in refused)}{given}"


def _formats_for(tensor: DynamicTensorDesc | None) -> list[TensorFormat]:
    """The formats that a tensor of this rank can have."""
    rank = 0 if tensor is None else len(tensor.dims)
    return [format_ for format_ in TensorFormat if format_.is_supported and rank >= format_.least_rank]


def _uniform(walk: _Walk, known: Sequence[tuple[TensorFormat | None, ...]]) -> Iterator[tuple[TensorFormat, ...]]:
    """Rows with one format wherever a tensor's rank allows it, so that a walk that ended early has one of each."""
    for format_ in TensorFormat:
        row = tuple(format_ if format_ in _formats_for(tensor) else TensorFormat.LINEAR for tensor in walk.tensors)
        if row in known or format_ not in row or not format_.is_supported:
            continue
        if all(walk.takes(row[: position + 1]) for position in range(len(row))):
            yield row


def _capped(tensors: Sequence[DynamicTensorDesc | None]) -> str:
    possible = 1
    for tensor in tensors:
        possible *= len(_formats_for(tensor))
    return (
        f"asked about {MOST_COMBINATIONS} combinations of formats of up to {possible}, and those with one format for "
        "all tensors: supportsFormatCombination should look at inOut[pos].format as well as at its type"
    )


def _with_formats(
    tensors: Sequence[DynamicTensorDesc | None], formats: Sequence[TensorFormat | None], made: Made
) -> list[DynamicTensorDesc | None]:
    """Descs with these formats; positions beyond them keep LINEAR. `made` has those of earlier calls."""
    result: list[DynamicTensorDesc | None] = []
    for position, desc in enumerate(tensors):
        format_ = formats[position] if position < len(formats) else TensorFormat.LINEAR
        if desc is not None and format_ is not None:
            if (position, format_) not in made:
                made[position, format_] = _in_format(desc, format_)
            desc = made[position, format_]
        result.append(desc)
    return result


def _in_format(desc: DynamicTensorDesc, format_: TensorFormat) -> DynamicTensorDesc:
    data = desc.data if desc.data is None or format_ == TensorFormat.LINEAR else pack(desc.data, format_)
    return replace(desc, format=format_, data=data)


def types_of_row(row: Row, n_inputs: int, n_outputs: int) -> tuple[tuple[DataType, ...], ...]:
    """The assignments of types that a row takes: one for each of its alternatives; none if it is of other tensors."""
    wanted = _tensors_of(row.types, "linear", DeviceType.CPU, n_inputs, n_outputs)
    if wanted is None:
        return ()
    n_alternatives = max((len(legal) for _, legal, _ in wanted), default=1)
    return tuple(tuple(legal[i if len(legal) > 1 else 0] for _, legal, _ in wanted) for i in range(n_alternatives))


def types_that_fit(
    implementation: Implementation,
    native_object: Any,
    tensors: Sequence[DynamicTensorDesc],
    n_inputs: int,
    choices: Sequence[Sequence[DataType]],
    answer: Callable[[tuple[DataType, ...]], tuple[DataType, ...] | None],
) -> tuple[DataType, ...] | None:
    """The first assignment of types within `choices` that a predicate takes in some formats; None if there is none.

    Args:
        answer: the types of the outputs for those of the inputs, which are taken; None where there are none.
    """
    if any(tensor is None for tensor in tensors):
        return None
    outputs: dict[tuple[DataType, ...], tuple[DataType, ...] | None] = {}
    stack: list[tuple[tuple[DataType, TensorFormat], ...]] = [()]
    tried = 0
    while stack and tried < MOST_COMBINATIONS:
        chosen = stack.pop()
        position = len(chosen)
        types = tuple(dtype for dtype, _ in chosen)
        if position == len(tensors):
            return types
        legal: Sequence[DataType] = choices[position]
        if position >= n_inputs:
            given = types[:n_inputs]
            if given not in outputs:
                outputs[given] = answer(given)
            wanted = (outputs[given] or ())[position - n_inputs : position - n_inputs + 1]
            legal = [dtype for dtype in legal if dtype in wanted]
        accepted = []
        for dtype, format_ in ((d, f) for d in legal for f in _formats_for(tensors[position])):
            trial = [
                replace(desc, dtype=d, format=f)
                for desc, (d, f) in zip(tensors, (*chosen, (dtype, format_)), strict=False)
            ]
            descs = [*trial, *tensors[position + 1 :]]
            n_outputs = len(tensors) - n_inputs
            if implementation.native.supports(native_object, position, descs, n_inputs, n_outputs):
                accepted.append((dtype, format_))
        tried += not accepted
        stack += [(*chosen, one) for one in reversed(accepted)]
    return None
