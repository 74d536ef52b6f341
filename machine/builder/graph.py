"""The graph that passes transform: layers, groups of layers and tensors, with types and shapes resolved."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from dovetail.core.assignment import Ranges, Values
from dovetail.core.contract import Lookup, OpObject, OpSpec, SymbolicTensor, parse_op_id
from dovetail.core.epilogue import Program, Taken
from dovetail.core.errors import BuildError
from dovetail.core.expr import DimsExprs, Expr, constraints
from dovetail.core.negotiation import FormatRow, Place, Trace
from dovetail.core.tensor import CONSTANT_FLAG, DynamicTensorDesc, allocated_bytes, stored_as
from dovetail.core.types import DataType, DeviceType, TensorFormat, from_numpy
from dovetail.machine.builder.origins import Origin

if TYPE_CHECKING:
    from dovetail.machine.builder.arena import Arena
    from dovetail.machine.plan import IHostMemory, PackedAtLoad

GROWTH = 0.1  # of packed constants over what they replace; beyond it they are packed when the plan is loaded
Extents3 = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]  # min, opt, max


@dataclass(eq=False)
class GraphTensor:
    """A tensor. `ranges` holds (min, opt, max) extents for each profile.

    `dtype` is its type in the network. The selection decides where it lies, and there its type may be another; an input
    or output must lie in one of `allowed_places`, which have its own.
    """

    name: str
    dims: DimsExprs
    dtype: DataType
    ranges: list[tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]]
    producer: GraphLayer | None = None
    constant: np.ndarray | None = None
    scale: float = -1.0
    allowed_formats: int = 1
    allowed_device: DeviceType = DeviceType.CPU
    chosen_place: Place | None = None  # by the selection
    dimension_names: dict[int, str] = field(default_factory=dict)
    origin: Origin | None = None  # of the contents; None if they are not weights of the network
    is_stored: bool = True  # False: a constant that is in the plan in packed form only
    lies_in: tuple[GraphTensor, int] | None = None  # the tensor whose memory it is part of, and at which byte of it
    parts: list[GraphTensor] = field(default_factory=list)  # those in its memory that steps write; together all of it
    _made: dict[Any, tuple[Any, DynamicTensorDesc]] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def of_array(
        cls,
        name: str,
        array: np.ndarray,
        n_profiles: int,
        dtype: DataType | None = None,
        origin: Origin | None = None,
    ) -> GraphTensor:
        """A tensor with known contents."""
        dims = tuple(int(extent) for extent in array.shape)
        return cls(
            name,
            DimsExprs(dims),
            from_numpy(array.dtype) if dtype is None else dtype,
            [(dims, dims, dims)] * n_profiles,
            constant=np.ascontiguousarray(array),
            origin=origin,
        )

    @property
    def static_dims(self) -> tuple[int, ...]:
        """Extents, -1 if known only at run time."""
        return tuple(-1 if dim.value is None else dim.value for dim in self.dims)

    @property
    def is_constant(self) -> bool:
        return self.constant is not None

    @property
    def position(self) -> tuple[GraphTensor, int]:
        """The tensor that has the memory in which it lies, itself if it has its own, and at which byte."""
        tensor, at = self, 0
        while tensor.lies_in is not None:
            tensor, at = tensor.lies_in[0], at + tensor.lies_in[1]
        return tensor, at

    @property
    def home(self) -> GraphTensor:
        return self.position[0]

    def contents(self, place: Place) -> np.ndarray:
        """Those of a constant, as they lie there; row-major ones of its type are not copied."""
        assert self.constant is not None
        return stored_as(self.constant, self.dtype, place.dtype, place.format, self.scale)

    @property
    def place(self) -> Place:
        """Its place; before the selection, the place that it has if nothing is changed."""
        return self.chosen_place or Place(self.dtype, TensorFormat.LINEAR, DeviceType.CPU)

    @property
    def format(self) -> TensorFormat:
        return self.place.format

    @property
    def device(self) -> DeviceType:
        return self.place.device

    @property
    def allowed_places(self) -> list[Place]:
        formats = [f for f in TensorFormat if self.allowed_formats >> int(f) & 1]
        return [Place(self.dtype, format_, self.allowed_device) for format_ in formats]

    def desc(self, profile: int = 0, place: Place | None = None, with_data: bool = False) -> DynamicTensorDesc:
        """The description of the tensor for planning functions, in its place or another one."""
        place = place or self.place
        key = (profile, place.dtype, place.format, with_data)
        source = (self.dims, self.ranges[profile], self.constant, self.scale)  # what passes change
        kept = self._made.get(key)
        if kept is not None and all(map(operator.is_, kept[0], source)):
            return kept[1]
        contents = self.contents(place) if with_data and self.is_constant else None
        like = next((one for known, one in self._made.values() if all(map(operator.is_, known, source))), None)
        if like is not None:
            made = like.laid_out(place.dtype, place.format, contents)
        else:
            low, likely, high = self.ranges[profile]
            flags = CONSTANT_FLAG if self.is_constant else 0
            made = DynamicTensorDesc(
                self.static_dims, place.dtype, place.format, self.scale, contents, flags, low, likely, high
            )
        if made.data is None or made.data is self.constant:  # converted contents take memory
            self._made[key] = (source, made)
        return made


@dataclass(eq=False)
class GraphLayer:
    """A layer. None among the inputs is an absent optional one."""

    name: str
    spec: OpSpec
    values: dict[str, Any]
    op: OpObject
    inputs: list[GraphTensor | None]
    outputs: list[GraphTensor] = field(default_factory=list)
    precision: DataType | None = None
    device: DeviceType = DeviceType.CPU  # where it should run
    advice: str = ""  # what to do if nothing can run it
    converted: str = ""  # how its types differ from those of the network, and why
    inserted_for: str = ""  # why the builder added this layer; "" for layers of the user
    blocks: list[Block] = field(default_factory=list)  # what it runs, for layers of control.py
    iterations: int | None = None  # of a loop, where no tensor says how many

    @property
    def label(self) -> str:
        return f"{self.spec.id} '{self.name}'"

    @property
    def tensors(self) -> list[GraphTensor | None]:
        return [*self.inputs, *self.outputs]

    def words_of(self, candidate: Candidate) -> list[str]:
        """The format of each tensor when the layer runs that way, behind its type if the network has another: "HALF
        CHW16"; "" for an absent one."""
        words = []
        for tensor, place in zip(self.tensors, candidate.places, strict=True):
            if tensor is None or place is None:
                words.append("")
            else:
                own = place.dtype == tensor.dtype
                words.append(place.format.name if own else f"{place.dtype.name} {place.format.name}")
        return words

    def wire_fields(self) -> list[tuple[str, int, Any]]:
        """(name, wire type, value) of every field that has a value, as native objects take them."""
        return [
            (f.name, int(f.wire), self.values[f.name]) for f in self.spec.fields if self.values.get(f.name) is not None
        ]


