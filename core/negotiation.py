"""The format rows that an implementation offers for a layer, and the reason why each other row was refused.

A format row assigns a place, which is a type, a format and a device, to every input and output. An implementation
either lists its rows or answers position by position (`supportsFormatCombination`); combinations are then searched
depth first. A predicate that checks types only accepts every combination of formats, ten for each tensor: the search
ends after `MOST_COMBINATIONS`, and the trace says so.

The types that each tensor may have are given; with one type for each, the network is strongly typed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from dovetail.core.contract import Implementation, Row
from dovetail.core.tensor import DynamicTensorDesc, stored_as
from dovetail.core.types import DataType, DeviceType, TensorFormat

Types = Sequence[Sequence[DataType] | None]  # of each tensor of a layer; None for an absent one
Made = dict[tuple[int, DataType, TensorFormat], DynamicTensorDesc]  # a tensor's desc in a place, by position
MOST_COMBINATIONS = 100  # of formats that a predicate is asked about, accepted or refused; TensorRT's limit
ON_CPU = "@cpu"  # suffix of a format word: the tensor is in host memory, whatever device the row runs on


class Place(NamedTuple):
    """How and where a tensor is stored; neighbouring layers must agree on it."""

    dtype: DataType
    format: TensorFormat
    device: DeviceType

    @classmethod
    def of_word(cls, dtype: DataType, word: str, device: DeviceType) -> Place:
        """Of a tensor of this type, what a word of `Row.formats` says in an implementation for `device`: "chw32",
        "linear@cpu"."""
        return cls(dtype, *_lies(word, device))

    def __str__(self) -> str:
        return f"{self.dtype.name} {self.format.name} on the {self.device.name}"

    def with_type(self, dtype: DataType) -> Place:
        return Place(dtype, self.format, self.device)

    def on(self, device: DeviceType) -> Place:
        return Place(self.dtype, self.format, device)

    def beside(self, other: Place) -> str:
        """What distinguishes it from another place: "CHW16", "HALF", "LINEAR on the GPU"."""
        words = [self.dtype.name] if self.dtype != other.dtype else []
        if self.device != other.device:
            return " ".join([*words, f"{self.format.name} on the {self.device.name}"])
        return " ".join([*words, self.format.name] if self.format != other.format else words)


@functools.cache
def _lies(word: str, device: DeviceType) -> tuple[TensorFormat, DeviceType]:
    on_cpu = word.endswith(ON_CPU)
    return TensorFormat.from_short(word.removesuffix(ON_CPU)), DeviceType.CPU if on_cpu else device


@dataclass(frozen=True)
class Target:
    """The processors that a plan is built for, with the features that rows may need."""

    features: frozenset[str] = frozenset()  # instruction sets of its CPU
    sm: int = 0  # compute capability of its GPU: 90; 0: no GPU is used
    device_name: str = ""  # of the GPU: "NVIDIA H100 80GB HBM3"

    def has(self, device: DeviceType) -> bool:
        return device == DeviceType.CPU or (device == DeviceType.GPU and self.sm > 0)

    def describe(self, device: DeviceType) -> str:
        """The name of a device of this machine in messages."""
        if device == DeviceType.CPU:
            return f"this cpu ({' '.join(sorted(self.features))})"
        return f"this gpu ({self.device_name}, sm_{self.sm})" if self.sm else "a gpu (there is none)"


@dataclass(frozen=True)
class FormatRow:
    """One complete assignment, inputs first. None stands for an absent optional input."""

    implementation: Implementation
    row: int  # index in the implementation's table; -1 if it was asked position by position
    tactic: str
    places: tuple[Place | None, ...]

    @functools.cached_property
    def formats(self) -> tuple[TensorFormat | None, ...]:
        return tuple(None if place is None else place.format for place in self.places)

    @functools.cached_property
    def types(self) -> tuple[DataType | None, ...]:
        return tuple(None if place is None else place.dtype for place in self.places)

    @property
    def label(self) -> str:
        return f"{self.implementation.id}:{self.tactic}" if self.tactic else self.implementation.id

    @functools.cached_property
    def declared(self) -> Row | None:
        """What the native table says of the row; None if it was asked position by position."""
        return self.implementation.rows_by_index.get(self.row)


@dataclass(frozen=True)
class Refusal:
    """Who refused, at which position, and why. Position -1: the row as a whole."""

    implementation: str
    tactic: str
    position: int
    reason: str

    def __str__(self) -> str:
        where = f" position {self.position}:" if self.position >= 0 else ""
        return f"{self.implementation}{':' + self.tactic if self.tactic else ''}{where} {self.reason}"


PINNED = "the layer is pinned to "  # how the reason of a refusal starts that the choice of another caused


@dataclass
class Trace:
    """All rows tried for one layer: those accepted and those refused."""

    found: list[FormatRow] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)  # of implementations that raised when asked

    def facts(self) -> list[tuple[str, str]]:
        """(who, why) lines for a message. Rows that have the same reason share a line: those of one implementation,
        and all that are left out because the layer is pinned to another."""
        grouped: dict[tuple[str, str], list[str]] = {}
        pinned: dict[str, str] = {}  # reason -> the first row that has it
        for refusal in self.refused:
            who = "#" + (refusal.implementation.partition("#")[2] or refusal.implementation)
            at = f"tensor {refusal.position}: " if refusal.position >= 0 else ""
            if refusal.reason.startswith(PINNED):
                who = pinned.setdefault(refusal.reason, who)
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
    types: Types | None = None,
    wanted: Sequence[Place | None] | None = None,
) -> None:
    """Add to `trace` what this implementation offers for these tensors.

    Args:
        native_object: the implementation's object for the layer.
        tensors: inputs, then outputs; their formats are ignored.
        target: the processors that the layer is to run on.
        types: what each of them may have; None: its own type.
        wanted: the only places that are asked about, where they are known.
    """
    made: Made = {}
    if wanted is not None:
        types = [None if place is None else (place.dtype,) for place in wanted]
    elif types is None:
        types = [None if desc is None else (desc.dtype,) for desc in tensors]
    if implementation.rows:
        kinds = tuple(
            None if desc is None or legal is None else (tuple(legal), len(desc.dims))
            for desc, legal in zip(tensors, types, strict=True)
        )
        for row in implementation.rows if wanted is None else _rows_at(implementation, wanted, n_inputs):
            reason, position, found = _fit_row(row, implementation.device, kinds, n_inputs, target)
            if reason:
                trace.refused.append(Refusal(implementation.id, row.tactic, position, reason))
            for places in found:
                descs = _in_places(tensors, places, made)
                reason = implementation.native.fits(native_object, row.index, descs[:n_inputs], descs[n_inputs:]) or ""
                if reason:
                    trace.refused.append(Refusal(implementation.id, row.tactic, -1, reason))
                else:
                    trace.found.append(FormatRow(implementation, row.index, row.tactic, places))
        return
    for chosen in _walk_predicate(implementation, native_object, tensors, n_inputs, types, trace, made):
        if wanted is None or chosen == tuple(wanted):
            trace.found.append(FormatRow(implementation, -1, "", chosen))


def words_for(text: str, n_inputs: int, n_outputs: int) -> tuple[list[str], list[str]] | None:
    """Words of a row's types or formats, one for each input and output; None if the counts do not fit.

    Format words keep their suffix "@cpu", which `Place.of_word` reads.
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


