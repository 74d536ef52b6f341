"""The graph as a plan: a document and its constants."""

from __future__ import annotations

import itertools
import math
import os
import platform
from collections.abc import Iterator
from typing import Any

import numpy as np

from dovetail import _native
from dovetail.core.expr import Expr
from dovetail.core.negotiation import Target
from dovetail.core.programs import Programs
from dovetail.core.types import DeviceType, FieldType, from_numpy
from dovetail.machine.builder.build import Build
from dovetail.machine.builder.control import aliases
from dovetail.machine.builder.graph import Block, Candidate, Graph, GraphTensor, LayerGroup, MemoryPlan, PackedLater
from dovetail.machine.builder.measurements import LEAST_RUNS
from dovetail.machine.builder.origins import Table
from dovetail.machine.plan import PackedAtLoad, write_plan

COMPARED_FIRST = 1 << 14  # bytes of constants of one length that differ in nearly all cases


class _Pool:
    """Constants, each stored once, and the programs that compute extents."""

    def __init__(self, programs: Programs) -> None:
        self.programs = programs
        self.constants: list[memoryview | PackedAtLoad] = []
        self._packed_at_load: dict[PackedLater, int] = {}
        self._by_start: dict[tuple[int, str], list[int]] = {}  # by length, and a digest of the first bytes

    def constant(self, data: memoryview | bytes | np.ndarray) -> int:
        """The index of these bytes among the constants. They are not copied."""
        array = bytes_of(data) if isinstance(data, np.ndarray) else np.frombuffer(data, np.uint8)
        alike = self._by_start.setdefault((len(array), _native.checksum(array[:COMPARED_FIRST])), [])
        for index in alike:
            if np.array_equal(self.constants[index], array):  # type: ignore[arg-type]
                return index
        self.constants.append(memoryview(array))
        alike.append(len(self.constants) - 1)
        return alike[-1]

    def packed(self, data: memoryview | bytes | PackedLater, at_load_by: int | None) -> int:
        """The index of what a row packed: stored, or made by the first step that has the same."""
        if at_load_by is None:
            assert not isinstance(data, PackedLater)
            return self.constant(data)
        later = data if isinstance(data, PackedLater) else PackedLater(len(data), _native.checksum(data))
        if later not in self._packed_at_load:
            self.constants.append(PackedAtLoad(at_load_by, len(later)))
            self._packed_at_load[later] = len(self.constants) - 1
        return self._packed_at_load[later]


