"""The op that a V2 class stands for: its spec, its fields, and its objects as the machine asks them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from dovetail.core.contract import Field, OpSpec, Port, SymbolicTensor
from dovetail.core.errors import DefinitionError, ShapeError
from dovetail.core.expr import DimsExprs as FrozenDims
from dovetail.core.expr import ExprBuilder
from dovetail.core.plugin_field import PluginField
from dovetail.core.types import DataType, FieldType, nptype

STATE = "serialized"  # the field that holds what `serialize` gave, where an object was handed to the network


class DimsExprs(list):
    """Extents as `get_output_dimensions` gets and returns them; items may be assigned."""

    def __init__(self, dims: int | Iterable[Any] = ()) -> None:
        super().__init__([0] * dims if isinstance(dims, int) else dims)


class V2Op:
    """A V2 object, in the form in which the machine asks it (`core.contract.Op`)."""

    def __init__(self, plugin: Any) -> None:
        self.plugin = plugin

    @property
    def num_outputs(self) -> int:
        return int(self.plugin.num_outputs)

    def infer(self, inputs: Sequence[SymbolicTensor | None]) -> list[SymbolicTensor]:
        """Dims and types of all outputs, as the object says."""
        given = [tensor for tensor in inputs if tensor is not None]
        types = [tensor.dtype for tensor in given]
        builder = ExprBuilder()
        outputs = []
        for index in range(self.num_outputs):
            dims = self.plugin.get_output_dimensions(index, [DimsExprs(t.dims) for t in given], builder)
            if dims is None:
                raise ShapeError(f"{self.plugin.plugin_type} gave no dims for output {index}", output=index)
            dtype = DataType(self.plugin.get_output_datatype(index, types))
            outputs.append(SymbolicTensor(FrozenDims(dims), dtype))
        return outputs

    def clone(self) -> V2Op:
        return V2Op(self.plugin.clone())


class CreatedV2:
    """A V2 object that a script made, for `network.add_plugin_v2`."""

    def __init__(self, plugin: Any) -> None:
        self.plugin = plugin
        spec = vars(type(plugin)).get("dovetail_spec")
        if spec is not None:
            args, kwargs = plugin._arguments
            names = [field.name for field in spec.fields]
            self.spec: OpSpec = spec
            self.values = {**dict(zip(names, args, strict=False)), **kwargs}
        else:
            identity = (plugin.plugin_type, plugin.plugin_version, plugin.plugin_namespace)
            self.spec = spec_of(type(plugin), *identity, [], lambda layer, values: plugin.clone())
            self.values = {STATE: np.frombuffer(bytes(plugin.serialize()), np.uint8)}

    def clone_op(self) -> V2Op:
        return V2Op(self.plugin.clone())


def spec_of(
    owner: type,
    name: str,
    version: str,
    namespace: str,
    fields: Sequence[Field],
    make: Callable[[str, dict[str, Any]], Any],
) -> OpSpec:
    """The spec of an op whose objects `make(layer, values)` gives, V2 objects all of them.

    Raises:
        DefinitionError: it has no name.
    """
    if not name:
        raise DefinitionError(f"{owner.__name__} does not say its plugin's name", hint="Set `name`.")
    state = Field(STATE, FieldType.TENSOR, None, "What serialize() of the object gave; instead of the others.")
    return OpSpec(
        name=name,
        version=str(version),
        namespace=namespace,
        doc=inspect.cleandoc(owner.__doc__ or ""),
        where=f"{owner.__module__}.{owner.__qualname__}",
        inputs=(Port("inputs", variadic=True),),
        fields=(*fields, state),
        make=lambda layer, values: V2Op(make(layer, values)),
    )


def advertised(field: PluginField) -> Field:
    """A creator's field. TensorRT knows no default or length: any number of values, or none."""
    wire = FieldType(field.type)
    wire = FieldType.FLOAT64 if wire == FieldType.UNKNOWN else FieldType.INT64 if wire == FieldType.DIMS else wire
    return Field(field.name, wire, None, min_length=0, max_length=-1)


def given_field(name: str, value: Any, wire: FieldType) -> PluginField:
    """A value as a creator gets it: an array of the type that it advertised."""
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
