"""Libraries, opened and turned into the records that Python plugins give; only here is `_native`."""

from __future__ import annotations

import ctypes
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from dovetail import _native
from dovetail.core.contract import REQUIRED, Field, Implementation, OpSpec, Port, Row, SymbolicTensor
from dovetail.core.errors import LibraryRefused, ShapeError
from dovetail.core.expr import DimsExprs, ExprBuilder
from dovetail.core.types import DataType, DeviceType, FieldType

_ENTRY = f"dovetail_plugin_entry_v{_native.ABI_VERSION[0]}"
PATH = "DOVETAIL_PLUGIN_PATH"  # folders of libraries, separated as in PATH
_SUFFIXES = (".so", ".dylib", ".dll")
_OPTIONAL, _VARIADIC, _WEIGHTS = 1, 2, 4  # DT_PORT_*
_TRAITS = {"op_object": 1, "capture_safe": 2, "in_place": 4, "python": 8}  # DT_TRAIT_*
_DEVICES = {device.dlpack_code: device for device in (DeviceType.CPU, DeviceType.GPU)}
_FEATURES = {name: 1 << bit for name, bit in _native.CPU_FEATURES}


class LibraryOp:
    """An op of a library with its fields set. `native` is the library's own object."""

    def __init__(self, spec: OpSpec, native: Any) -> None:
        self.spec = spec
        self.native = native

    @property
    def num_outputs(self) -> int:
        return len(self.spec.outputs) or self.native.count_outputs(len(self.spec.inputs))

    def infer(self, inputs: Sequence[SymbolicTensor | None]) -> list[SymbolicTensor]:
        """Dims and types of all outputs, as the library says."""
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
            if self.spec.id not in error.message:  # the builder's own, as of a division by zero
                layer = f" of layer '{self.native.layer}'" if self.native.layer else ""
                error.facts.append(("raised in", f"getOutputDimensions of {self.spec.id}{layer}"))
            raise

    def _dims(self, index: int, dims: Sequence[Any]) -> DimsExprs:
        """The extents that the library gave. Raises ShapeError for one that cannot be."""
        wrong = [(axis, dim.value) for axis, dim in enumerate(dims) if dim.value is not None and dim.value < 0]
        if wrong:
            layer = f" of layer '{self.native.layer}'" if self.native.layer else ""
            raise ShapeError(
                f"{self.spec.id} failed in getOutputDimensions{layer}: output {index} cannot have these extents",
                facts=[(f"dimension {axis}", f"is {value}; extents are 0 or more") for axis, value in wrong],
                hint="An extent not known yet is not -1: hand on inputs[i].d[k], or compute it with exprBuilder.",
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
        return self.native.save()


class LibraryMaker:
    """`spec.make` of an op that a library describes."""

    def __init__(self, table: Any) -> None:
        self.table = table
        self.spec: OpSpec  # set once by spec_of, which needs the maker first

    def __call__(self, layer: str, values: Mapping[str, Any]) -> LibraryOp:
        given = [f for f in self.spec.fields if values.get(f.name) is not None]
        fields = [(f.name, int(f.wire), values[f.name]) for f in given]
        return LibraryOp(self.spec, self.table.create(layer, fields))

    def load(self, layer: str, data: bytes) -> LibraryOp:
        """The op from what its object saved."""
        return LibraryOp(self.spec, self.table.load(layer, data))


def open_library(path: str | os.PathLike[str]) -> Any:
    """The opened library; `locate` says which file a bare name is.

    Raises:
        LibraryRefused: no such file, or not a library that works with this host. Nothing of it is kept.
    """
    return _native.open_library(locate(path))


BRINGS_NOTHING = (
    "it brings no op and no implementation: write REGISTER_DOVETAIL_PLUGIN(Creator) for a class, "
    "DOVETAIL_IMPLEMENTS(...) for rows"
)


def locate(path: str | os.PathLike[str]) -> str:
    """The file that is meant: a bare name is searched in DOVETAIL_PLUGIN_PATH, then in the working directory.

    Raises:
        LibraryRefused: a bare name that is in none of these folders; `searched` has them.
    """
    text = os.fspath(path)
    if isinstance(text, bytes):
        text = os.fsdecode(text)
    if os.sep in text:
        return text
    folders = [folder for folder in os.environ.get(PATH, "").split(os.pathsep) if folder]
    for folder in [*folders, os.getcwd()]:
        if text and os.path.isfile(os.path.join(folder, text)):
            return os.path.join(folder, text)
    raise LibraryRefused(
        f"{text} was not opened",
        facts=[
            ("reason", "there is no such file"),
            (PATH, os.pathsep.join(folders) or "not set"),
            ("working directory", os.getcwd()),
        ],
        hint=f"Give a path with a '/', or put the folder into {PATH}.",
        path=text,
        searched=(*folders, os.getcwd()),
    )


def closed_because(device: DeviceType) -> str:
    """Why libraries whose implementations run on `device` stay closed in this process; "" if they may be opened."""
    if device != DeviceType.GPU:
        return ""
    if os.environ.get("DOVETAIL_DEVICE", "").lower() == "cpu":
        return "DOVETAIL_DEVICE=cpu"
    missing = _native.cuda_driver()
    return f"no NVIDIA driver: {missing}" if missing else ""


def known_libraries() -> list[Path]:
    """Libraries lying in the folders of DOVETAIL_PLUGIN_PATH, sorted in each. Nothing is opened."""
    found: list[Path] = []
    for folder in os.environ.get(PATH, "").split(os.pathsep):
        if folder and os.path.isdir(folder):
            found += sorted(path for path in Path(folder).iterdir() if path.suffix in _SUFFIXES)
    return found


def opened_libraries(known: set[str]) -> list[str]:
    """Paths of libraries in this process that have a plugin's entry point and that dovetail did not open itself.

    Those in `known` are left out; all that are looked at are added to it. Where there is no /proc the list is empty.
    """
    try:
        lines = Path("/proc/self/maps").read_text(errors="replace").splitlines()
    except OSError:
        return []
    mapped = {parts[5] for parts in (line.split(maxsplit=5) for line in lines) if len(parts) == 6 and "x" in parts[1]}
    known.update(_native.opened_paths())
    new = sorted(path for path in mapped - known if path.startswith("/"))
    known.update(new)
    return [path for path in new if _is_plugin(path)]


def _is_plugin(path: str) -> bool:
    try:
        library = ctypes.CDLL(path, mode=os.RTLD_NOLOAD | os.RTLD_LAZY)
    except OSError:  # deleted, or not a shared object
        return False
    return hasattr(library, _ENTRY)


def abi_text(abi: tuple[int, int]) -> str:
    """The library's interface version; a star says that it knows a newer minor than this host."""
    newer = tuple(abi) > tuple(_native.ABI_VERSION)
    return f"{abi[0]}.{abi[1]}{'*' if newer else ''}"


def specs_of(library: Any) -> list[OpSpec]:
    """The ops that a library describes."""
    return [_spec_of(table, os.path.basename(library.path)) for table in library.ops]


def implementations_of(library: Any, plugin: str) -> list[Implementation]:
    """The implementations that a library brings; `plugin` is the name of its record."""
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
        rows=tuple(_row(row, index) for index, row in enumerate(table.rows)),
        reads=tuple((name, FieldType(wire), room, where or "") for name, wire, room, where in table.reads),
        traits=frozenset(name for name, bit in _TRAITS.items() if table.traits & bit),
        native=table,
        plugin=plugin,
        library=path,
    )


