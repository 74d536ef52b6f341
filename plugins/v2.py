"""TensorRT's plugin classes for Python, with the names that its later versions gave them.

The methods are called in TensorRT's order: create_plugin or deserialize_plugin; get_output_dimensions and
get_output_datatype while the network is defined; supports_format_combination; configure_plugin with the
profile's range; get_workspace_size; initialize once for an engine; then for each context clone,
attach_to_context, configure_plugin when shapes changed, enqueue, detach_from_context, destroy; terminate
and destroy with the engine.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np

from dovetail.core.contract import Implementation, OpSpec
from dovetail.core.errors import DefinitionError, PluginFailed
from dovetail.core.expr import ExprBuilder
from dovetail.core.plugin_field import PluginField, PluginFieldCollection
from dovetail.core.types import DataType, DeviceType, FieldType
from dovetail.plugins.adapter import PYTHON_NAMES, python_implementation
from dovetail.plugins.fields import make_field
from dovetail.plugins.v2_adapter import V2Factory
from dovetail.plugins.v2_spec import STATE, CreatedV2, DimsExprs, advertised, given_field, spec_of


class IPluginV2:
    """Root of TensorRT's plugin classes. It is not to be derived from: IPluginV2DynamicExt is."""

    @property
    def serialization_size(self) -> int:
        """Bytes that `serialize` gives."""
        return self.get_serialization_size()

    @property
    def tensorrt_version(self) -> int:
        """The version of TensorRT whose contract this follows: 8.5."""
        return 8500

    def get_serialization_size(self) -> int:
        raise PluginFailed(f"{type(self).__name__} has to derive from IPluginV2DynamicExt")


class IPluginV2Ext(IPluginV2):
    """Between the two, as in TensorRT. It is not to be derived from: IPluginV2DynamicExt is."""


class IPluginV2DynamicExt(IPluginV2Ext):
    """A layer with dynamic shapes. Set num_outputs, plugin_type, plugin_version; override what follows.

    It is registered through an IPluginCreator. A class that says plugin_type in its body needs none: its
    fields are the annotated parameters of `__init__`, and the class itself is given to the registry.
    """

    num_outputs: int = 1
    plugin_type: str = ""
    plugin_version: str = "1"
    plugin_namespace: str = ""
    device: DeviceType = DeviceType.CPU  # where a class without a creator computes; a creator says it for its own

    dovetail_spec: ClassVar[OpSpec]
    dovetail_implementations: ClassVar[tuple[Implementation, ...]]
    _arguments: tuple[tuple[Any, ...], dict[str, Any]] = ((), {})

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if vars(cls).get("plugin_type"):
            creator = _ClassCreator(cls)
            cls.dovetail_spec = creator.dovetail_spec
            cls.dovetail_implementations = creator.dovetail_implementations

    def __new__(cls, *args: Any, **kwargs: Any) -> IPluginV2DynamicExt:
        made = super().__new__(cls)
        made._arguments = (args, kwargs)
        return made

    # ---- to be written by the author

    def get_output_dimensions(self, output_index: int, inputs: list[DimsExprs], expr_builder: ExprBuilder) -> Any:
        """Extents of an output, from those of the inputs. Called once for each output."""
        raise PluginFailed(f"{type(self).__name__} does not have get_output_dimensions", plugin=self.plugin_type)

    def enqueue(
        self,
        input_desc: list[Any],
        output_desc: list[Any],
        inputs: list[Any],
        outputs: list[Any],
        workspace: Any,
        stream: int,
    ) -> int | None:
        """Compute; 0 or None is success. Tensors are addresses that know the array: `inputs[0].array`.

        On the GPU that is a DeviceArray, and `stream` a cudaStream_t, never 0: launch there, and wait for nothing.
        """
        raise PluginFailed(f"{type(self).__name__} does not have enqueue", plugin=self.plugin_type)

    # ---- with defaults

    def get_output_datatype(self, index: int, input_types: list[DataType]) -> DataType:
        """Type of an output; that of the first input unless overridden."""
        return input_types[0]

    def supports_format_combination(self, pos: int, in_out: list[Any], num_inputs: int) -> bool:
        """Is `in_out[pos]` fine, given those before it? Linear everywhere unless overridden."""
        return int(in_out[pos].format) == 0

    def configure_plugin(self, inputs: list[Any], outputs: list[Any]) -> None:
        """Told the tensors, which are DynamicPluginTensorDesc."""

    def get_workspace_size(self, input_desc: list[Any], output_desc: list[Any]) -> int:
        """Scratch bytes for these sizes and all smaller ones."""
        return 0

    def initialize(self) -> int | None:
        """Acquire what an engine needs. 0 or None is success."""

    def terminate(self) -> None:
        """Release what `initialize` acquired."""

    def attach_to_context(self, cudnn: Any, cublas: Any, allocator: Any) -> None:
        """This clone belongs to a context from now on. There are no library handles here: all None."""

    def detach_from_context(self) -> None:
        """The context is gone."""

    def clone(self) -> IPluginV2DynamicExt:
        """A copy in the same state; shallow unless overridden."""
        return copy.copy(self)

    def serialize(self) -> bytes:
        """What `deserialize_plugin` of the creator needs."""
        return b""

    def get_serialization_size(self) -> int:
        return len(self.serialize())

    def destroy(self) -> None:
        """Nobody will use the object any more."""

    # ---- for the network

    def as_created(self) -> CreatedV2:
        """What `network.add_plugin_v2` takes: the spec, values that make this object again, clones."""
        return CreatedV2(self)


