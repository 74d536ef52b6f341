"""Every way to run a layer: implementations x format rows x tactics that fit types, device, flags and memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np

from dovetail.core.contract import Implementation, Lookup
from dovetail.core.environment import DISTRIBUTION
from dovetail.core.errors import DovetailError
from dovetail.core.negotiation import PINNED, FormatRow, Place, Refusal, Target, Trace, Types, negotiate
from dovetail.core.tensor import DynamicTensorDesc
from dovetail.core.types import FLOATS, DataType, DeviceType
from dovetail.machine.builder.graph import Candidate, Found, GraphLayer, LayerGroup
from dovetail.machine.config import IBuilderConfig
from dovetail.machine.enums import BuilderFlag, MemoryPoolType

NO_LIMIT = 2**63 - 1  # of a memory pool for which none was set
MOST_BYTES_THAT_DECIDE = 1024  # of a constant of floats
REFERENCE = "reference"  # the name of the implementation that runs a spec's NumPy reference


# What FLOAT may be instead, in a weakly typed network
FLAGS_OF_TYPES = {DataType.HALF: BuilderFlag.FP16, DataType.BF16: BuilderFlag.BF16}
WEAK = (DataType.FLOAT, *FLAGS_OF_TYPES)


def allowed_types(layer: GraphLayer, config: IBuilderConfig) -> Types:
    """The types that each tensor of a layer of a strongly typed network may be stored in: that of the network."""
    return [None if tensor is None else (tensor.dtype,) for tensor in layer.tensors]


def weak_types(layer: GraphLayer, config: IBuilderConfig) -> Types:
    """The types that each tensor of a layer of a weakly typed network may be stored in, first that of the network.

    On the CPU what is HALF or BF16 may be FLOAT, in which it is computed there anyway. With the flag FP16 what is FLOAT
    may be HALF, and with BF16 it may be BF16. Layers that convert from one of these to another keep their types, and so
    do those whose precision is set.
    """
    floats = {tensor.dtype for tensor in layer.tensors if tensor is not None and tensor.dtype in WEAK}
    if layer.device != DeviceType.CPU or layer.precision is not None or len(floats) != 1:
        return allowed_types(layer, config)
    (own,) = floats
    lower = [dtype for dtype, flag in FLAGS_OF_TYPES.items() if config.get_flag(flag)]
    legal = (own, *lower) if own == DataType.FLOAT else (own, DataType.FLOAT)
    return [None if t is None else legal if t.dtype == own else (t.dtype,) for t in layer.tensors]


class Candidates:
    """Finds candidates for one build.

    Args:
        types: says which types the tensors of a layer may have.
    """

    def __init__(
        self,
        lookup: Lookup,
        config: IBuilderConfig,
        target: Target,
        types: Callable[[GraphLayer, IBuilderConfig], Types] = allowed_types,
    ) -> None:
        self.lookup, self.config, self.target = lookup, config, target
        self._types = types
        self._answers: dict[tuple, Trace] = {}  # of built-in rows, to questions that equal layers ask again
        self._absorbing = Absorbing()

    def of(self, layer: GraphLayer) -> Found:
        """Candidates on the layer's device; if there are none and GPU_FALLBACK allows it, on the other one."""
        found = self.on(layer.device, layer)
        other = other_device(layer.device)
        if found.candidates or not self.may_fall_back_to(other):
            return found
        elsewhere = self.on(other, layer)
        elsewhere.trace.refused[:0] = found.trace.refused
        elsewhere.trace.failures[:0] = found.trace.failures
        elsewhere.notes[:0] = found.notes
        elsewhere.fell_back = bool(elsewhere.candidates)
        return elsewhere

    def may_fall_back_to(self, device: DeviceType) -> bool:
        return self.config.get_flag(BuilderFlag.GPU_FALLBACK) and self.target.has(device)

    def on(self, device: DeviceType, layer: GraphLayer, places: Sequence[Place | None] | None = None) -> Found:
        """Candidates on one device, with these places if they are given.

        The reference is included only if nothing else fits on this device, or if it is pinned.
        """
        found = Found()
        pin = self.config.pinned_implementation(layer.name)
        offered = [one for one in self.implementations_of(layer) if one.device == device]
        for implementation in offered:
            if implementation.name != REFERENCE:
                self._try(layer, implementation, pin, found, places)
        for implementation in offered:
            if implementation.name != REFERENCE:
                continue
            if found.candidates or not self.config.allow_reference:
                fits = "other implementations fit"
                reason = fits if found.candidates else "refused by config.allow_reference = False"
                if pin is None or not pin.startswith(("#reference", implementation.id)):
                    found.trace.refused.append(Refusal(implementation.id, "", -1, reason))
                    continue
            self._try(layer, implementation, pin, found, places)
            if found.candidates and pin is None:
                found.notes.append(f"{layer.label} runs through its NumPy reference: nothing faster fits")
        own = tuple(None if tensor is None else tensor.dtype for tensor in layer.tensors)
        if any(candidate.types != own for candidate in found.candidates):
            found.candidates.sort(key=lambda candidate: has_other_types(layer, candidate))
        return found

    def absorbing(self, group: LayerGroup, found: Found) -> list[Candidate]:
        """What `Absorbing.of` returns."""
        return self._absorbing.of(group, found)

    def implementations_of(self, layer: GraphLayer) -> Sequence[Implementation]:
        """All registered implementations; if there are none, those of the op's own object."""
        found = self.lookup.implementations_of(layer.spec.id)
        return found or tuple(self.lookup.bound(one) for one in getattr(layer.op, "implementations", ()))

    def _try(
        self,
        layer: GraphLayer,
        implementation: Implementation,
        pin: str | None,
        found: Found,
        places: Sequence[Place | None] | None,
    ) -> None:
        """Add the candidates of an implementation; if it fails, it is left out, and the report says so."""
        trace, limit = Trace(), self.config.get_memory_pool_limit(MemoryPoolType.WORKSPACE)
        try:
            native_object = make_object(layer, implementation)
            self._negotiate(layer, implementation, native_object, places, trace)
            for row in trace.found:
                candidate = Candidate(row, native_object)
                reason = self._refusal(layer, candidate, pin, limit)
                if reason:
                    found.trace.refused.append(Refusal(implementation.id, row.tactic, -1, reason))
                    continue
                found.candidates.append(candidate)
                found.trace.found.append(row)
        except DovetailError as error:
            if getattr(error, "plugin", None) is None:
                raise
            found.trace.refused.append(Refusal(implementation.id, "", -1, str(error).replace("\n", " ")))
            found.notes.append(f"{layer.label}: {implementation.id} failed and was left out: {error}")
            found.trace.failures.append(error)  # raised if nothing else fits
        found.trace.refused += trace.refused

    def _negotiate(
        self,
        layer: GraphLayer,
        implementation: Implementation,
        native_object: Any,
        places: Sequence[Place | None] | None,
        trace: Trace,
    ) -> None:
        """Add to `trace` what the implementation offers. Rows of dovetail's own answer equal layers the same."""
        descs = [None if tensor is None else tensor.desc(with_data=True) for tensor in layer.tensors]
        types = None if places is not None else self._types(layer, self.config)
        is_ours = implementation.rows and distribution_of(self.lookup, implementation) == DISTRIBUTION
        question = _question(layer, implementation, descs, types, places) if is_ours else None
        known = None if question is None else self._answers.get(question)
        if known is None:
            negotiate(implementation, native_object, descs, len(layer.inputs), self.target, trace, types, places)
            if question is not None:
                self._answers[question] = Trace(list(trace.found), list(trace.refused))
            return
        trace.found += known.found
        trace.refused += known.refused

    def _refusal(self, layer: GraphLayer, candidate: Candidate, pin: str | None, limit: int) -> str:
        """Why a row that fits the tensors is not used; "" if it is.

        Args:
            limit: of the bytes of its workspace.
        """
        if pin is not None and not _matches(pin, candidate.row):
            return f"{PINNED}{pin}"
        if is_winograd(candidate) and self.config.get_flag(BuilderFlag.DISABLE_WINOGRAD):
            return "computes by Winograd's algorithm, which BuilderFlag.DISABLE_WINOGRAD forbids"
        if DataType.INT8 in candidate.types:
            for tensor, dtype in zip(layer.tensors, candidate.types, strict=True):
                if tensor is not None and dtype == DataType.INT8 and tensor.dtype in FLOATS and tensor.scale <= 0:
                    return f"INT8 needs a scale, which '{tensor.name}' does not have"
        if limit >= NO_LIMIT:  # no row is asked what it needs
            return ""
        needed = workspace_of(LayerGroup(layer), candidate, 0, self.config.num_threads)
        return f"needs {needed} bytes of workspace, limit {limit}" if needed > limit else ""