@dataclass(frozen=True)
class Candidate:
    """One way to run a group: a format row, the implementation's object, and how much of the tail it computes.

    The layers of the tail that it does not compute run by `rest`, set by selection: one candidate for each, or for
    several where it absorbs those behind.
    """

    row: FormatRow
    object: Any
    time_ns: float = float("nan")  # of the head and the absorbed layers
    n_absorbed: int = 0  # layers of the tail that the kernel computes too
    rest: tuple[Candidate, ...] = ()
    n_runs: int = 0  # in which the time was found

    def changed(self, **fields: Any) -> Candidate:
        """The same with other values of some fields: `replace`, which a build calls too often for what that takes."""
        made = object.__new__(Candidate)
        vars(made).update(vars(self), **fields)
        return made

    @property
    def formats(self) -> tuple[TensorFormat | None, ...]:
        return self.row.formats

    @property
    def types(self) -> tuple[DataType | None, ...]:
        return self.row.types

    @property
    def places(self) -> tuple[Place | None, ...]:
        """Places of the inputs and outputs of the head; absorbed layers do not change the place of the result."""
        return self.row.places

    @property
    def device(self) -> DeviceType:
        return self.row.implementation.device


@dataclass
class Found:
    """The candidates of a layer, the refused rows, and notes for the build report."""

    candidates: list[Candidate] = field(default_factory=list)
    trace: Trace = field(default_factory=Trace)
    notes: list[str] = field(default_factory=list)
    fell_back: bool = False  # the candidates run on the other device, because nothing on the layer's device fits


@dataclass(frozen=True)
class PackedLater:
    """What a row packs when the plan is loaded: of the bytes themselves only this is kept."""

    n_bytes: int
    checksum: str

    def __len__(self) -> int:
        return self.n_bytes


