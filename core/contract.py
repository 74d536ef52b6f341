"""Records of a plugin: specs, implementations, and the protocol by which the machine finds them.

Nothing here knows a layer by name. A spec says what an op computes; an implementation is one way to compute it on one
device; a `Lookup` finds both. All ways to write a plugin (decorated function, Python class, C++ class, C table) end in
these records.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from typing import Any, Protocol

from dovetail.core.errors import DTypeError, FieldValueError
from dovetail.core.expr import DimsExprs, Expr, as_expr
from dovetail.core.types import MAX_RANK, DataType, DeviceType, FieldType, Weights

REQUIRED: Any = type("REQUIRED", (), {"__repr__": lambda self: "REQUIRED", "__bool__": lambda self: False})()

_INTEGER_RANGE = {
    FieldType.INT8: (-(2**7), 2**7 - 1),
    FieldType.INT16: (-(2**15), 2**15 - 1),
    FieldType.INT32: (-(2**31), 2**31 - 1),
    FieldType.INT64: (-(2**63), 2**63 - 1),
}


@dataclass(frozen=True)
class Field:
    """One attribute of an op: name, type, default, range and documentation.

    `wire` is the type in which a native implementation reads it; `max_length` 1 is a scalar, -1 any number of elements.
    """

    name: str
    wire: FieldType
    default: Any = REQUIRED
    doc: str = ""
    low: float | None = None
    high: float | None = None
    min_length: int = 1
    max_length: int = 1
    enum: type[IntEnum] | None = None
    is_bool: bool = False

    @property
    def is_scalar(self) -> bool:
        return self.max_length == 1

    @property
    def type_name(self) -> str:
        """The type as shown to people: "int64", "float64[2..3]", "PaddingMode", "bool", "str", "tensor"."""
        if self.wire in (FieldType.CHAR, FieldType.DIMS, FieldType.UNKNOWN):
            return {FieldType.CHAR: "str", FieldType.DIMS: "Dims", FieldType.UNKNOWN: "bytes"}[self.wire]
        base = self.enum.__name__ if self.enum else "bool" if self.is_bool else self.wire.name.lower()
        if self.is_scalar or self.wire == FieldType.TENSOR:
            return base
        upper = "" if self.max_length < 0 else self.max_length
        return f"{base}[{self.min_length}..{upper}]"

    def check(self, op: str, value: Any) -> Any:
        """The value in canonical form: int, float, bool, enum member, str, tuple of these, or an array.

        Several numbers may be given in a sequence, as `Weights`, or as an array of any rank, read in row-major order.

        Raises:
            FieldValueError: wrong type, length or range. Values are never narrowed silently.
        """
        if isinstance(value, Weights):
            value = value.numpy()
        if self.wire == FieldType.TENSOR:
            return value
        if self.wire == FieldType.UNKNOWN:
            return self._check_bytes(op, value)
        if self.wire == FieldType.CHAR:
            if not isinstance(value, str):
                raise self._refuse(op, value, "takes a str")
            return value
        if self.wire == FieldType.DIMS:
            return self._check_dims(op, value)
        if self.is_scalar:
            return self._check_one(op, self._only(value), value)
        items = _items(value)
        upper = self.max_length if self.max_length >= 0 else len(items)
        if not self.min_length <= len(items) <= upper:
            wanted = f"{self.min_length}..{self.max_length if self.max_length >= 0 else ''}"
            raise self._refuse(op, value, f"takes {wanted} values, got {len(items)}")
        return tuple(self._check_one(op, item, value) for item in items)

    def _check_dims(self, op: str, value: Any) -> tuple[int, ...]:
        """Extents: integers one by one, in a sequence or an array."""
        items = _items(value)
        if len(items) > MAX_RANK:
            raise self._refuse(op, value, f"takes Dims: at most {MAX_RANK} integers, got {len(items)}")
        for item in items:
            if isinstance(item, bool) or not hasattr(item, "__index__") or not -(2**63) <= item.__index__() < 2**63:
                raise self._refuse(op, value, f"takes Dims: integers, got {type(item).__name__} {item!r}")
        return tuple(item.__index__() for item in items)

    def _check_bytes(self, op: str, value: Any) -> bytes:
        if isinstance(value, (bytes, bytearray, memoryview)):
            return bytes(value)
        if isinstance(value, str):
            return value.encode()
        if hasattr(value, "tobytes"):
            return bytes(value.tobytes())
        raise self._refuse(op, value, f"takes bytes, a str or an array, got {type(value).__name__}")

    def _only(self, value: Any) -> Any:
        """A scalar may be an array of one element, as in scripts for TensorRT."""
        if isinstance(value, type):  # numpy.float32 itself has the methods of its arrays
            return value
        if isinstance(value, (str, bytes)) or not hasattr(value, "__len__"):
            return value.item() if hasattr(value, "item") else value
        flat = value.reshape(-1) if hasattr(value, "reshape") else value
        return flat[0].item() if len(flat) == 1 and hasattr(flat[0], "item") else flat[0] if len(flat) == 1 else value

    def _check_one(self, op: str, item: Any, value: Any) -> Any:
        if hasattr(item, "item") and getattr(item, "shape", None) == ():
            item = item.item()
        if self.enum is not None:
            return self._check_enum(op, item, value)
        if self.wire in _INTEGER_RANGE:
            return self._check_integer(op, item, value)
        if isinstance(item, bool) or not isinstance(item, (int, float)):
            raise self._refuse(op, value, f"takes {self.type_name}, got {type(item).__name__}")
        self._check_range(op, item, value)
        return float(item)

    def _check_enum(self, op: str, item: Any, value: Any) -> IntEnum:
        try:
            return self.enum(item)  # type: ignore[misc]
        except ValueError as error:
            names = ", ".join(member.name for member in self.enum)  # type: ignore[union-attr]
            refused = self._refuse(op, value, f"takes one of {self.enum.__name__}: {names}")  # type: ignore[union-attr]
            refused.hint = getattr(error, "hint", "")  # the nearest member
            raise refused from None

    def _check_integer(self, op: str, item: Any, value: Any) -> int | bool:
        if self.is_bool:
            if not isinstance(item, (bool, int)) or item not in (0, 1):
                raise self._refuse(op, value, "takes True or False")
            return bool(item)
        if isinstance(item, bool) or not hasattr(item, "__index__"):
            raise self._refuse(op, value, f"takes {self.type_name}, got {type(item).__name__}")
        number = operator.index(item)
        low, high = _INTEGER_RANGE[self.wire]
        if not low <= number <= high:
            raise self._refuse(op, value, f"takes {self.type_name}: {number} does not fit")
        self._check_range(op, number, value)
        return number

    def _check_range(self, op: str, number: float, value: Any) -> None:
        if (self.low is not None and number < self.low) or (self.high is not None and number > self.high):
            low = "" if self.low is None else f"{self.low:g}"
            high = "" if self.high is None else f"{self.high:g}"
            raise self._refuse(op, value, f"is allowed {low}..{high}")

    def _refuse(self, op: str, value: Any, rule: str) -> FieldValueError:
        return FieldValueError(
            f"{op} cannot take {self.name} = {value!r}",
            facts=[(self.name, rule), ("meaning", self.doc)] if self.doc else [(self.name, rule)],
            op=op,
            field=self.name,
            expected=rule,
            got=value,
        )


def _items(value: Any) -> tuple[Any, ...]:
    """The elements of a value, or the value itself if it is a single one, in row-major order."""
    if isinstance(value, (str, bytes, type)):  # a type such as numpy.float32 has the methods of its arrays
        return (value,)
    if hasattr(value, "reshape"):
        value = value.reshape(-1)
    try:
        return tuple(value)
    except TypeError:
        return (value,)


@dataclass(frozen=True)
class Port:
    """One input or output. `types` are the legal ones; an output with `like` has the type of that input."""

    name: str
    types: tuple[DataType, ...] = ()
    optional: bool = False
    variadic: bool = False
    weights: bool = False  # may be given as data under the port's name; becomes a constant input
    shape: bool = False  # its contents decide extents only: not in the plan where they are known as expressions
    checked: bool = False  # a constant that `infer` checks and no kernel gets; the last inputs only
    size: bool = False  # an output that holds an extent of another output, known when the kernel has run
    quantized: bool = False  # may be INT8 with a scale (real = stored * scale), so that Q/DQ around it can be absorbed
    like: str | None = None
    doc: str = ""


MAX_ELEMENTS = 256  # of a tensor whose contents are followed as expressions
_INTEGERS = (DataType.INT32, DataType.INT64, DataType.BOOL, DataType.UINT8, DataType.INT8)


@dataclass(frozen=True)
class SymbolicTensor:
    """An input or output while shapes are inferred: extents are expressions, contents are unknown or constant."""

    dims: DimsExprs
    dtype: DataType
    name: str = ""
    constant: Any = None  # numpy array if the contents are known
    values: tuple[Expr, ...] | None = None  # elements in row-major order, if they follow from extents
    fractions: tuple[Any, ...] | None = None  # the same for a float tensor, in a form that the layers define

    @property
    def rank(self) -> int:
        return len(self.dims)

    def elements(self) -> tuple[Expr, ...] | None:
        """Elements of an integer tensor as expressions, in row-major order; None if they are not known.

        Layers that take a shape as an input read extents with it. A tensor of more than `MAX_ELEMENTS` counts as data.
        """
        if self.values is not None:
            return self.values
        if self.constant is None or self.dtype not in _INTEGERS or self.constant.size > MAX_ELEMENTS:
            return None
        return tuple(as_expr(int(value)) for value in self.constant.reshape(-1))

    def __getattr__(self, name: str) -> Any:
        meant = {"shape": "dims", "ndim": "rank", "size": "dims.volume", "type": "dtype", "astype": "like(dtype=...)"}
        more = f": {meant[name]} is what is meant" if name in meant else ""
        raise AttributeError(
            f"a SymbolicTensor has no {name}{more}. It has dims, rank, dtype, elements() and like(dims, dtype)"
        )

    def like(self, dims: Iterable[Any] | None = None, dtype: DataType | None = None) -> SymbolicTensor:
        """A tensor with these dims and type; those of this tensor if they are left out.

        Raises:
            DTypeError: not a DataType, or dims that are not integers or expressions.
        """
        if dtype is not None and not isinstance(dtype, DataType):
            raise DTypeError(
                f"like cannot take the type {getattr(dtype, '__name__', dtype)!s}",
                facts=[("allowed", ", ".join(one.name for one in DataType))],
                hint="Say a DataType, such as trt.float32 or DataType.INT64.",
                got=dtype,
            )
        if dims is not None and not isinstance(dims, Iterable):
            raise DTypeError(
                f"like cannot take the dims {dims}", hint="Give a list of all extents, [n] for one.", got=dims
            )
        return SymbolicTensor(self.dims if dims is None else DimsExprs(dims), self.dtype if dtype is None else dtype)


class OpObject(Protocol):
    """An op with its fields set, made for one layer of a network."""

    def infer(self, inputs: Sequence[SymbolicTensor | None]) -> list[SymbolicTensor]:
        """Dims and types of all outputs; None is an absent optional input. Raises ShapeError or DTypeError."""


@dataclass(frozen=True)
class LayerProperty:
    """A second spelling of fields on a layer: `layer.padding_nd`, `layer.axes`.

    get(values) -> value and set(values, value) see the layer's mutable dict of field values.
    """

    get: Callable[[Mapping[str, Any]], Any]
    set: Callable[[dict[str, Any], Any], None] | None = None
    deprecated: str = ""  # what to use instead, without the final period
    doc: str = ""


@dataclass(frozen=True)
class Moved:
    """Where the elements of an op's output are in its inputs, of an op that only moves them.

    Without an axis, the output has the elements of the first input in their order, perhaps in other dims. With an axis
    it is the inputs joined along it, or with a `start`, the part of the first input that begins there.
    """

    axis: int | None = None
    start: int | None = None


@dataclass(frozen=True)
class OpSpec:
    """What a layer computes. Identity is `namespace::Name@version`."""

    name: str
    version: str = "1"
    namespace: str = ""
    doc: str = ""
    where: str = ""  # "file:line" of the definition
    origin: str = ""  # "module.qualified_name" of the definition; the same origin again replaces the earlier one
    inputs: tuple[Port, ...] = ()
    outputs: tuple[Port, ...] = ()
    fields: tuple[Field, ...] = ()
    make: Callable[[str, dict[str, Any]], OpObject] = None  # type: ignore[assignment]  # (layer name, canonical values)
    reference: Callable[..., Any] | None = None  # (values, *arrays) -> array or tuple; numpy in, numpy out
    scalar: str | None = None  # the scalar expression, if pointwise
    moves: Callable[..., Moved | None] | None = None  # (values, output, *inputs)
    purpose: str = ""  # what the op is for, in two or three words: the reference of layers lists ops by it
    role: str = ""  # "reformat", "constant", "quantize", "dequantize": the machine finds ops by role, not by name
    enums: Mapping[str, type[Any]] = field(default_factory=dict)  # and classes that add methods return, by public name
    add_methods: Mapping[str, Callable[..., Any]] = field(
        default_factory=dict
    )  # "add_softmax" -> (network, ...) -> layer
    properties: Mapping[str, LayerProperty] = field(default_factory=dict)
    onnx: Sequence[Any] = ()  # ONNX operators; may be computed on first access

    @property
    def id(self) -> str:
        return op_id(self.name, self.version, self.namespace)

    def field_named(self, name: str) -> Field | None:
        return next((f for f in self.fields if f.name == name), None)

    def port_named(self, name: str) -> Port | None:
        return next((p for p in self.inputs if p.name == name), None)

    def defaults(self) -> dict[str, Any]:
        return {f.name: f.default for f in self.fields if f.default is not REQUIRED}


def op_id(name: str, version: str = "1", namespace: str = "") -> str:
    """`namespace::Name@version`, as identities are written in messages and documents."""
    return f"{namespace}::{name}@{version}" if namespace else f"{name}@{version}"


def parse_op_id(text: str) -> tuple[str, str, str]:
    """(name, version, namespace) of `namespace::Name@version`; version "1" if left out."""
    if not isinstance(text, str):
        raise _no_op_name("the name of an op", text)
    namespace, _, rest = text.rpartition("::")
    name, _, version = rest.partition("@")
    return name, version or "1", namespace


def checked_op_name(name: Any, version: Any, namespace: Any) -> None:
    """Raises DTypeError unless all three are texts."""
    for what, value in (("name", name), ("version", version), ("namespace", namespace)):
        if not isinstance(value, str):
            raise _no_op_name(f"the {what} of an op", value)


def _no_op_name(what: str, value: Any) -> DTypeError:
    is_number = isinstance(value, int)
    return DTypeError(
        f"{what} cannot be {value!r:.200}",
        facts=[("allowed", "a str"), ("given", type(value).__name__)],
        hint=f'Write "{value}".' if is_number else "",
        got=value,
    )


@dataclass(frozen=True)
class Row:
    """A kernel row: types and formats that an implementation computes. `types` and `formats` are those of `dt_row`."""

    tactic: str
    types: str
    formats: str = "linear"
    needs: tuple[str, ...] = ()  # instruction sets, names of DT_CPU_FEATURES
    min_sm: int = 0
    index: int = 0  # place in the native table
    absorbs: bool = False  # it can compute pointwise layers that follow its own
    replaces: int = 0  # 1 << i for each constant input that it does not read because it has a packed copy
    is_in_place: bool = False  # output 0 may lie in the memory of input 0
    is_winograd: bool = False  # it sums products of transformed inputs: its rounding errors are larger


@dataclass(frozen=True)
class Implementation:
    """One way to compute an op on one device. `native` is the handle of its C table."""

    op: str
    name: str
    device: DeviceType = DeviceType.CPU
    rows: tuple[Row, ...] = ()  # empty: supportsFormatCombination is asked position by position
    reads: tuple[tuple[str, FieldType, int, str], ...] = ()  # name, type, max_length, "file:line"
    traits: frozenset[str] = frozenset()  # "op_object", "capture_safe", "in_place", "python"
    native: Any = None
    plugin: str = ""  # name of the plugin that registered it
    library: str = ""  # path of the shared object, "" for Python

    @property
    def id(self) -> str:
        return f"{self.op}#{self.name}"

    @cached_property
    def rows_by_index(self) -> dict[int, Row]:
        """The rows by their place in the native table."""
        return {row.index: row for row in self.rows}

    @cached_property
    def rows_by_formats(self) -> dict[str, list[Row]]:
        """The rows with each text of formats."""
        found: dict[str, list[Row]] = {}
        for row in self.rows:
            found.setdefault(row.formats, []).append(row)
        return found


@dataclass(frozen=True)
class Library:
    """A shared library that belongs to a plugin, and the conditions for opening it.

    `device` is where its implementations run. A library for the GPU is opened only if a driver is installed and the
    GPU is not disabled. `reason` says why the plugin itself does not want it opened on this machine; "" if it does.
    """

    path: str
    device: DeviceType = DeviceType.CPU
    reason: str = ""


class Lookup(Protocol):
    """How network, builder and negotiation find plugins. The registry implements it; tests may pass their own."""

    def find(self, name: str, version: str = "1", namespace: str = "") -> OpSpec:
        """The spec. Raises PluginNotFound with near misses."""

    def implementations_of(self, op: str) -> Sequence[Implementation]:
        """All implementations of `namespace::Name@version`, in order of registration."""

    def bound(self, implementation: Implementation) -> Implementation:
        """An implementation that is not registered, with the native table through which the runtime calls it."""

    def near_misses(self, name: str, version: str = "1", namespace: str = "") -> list[tuple[str, str]]:
        """(what, why) lines for the message of a lookup that failed."""

    def why_closed(self, library: str) -> str:
        """Why a library of an installed plugin was not opened, by the name of its file; "" where there is no reason."""

    def with_role(self, role: str) -> OpSpec:
        """The op with a role, such as "reformat". Raises PluginNotFound."""

    def find_add_method(self, name: str) -> tuple[OpSpec, Callable[..., Any]] | None:
        """The spec and function behind `network.add_<layer>`, or None."""

    def record_of(self, implementation: str) -> Any:
        """Who registered the implementation with this id: name, version, hash, distribution; None if unknown."""

    def collect(self, hook: str, **arguments: Any) -> list[tuple[str, Any]]:
        """(plugin, answer) of each plugin that implements a hook; if the hook raises, the exception is the answer."""