def distribution_of(lookup: Lookup, implementation: Implementation) -> str:
    """The distribution that registered it; "" if that is not known."""
    return getattr(lookup.record_of(implementation.id), "distribution", "")


def _question(
    layer: GraphLayer,
    implementation: Implementation,
    descs: Sequence[DynamicTensorDesc | None],
    types: Types | None,
    places: Sequence[Place | None] | None,
) -> tuple | None:
    """Everything that decides what rows answer; None for a layer whose fields are arrays.

    Contents of constants count if they are small or integers: weights decide how a kernel computes, not whether.
    """
    fields = layer.wire_fields()
    if any(isinstance(value, np.ndarray) or hasattr(value, "numpy") for _, _, value in fields):
        return None
    tensors = tuple(
        None if d is None else (d.dims, d.dtype, d.scale, d.flags, d.min, d.opt, d.max, _deciding(d)) for d in descs
    )
    asked = None if types is None else tuple(None if legal is None else tuple(legal) for legal in types)
    wanted = None if places is None else tuple(places)
    return implementation.id, repr(fields), len(layer.inputs), tensors, asked, wanted


def _deciding(desc: DynamicTensorDesc) -> bytes | None:
    """The contents of a constant, unless they are weights."""
    if desc.data is None or (desc.dtype in FLOATS and desc.data.nbytes > MOST_BYTES_THAT_DECIDE):
        return None
    return desc.data.tobytes()