def bytes_of(array: np.ndarray) -> np.ndarray:
    """The bytes of an array in row-major order, where they lie if they lie so."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)


def serialise(graph: Graph, build: Build) -> Graph:
    """Write the plan."""
    sizes = _sizes(graph)
    tensors = graph.all_tensors()
    extents = [dim for tensor in tensors for dim in tensor.dims if dim.value is None]
    extents += [expr for expr, _ in graph.constraints] + [leaf.leaf.upper for leaf in sizes]  # type: ignore[union-attr]
    pool = _Pool(Programs(extents, {leaf: number for number, leaf in enumerate(sizes)}))
    index = {id(tensor): i for i, tensor in enumerate(tensors)}
    where = dict.fromkeys(graph.outputs, "output") | dict.fromkeys(graph.inputs, "input")
    owners = aliases(graph)
    document = {
        "name": graph.name or "unnamed",
        "producer": f"dovetail {_native.VERSION}",
        "device": _device(graph, tensors, build.target),
        "requires": _requires(graph),
        "tensors": [
            _tensor(tensor, where.get(tensor, "arena"), pool) | _alias(tensor, owners, index) for tensor in tensors
        ],
        "constraints": [{"program": pool.programs.index(expr), "text": text} for expr, text in graph.constraints],
        "inputs": [index[id(tensor)] for tensor in graph.inputs],
        "outputs": [index[id(tensor)] for tensor in graph.outputs],
        "shape_inputs": [i for i, contents in enumerate(graph.input_contents[0]) if contents is not None],
        "sizes": [_size(leaf, graph, index, pool) for leaf in sizes],
        "profiles": [_profile(graph, tensors, sizes, graph.memory[p], p) for p in range(graph.n_profiles)],
        "steps": _steps(graph, itertools.count(), index, pool),
        "weights": _weights(graph, tensors, index),
        "report": _report(graph),
    }
    document["programs"] = pool.programs.programs
    graph.document, graph.constants = document, pool.constants
    graph.plan = write_plan(document, pool.constants)
    return graph


def _sizes(graph: Graph) -> list[Expr]:
    """The data-dependent extents, in the order in which they become known."""
    places = {id(layer): place for place, layer in enumerate(graph.all_layers())}
    alive = [leaf for leaf, (layer, _) in graph.sizes.items() if id(layer) in places]
    return sorted(alive, key=lambda leaf: places[id(graph.sizes[leaf][0])])


def _size(leaf: Expr, graph: Graph, index: dict[int, int], pool: _Pool) -> dict[str, int]:
    layer, output = graph.sizes[leaf]
    assert leaf.leaf is not None
    return {
        "tensor": index[id(layer.outputs[output])],
        "upper": pool.programs.index(leaf.leaf.upper),  # type: ignore[arg-type]
    }


def _device(graph: Graph, tensors: list[GraphTensor], target: Target) -> dict[str, Any]:
    """What the plan can run on."""
    cpu = {"machine": platform.machine(), "isa": _needed_isa(graph)}
    used = {tensor.device for tensor in tensors} | {group.choice.device for group in graph.computing_groups()}
    if DeviceType.GPU not in used:
        return {"type": "cpu", **cpu}
    version = _native.cuda_version()  # of the library and of the driver, for people
    return {"type": "cuda", **cpu, "sm": target.sm, "name": target.device_name, "version": version}


def _needed_isa(graph: Graph) -> list[str]:
    needs: set[str] = set()
    for group in graph.computing_groups():
        declared = group.choice.row.declared
        needs |= set() if declared is None else set(declared.needs)
    return sorted(needs)


def _requires(graph: Graph) -> list[dict[str, Any]]:
    """Plugins that the plan cannot run without, and where they came from."""
    found: dict[str, dict[str, Any]] = {}
    for group in graph.computing_groups():
        implementation = group.choice.row.implementation
        record = graph.lookup.record_of(implementation.id)
        found[implementation.id] = {
            "op": group.head.spec.id,
            "implementation": implementation.id,
            "plugin": record.name if record else implementation.plugin,
            "plugin_version": record.version if record else "",
            "library": os.path.basename(implementation.library),
            "hash": record.hash if record else "",
            "distribution": record.distribution if record else "",
            "python": group.head.spec.where if "python" in implementation.traits else "",
        }
    return list(found.values())


def _tensor(tensor: GraphTensor, where: str, pool: _Pool) -> dict[str, Any]:
    names: list[str | None] = [tensor.dimension_names.get(axis) for axis in range(len(tensor.dims))]
    result: dict[str, Any] = {
        "name": tensor.name,
        "dtype": int(tensor.place.dtype),
        "format": int(tensor.format),
        "scale": tensor.scale,
        "device": tensor.device.dlpack_code,
        "dims": [{"program": pool.programs.index(dim)} if dim.value is None else dim.value for dim in tensor.dims],
        "dim_names": names,
        "where": where,
    }
    if tensor.is_constant:
        stored = pool.constant(tensor.contents(tensor.place)) if tensor.is_stored else -1
        result.update(where="constant", constant=stored)
    return result


def _profile(
    graph: Graph, tensors: list[GraphTensor], sizes: list[Expr], memory: MemoryPlan, profile: int
) -> dict[str, Any]:
    likely = graph.extents[profile].corners[1]
    return {
        **({"sizes": [likely.of(leaf) for leaf in sizes]} if sizes else {}),
        "inputs": [[list(dims) for dims in ranges] for ranges in graph.input_dims[profile]],
        "contents": [[list(v) for v in values] for values in graph.input_contents[profile] if values is not None],
        **_arenas(memory),
        "offsets": [memory.offsets.get(id(tensor), -1) for tensor in tensors],
        "workspace": memory.workspace_offsets,
        "workspace_bytes": memory.workspace_bytes,
    }


def _arenas(memory: MemoryPlan) -> dict[str, int]:
    cpu, cuda = memory.arenas[DeviceType.CPU], memory.arenas[DeviceType.GPU]
    sizes = {"arena_bytes": cpu.size, "lower_bound": cpu.lower_bound}
    return sizes | ({"cuda_arena_bytes": cuda.size, "cuda_lower_bound": cuda.lower_bound} if cuda.size else {})


def _alias(tensor: GraphTensor, owners: dict[GraphTensor, GraphTensor], index: dict[int, int]) -> dict[str, Any]:
    """The changes to the entry of a tensor that uses the memory of another one."""
    parts = {"parts": sorted(index[id(part)] for part in tensor.parts)} if tensor.parts else {}
    if tensor.lies_in is not None:
        home, at = tensor.lies_in
        return {"where": "alias", "alias_of": index[id(home)], **({"alias_at": at} if at else {}), **parts}
    return {"where": "alias", "alias_of": index[id(owners[tensor])]} if tensor in owners else parts


def _steps(block: Block, places: Iterator[int], index: dict[int, int], pool: _Pool) -> list[dict[str, Any]]:
    """The steps of a block. `places` numbers them, each in front of those of its blocks."""
    return [
        _control(group, places, index, pool) if group.blocks else _step(group, place, index, pool)
        for group, place in zip(block.groups, places, strict=False)
    ]


def _control(group: LayerGroup, places: Iterator[int], index: dict[int, int], pool: _Pool) -> dict[str, Any]:
    layer = group.head
    return {
        "layer": layer.name,
        "op": layer.spec.id,
        "control": layer.spec.name.lower(),
        "inputs": [-1 if tensor is None else index[id(tensor)] for tensor in layer.inputs],
        "outputs": [index[id(tensor)] for tensor in layer.outputs],
        **({} if layer.iterations is None else {"iterations": layer.iterations}),
        "blocks": [
            {
                "inputs": [index[id(tensor)] for tensor in block.inputs],
                "outputs": [index[id(tensor)] for tensor in block.outputs],
                "steps": _steps(block, places, index, pool),
            }
            for block in layer.blocks
        ],
    }


def _step(group: LayerGroup, place: int, index: dict[int, int], pool: _Pool) -> dict[str, Any]:
    choice = group.choice
    implementation = choice.row.implementation
    fields, state = None, -1
    if implementation.native.uses_op_object and choice.object.has_save:
        state = pool.constant(choice.object.save())
    else:
        fields = [[name, wire, _json_value(wire, value, pool)] for name, wire, value in group.head.wire_fields()]
    return {
        "layer": group.name,
        "op": group.head.spec.id,
        "implementation": implementation.id,
        "row": choice.row.tactic,
        "tactic": choice.row.row,
        "fields": fields,
        "state": state,
        "inputs": [-1 if tensor is None else index[id(tensor)] for tensor in group.inputs],
        "outputs": [index[id(tensor)] for tensor in group.outputs],
        "packed": pool.packed(group.packed, place if group.packs_at_load else None) if group.packed else -1,
        "python": "python" in implementation.traits,
        "device": implementation.device.dlpack_code,
        **_epilogue(group),
    }


def _epilogue(group: LayerGroup) -> dict[str, Any]:
    """What the step computes on its result; the tensors for it are the last inputs."""
    program = group.program_of(group.choice)
    if program is None:
        return {}
    result_type, steps = program.as_native()
    for step in steps:
        step[3] = [[kind, value if math.isfinite(value) else str(value)] for kind, value in step[3]]
    return {"epilogue": {"result_type": result_type, "steps": steps, "n_tensors": len(group.operands)}}


def _weights(graph: Graph, tensors: list[GraphTensor], index: dict[int, int]) -> list[dict[str, Any]]:
    """How each constant follows from weights of the network."""
    table = Table()
    for place, tensor in enumerate(tensors):
        if tensor.is_constant and tensor.origin is not None:
            table.add_tensor(place, tensor.origin)
    for place, group in enumerate(graph.all_groups()):
        table.add_packed(place, [index[id(tensor)] for tensor in group.replaced])
    return table.rows


def _json_value(wire: int, value: Any, pool: _Pool) -> Any:
    if wire == FieldType.TENSOR:
        array = np.ascontiguousarray(value.numpy() if hasattr(value, "numpy") else value)
        constant = pool.constant(array)
        return {"constant": constant, "dtype": int(from_numpy(array.dtype)), "dims": list(array.shape)}
    if isinstance(value, (tuple, list)):
        return [_json_value(wire, item, pool) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)  # JSON has no word for inf and nan
    return value if isinstance(value, str) else int(value)


def _report(graph: Graph) -> dict[str, Any]:
    steps = []
    for group, depth in _with_depths(graph):
        chosen, inserted_for = group.choice, group.head.inserted_for
        losers = [c for c in group.candidates if not _is_same(c, chosen)] if not inserted_for else []
        steps.append(
            {
                "layer": group.name,
                "op": group.head.spec.id,
                "runs_on": chosen.row.label,
                "device": chosen.device.name.lower(),
                "inputs": [_notation(t, chosen.device) for t in group.inputs],
                "outputs": [_notation(t, chosen.device) for t in group.outputs],
                "time_ns": None if math.isnan(chosen.time_ns) else chosen.time_ns,
                "lost": [_loser(group, c) for c in losers],
                "refused": [str(refusal) for refusal in group.trace.refused],
                "inserted_for": inserted_for,
                **({"fused": [f"{layer.spec.id} '{layer.name}'" for layer in group.layers]} if group.tail else {}),
                **({"depth": depth} if depth else {}),
            }
        )
    return {
        "steps": steps,
        "reformats": sum(group.is_reformat for group in graph.all_groups()),
        "copies": sum(group.is_copy for group in graph.all_groups()),
        "notes": graph.notes,
        "not_fused": graph.not_fused,
    }


def _with_depths(block: Block, depth: int = 0) -> Iterator[tuple[LayerGroup, int]]:
    """The groups in the order of the steps, and how many blocks each is in beside the main one."""
    for group in block.groups:
        yield group, depth
        for own in group.blocks:
            yield from _with_depths(own, depth + 1)


def _is_same(one: Candidate, other: Candidate) -> bool:
    return one.row is other.row and one.n_absorbed == other.n_absorbed


def _loser(group: LayerGroup, candidate: Candidate) -> str:
    formats = "/".join(dict.fromkeys(word for word in group.head.words_of(candidate) if word))
    time = "untimed" if math.isnan(candidate.time_ns) else f"{candidate.time_ns / 1e3:.2f} us"
    if 0 < candidate.n_runs < LEAST_RUNS:
        runs = "1 run" if candidate.n_runs == 1 else f"{candidate.n_runs} runs"
        time += f" (in {runs} only, since a candidate with the same formats took far less)"
    absorbed = f" with {candidate.n_absorbed} absorbed" if candidate.n_absorbed else ""
    return f"{candidate.row.label} {formats}{absorbed} {time}"


def _notation(tensor: GraphTensor | None, device: DeviceType) -> str:
    """Type, dims, format, and the device where it is not that of the step."""
    if tensor is None:
        return "-"
    dims = ",".join(str(dim) for dim in tensor.dims)
    away = f"@{tensor.device.name.lower()}" if tensor.device != device else ""
    return f"{tensor.place.dtype.word}[{dims}]" + ("" if int(tensor.format) == 0 else f":{tensor.format.name}") + away