@dataclass(eq=False)
class LayerGroup:
    """A layer and the pointwise layers after it that one kernel may absorb; the unit of selection.

    What the layers give is taken only inside of the group, but for the output of the last one. A chosen group runs as
    one step.
    """

    head: GraphLayer
    tail: list[GraphLayer] = field(default_factory=list)
    program: Program | None = None  # what the tail computes on the result of the head
    taken: list[list[Taken]] = field(default_factory=list)  # inputs of each layer of the tail that the program reads
    found: Found = field(default_factory=Found)
    found_alone: list[Found] = field(default_factory=list)  # for each layer of the tail that runs by itself
    behind: dict[int, LayerGroup] = field(default_factory=dict)  # what is left of the tail at a cut, as one group
    chosen: Candidate | None = None
    workspace_bytes: list[int] = field(default_factory=list)  # for each profile
    packed: memoryview | bytes | PackedLater = b""
    packs_at_load: bool = False  # the plan has the constants, and what they are packed into is made when it is loaded
    _views: dict[GraphTensor, GraphTensor] = field(default_factory=dict)  # constants in the dims that the program reads

    @property
    def layers(self) -> list[GraphLayer]:
        return [self.head, *self.tail]

    @property
    def name(self) -> str:
        """The name of the group, as TensorRT writes it: "conv1 + relu1"."""
        return " + ".join(layer.name for layer in self.layers)

    @property
    def label(self) -> str:
        return f"{self.head.spec.id} '{self.name}'"

    @property
    def blocks(self) -> list[Block]:
        return self.head.blocks

    @property
    def candidates(self) -> list[Candidate]:
        return self.found.candidates

    @property
    def trace(self) -> Trace:
        return self.found.trace

    @property
    def choice(self) -> Candidate:
        """The chosen candidate. Use it only after selection."""
        assert self.chosen is not None
        return self.chosen

    def slots(self) -> Iterator[tuple[GraphLayer, int]]:
        """(layer, index of its input) for each input of the group: the head's, then what the program reads beside."""
        yield from ((self.head, index) for index in range(len(self.head.inputs)))
        for layer, taken in zip(self.tail, self.taken, strict=True):
            yield from ((layer, one.index) for one in taken)

    @property
    def inputs(self) -> list[GraphTensor | None]:
        return [*self.head.inputs, *self.operands]

    @property
    def operands(self) -> list[GraphTensor]:
        """The further tensors of the program, constants in the dims in which it reads them."""
        return [
            self._view(layer.inputs[one.index], one.dims)
            for layer, taken in zip(self.tail, self.taken, strict=True)
            for one in taken
        ]

    def _view(self, tensor: GraphTensor | None, dims: tuple[int, ...] | None) -> GraphTensor:
        assert tensor is not None
        if dims is None or tensor.static_dims == dims:
            return tensor
        if tensor not in self._views:
            assert tensor.constant is not None
            contents = tensor.constant.reshape(dims)
            made = GraphTensor.of_array(tensor.name, contents, len(tensor.ranges), tensor.dtype, tensor.origin)
            made.chosen_place = Place(tensor.dtype, TensorFormat.LINEAR, tensor.device)
            self._views[tensor] = made
        return self._views[tensor]

    @property
    def outputs(self) -> list[GraphTensor]:
        return self.layers[-1].outputs

    @property
    def tensors(self) -> list[GraphTensor | None]:
        return [*self.inputs, *self.outputs]

    @property
    def cuts(self) -> list[int]:
        """Where the tail may be cut, ascending: the layers behind take only what the last one in front gives."""
        found, taken = [len(self.tail)], set()
        for n in range(len(self.tail) - 1, -1, -1):
            taken |= set(self.tail[n].inputs)
            if not any(layer.outputs[0] in taken for layer in self.layers[:n]):
                found.append(n)
        return found[::-1]

    def cut_before(self, n_layers: int) -> int:
        """The last cut with at most these layers of the tail in front."""
        return max(n for n in self.cuts if n <= n_layers)

    def part(self, n_absorbed: int) -> LayerGroup:
        """The head with the layers of the tail before a cut, as computed by a candidate that absorbs them."""
        if n_absorbed == len(self.tail):
            return self
        program = self.program.first(n_absorbed) if self.program and n_absorbed else None
        return LayerGroup(self.head, self.tail[:n_absorbed], program, self.taken[:n_absorbed], _views=self._views)

    def program_of(self, candidate: Candidate) -> Program | None:
        """The program, in the type of the candidate's result."""
        if self.program is None:
            return None
        place = candidate.places[len(self.head.inputs)]
        return self.program.retyped(self.head.outputs[0].dtype if place is None else place.dtype)

    def place_of_result(self, candidate: Candidate) -> Place | None:
        """Where the candidate leaves what the last layer that it absorbs gives.

        Absorbed layers do not change the place of the result. If the head writes another type than in the network, so
        do the absorbed layers that have that type in the network.
        """
        place = candidate.places[len(self.head.inputs)]
        return None if place is None else self._retyped(self.layers[candidate.n_absorbed].outputs[0], place)

    def _retyped(self, tensor: GraphTensor, result: Place) -> Place:
        """The place of a tensor of the absorbed layers if it is stored like the head's result."""
        return result if tensor.dtype == self.head.outputs[0].dtype else result.with_type(tensor.dtype)

    def places(self, candidate: Candidate) -> list[Place | None]:
        """The place of each of `tensors` if the group runs with this candidate.

        Operands of absorbed layers are on the device of the result, in its format if they have its extents, else
        linear.
        """
        found, results = self.places_of_part(candidate, 0)
        position = candidate.n_absorbed
        for one in candidate.rest:
            layer = self.tail[position]
            found += [one.places[taken.index] for taken in self.taken[position]]
            group = self.behind[position] if one.n_absorbed else LayerGroup(layer)
            operands, results = group.places_of_part(one, len(layer.inputs), self.taken[position + 1 :])
            found += operands
            position += 1 + one.n_absorbed
        return [*found, *results]

    def places_of_part(
        self, candidate: Candidate, first: int, taken: Sequence[list[Taken]] | None = None
    ) -> tuple[list[Place | None], list[Place | None]]:
        """Places of the inputs of what a candidate computes, those of the head from `first` on, and of the outputs.

        Args:
            taken: the operands that are asked for; None: all that the program reads.
        """
        n_inputs = len(self.head.inputs)
        found, results = list(candidate.places[first:n_inputs]), list(candidate.places[n_inputs:])
        if not candidate.n_absorbed:
            return found, results
        found += self.places_of_operands(results[0], candidate.n_absorbed, taken)
        return found, [self.place_of_result(candidate)]

    def places_of_operands(
        self, result: Place | None, n_absorbed: int, taken: Sequence[list[Taken]] | None = None
    ) -> list[Place | None]:
        """Places of what the first layers of the tail take besides a head's result in this place."""
        absorbed = list(zip(self.layers, self.tail, taken or self.taken, strict=False))[:n_absorbed]
        return [
            self._as_operand(layer.inputs[one.index], before.outputs[0], result)
            for before, layer, operands in absorbed
            for one in operands
        ]

    def _as_operand(self, tensor: GraphTensor | None, result: GraphTensor, place: Place | None) -> Place | None:
        """The place of an operand of an epilogue for a result in `place`."""
        if tensor is None or place is None:
            return None
        is_whole = not tensor.is_constant and all(a.same(b) for a, b in zip(tensor.dims, result.dims, strict=True))
        return self._retyped(tensor, place) if is_whole else Place(tensor.dtype, TensorFormat.LINEAR, place.device)

    def is_replaced(self, index: int) -> bool:
        """True if this input is a constant that the chosen kernel does not read because it has a packed copy."""
        tensor = self.inputs[index]
        if not self.packed or index >= len(self.head.inputs) or tensor is None or not tensor.is_constant:
            return False
        declared = self.choice.row.declared
        return declared is not None and bool(declared.replaces >> index & 1)

    @property
    def is_in_place(self) -> bool:
        """True if the chosen kernel may write its output over its first input, which has the same place."""
        declared, first = self.choice.row.declared, self.head.inputs[:1]
        if not first or first[0] is None or first[0].place != self.outputs[0].place:
            return False
        return declared is not None and declared.is_in_place

    @property
    def replaced(self) -> list[GraphTensor]:
        """The constants that the chosen kernel does not read because it has packed copies."""
        found = enumerate(self.head.inputs)
        return [tensor for index, tensor in found if tensor is not None and self.is_replaced(index)]

    @property
    def is_enlarged(self) -> bool:
        """True if what is packed is much larger than what it replaces: plans do not hold it."""
        return len(self.packed) > (1 + GROWTH) * sum(allocated_bytes(tensor.desc()) for tensor in self.replaced)

    @property
    def may_pack_at_load(self) -> bool:
        """True if no input that the chosen kernel may replace is absent; loading a plan cannot pack without it."""
        declared = self.choice.row.declared
        wanted = 0 if declared is None else declared.replaces
        places = [index for index in range(64) if wanted >> index & 1]
        return all(index < len(self.head.inputs) and self.head.inputs[index] is not None for index in places)

    @property
    def is_reformat(self) -> bool:
        """True if it was inserted to convert a tensor to another place."""
        return self.head.spec.role == "reformat" and bool(self.head.inserted_for)

    @property
    def is_copy(self) -> bool:
        """True if it was inserted to copy a tensor to another device."""
        return (
            bool(self.head.inserted_for) and len({tensor.device for tensor in self.tensors if tensor is not None}) > 1
        )


