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

from dovetail.core.contract import Implementation, Lookup, OpSpec
from dovetail.core.errors import DefinitionError, PluginFailed
from dovetail.core.expr import ExprBuilder
from dovetail.core.plugin_field import PluginField, PluginFieldCollection
from dovetail.core.types import DataType, DeviceType, FieldType
from dovetail.plugins.adapter import PYTHON_NAMES, python_implementation
from dovetail.plugins.author import shown
from dovetail.plugins.fields import make_field
from dovetail.plugins.results import naming
from dovetail.plugins.v2_adapter import V2Factory
from dovetail.plugins.v2_check import (
    CREATOR_METHODS,
    NEEDED,
    PLUGIN_METHODS,
    check_methods,
    check_needed,
    check_object,
    identity_of,
)
from dovetail.plugins.v2_created import CreatedV2
from dovetail.plugins.v2_spec import STATE, DimsExprs, V2Maker, advertised, given_field, spec_of


class _OwnSpec:
    """The spec of a class that needs no creator, made when it is first asked for."""

    def __get__(self, plugin: Any, cls: Any) -> OpSpec:
        return _own(cls)[0]


class _OwnImplementations:
    def __get__(self, plugin: Any, cls: Any) -> tuple[Implementation, ...]:
        return _own(cls)[1]


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

    dovetail_spec: ClassVar[OpSpec] = _OwnSpec()  # type: ignore[assignment]
    dovetail_implementations: ClassVar[tuple[Implementation, ...]] = _OwnImplementations()  # type: ignore[assignment]
    _arguments: tuple[tuple[Any, ...], dict[str, Any]] = ((), {})

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        check_methods(cls, PLUGIN_METHODS)

    @classmethod
    def stands_for_itself(cls) -> bool:
        """Does it say its name in its body and annotate its parameters, so that it needs no creator?"""
        try:
            return bool(cls.plugin_type) and all(p.annotation is not p.empty for p in _parameters_of(cls))
        except DefinitionError:
            return False

    @classmethod
    def implementations_for(cls, plugin: IPluginV2DynamicExt) -> tuple[Implementation, ...]:
        """The one way to compute the op of an object of this class, whoever registered it, if anybody did."""
        known: dict[str, tuple[Implementation, ...]] = cls.__dict__.get("_implementations") or {}
        name = identity_of(plugin)
        if name not in known:
            device = DeviceType(plugin.device)
            factory = V2Factory(lambda layer, values: _refuse_to_make(name))
            made = python_implementation(name, PYTHON_NAMES[device], (), factory, device)
            known = {**known, name: (made,)}
            cls._implementations = known  # type: ignore[attr-defined]
        return known[name]

    def __new__(cls, *args: Any, **kwargs: Any) -> IPluginV2DynamicExt:
        made = super().__new__(cls)
        made._arguments = (args, kwargs)
        return made

    # ---- to be written by the author

    def get_output_dimensions(self, output_index: int, inputs: list[DimsExprs], expr_builder: ExprBuilder) -> Any:
        """Extents of an output, from those of the inputs. Called once for each output."""
        raise NotImplementedError(f"{type(self).__name__} does not have get_output_dimensions")

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
        raise NotImplementedError(f"{type(self).__name__} does not have enqueue")

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

    def serialize(self) -> bytes | str:
        """What `deserialize_plugin` of the creator needs; it gets bytes, a text in UTF-8."""
        return b""

    def get_serialization_size(self) -> int:
        return len(self.serialize())

    def destroy(self) -> None:
        """Nobody will use the object any more."""

    # ---- for the network

    def as_created(self, lookup: Lookup | None = None) -> CreatedV2:
        """What `network.add_plugin_v2` takes: the spec, values that make this object again, clones.

        Raises:
            DefinitionError, PluginFailed: see CreatedV2.
        """
        return CreatedV2(self, IPluginV2DynamicExt, lookup)


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

    def create_plugin(self, name: str, field_collection: PluginFieldCollection) -> IPluginV2DynamicExt | None:
        """A plugin for the layer `name`, or None."""
        raise NotImplementedError(f"{type(self).__name__} does not have create_plugin")

    def deserialize_plugin(self, name: str, data: bytes) -> IPluginV2DynamicExt | None:
        """A plugin from what its `serialize` gave, or None."""
        raise NotImplementedError(f"{type(self).__name__} does not have deserialize_plugin: write it to load plans")

    @property
    def identity(self) -> tuple[str, str, str]:
        return self.name, str(self.plugin_version), self.plugin_namespace

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        check_methods(cls, CREATOR_METHODS)

    @property
    def dovetail_spec(self) -> OpSpec:
        """The op that this creator stands for."""
        maker = type(self)
        check_needed(maker, IPluginCreator, ("create_plugin",))
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
        """The one way to compute it: its objects."""
        name = PYTHON_NAMES[self.device]
        return (python_implementation(self.dovetail_spec.id, name, (), V2Factory(self.make), self.device),)

    def make(self, layer: str, values: dict[str, Any]) -> IPluginV2DynamicExt:
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
        made.plugin_namespace = self.plugin_namespace  # type: ignore[union-attr]
        if state is None:
            vars(made)["_fields"] = given
        return made  # type: ignore[return-value]

    def _check_made(self, made: Any, layer: str, method: str) -> None:
        if not isinstance(made, IPluginV2DynamicExt):
            raise PluginFailed(
                f"{self.name}@{self.plugin_version}{f' {layer!r}' if layer else ''} was not created",
                facts=[("creator", type(self).__name__), (f"{method} returned", shown(made))],
                hint="Return an object of a class derived from IPluginV2DynamicExt.",
                plugin=self.name,
            )
        made.plugin_type = made.plugin_type or self.name
        check_object(made, IPluginV2DynamicExt)
        found = made.plugin_type, str(made.plugin_version)
        if found != self.identity[:2]:
            raise PluginFailed(
                f"{method} of {type(self).__name__} made a plugin of another name",
                facts=[("creator", "@".join(self.identity[:2])), ("plugin", "@".join(found))],
                hint="plugin_type and plugin_version of the plugin are name and plugin_version of its creator.",
                plugin=self.name,
            )


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
        fields = []
        for p in _parameters_of(self.cls):
            if p.annotation is p.empty:
                raise DefinitionError(
                    f"parameter '{p.name}' of {self.cls.__name__} has no type",
                    facts=[("defined at", where)],
                    hint="Annotate it, or write an IPluginCreator and register that.",
                )
            default = () if p.default is p.empty else (p.default,)
            fields.append(make_field(p.name, p.annotation, *default, where=where))
        return spec_of(self.cls, *self.identity, fields, V2Maker(self))

    def make(self, layer: str, values: dict[str, Any]) -> IPluginV2DynamicExt:
        with naming("__init__"):
            made = self.cls(**{name: value for name, value in values.items() if value is not None})
            made.plugin_namespace = self.plugin_namespace
            check_object(made, IPluginV2DynamicExt)
        return made


