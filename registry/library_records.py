"""The ops and implementations of a library as the records that Python plugins have."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from dovetail import _native
from dovetail.core.contract import REQUIRED, Field, Implementation, OpSpec, Port, Row, SymbolicTensor
from dovetail.core.errors import ShapeError
from dovetail.core.expr import DimsExprs, ExprBuilder
from dovetail.core.types import DataType, DeviceType, FieldType
from dovetail.registry.native_tables import TRAITS

_OPTIONAL, _VARIADIC, _WEIGHTS = 1, 2, 4  # DT_PORT_*
_DEVICES = {device.dlpack_code: device for device in (DeviceType.CPU, DeviceType.GPU)}
_FEATURES = {name: 1 << bit for name, bit in _native.CPU_FEATURES}


class LibraryOp:
    """An op of a library with its fields set. `native` is the library's object."""

    def __init__(self, spec: OpSpec, native: Any) -> None:
        self.spec = spec
        self.native = native

    @property
    def num_outputs(self) -> int:
        return len(self.spec.outputs) or self.native.count_outputs(len(self.spec.inputs))

    def infer(self, inputs: Sequence[SymbolicTensor | None]) -> list[SymbolicTensor]:
        """Dims and types of all outputs, computed by the library."""
        builder = ExprBuilder()
        dims = [None if tensor is None else list(tensor.dims) for tensor in inputs]
        types = [-1 if tensor is None else int(tensor.dtype) for tensor in inputs]
        n_outputs = len(self.spec.outputs) or self.native.count_outputs(len(inputs))
        try:
            return [
                SymbolicTensor(self._dims(i, self.native.infer_dims(i, dims, builder)), self._type(i, inputs, types))
                for i in range(n_outputs)
            ]
        except ShapeError as error:
            if self.spec.id not in error.message:  # from the expression builder, such as a division by zero
                layer = f" of layer '{self.native.layer}'" if self.native.layer else ""
                error.facts.append(("raised in", f"getOutputDimensions of {self.spec.id}{layer}"))
            raise

    def _dims(self, index: int, dims: Sequence[Any]) -> DimsExprs:
        """The extents that the library returned. Raises ShapeError for a negative one."""
        wrong = [(axis, dim.value) for axis, dim in enumerate(dims) if dim.value is not None and dim.value < 0]
        if wrong:
            layer = f" of layer '{self.native.layer}'" if self.native.layer else ""
            raise ShapeError(
                f"{self.spec.id} failed in getOutputDimensions{layer}: output {index} cannot have these extents",
                facts=[(f"dimension {axis}", f"is {value}; extents are 0 or more") for axis, value in wrong],
                hint="Do not use -1 for an unknown extent: return inputs[i].d[k], or compute it with exprBuilder.",
                plugin=self.spec.id,
                layer=self.native.layer,
                method="getOutputDimensions",
                got=[value for _, value in wrong],
            )
        return DimsExprs(dims)

    def _type(self, index: int, inputs: Sequence[SymbolicTensor | None], types: list[int]) -> DataType:
        like = self.spec.outputs[index].like if self.spec.outputs else None
        if like is not None:
            place = next(i for i, port in enumerate(self.spec.inputs) if port.name == like)
            tensor = inputs[place] if place < len(inputs) else None
            if tensor is not None:
                return tensor.dtype
        return DataType(self.native.infer_type(index, types))

    def clone(self) -> LibraryOp:
        return LibraryOp(self.spec, self.native.clone())

    def save(self) -> bytes:
        return bytes(self.native.save())


class LibraryMaker:
    """`spec.make` of an op of a library."""

    def __init__(self, table: Any) -> None:
        self.table = table
        self.spec: OpSpec  # set by spec_of, which needs the maker first

    def __call__(self, layer: str, values: Mapping[str, Any]) -> LibraryOp:
        given = [f for f in self.spec.fields if values.get(f.name) is not None]
        fields = [(f.name, int(f.wire), values[f.name]) for f in given]
        return LibraryOp(self.spec, self.table.create(layer, fields))

    def load(self, layer: str, data: bytes) -> LibraryOp:
        """The op from the bytes that its object saved."""
        return LibraryOp(self.spec, self.table.load(layer, data))


def specs_of(library: Any) -> list[OpSpec]:
    """The specs of a library's ops."""
    return [_spec_of(table, os.path.basename(library.path)) for table in library.ops]


def implementations_of(library: Any, plugin: str) -> list[Implementation]:
    """The implementations of a library; `plugin` is the name of its record."""
    return [_implementation_of(table, plugin, library.path) for table in library.implementations]


def _spec_of(table: Any, where: str) -> OpSpec:
    maker = LibraryMaker(table)
    any_number = (Port("inputs", variadic=True),)
    maker.spec = OpSpec(
        name=table.name,
        version=table.version,
        namespace=table.namespace,
        doc=table.doc or "",
        where=where,
        inputs=any_number if table.inputs is None else tuple(_port(port) for port in table.inputs),
        outputs=() if table.outputs is None else tuple(_port(port) for port in table.outputs),
        fields=tuple(_field(field) for field in table.fields),
        make=maker,
    )
    return maker.spec


def _port(port: Mapping[str, Any]) -> Port:
    words = (port["types"] or "").split()
    like = next((word[1:] for word in words if word.startswith("=")), None)
    return Port(
        name=port["name"],
        types=tuple(DataType.from_short(word) for word in words if not word.startswith("=")),
        optional=bool(port["flags"] & _OPTIONAL),
        variadic=bool(port["flags"] & _VARIADIC),
        weights=bool(port["flags"] & _WEIGHTS),
        like=like,
        doc=port["doc"] or "",
    )


def _field(field: Mapping[str, Any]) -> Field:
    made = Field(
        name=field["name"],
        wire=FieldType(field["type"]),
        default=REQUIRED,
        doc=field["doc"] or "",
        low=_bound(field["low"]),
        high=_bound(field["high"]),
        min_length=field["min_length"],
        max_length=field["max_length"],
    )
    if field["required"]:
        return made
    default = field["default"]
    return replace(made, default=None if default is None else made.check("the library", default))


def _bound(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value


def _implementation_of(table: Any, plugin: str, path: str) -> Implementation:
    return Implementation(
        op=table.op,
        name=table.name,
        device=_DEVICES[table.device],
        rows=tuple(_row(row, index, table.traits) for index, row in enumerate(table.rows)),
        reads=tuple((name, FieldType(wire), room, where or "") for name, wire, room, where in table.reads),
        traits=frozenset(name for name, bit in TRAITS.items() if table.traits & bit),
        native=table,
        plugin=plugin,
        library=path,
    )


def _row(row: Mapping[str, Any], index: int, table_traits: int) -> Row:
    return Row(
        tactic=row["tactic"] or "",
        types=row["types"],
        formats=row["formats"] or "linear",
        needs=_needs(row["needs"]),
        min_sm=row["min_sm"],
        index=index,
        absorbs=row["absorbs"],
        replaces=row["replaces"],
        is_in_place=bool((row["traits"] | table_traits) & TRAITS["in_place"]),
        is_winograd=bool(row["traits"] & TRAITS["winograd"]),
    )


@cache
def _needs(bits: int) -> tuple[str, ...]:
    """Names of instruction sets. One that this host does not know gets a name that no machine has."""
    unknown = bits & ~sum(_FEATURES.values())
    names = [name for name, bit in _FEATURES.items() if bits & bit]
    return (*names, *(f"instruction set {bit} (unknown to this host)" for bit in range(64) if unknown >> bit & 1))