@functools.cache  # each row is asked again for every layer
def _tensors_of(
    types: str, formats: str, device: DeviceType, n_inputs: int, n_outputs: int
) -> tuple[tuple[str, tuple[Place, ...]], ...] | None:
    """What a row's words say of each tensor: the word of its type, and a place for each of the types in it."""
    type_words, format_words = (words_for(text, n_inputs, n_outputs) for text in (types, formats))
    if type_words is None or format_words is None:
        return None
    return tuple(
        (word, tuple(Place.of_word(DataType.from_short(part), format_word, device) for part in word.split("|")))
        for word, format_word in zip(type_words[0] + type_words[1], format_words[0] + format_words[1], strict=True)
    )


def _rows_at(implementation: Implementation, wanted: Sequence[Place | None], n_inputs: int) -> Iterator[Row]:
    """The rows whose formats are those of `wanted`."""
    for formats, rows in implementation.rows_by_formats.items():
        if _lie_in(formats or "linear", implementation.device, tuple(wanted), n_inputs):
            yield from rows


@functools.lru_cache(maxsize=1 << 14)
def _lie_in(formats: str, device: DeviceType, wanted: tuple[Place | None, ...], n_inputs: int) -> bool:
    words = words_for(formats, n_inputs, len(wanted) - n_inputs)
    return words is not None and all(
        place is None or _lies(word, device) == place[1:]
        for word, place in zip(words[0] + words[1], wanted, strict=True)
    )


