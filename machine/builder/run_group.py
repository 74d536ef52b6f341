"""Runs one candidate of one group on given arrays, for folding constants and for timing."""

from __future__ import annotations

import math
import os
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dovetail import _native
from dovetail.core.errors import MemoryLimitError, PluginFailed
from dovetail.core.expr import leaves_of
from dovetail.core.negotiation import Place
from dovetail.core.tensor import DynamicTensorDesc, as_type, stored_as, unpack
from dovetail.core.types import FLOATS, DataType, DeviceType, storage_nptype
from dovetail.machine.builder.candidates import descs_of
from dovetail.machine.builder.graph import Candidate, GraphTensor, LayerGroup
from dovetail.machine.builder.samples import sample_block, samples

POISONS = (0xFF, 0x5A)  # bytes that outputs hold before a run; 0xFF makes NaN, -1 and no valid BOOL


def prepare(group: LayerGroup, candidate: Candidate, n_threads: int) -> tuple[memoryview | bytes, list[int]]:
    """The candidate's packed constants, and the workspace that it needs for each profile, in bytes."""
    row, native = candidate.row, candidate.row.implementation.native
    n_inputs = len(group.head.inputs)
    packed: memoryview | bytes = b""
    sizes = []
    n_profiles = len(group.outputs[0].ranges) if group.outputs else 1
    for profile in range(n_profiles):
        descs = descs_of(group, candidate, profile)
        native.configure(candidate.object, descs[:n_inputs], descs[n_inputs:])
        if profile == 0 and row.row >= 0:  # configured as it will be where a plan is loaded
            full = [
                None if tensor is None else tensor.desc(0, place, with_data=True)
                for tensor, place in zip(group.head.tensors, candidate.places, strict=True)
            ]
            packed = native.prepare(candidate.object, row.row, full[:n_inputs], full[n_inputs:]) or b""
        sizes.append(native.workspace(candidate.object, row.row, descs[:n_inputs], descs[n_inputs:], n_threads))
        _check_workspace(group, candidate, sizes[-1], profile)
    return packed, sizes


def _check_workspace(group: LayerGroup, candidate: Candidate, n_bytes: int, profile: int) -> None:
    """Raise if a workspace on the CPU is larger than the memory of this machine, so that no context could have it."""
    most = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if candidate.device != DeviceType.CPU or n_bytes <= most:
        return
    row = candidate.row
    raise MemoryLimitError(
        f"{row.label} asks for a workspace of {n_bytes} bytes in {group.label}",
        facts=[
            ("this machine", f"{most} bytes of memory"),
            ("asked for", f"getWorkspaceSize at the largest extents of profile {profile}"),
            ("plugin", row.implementation.plugin or "not known"),
        ],
        hint="Correct what it returns, or narrow the profile; config.set_memory_pool_limit refuses it earlier.",
        plugin=row.implementation.id,
        layer=group.name,
        method="getWorkspaceSize",
        got=n_bytes,
    )


class OnDevice:
    """What the candidates of one layer share in the memory of the GPU while they are timed there."""

    def __init__(self) -> None:
        self._tensors: dict[tuple, Any] = {}
        self._prepared: dict[tuple, tuple[memoryview | bytes, list[int]]] = {}

    def prepare(self, group: LayerGroup, candidate: Candidate, n_threads: int) -> tuple[memoryview | bytes, list[int]]:
        """What `prepare` returns; candidates that only absorb more have the same."""
        row = candidate.row
        key = (row.implementation.id, row.row, candidate.places)
        if key not in self._prepared:
            self._prepared[key] = prepare(group, candidate, n_threads)
        return self._prepared[key]

    def input(self, tensor: GraphTensor, place: Place, array: np.ndarray | None) -> tuple[DynamicTensorDesc, Any]:
        """(desc, memory) of a tensor with these contents, or with samples."""
        key, desc = (id(tensor), place), _at_opt(tensor, place)
        if key not in self._tensors:
            held = self._held(tensor, place, desc, array)
            self._tensors[key] = tensor, _native.DeviceBuffer(desc.allocated_size, held)
        return desc, self._tensors[key][1]

    def _held(self, tensor: GraphTensor, place: Place, desc: DynamicTensorDesc, array: Any) -> np.ndarray:
        """The bytes, or a block that is repeated to make them."""
        volume = math.prod(desc.dims)
        is_dense = desc.allocated_size == volume * place.dtype.bits // 8
        is_sample = array is None and tensor.constant is None
        if is_sample and is_dense and volume and tensor.dtype in FLOATS and place.dtype in FLOATS:
            return sample_block(place.dtype, volume).view(np.uint8)
        return _bytes_of(tensor, place, desc, samples([tensor])[0] if array is None else array)

    def output(self, index: int, desc: DynamicTensorDesc) -> tuple[DynamicTensorDesc, Any]:
        """(desc, memory) of an output, which holds anything."""
        key = ("output", index, desc.allocated_size)
        if key not in self._tensors:
            self._tensors[key] = None, _native.DeviceBuffer(desc.allocated_size)
        return desc, self._tensors[key][1]


