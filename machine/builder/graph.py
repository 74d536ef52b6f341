"""What the passes hand to each other: layers and tensors with everything about the network resolved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dovetail.core.assignment import Ranges, Values
from dovetail.core.contract import Lookup, Op, OpSpec
from dovetail.core.expr import DimsExprs, Expr
from dovetail.core.negotiation import FormatRow, Place, Trace
from dovetail.core.tensor import CONSTANT_FLAG, DynamicTensorDesc
from dovetail.core.types import DataType, DeviceType, TensorFormat

Extents3 = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]  # min, opt, max


@dataclass(eq=False)
class GraphTensor:
    """A tensor. `ranges` holds (min, opt, max) extents for each profile.

    `format` and `device` are set by the selection; an input or output must lie in one of `allowed_places`.
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
    format: TensorFormat = TensorFormat.LINEAR
    device: DeviceType = DeviceType.CPU
    dimension_names: dict[int, str] = field(default_factory=dict)

    @property
    def static_dims(self) -> tuple[int, ...]:
        """Extents with -1 for those not known before run time."""
        return tuple(-1 if dim.value is None else dim.value for dim in self.dims)

    @property
    def is_constant(self) -> bool:
        return self.constant is not None

    @property
    def place(self) -> Place:
        return Place(self.format, self.device)

    @property
    def allowed_places(self) -> list[Place]:
        return [Place(f, self.allowed_device) for f in TensorFormat if self.allowed_formats >> int(f) & 1]

    def desc(self, profile: int = 0, format: TensorFormat | None = None, with_data: bool = False) -> DynamicTensorDesc:
        """The tensor as planning functions of implementations see it."""
        low, likely, high = self.ranges[profile]
        return DynamicTensorDesc(
            self.static_dims,
            self.dtype,
            self.format if format is None else format,
            self.scale,
            self.constant if with_data else None,
            CONSTANT_FLAG if self.is_constant else 0,
            low,
            likely,
            high,
        )


@dataclass(frozen=True)
class Candidate:
    """One way to run a layer: a format row and the implementation's object for it."""

    row: FormatRow
    object: Any
    time_ns: float = float("nan")

    @property
    def formats(self) -> tuple[TensorFormat | None, ...]:
        return self.row.formats

    @property
    def places(self) -> tuple[Place | None, ...]:
        return self.row.places

    @property
    def device(self) -> DeviceType:
        return self.row.implementation.device


@dataclass(eq=False)
class GraphLayer:
    """A layer. None among the inputs is an absent optional one."""

    name: str
    spec: OpSpec
    values: dict[str, Any]
    op: Op
    inputs: list[GraphTensor | None]
    outputs: list[GraphTensor] = field(default_factory=list)
    precision: DataType | None = None
    device: DeviceType = DeviceType.CPU  # where it should run
    fell_back: bool = False  # its candidates run elsewhere, because nothing on `device` fits
    candidates: list[Candidate] = field(default_factory=list)
    trace: Trace = field(default_factory=Trace)
    chosen: Candidate | None = None
    workspace_bytes: list[int] = field(default_factory=list)  # for each profile
    packed: bytes = b""
    advice: str = ""  # what to do if nothing can run it
    converted: str = ""  # how its types differ from those of the network, and why
    inserted_for: str = ""  # why the builder added this layer; "" for the user's own

    @property
    def label(self) -> str:
        return f"{self.spec.id} '{self.name}'"

    @property
    def tensors(self) -> list[GraphTensor | None]:
        return [*self.inputs, *self.outputs]

    def wire_fields(self) -> list[tuple[str, int, Any]]:
        """(name, wire type, value) of every field that has a value, as native objects take them."""
        return [
            (f.name, int(f.wire), self.values[f.name]) for f in self.spec.fields if self.values.get(f.name) is not None
        ]