@functools.lru_cache(maxsize=1 << 14)  # layers of a network are alike
def _fit_row(
    row: Row,
    device: DeviceType,
    tensors: tuple[tuple[tuple[DataType, ...], int] | None, ...],
    n_inputs: int,
    target: Target,
) -> tuple[str, int, tuple[tuple[Place | None, ...], ...]]:
    """("", -1, the assignments of places) if the row's words fit tensors of these types and ranks, else the reason and
    the position."""
    missing = [need for need in row.needs if need not in target.features]
    if missing:
        return f"needs {', '.join(missing)}, which this cpu lacks", -1, ()
    if device == DeviceType.GPU and row.min_sm > target.sm:
        return f"needs sm_{row.min_sm}, {_sm_text(target)}", -1, ()
    n_outputs = len(tensors) - n_inputs
    offered = _tensors_of(row.types, row.formats or "linear", device, n_inputs, n_outputs)
    if offered is None:
        return f"takes tensors '{row.types}', here are {n_inputs} inputs and {n_outputs} outputs", -1, ()
    alternatives: set[int] | None = None
    for position, (tensor, (type_word, places)) in enumerate(zip(tensors, offered, strict=True)):
        if tensor is None:
            continue
        legal, rank = tensor
        fitting = {i for i, place in enumerate(places) if place.dtype in legal}
        if len(places) > 1:
            fitting = fitting if alternatives is None else fitting & alternatives
            alternatives = fitting
        if not fitting:
            return f"takes {type_word} only, got {' or '.join(dtype.name for dtype in legal)}", position, ()
        if rank < places[0].format.least_rank:
            return f"format {places[0].format.name} needs more dimensions than {rank}", position, ()
    assignments = (
        tuple(
            None if tensor is None else places[i if len(places) > 1 else 0]
            for tensor, (_, places) in zip(tensors, offered, strict=True)
        )
        for i in sorted(alternatives or {0})
    )
    return "", -1, tuple(dict.fromkeys(assignments))


def _sm_text(target: Target) -> str:
    return f"this device is sm_{target.sm}" if target.sm else "no GPU is used here"


def _walk_predicate(
    implementation: Implementation,
    native_object: Any,
    tensors: Sequence[DynamicTensorDesc | None],
    n_inputs: int,
    types: Types,
    trace: Trace,
    made: Made,
) -> Iterator[tuple[Place, ...]]:
    """All rows that the predicate accepts, LINEAR tried first at each position.

    First those of the tensors' own types, then for each other type those in which at least one tensor has it.
    """
    present = [desc for desc in tensors if desc is not None]
    if len(present) < len(tensors):
        trace.refused.append(Refusal(implementation.id, "", -1, "takes no absent inputs"))
        return
    own = [tuple(legal or ())[:1] for legal in types]
    yield from _Walk(implementation, native_object, present, n_inputs, own, made).rows(trace)
    for other in dict.fromkeys(dtype for legal in types for dtype in (legal or ())[1:]):
        pairs = zip(types, own, strict=True)
        legal = [((other, *one) if other in (several or ())[1:] else one) for several, one in pairs]
        walk = _Walk(implementation, native_object, present, n_inputs, legal, made)
        changed = [other in (several or ())[1:] for several in types]
        for row in walk.rows(trace):
            if any(place.dtype == other and is_changed for place, is_changed in zip(row, changed, strict=True)):
                yield row


