"""TensorRT's `IPluginCreator` for Python, and the creator of a class that has none."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from dovetail.core.contract import REQUIRED, Implementation, OpSpec
from dovetail.core.errors import DefinitionError, PluginFailed
from dovetail.core.plugin_field import PluginField, PluginFieldCollection
from dovetail.core.types import DeviceType, FieldType
from dovetail.plugins.author import shown
from dovetail.plugins.fields import make_field
from dovetail.plugins.implementations import python_implementation
from dovetail.plugins.kernels import PYTHON_NAMES
from dovetail.plugins.results import naming
from dovetail.plugins.v2_adapter import V2Factory
from dovetail.plugins.v2_check import (
    CREATOR_METHODS,
    by_default,
    check_methods,
    check_needed,
    check_object,
    parameters_of,
)
from dovetail.plugins.v2_spec import STATE, V2Maker, advertised, given_field, spec_of


class IPluginCreator:
    """Makes plugins. Set name, plugin_version, plugin_namespace and field_names; override the two methods."""

    name: str = ""
    plugin_version: str = "1"
    plugin_namespace: str = ""
    device: DeviceType = DeviceType.CPU
    field_names: Iterable[PluginField] = PluginFieldCollection([])

    @property
    def tensorrt_version(self) -> int:
        """The version of TensorRT whose contract this follows: 8.5."""
        return 8500

    @by_default
    def create_plugin(self, name: str, field_collection: PluginFieldCollection) -> Any:
        """A plugin for the layer `name`, or None."""
        raise NotImplementedError(f"{type(self).__name__} does not have create_plugin")

    @by_default
    def deserialize_plugin(self, name: str, data: bytes) -> Any:
        """A plugin from the bytes of its `serialize`, or None."""
        raise NotImplementedError(f"{type(self).__name__} does not have deserialize_plugin: write it to load plans")

    @property
    def identity(self) -> tuple[str, str, str]:
        return self.name, str(self.plugin_version), self.plugin_namespace

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        check_methods(cls, CREATOR_METHODS)

    @property
    def dovetail_spec(self) -> OpSpec:
        """The op of this creator."""
        maker = type(self)
        check_needed(maker, ("create_plugin",))
        names = self.field_names
        if isinstance(names, (str, bytes)) or not hasattr(names, "__iter__"):
            raise DefinitionError(
                f"field_names of {maker.__name__} cannot be {shown(names)}",
                facts=[("defined at", f"{maker.__module__}.{maker.__qualname__}")],
                hint="Set it to a PluginFieldCollection of PluginFields; PluginFieldCollection([]) if there are none.",
            )
        if self.device not in PYTHON_NAMES:
            hint = "Say DeviceType.CPU or DeviceType.GPU."
            raise DefinitionError(f"device of {maker.__name__} cannot be {shown(self.device)}", hint=hint)
        fields = [advertised(maker.__name__, field) for field in names]
        return spec_of(maker, *self.identity, fields, V2Maker(self))

    @property
    def dovetail_implementations(self) -> tuple[Implementation, ...]:
        """Its implementation, which runs the plugin objects."""
        name = PYTHON_NAMES[self.device]
        return (python_implementation(self.dovetail_spec.id, name, (), V2Factory(self.make), self.device),)

    def make(self, layer: str, values: dict[str, Any]) -> Any:
        """A plugin from field values, or from its serialized form if that is among them."""
        given = {name: value for name, value in values.items() if value is not None}
        state = given.pop(STATE, None)
        method = "create_plugin" if state is None else "deserialize_plugin"
        with naming(method):
            if state is not None:
                made = self.deserialize_plugin(layer, np.asarray(state, np.uint8).tobytes())
            else:
                types = {field.name: FieldType(field.type) for field in self.field_names}
                fields = [given_field(name, value, types[name]) for name, value in given.items()]
                made = self.create_plugin(layer, PluginFieldCollection(fields))
            self._check_made(made, layer, method)
        made.plugin_namespace = self.plugin_namespace
        if state is None:
            vars(made)["_fields"] = given
        return made

    def _check_made(self, made: Any, layer: str, method: str) -> None:
        if not hasattr(type(made), "as_created"):
            raise PluginFailed(
                f"{self.name}@{self.plugin_version}{f' {layer!r}' if layer else ''} was not created",
                facts=[("creator", type(self).__name__), (f"{method} returned", shown(made))],
                hint="Return an object of a class derived from IPluginV2DynamicExt.",
                plugin=self.name,
            )
        made.plugin_type = made.plugin_type or self.name
        check_object(made)
        found = made.plugin_type, str(made.plugin_version)
        if found != self.identity[:2]:
            raise PluginFailed(
                f"{method} of {type(self).__name__} made a plugin of another name",
                facts=[("creator", "@".join(self.identity[:2])), ("plugin", "@".join(found))],
                hint="plugin_type and plugin_version of the plugin are name and plugin_version of its creator.",
                plugin=self.name,
            )


class ClassCreator(IPluginCreator):
    """The creator of a plugin class that has none: fields are the parameters of `__init__`."""

    def __init__(self, cls: Any) -> None:
        self.cls = cls
        self.name, self.plugin_version = cls.plugin_type, str(cls.plugin_version)
        self.plugin_namespace = cls.plugin_namespace
        self.device = cls.device

    @property
    def dovetail_spec(self) -> OpSpec:
        where = f"{self.cls.__module__}.{self.cls.__qualname__}"
        fields = []
        for p in parameters_of(self.cls):
            if p.annotation is p.empty:
                raise DefinitionError(
                    f"parameter '{p.name}' of {self.cls.__name__} has no type",
                    facts=[("defined at", where)],
                    hint="Annotate it, or write an IPluginCreator and register that.",
                )
            default = REQUIRED if p.default is p.empty else p.default
            fields.append(make_field(p.name, p.annotation, default, where))
        return spec_of(self.cls, *self.identity, fields, V2Maker(self))

    def make(self, layer: str, values: dict[str, Any]) -> Any:
        with naming("__init__"):
            made = self.cls(**{name: value for name, value in values.items() if value is not None})
            made.plugin_namespace = self.plugin_namespace
            check_object(made)
        return made