def has_other_types(layer: GraphLayer, candidate: Candidate) -> bool:
    """True if it reads or writes a tensor in another type than that of the network."""
    return any(
        tensor is not None and dtype not in (None, tensor.dtype)
        for tensor, dtype in zip(layer.tensors, candidate.types, strict=True)
    )


def is_winograd(candidate: Candidate) -> bool:
    """True if its row sums products of transformed inputs, with larger rounding errors than those of plain sums."""
    declared = candidate.row.declared
    return declared is not None and declared.is_winograd


def other_device(device: DeviceType) -> DeviceType:
    return DeviceType.GPU if device == DeviceType.CPU else DeviceType.CPU


def _matches(pin: str, row: FormatRow) -> bool:
    wanted, _, wanted_tactic = pin.rpartition(":") if pin.count(":") % 2 else (pin, "", "")
    is_named = wanted in (row.implementation.id, f"#{row.implementation.name}")
    return is_named and wanted_tactic in ("", row.tactic)


def make_object(layer: GraphLayer, implementation: Implementation) -> Any:
    """The implementation's object for this layer; for a V2 class, a clone of the op's object."""
    if implementation.native.uses_op_object:
        return layer.op.native.clone()  # type: ignore[attr-defined]
    with getattr(layer.op, "as_source", nullcontext)():
        return implementation.native.create(layer.name, layer.wire_fields())