class Prepared:
    """What candidates of one layer share on the CPU, as long as one that uses it is being timed."""

    def __init__(self) -> None:
        self._packed: dict[tuple, tuple[Callable[[], Any], list[int]]] = {}
        self._arrays: dict[tuple, tuple[Callable[[], Any], Callable[[], Any]]] = {}

    def prepare(self, group: LayerGroup, candidate: Candidate, n_threads: int) -> tuple[memoryview | bytes, list[int]]:
        """What `prepare` returns; candidates that only absorb more have the same."""
        row = candidate.row
        key = (row.implementation.id, row.row, candidate.places)
        if key in self._packed and (packed := self._packed[key][0]()) is not None:
            return packed, self._packed[key][1]
        packed, sizes = prepare(group, candidate, n_threads)
        if isinstance(packed, memoryview):
            self._packed[key] = weakref.ref(packed), sizes
        return packed, sizes

    def bytes_of(self, tensor: GraphTensor, place: Place, desc: DynamicTensorDesc, array: np.ndarray) -> np.ndarray:
        """What `_bytes_of` returns."""
        key = (id(array), place)
        if key in self._arrays:
            held, source = (one() for one in self._arrays[key])
            if held is not None and source is array:  # not another array that got the same id
                return held
        held = _bytes_of(tensor, place, desc, array)
        self._arrays[key] = weakref.ref(held), weakref.ref(array)
        return held


def _bytes_of(tensor: GraphTensor, place: Place, desc: DynamicTensorDesc, array: Any) -> np.ndarray:
    """The bytes of a tensor with these contents as it lies in a place."""
    packed = stored_as(array, tensor.dtype, place.dtype, place.format, tensor.scale)
    flat = np.ascontiguousarray(packed).reshape(-1).view(np.uint8)
    missing = desc.allocated_size - flat.size
    return np.pad(flat, (0, missing)) if missing else flat