def _row(row: Mapping[str, Any], index: int) -> Row:
    return Row(
        tactic=row["tactic"] or "",
        types=row["types"],
        formats=row["formats"] or "linear",
        needs=_needs(row["needs"]),
        min_sm=row["min_sm"],
        index=index,
    )


@cache
def _needs(bits: int) -> tuple[str, ...]:
    """Names of instruction sets; one that this host does not know has a name that no machine has."""
    unknown = bits & ~sum(_FEATURES.values())
    names = [name for name, bit in _FEATURES.items() if bits & bit]
    return (*names, *(f"instruction set {bit} (unknown to this host)" for bit in range(64) if unknown >> bit & 1))


def bound(implementation: Implementation) -> Implementation:
    """The same with a C table: one written in Python gets a table that calls its factory.

    The factory keeps its table, so that registries of one process agree on it.
    """
    factory = implementation.native
    if factory is None or isinstance(factory, _native.NativeImplementation):
        return implementation
    tables = factory.__dict__.setdefault("dovetail_tables", {})
    if implementation.id not in tables:
        tables[implementation.id] = _native.make_python_implementation(
            implementation.op,
            implementation.name,
            implementation.device.dlpack_code,
            [{name: getattr(row, name) for name in ("tactic", "types", "formats")} for row in implementation.rows],
            factory,
            sum(bit for name, bit in _TRAITS.items() if name in implementation.traits),
        )
    return replace(implementation, native=tables[implementation.id])


def publish(implementation: Implementation, spec: OpSpec | None) -> None:
    """Put the table where engines look it up. The process has one such place; the same table twice is one.

    Raises:
        PluginConflict: another table has that id.
    """
    if implementation.native is not None:
        op_table = None if spec is None else getattr(spec.make, "table", None)  # of an op that a library describes
        _native.register_implementation(implementation.native, op_table)


def withdraw(implementation: Implementation) -> None:
    """Take the table away again. Engines that already use it keep it."""
    if implementation.native is not None:
        _native.deregister_implementation(implementation.id)
