"""The op of a V2 class: its spec, its fields, and its objects as the machine uses them."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from dovetail.core.contract import Field, Implementation, OpSpec, Port, SymbolicTensor, op_id
from dovetail.core.errors import DefinitionError, DTypeError, PluginFailed
from dovetail.core.expr import DimsExprs as FrozenDims
from dovetail.core.expr import Expr, ExprBuilder
from dovetail.core.plugin_field import PluginField
from dovetail.core.types import DataType, FieldType, nptype
from dovetail.plugins.author import calling, shown
from dovetail.plugins.results import naming
from dovetail.plugins.shapes import refuse_negative
from dovetail.plugins.v2_check import identity_of

STATE = "serialized"  # the field with the bytes of `serialize`, if an object was given to the network

# The object that an implementation clones, instead of making one from fields.
_source: ContextVar[Any] = ContextVar("dovetail_v2_source", default=None)


class DimsExprs(list[Any]):
    """Extents, as arguments and results of `get_output_dimensions`; items may be assigned."""

    def __init__(self, dims: int | Iterable[Any] = ()) -> None:
        super().__init__([0] * dims if isinstance(dims, int) else dims)


class V2Op:
    """A V2 object, as a `core.contract.OpObject`.

    `implementations` are those of its class, for builds in which the class is not registered.
    """

    def __init__(self, plugin: Any, layer: str = "", is_source: bool = False) -> None:
        self.plugin = plugin
        self.layer = layer
        self.is_source = is_source  # a layer is made of this very object, not of field values

    @property
    def label(self) -> str:
        return f"{identity_of(self.plugin)} '{self.layer}'" if self.layer else identity_of(self.plugin)

    @property
    def num_outputs(self) -> int:
        return int(self.plugin.num_outputs)

    @property
    def implementations(self) -> tuple[Implementation, ...]:
        return tuple(type(self.plugin).implementations_for(self.plugin))

    @contextmanager
    def as_source(self) -> Iterator[None]:
        """Inside it, implementations create clones of this object, if it was given to the network."""
        token = _source.set(self.plugin if self.is_source else None)
        try:
            yield
        finally:
            _source.reset(token)

    def calling(self, method: str) -> Any:
        return calling(identity_of(self.plugin), self.layer, method)

    def infer(self, inputs: Sequence[SymbolicTensor | None]) -> list[SymbolicTensor]:
        """Dims and types of all outputs, computed by the object.

        Raises:
            DefinitionError, ShapeError, DTypeError: its result is not valid.
            PluginFailed: it raised.
        """
        given = [tensor for tensor in inputs if tensor is not None]
        outputs = []
        for index in range(self.num_outputs):
            dims = self._dims(index, given)
            dtype = self._dtype(index, [tensor.dtype for tensor in given])
            outputs.append(SymbolicTensor(dims, dtype))
        return outputs

    def _dims(self, index: int, given: Sequence[SymbolicTensor]) -> FrozenDims:
        with self.calling("get_output_dimensions"):
            dims = self.plugin.get_output_dimensions(index, [DimsExprs(t.dims) for t in given], ExprBuilder())
        is_list = isinstance(dims, (list, tuple)) or (hasattr(dims, "__iter__") and not isinstance(dims, (str, bytes)))
        items = list(dims) if is_list else []
        if not is_list or not all(isinstance(dim, Expr) or hasattr(dim, "__index__") for dim in items):
            raise DefinitionError(
                f"get_output_dimensions of {self.label} returned {shown(dims)}",
                facts=[
                    ("for", f"output {index}"),
                    ("expected", "a DimsExprs: extents of the inputs, integers, operations"),
                ],
                hint="Return inputs[0], or DimsExprs([...]) of what expr_builder.operation and constant give.",
                output=index,
            )
        found = FrozenDims(items)
        refuse_negative(self.label, f"output {index}", found, "get_output_dimensions")
        return found

    def _dtype(self, index: int, types: list[DataType]) -> DataType:
        with self.calling("get_output_datatype"):
            answer = self.plugin.get_output_datatype(index, types)
        if isinstance(answer, DataType):
            return answer
        raise DTypeError(
            f"get_output_datatype of {self.label} returned {shown(answer)}",
            facts=[("for", f"output {index}"), ("expected", "a trt.DataType")],
            hint="Return input_types[0], or one such as trt.DataType.FLOAT.",
            output=index,
            got=answer,
        )

    def clone(self) -> V2Op:
        with self.calling("clone"):
            return V2Op(cloned(self.plugin), self.layer, self.is_source)


def source_clone(values: Mapping[str, Any]) -> Any:
    """A clone of the object that a layer was made from; None if the layer was made from field values.

    None also if the state of the object has changed since it was given to the network (`values` hold that state):
    arrays that it shares with the script may have been changed in place.
    """
    source = _source.get()
    if source is None:
        return None
    state = values.get(STATE)
    if state is not None and np.asarray(state, np.uint8).tobytes() != state_of(source):
        return None
    return cloned(source)


def state_of(plugin: Any) -> bytes:
    """The result of `serialize`, as bytes; a str is encoded as UTF-8. Raises PluginFailed if it is neither."""
    with naming("serialize"):
        data = plugin.serialize()
    if isinstance(data, str):
        return data.encode()
    if isinstance(data, (bytes, bytearray, memoryview)):
        return bytes(data)
    raise PluginFailed(
        f"serialize of {identity_of(plugin)} returned {shown(data)}",
        hint="Return bytes or a text, such as json.dumps({...}); b'' if there is no state.",
        plugin=identity_of(plugin),
        method="serialize",
    )


def cloned(plugin: Any) -> Any:
    """The result of `clone`. Raises PluginFailed if it is not another object in the same state."""
    copy = plugin.clone()
    name = identity_of(plugin)
    if copy is None or copy is plugin or not hasattr(copy, "enqueue"):
        raise PluginFailed(
            f"clone of {name} returned {'the object itself' if copy is plugin else shown(copy)}",
            hint="Return a new object of the class, in the same state.",
            plugin=name,
            method="clone",
        )
    if identity_of(copy) != name:
        raise PluginFailed(f"clone of {name} returned {identity_of(copy)}", plugin=name, method="clone")
    return copy


class V2Maker:
    """`spec.make` of an op whose objects a creator makes."""

    def __init__(self, creator: Any) -> None:
        self.creator = creator

    def __call__(self, layer: str, values: dict[str, Any]) -> V2Op:
        with calling(op_id(*self.creator.identity), layer, "create_plugin"):
            return V2Op(self.creator.make(layer, values), layer)

    def load(self, layer: str, data: bytes) -> V2Op:
        """The op from the bytes that its object saved."""
        return self(layer, {STATE: np.frombuffer(data, np.uint8)})


def spec_of(owner: type, name: str, version: str, namespace: str, fields: Sequence[Field], make: V2Maker) -> OpSpec:
    """The spec of an op whose objects, which are V2 objects, `make(layer, values)` returns.

    Raises:
        DefinitionError: it has no name.
    """
    where = f"{owner.__module__}.{owner.__qualname__}"
    if not isinstance(name, str) or not name:
        raise DefinitionError(
            f"{owner.__name__} does not say its plugin's name",
            facts=[("name", shown(name)), ("defined at", where)],
            hint='Set it in the class or in __init__, such as self.name = "Pad".',
        )
    for what, value in (("plugin_version", version), ("plugin_namespace", namespace)):
        if not isinstance(value, str) or (what == "plugin_version" and value in ("", "None")):
            raise DefinitionError(
                f"{owner.__name__} has no {what} that is a text",
                facts=[("got", shown(value)), ("defined at", where)],
                hint='Such as plugin_version = "1", plugin_namespace = "acme".',
            )
    state = Field(STATE, FieldType.TENSOR, None, "What serialize() of the object gave; instead of the others.")
    return OpSpec(
        name=name,
        version=str(version),
        namespace=namespace,
        doc=inspect.cleandoc(owner.__doc__ or ""),
        where=where,
        origin=where,
        inputs=(Port("inputs", variadic=True),),
        fields=(*fields, state),
        make=make,
    )


def advertised(creator: str, field: Any) -> Field:
    """A creator's field. TensorRT has no default and no length: any number of values, or none.

    Raises:
        DefinitionError: it is not a PluginField with a name.
    """
    if not hasattr(field, "name") or not hasattr(field, "type") or not field.name:
        raise DefinitionError(
            f"field_names of {creator} holds {shown(field)}",
            hint='Each is a PluginField, such as PluginField("pads", None, PluginFieldType.INT32).',
        )
    wire = FieldType(field.type)
    wire = FieldType.FLOAT64 if wire == FieldType.UNKNOWN else FieldType.INT64 if wire == FieldType.DIMS else wire
    return Field(field.name, wire, None, min_length=0, max_length=-1)


def given_field(name: str, value: Any, wire: FieldType) -> PluginField:
    """A value in the form that a creator gets: an array of the type that it stated."""
    if wire == FieldType.CHAR:
        return PluginField(name, value, wire)
    numpy_types = {
        FieldType.FLOAT16: np.float16,
        FieldType.FLOAT32: np.float32,
        FieldType.INT8: np.int8,
        FieldType.INT16: np.int16,
        FieldType.INT32: np.int32,
        FieldType.INT64: np.int64,
        FieldType.DIMS: np.int64,
    }
    dtype = nptype(DataType.BF16) if wire == FieldType.BF16 else numpy_types.get(wire, np.float64)
    return PluginField(name, np.asarray(value, dtype).reshape(-1), wire)