@dataclass(eq=False)
class Graph:
    """A network on its way to a plan. Passes return it changed; no pass changes what another one decided."""

    name: str
    lookup: Lookup
    layers: list[GraphLayer]
    inputs: list[GraphTensor]
    outputs: list[GraphTensor]
    n_profiles: int
    input_dims: list[list[tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]]]  # [profile][input]
    # [profile][input]: (min, opt, max) contents of inputs that are shapes, None of others
    input_contents: list[list[tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]] | None]] = field(
        default_factory=list
    )
    extents: list[ProfileExtents] = field(default_factory=list)  # [profile]
    constraints: list[tuple[Expr, str]] = field(default_factory=list)
    sizes: dict[Expr, tuple[GraphLayer, int]] = field(default_factory=dict)  # who tells an extent, on which output
    notes: list[str] = field(default_factory=list)  # lines for the build report

    def consumers(self) -> dict[GraphTensor, list[GraphLayer]]:
        """The layers that take each tensor, in order, as they are now; tensors that none takes are left out."""
        found: dict[GraphTensor, list[GraphLayer]] = {}
        for layer in self.layers:
            for tensor in dict.fromkeys(layer.inputs):
                if tensor is not None:
                    found.setdefault(tensor, []).append(layer)
        return found

    def all_tensors(self) -> list[GraphTensor]:
        """Every tensor once: inputs, then in the order of the layers."""
        seen: dict[int, GraphTensor] = {id(t): t for t in self.inputs}
        for layer in self.layers:
            for tensor in layer.tensors:
                if tensor is not None:
                    seen.setdefault(id(tensor), tensor)
        for tensor in self.outputs:
            seen.setdefault(id(tensor), tensor)
        return list(seen.values())

    def replace(self, old: GraphTensor, new: GraphTensor) -> None:
        """Let every consumer of `old`, and the outputs, take `new`."""
        for layer in self.layers:
            layer.inputs = [new if t is old else t for t in layer.inputs]
        self.outputs = [new if t is old else t for t in self.outputs]

    def drop_dead_layers(self) -> None:
        """Remove layers that no output depends on, neither its contents nor its extents."""
        alive: set[int] = set()
        stack: list[GraphTensor] = list(self.outputs)
        while stack:
            tensor = stack.pop()
            sizes = (self.sizes[leaf][0] for leaf in late_leaves(tensor.dims) if leaf in self.sizes)
            for producer in (tensor.producer, *sizes):
                if producer is not None and id(producer) not in alive:
                    alive.add(id(producer))
                    stack += [t for t in producer.tensors if t is not None]
        self.layers = [layer for layer in self.layers if id(layer) in alive]


def late_leaves(dims: Sequence[Expr]) -> list[Expr]:
    """Elements of inputs and sizes that these extents follow from, each once."""
    return sorted({leaf for dim in dims for leaf in dim.late}, key=lambda leaf: leaf.serial)


class ProfileExtents:
    """What extents can be in one profile; parts that extents share are evaluated once."""

    def __init__(self, dims: Sequence[Extents3], contents: Sequence[Extents3 | None]) -> None:
        self._dims, self._contents = dims, contents
        self.ranges = Ranges(
            [_intervals(extents) for extents in dims], [None if c is None else _intervals(c) for c in contents]
        )
        # At min, opt and max of all inputs, sizes that layers tell at their bounds.
        self.corners = [self._corner(i) for i in range(3)]

    def _corner(self, i: int, sizes: Mapping[Expr, int] | None = None) -> Values:
        return Values(
            [extents[i] for extents in self._dims], [None if c is None else c[i] for c in self._contents], sizes
        )

    def use_sizes(self, sizes: Mapping[Expr, int]) -> None:
        """Take these sizes at opt instead of their bounds."""
        self.corners[1] = self._corner(1, sizes)

    def of(self, dims: Sequence[Expr]) -> Extents3:
        """(min, opt, max) extents. Until its layer has run, a tensor with a size needs room for the size's bound."""
        spans = [self.ranges.of(dim) for dim in dims]
        likely = tuple(self.corners[1].of(dim) for dim in dims)
        return tuple(max(low, 0) for low, _ in spans), likely, tuple(max(high, 0) for _, high in spans)


def _intervals(ranges: Extents3) -> list[tuple[int, int]]:
    return list(zip(ranges[0], ranges[2], strict=True))