def _parameters_of(cls: type[IPluginV2DynamicExt]) -> list[inspect.Parameter]:
    if cls.__init__ is object.__init__:
        return []
    try:
        return list(inspect.signature(cls.__init__, eval_str=True).parameters.values())[1:]
    except Exception as error:
        raise DefinitionError(
            f"the annotations of {cls.__name__}.__init__ cannot be read",
            facts=[("reason", f"{type(error).__name__}: {error}")],
        ) from None


def _own(cls: type[IPluginV2DynamicExt]) -> tuple[OpSpec, tuple[Implementation, ...]]:
    """Spec and implementation of a class that needs no creator. Raises DefinitionError if it does."""
    if not cls.plugin_type:
        raise DefinitionError(
            f"{cls.__name__} does not say its plugin_type in its body",
            facts=[("defined at", f"{cls.__module__}.{cls.__qualname__}")],
            hint=f'Write plugin_type = "{cls.__name__}" there; or, where __init__ sets it, register an IPluginCreator.',
        )
    check_needed(cls, IPluginV2DynamicExt, NEEDED)
    made = cls.__dict__.get("_made_own")
    if made is None:
        creator = _ClassCreator(cls)
        made = cls._made_own = creator.dovetail_spec, creator.dovetail_implementations  # type: ignore[attr-defined]
    return made


def _refuse_to_make(name: str) -> Any:
    raise PluginFailed(f"{name} is not registered here", hint="registry.add_op(the class), or register_creator(...).")