@dataclass(frozen=True)
class MemoryPlan:
    """Arenas of one profile. Offsets in bytes, each in the arena of its device; -1 if it is in none."""

    arenas: dict[DeviceType, Arena]
    offsets: dict[int, int]  # id of tensor -> offset
    workspace_offsets: list[int]  # for each group
    workspace_bytes: list[int]


@dataclass(eq=False, kw_only=True)
class Block:
    """A list of layers whose tensors are its own: the network itself, a branch, the body of a loop.

    Before `group_layers` it consists of layers, afterwards of groups. Layers may take tensors of the blocks around.
    """

    layers: list[GraphLayer] = field(default_factory=list)
    inputs: list[GraphTensor] = field(default_factory=list)
    outputs: list[GraphTensor] = field(default_factory=list)
    groups: list[LayerGroup] = field(default_factory=list)  # all layers, once they are grouped: steps of the plan

    def set_groups(self, groups: list[LayerGroup]) -> None:
        """Let the block consist of these groups, and of their layers."""
        self.groups = groups
        self.layers = [layer for group in groups for layer in group.layers]

    def each_block(self) -> Iterator[Block]:
        """This block, then those of its layers and the blocks inside of them."""
        yield self
        for layer in self.layers:
            for block in layer.blocks:
                yield from block.each_block()

    def all_layers(self) -> Iterator[GraphLayer]:
        """The layers in the order in which they run, each in front of those of its blocks."""
        for layer in self.layers:
            yield layer
            for block in layer.blocks:
                yield from block.all_layers()

    def all_groups(self) -> Iterator[LayerGroup]:
        """The groups in the same order, which is that in which a plan numbers its steps."""
        for group in self.groups:
            yield group
            for block in group.blocks:
                yield from block.all_groups()

    def computing_groups(self) -> list[LayerGroup]:
        """Those that run by a kernel, not by blocks of their own."""
        return [group for group in self.all_groups() if not group.blocks]