class IPluginCreator:
    """Makes plugins. Set name, plugin_version, plugin_namespace and field_names; override the two methods."""

    name: str = ""
    plugin_version: str = "1"
    plugin_namespace: str = ""
    device: DeviceType = DeviceType.CPU
    field_names: Iterable[PluginField] = PluginFieldCollection([])

    def create_plugin(self, name: str, field_collection: PluginFieldCollection) -> IPluginV2DynamicExt | None:
        """A plugin for the layer `name`, or None."""
        raise PluginFailed(f"{type(self).__name__} does not have create_plugin", plugin=self.name)

    def deserialize_plugin(self, name: str, data: bytes) -> IPluginV2DynamicExt | None:
        """A plugin from what its `serialize` gave, or None."""
        raise PluginFailed(f"{type(self).__name__} does not have deserialize_plugin", plugin=self.name)

    @property
    def identity(self) -> tuple[str, str, str]:
        return self.name, str(self.plugin_version), self.plugin_namespace

    @property
    def dovetail_spec(self) -> OpSpec:
        """The op that this creator stands for."""
        fields = [advertised(field) for field in self.field_names]
        return spec_of(type(self), *self.identity, fields, self.make)

    @property
    def dovetail_implementations(self) -> tuple[Implementation, ...]:
        """The one way to compute it: its objects."""
        name = PYTHON_NAMES[self.device]
        return (python_implementation(self.dovetail_spec.id, name, (), V2Factory(self.make), self.device),)

    def make(self, layer: str, values: dict[str, Any]) -> IPluginV2DynamicExt:
        """A plugin from field values, or from its serialized form if that is among them."""
        given = {name: value for name, value in values.items() if value is not None}
        state = given.pop(STATE, None)
        if state is not None:
            made = self.deserialize_plugin(layer, np.asarray(state, np.uint8).tobytes())
        else:
            types = {field.name: FieldType(field.type) for field in self.field_names}
            made = self.create_plugin(
                layer,
                PluginFieldCollection([given_field(name, value, types[name]) for name, value in given.items()]),
            )
        if made is None:
            raise PluginFailed(
                f"{self.name}@{self.plugin_version} '{layer}' was not created",
                facts=[("creator", type(self).__name__), ("returned", "None")],
                plugin=self.name,
            )
        made.plugin_namespace = self.plugin_namespace
        return made


class _ClassCreator(IPluginCreator):
    """The creator of a plugin class without one of its own: fields are the parameters of `__init__`."""

    def __init__(self, cls: type[IPluginV2DynamicExt]) -> None:
        self.cls = cls
        self.name, self.plugin_version = cls.plugin_type, str(cls.plugin_version)
        self.plugin_namespace = cls.plugin_namespace
        self.device = cls.device

    @property
    def dovetail_spec(self) -> OpSpec:
        where = f"{self.cls.__module__}.{self.cls.__qualname__}"
        if self.cls.__init__ is object.__init__:
            parameters: list[inspect.Parameter] = []
        else:
            parameters = list(inspect.signature(self.cls.__init__, eval_str=True).parameters.values())[1:]
        fields = []
        for p in parameters:
            if p.annotation is p.empty:
                raise DefinitionError(
                    f"parameter '{p.name}' of {self.cls.__name__} has no type",
                    facts=[("defined at", where)],
                    hint="Annotate it, or write an IPluginCreator.",
                )
            default = () if p.default is p.empty else (p.default,)
            fields.append(make_field(p.name, p.annotation, *default, where=where))
        return spec_of(self.cls, *self.identity, fields, self.make)

    def make(self, layer: str, values: dict[str, Any]) -> IPluginV2DynamicExt:
        made = self.cls(**{name: value for name, value in values.items() if value is not None})
        made.plugin_namespace = self.plugin_namespace
        return made