class _Walk:
    """Asks one predicate, and turns its answers into messages."""

    def __init__(
        self,
        implementation: Implementation,
        native_object: Any,
        tensors: Sequence[DynamicTensorDesc],
        n_inputs: int,
        types: Sequence[Sequence[DataType]],
        made: Made,
    ) -> None:
        self.implementation, self.object = implementation, native_object
        self.tensors, self.n_inputs, self.types, self.made = tensors, n_inputs, types, made

    def rows(self, trace: Trace) -> Iterator[tuple[Place, ...]]:
        """What the predicate accepts, depth first, and what it refuses into the trace."""
        who = self.implementation.id
        stack: list[tuple[Place, ...]] = [()]
        tried = 0
        known: set[tuple[Place, ...]] = set()
        while stack and tried < MOST_COMBINATIONS:
            chosen = stack.pop()
            if len(chosen) == len(self.tensors):
                tried += 1
                known.add(chosen)
                yield chosen
                continue
            accepted, refused = self.extend(chosen)
            if not accepted:
                tried += 1
                trace.refused.append(Refusal(who, "", len(chosen), self.reason(chosen, refused)))
            stack += [(*chosen, place) for place in reversed(accepted)]
        if stack:
            yield from (row for row in self.uniform() if row not in known)
            trace.refused.append(Refusal(who, "", -1, self.capped()))

    def extend(self, chosen: tuple[Place, ...]) -> tuple[list[Place], list[Place]]:
        """(accepted, refused) places of the tensor behind those chosen."""
        accepted: list[Place] = []
        refused: list[Place] = []
        for place in self.places_for(len(chosen)):
            (accepted if self.takes((*chosen, place)) else refused).append(place)
        return accepted, refused

    def places_for(self, position: int) -> list[Place]:
        formats, device = _formats_for(self.tensors[position]), self.implementation.device
        return [Place(dtype, format_, device) for dtype in self.types[position] for format_ in formats]

    def takes(self, places: tuple[Place, ...]) -> bool:
        """What the predicate says of the last of `places`."""
        descs = _in_places(self.tensors, places, self.made)
        n_outputs = len(self.tensors) - self.n_inputs
        native = self.implementation.native
        return bool(native.supports(self.object, len(places) - 1, descs, self.n_inputs, n_outputs))

    def reason(self, chosen: tuple[Place, ...], refused: Sequence[Place]) -> str:
        by_type = {place.dtype: [p.format.name for p in refused if p.dtype == place.dtype] for place in refused}
        what = " and ".join(f"{dtype.name} in {', '.join(formats)}" for dtype, formats in by_type.items())
        before = [
            place.format.name if place.dtype == desc.dtype else f"{place.dtype.name} {place.format.name}"
            for place, desc in zip(chosen, self.tensors, strict=False)
        ]
        given = f" after {', '.join(before)}" if before else ""
        return f"supportsFormatCombination refused {what}{given}"

    def uniform(self) -> Iterator[tuple[Place, ...]]:
        """Rows with one format wherever a tensor's rank allows it, so that a walk that ended early has one of each."""
        device = self.implementation.device
        for format_ in TensorFormat:
            row = tuple(
                Place(legal[0], format_ if format_ in _formats_for(tensor) else TensorFormat.LINEAR, device)
                for tensor, legal in zip(self.tensors, self.types, strict=True)
            )
            if all(place.format != format_ for place in row) or not format_.is_supported:
                continue
            if all(self.takes(row[: position + 1]) for position in range(len(row))):
                yield row

    def capped(self) -> str:
        possible = 1
        for tensor in self.tensors:
            possible *= len(_formats_for(tensor))
        return (
            f"asked about {MOST_COMBINATIONS} combinations of formats of up to {possible}, and those with one format "
            "for all tensors: supportsFormatCombination should look at inOut[pos].format as well as at its type"
        )


def _formats_for(tensor: DynamicTensorDesc | None) -> list[TensorFormat]:
    """The formats that a tensor of this rank can have."""
    rank = 0 if tensor is None else len(tensor.dims)
    return [format_ for format_ in TensorFormat if format_.is_supported and rank >= format_.least_rank]


def _in_places(
    tensors: Sequence[DynamicTensorDesc | None], places: Sequence[Place | None], made: Made
) -> list[DynamicTensorDesc | None]:
    """Descs in these places; positions beyond them keep their type, LINEAR. `made` has those of earlier calls."""
    result: list[DynamicTensorDesc | None] = []
    for position, desc in enumerate(tensors):
        place = places[position] if position < len(places) else None
        if desc is not None and (place is not None or position >= len(places)):
            dtype, format_ = (desc.dtype, TensorFormat.LINEAR) if place is None else place[:2]
            key = (position, dtype, format_)
            if key not in made:
                made[key] = in_place(desc, dtype, format_)
            desc = made[key]
        result.append(desc)
    return result


def in_place(desc: DynamicTensorDesc, dtype: DataType, format_: TensorFormat) -> DynamicTensorDesc:
    """The desc of a row-major tensor with another type and format, and the contents of a constant as they lie there."""
    data = None if desc.data is None else stored_as(desc.data, desc.dtype, dtype, format_, desc.scale)
    return desc.laid_out(dtype, format_, data)


def types_of_row(row: Row, n_inputs: int, n_outputs: int) -> tuple[tuple[DataType, ...], ...]:
    """The assignments of types that a row takes, one for each of its alternatives; none if the counts do not fit."""
    wanted = _tensors_of(row.types, "linear", DeviceType.CPU, n_inputs, n_outputs)
    if wanted is None:
        return ()
    n_alternatives = max((len(places) for _, places in wanted), default=1)
    return tuple(
        tuple(places[i if len(places) > 1 else 0].dtype for _, places in wanted) for i in range(n_alternatives)
    )


def types_that_fit(
    implementation: Implementation,
    native_object: Any,
    tensors: Sequence[DynamicTensorDesc],
    n_inputs: int,
    choices: Sequence[Sequence[DataType]],
    answer: Callable[[tuple[DataType, ...]], tuple[DataType, ...] | None],
) -> tuple[DataType, ...] | None:
    """The first assignment of types within `choices` that a predicate accepts in some formats; None if there is none.

    Args:
        answer: returns the types of the outputs for types of the inputs; None if the op does not accept those.
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
