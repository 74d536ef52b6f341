"""What the passes hand to each other: layers and tensors with everything about the network resolved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dovetail.core.contract import Lookup, Op, OpSpec
from dovetail.core.expr import DimsExprs, Expr, leaves_of
from dovetail.core.negotiation import FormatRow, Place, Trace
from dovetail.core.tensor import CONSTANT_FLAG, DynamicTensorDesc
from dovetail.core.types import DataType, DeviceType, TensorFormat


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
            sizes = (self.sizes[leaf][0] for leaf in leaves_of(*tensor.dims) if leaf in self.sizes)
            for producer in (tensor.producer, *sizes):
                if producer is not None and id(producer) not in alive:
                    alive.add(id(producer))
                    stack += [t for t in producer.tensors if t is not None]
        self.layers = [layer for layer in self.layers if id(layer) in alive]

    def own_sizes(self, layer: GraphLayer) -> list[Expr]:
        """The extents that `layer` tells when it has run."""
        return [leaf for leaf, (teller, _) in self.sizes.items() if teller is layer]


def ranges_of(
    dims: Sequence[Expr],
    input_dims: list[list[tuple]],
    input_contents: list[list[tuple | None]] | None = None,
) -> list[tuple]:
    """(min, opt, max) extents of `dims` for each profile; of sizes that layers tell, the upper bounds are likely.

    Until its layer has run, a tensor with such an extent needs room for the bound, and layers behind are timed with it.
    Raises ShapeError where an extent could be negative.
    """
    result = []
    for index, profile in enumerate(input_dims):
        contents = input_contents[index] if input_contents else [None] * len(profile)
        lows, likely, highs = [], [], []
        bounds = [_intervals(extents) for extents in profile]
        content_bounds = [None if values is None else _intervals(values) for values in contents]
        opts = [opt for _, opt, _ in profile]
        content_opts = [None if values is None else values[1] for values in contents]
        for dim in dims:
            low, high = dim.bounds(bounds, content_bounds)
            lows.append(max(low, 0))
            highs.append(max(high, 0))
            likely.append(dim.evaluate(opts, content_opts))
        result.append((tuple(lows), tuple(likely), tuple(highs)))
    return result


def _intervals(ranges: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]) -> list[tuple[int, int]]:
    return list(zip(ranges[0], ranges[2], strict=True))