class Trial:
    """A candidate made ready to run alone, at the opt extents of the first profile, under guards.

    Arrays have the types of the network and are converted to and from those of the candidate.

    Args:
        shared: tensors on the GPU that are used as they are, where all places are there. Then there are no guards and
            no results, and inputs behind the end of `arrays` hold samples.
        prepared: what it shares with other candidates of the layer on the CPU.

    Raises:
        PluginFailed: the candidate failed.
    """

    def __init__(
        self,
        group: LayerGroup,
        candidate: Candidate,
        arrays: Sequence[np.ndarray | None],
        n_threads: int = 1,
        shared: OnDevice | None = None,
        prepared: Prepared | None = None,
    ) -> None:
        self._group, self._candidate, self._n_threads = group, candidate, n_threads
        prepared = prepared or Prepared()
        self._packed, self._workspaces = (shared or prepared).prepare(group, candidate, n_threads)
        self._inputs: list[Any] = []
        places = group.places(candidate)
        for index, (tensor, place) in enumerate(zip(group.inputs, places, strict=False)):
            array = arrays[index] if index < len(arrays) else None
            if tensor is None or place is None or (array is None and not shared):
                self._inputs.append(None)
            elif shared:
                self._inputs.append(shared.input(tensor, place, array))
            else:
                desc = _at_opt(tensor, place)
                self._inputs.append((desc, prepared.bytes_of(tensor, place, desc, array)))  # the run makes a copy
        outputs = zip(group.outputs, places[len(group.inputs) :], strict=True)
        self._out_descs = [_at_opt(tensor, place) for tensor, place in outputs]
        if shared:
            self._outputs = [shared.output(index, desc) for index, desc in enumerate(self._out_descs)]
            self._native = self._trial(self._outputs, is_guarded=False)
        else:
            self._outputs, self._native = self._ready(POISONS[0])

    def run(self, repeat: int = 1, before: Any = None) -> list[int]:
        """The duration of each run in ns. `before`: how the caches are prepared before each run."""
        return self._native.run(repeat, before)

    def results(self) -> list[np.ndarray]:
        """Outputs of the last run, in row-major order. This ends the trial.

        Raises:
            PluginFailed: it wrote outside of its outputs, or left elements of them unwritten.
        """
        self._native.settle()
        doubtful = [_left(buffer, desc, POISONS[0]) for desc, buffer in self._outputs]
        if any(left.any() for left in doubtful):  # left as they were, or equal to it: another filling says which
            again, native = self._ready(POISONS[1])
            native.run()
            native.settle()
            second = [_left(buffer, desc, POISONS[1]) for desc, buffer in again]
            _refuse_unwritten(self._group, self._candidate, [a & b for a, b in zip(doubtful, second, strict=True)])
        arrays = [unpack(buffer, desc.dims, desc.dtype, desc.format) for desc, buffer in self._outputs]
        return [
            as_type(array, desc.dtype, tensor.dtype, tensor.scale)
            for array, desc, tensor in zip(arrays, self._out_descs, self._group.outputs, strict=True)
        ]

    def _ready(self, poison: int) -> tuple[list[tuple[DynamicTensorDesc, np.ndarray]], Any]:
        """(desc, bytes) of outputs that hold `poison`, and the native trial that will write them."""
        outputs = [(desc, np.full(desc.allocated_size, poison, np.uint8)) for desc in self._out_descs]
        return outputs, self._trial(outputs, is_guarded=True)

    def _trial(self, outputs: list[tuple[DynamicTensorDesc, Any]], is_guarded: bool) -> Any:
        row = self._candidate.row
        program = self._group.program_of(self._candidate)
        return row.implementation.native.trial(
            self._candidate.object,
            row.row,
            inputs=self._inputs,
            outputs=outputs,
            packed=self._packed or None,
            workspace_bytes=max(self._workspaces, default=0),
            n_threads=self._n_threads,
            guarded=is_guarded,
            epilogue=program.as_native() if program else None,
            n_operands=len(self._group.operands),
        )


def run_candidate(
    group: LayerGroup,
    candidate: Candidate,
    arrays: Sequence[np.ndarray | None],
    n_threads: int = 1,
    repeat: int = 1,
) -> tuple[list[np.ndarray], list[int]]:
    """Outputs in row-major order, and the duration of each run in ns. Raises what `Trial` does."""
    trial = Trial(group, candidate, arrays, n_threads)
    times = trial.run(repeat)
    return trial.results(), times


def _left(buffer: np.ndarray, desc: DynamicTensorDesc, poison: int) -> np.ndarray:
    """Which elements, without padding, still contain `poison`."""
    n_bytes = storage_nptype(desc.dtype).itemsize
    same = buffer.view(f"u{n_bytes}") == int.from_bytes(bytes([poison]) * n_bytes, "little")
    return unpack(same, desc.dims, DataType.BOOL, desc.format) if same.any() else np.zeros((), bool)


def _refuse_unwritten(group: LayerGroup, candidate: Candidate, unwritten: Sequence[np.ndarray]) -> None:
    """Raise for outputs with elements that two runs did not write, except those with data-dependent extents."""
    facts = []
    for index, (tensor, left) in enumerate(zip(group.outputs, unwritten, strict=True)):
        if not left.any() or any(leaf.is_size_tensor for leaf in leaves_of(*tensor.dims)):
            continue
        at = ", ".join(str(int(i)) for i in np.argwhere(left)[0])
        dims = tensor.ranges[0][1]
        facts.append(
            (f"output {index}", f"{tensor.dtype.name} {list(dims)}: {int(left.sum())} of {left.size} elements")
        )
        facts.append(("first", f"element [{at}]"))
    if not facts:
        return
    row = candidate.row
    raise PluginFailed(
        f"{row.label} left elements of its outputs unwritten in {group.label}",
        facts=[*facts, ("plugin", row.implementation.plugin or "not known")],
        hint="enqueue must write every element of every output: they held something else in each of two runs.",
        plugin=row.implementation.id,
        layer=group.name,
        method="enqueue",
        tactic=row.tactic,
        guard="unwritten",
    )


def _at_opt(tensor: Any, place: Place | None) -> DynamicTensorDesc:
    return tensor.desc(0, place).with_dims(tensor.ranges[0][1])