@dataclass(eq=False)
class Graph(Block):
    """A network that becomes a plan. Passes return a changed graph; no pass undoes what another one decided."""

    name: str
    lookup: Lookup
    n_profiles: int = 1
    # [profile][input]
    input_dims: list[list[tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]]] = field(default_factory=list)
    # [profile][input]: (min, opt, max) contents of inputs that are shapes, None of others
    input_contents: list[list[tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]] | None]] = field(
        default_factory=list
    )
    extents: list[ProfileExtents] = field(default_factory=list)  # [profile]
    constraints: list[tuple[Expr, str]] = field(default_factory=list)
    sizes: dict[Expr, tuple[GraphLayer, int]] = field(default_factory=dict)  # data-dependent extent: (layer, output)
    notes: list[str] = field(default_factory=list)  # lines for the build report
    not_fused: list[str] = field(default_factory=list)  # pointwise layers that run by themselves, and why
    memory: list[MemoryPlan] = field(default_factory=list)  # [profile]
    document: dict[str, Any] = field(default_factory=dict)  # the plan as JSON, without its constants
    constants: list[memoryview | PackedAtLoad] = field(default_factory=list)
    plan: IHostMemory | None = None  # both as a file

    def _units(self) -> list[Any]:
        """Groups, or layers as long as there are none, of all blocks."""
        return list(self.all_groups() if self.groups else self.all_layers())

    def consumers(self) -> dict[GraphTensor, list[Any]]:
        """The layers, or groups, that take each tensor, in order, as they are now; what none takes is left out."""
        found: dict[GraphTensor, list[Any]] = {}
        for unit in self._units():
            for tensor in dict.fromkeys(unit.inputs):
                if tensor is not None:
                    found.setdefault(tensor, []).append(unit)
        return found

    def all_tensors(self) -> list[GraphTensor]:
        """Every tensor once: inputs, then in the order of the layers; without those inside of groups."""
        seen: dict[int, GraphTensor] = {id(t): t for t in self.inputs}
        for unit in self._units():
            for tensor in (*unit.tensors, *(t for block in unit.blocks for t in block.inputs)):
                if tensor is not None:
                    seen.setdefault(id(tensor), tensor)
        for tensor in self.outputs:
            seen.setdefault(id(tensor), tensor)
        for tensor in list(seen.values()):
            while tensor.lies_in is not None:
                tensor = tensor.lies_in[0]
                seen.setdefault(id(tensor), tensor)
        return list(seen.values())

    def replace(self, old: GraphTensor, new: GraphTensor) -> None:
        """Replace `old` by `new` in every consumer and in the outputs."""
        for layer in self.all_layers():
            layer.inputs = [new if t is old else t for t in layer.inputs]
        for block in self.each_block():
            block.outputs = [new if t is old else t for t in block.outputs]

    def substitute(
        self, old: GraphLayer, op: str, inputs: Sequence[GraphTensor | None], /, **fields: Any
    ) -> GraphLayer:
        """Put a layer of another op in the place of `old`, whose outputs it makes.

        Raises:
            PluginNotFound: `op`, "namespace::Name@version", is not registered.
            BuildError: the new layer would have other outputs, or `old` writes a data-dependent extent.
            FieldValueError: an op of Python has no such field, or not with this value.
        """
        block = self._block_of(old, op)
        if any(layer is old for layer, _ in self.sizes.values()):
            raise BuildError(f"{op} cannot replace {old.label}, which writes a data-dependent extent")
        made = self._made(old.name, op, inputs, fields, f"{op} cannot replace {old.label}")
        if len(made.outputs) != len(old.outputs) or not all(map(_alike, made.outputs, old.outputs)):
            found, wanted = (
                [f"{tensor.dtype.name} {tensor.dims}" for tensor in tensors] for tensors in (made.outputs, old.outputs)
            )
            raise BuildError(
                f"{made.spec.id} cannot replace {old.label}",
                facts=[("its outputs", ", ".join(found)), ("needed", ", ".join(wanted))],
            )
        made.outputs, made.precision, made.device = old.outputs, old.precision, old.device
        for tensor in made.outputs:
            tensor.producer = made
        block.layers[block.layers.index(old)] = made
        return made

    def insert(
        self, before: GraphLayer, op: str, inputs: Sequence[GraphTensor | None], /, name: str = "", **fields: Any
    ) -> GraphLayer:
        """Put a new layer in front of another one, in its block and for its device; `layer.outputs` are new tensors.

        Args:
            name: of the layer; its outputs are called after it.

        Raises the errors of `substitute`.
        """
        block = self._block_of(before, op)
        made = self._made(name or f"{op} for {before.name}", op, inputs, fields, f"{op} cannot be inserted")
        made.device, made.inserted_for = before.device, f"a rewrite of {before.label}"
        block.layers.insert(block.layers.index(before), made)
        return made

    def _block_of(self, layer: GraphLayer, op: str) -> Block:
        found = next((block for block in self.each_block() if any(one is layer for one in block.layers)), None)
        if found is None:
            raise BuildError(f"{op} cannot replace {shown(layer)}, which is not a layer of the graph")
        return found

    def _made(
        self, name: str, op: str, inputs: Sequence[GraphTensor | None], fields: dict[str, Any], subject: str
    ) -> GraphLayer:
        """A layer with new outputs, in no block yet. What it requires of extents becomes a condition of the plan."""
        for tensor in inputs:
            if tensor is not None and not isinstance(tensor, GraphTensor):
                raise BuildError(f"{subject}: an input is {shown(tensor)}, not GraphTensor")
        spec = self.lookup.find(*parse_op_id(op))
        values = {**spec.defaults(), **fields}
        made = spec.make(name, values)
        given = [None if t is None else SymbolicTensor(t.dims, t.dtype, t.name, t.constant) for t in inputs]
        with constraints() as required:
            inferred = made.infer(given)
        known = {(str(condition), text) for condition, text in self.constraints}
        self.constraints += [(c.condition, c.text) for c in required if (str(c.condition), c.text) not in known]
        layer = GraphLayer(name, spec, values, made, list(inputs))
        for index, found in enumerate(inferred):
            ranges = [extents.of(found.dims) for extents in self.extents]
            own = name if not index else f"{name}, output {index}"
            layer.outputs.append(GraphTensor(own, found.dims, found.dtype, ranges, layer))
        return layer

    def weights(
        self, name: str, array: np.ndarray, by: str, of: Sequence[GraphTensor | None], dtype: DataType | None = None
    ) -> GraphTensor:
        """A constant that a pass, `by`, made of others.

        Args:
            dtype: what the array stands for, if NumPy has no such type.
        """
        origins = [tensor.origin for tensor in of if tensor is not None]
        why = f"{by} made it, which is not in the plan"
        known = tuple(dict.fromkeys(origin for origin in origins if origin is not None))
        origin = Origin("folded", name, by=by, not_refittable=why, of=known) if known else None
        return GraphTensor.of_array(name, array, self.n_profiles, dtype, origin)

    def drop_dead_layers(self) -> None:
        """Remove layers that neither the contents nor the extents of an output depend on."""
        alive: set[int] = set()
        stack: list[GraphTensor] = list(self.outputs)
        while stack:
            tensor = stack.pop()
            late = late_leaves(tensor.dims) if self.sizes else []
            sizes = (self.sizes[leaf][0] for leaf in late if leaf in self.sizes)
            for producer in (tensor.producer, *sizes):
                if producer is not None and id(producer) not in alive:
                    alive.add(id(producer))
                    stack += [t for t in producer.tensors if t is not None]
                    stack += [t for block in producer.blocks for t in block.outputs]
        for block in self.each_block():
            block.layers = [layer for layer in block.layers if id(layer) in alive]