class Absorbing:
    """Asks rows how many layers of the tail they compute, and remembers the answers for equal groups.

    Equal layers have the same `FormatRow` objects, see `Candidates`. So groups are equal if a row and what the tail
    computes are.
    """

    def __init__(self) -> None:
        self._numbers: dict[tuple, int] = {}  # of programs with what they read besides the result
        self._known: dict[tuple[int, int], tuple[FormatRow, int]] = {}  # by id of the row, which it keeps alive

    def of(self, group: LayerGroup, found: Found) -> list[Candidate]:
        """The candidates, each preceded by the same row with as many layers of the tail as it computes.

        A row is also offered with only the layers before an operand that another layer computes, since the place of
        that operand may decide. Layers are left to others only behind a cut of the group. A row that fails when it is
        asked is left out.

        Raises:
            PluginFailed: all rows fail. Also other errors that they return.
        """
        if group.program is None:
            return found.candidates
        breaks = {
            group.cut_before(position)
            for position, (layer, taken) in enumerate(zip(group.tail, group.taken, strict=True))
            if any(not layer.inputs[one.index].is_constant for one in taken)  # type: ignore[union-attr]
        }
        numbers: dict[Place | None, int] = {}
        offered: list[Candidate] = []
        for candidate in found.candidates:
            try:
                most = self._n_absorbed(group, candidate, numbers)
            except DovetailError as error:
                if getattr(error, "plugin", None) is None:
                    raise
                row = candidate.row
                reason = str(error).replace("\n", " ")
                found.trace.refused.append(Refusal(row.implementation.id, row.tactic, -1, reason))
                found.notes.append(f"{group.head.label}: {row.implementation.id} failed and was left out: {error}")
                found.trace.failures.append(error)
                continue
            if most:
                lengths = {group.cut_before(most), *(position for position in breaks if position < most)} - {0}
                offered += [candidate.changed(n_absorbed=n) for n in sorted(lengths, reverse=True)]
            offered.append(candidate)
        if not offered and found.trace.failures:
            raise found.trace.failures[-1]
        return offered

    def _n_absorbed(self, group: LayerGroup, candidate: Candidate, numbers: dict[Place | None, int]) -> int:
        """What the function returns.

        Args:
            numbers: of the epilogues of this group, by the place of the result.
        """
        row = candidate.row
        if not may_absorb(row):
            return 0
        result = candidate.places[len(group.head.inputs)]
        if result not in numbers:
            epilogue = group.program_of(candidate), *_operands(group, candidate)
            numbers[result] = self._numbers.setdefault(epilogue, len(self._numbers))
        key = id(row), numbers[result]
        if key not in self._known:
            self._known[key] = row, n_absorbed(group, candidate)
        return self._known[key][1]


def may_absorb(row: FormatRow) -> bool:
    return row.declared is not None and row.declared.absorbs


def n_absorbed(group: LayerGroup, candidate: Candidate) -> int:
    """How many layers of the tail the candidate's row can compute."""
    row, program = candidate.row, group.program_of(candidate)
    if program is None or not may_absorb(row):
        return 0
    n_inputs = len(group.head.inputs)
    head = [
        None if tensor is None else tensor.desc(0, place, with_data=True)
        for tensor, place in zip(group.head.tensors, candidate.places, strict=True)
    ]
    n_steps = row.implementation.native.absorbed(
        candidate.object,
        row.row,
        head[:n_inputs],
        head[n_inputs:],
        program.as_native(),
        _operands(group, candidate),
    )
    return program.layers_in(n_steps)


def _operands(group: LayerGroup, candidate: Candidate) -> list[DynamicTensorDesc]:
    """What the program reads besides the result."""
    places = group.places_of_operands(candidate.places[len(group.head.inputs)], len(group.tail))
    return [tensor.desc(0, place) for tensor, place in zip(group.operands, places, strict=False)]


def workspace_of(group: LayerGroup, candidate: Candidate, profile: int, n_threads: int) -> int:
    """Scratch in bytes for extents up to the profile's largest."""
    descs = descs_of(group, candidate, profile)
    n_inputs = len(group.head.inputs)
    row = candidate.row
    native = row.implementation.native
    native.configure(candidate.object, descs[:n_inputs], descs[n_inputs:])
    return native.workspace(candidate.object, row.row, descs[:n_inputs], descs[n_inputs:], n_threads)


def descs_of(group: LayerGroup, candidate: Candidate, profile: int) -> list[Any]:
    """Descriptions of the tensors of the group's head, in the candidate's places, without absorbed layers."""
    return [
        None if tensor is None else tensor.desc(profile, place)
        for tensor, place in zip(group.head.tensors, candidate.places, strict=True)
    ]