def _alike(a: GraphTensor, b: GraphTensor) -> bool:
    """True if two tensors have one type and always the same extents."""
    same = a.dtype == b.dtype and len(a.dims) == len(b.dims)
    return same and all(one.same(other) for one, other in zip(a.dims, b.dims, strict=True))


def shown(value: Any) -> str:
    """What a pass gave where something else belongs, for a message."""
    if isinstance(value, GraphLayer):
        return value.label
    if value is None or isinstance(value, (str, int, float)):
        return f"{value!r:.60}"
    return f"of type {type(value).__name__}"


def late_leaves(dims: Sequence[Expr]) -> list[Expr]:
    """Elements of inputs and sizes that these extents depend on, each once."""
    return sorted({leaf for dim in dims for leaf in dim.late}, key=lambda leaf: leaf.serial)


class ProfileExtents:
    """Values and bounds of extents in one profile; parts that extents share are evaluated once."""

    def __init__(self, dims: Sequence[Extents3], contents: Sequence[Extents3 | None]) -> None:
        self._dims, self._contents = dims, contents
        self.ranges = Ranges(
            [_intervals(extents) for extents in dims], [None if c is None else _intervals(c) for c in contents]
        )
        # At min, opt and max of all inputs, with data-dependent extents at their bounds.
        self.corners = [self._corner(i) for i in range(3)]

    def _corner(self, i: int, sizes: Mapping[Expr, int] | None = None) -> Values:
        return Values(
            [extents[i] for extents in self._dims], [None if c is None else c[i] for c in self._contents], sizes
        )

    def use_sizes(self, sizes: Mapping[Expr, int]) -> None:
        """Use these values for sizes at opt, instead of their bounds."""
        self.corners[1] = self._corner(1, sizes)

    def of(self, dims: Sequence[Expr]) -> Extents3:
        """(min, opt, max) extents. Until its layer has run, a tensor with a size needs room for the size's bound."""
        spans = [self.ranges.of(dim) for dim in dims]
        likely = tuple(self.corners[1].of(dim) for dim in dims)
        return tuple(max(low, 0) for low, _ in spans), likely, tuple(max(high, 0) for _, high in spans)


def _intervals(ranges: Extents3) -> list[tuple[int, int]]:
    return list(zip(ranges[0], ranges[2], strict=True))
