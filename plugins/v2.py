"""TensorRT's plugin classes for Python, with the names of its later versions.

The methods are called in TensorRT's order: create_plugin or deserialize_plugin; get_output_dimensions and
get_output_datatype while the network is defined; supports_format_combination; configure_plugin with the
profile's range; get_workspace_size; initialize once for an engine; then for each context clone,
attach_to_context, configure_plugin when shapes changed, enqueue, detach_from_context, destroy; terminate
and destroy with the engine.
"""

from __future__ import annotations

import copy
from typing import Any, ClassVar

from dovetail.core.contract import Implementation, Lookup, OpSpec
from dovetail.core.errors import DefinitionError, PluginFailed
from dovetail.core.expr import ExprBuilder
from dovetail.core.types import DataType, DeviceType
from dovetail.plugins.implementations import python_implementation
from dovetail.plugins.kernels import PYTHON_NAMES
from dovetail.plugins.v2_adapter import V2Factory
from dovetail.plugins.v2_check import (
    NEEDED,
    PLUGIN_METHODS,
    by_default,
    check_methods,
    check_needed,
    identity_of,
    parameters_of,
)
from dovetail.plugins.v2_created import CreatedV2
from dovetail.plugins.v2_creator import ClassCreator
from dovetail.plugins.v2_spec import DimsExprs


def own_of(cls: type[IPluginV2DynamicExt]) -> tuple[OpSpec, tuple[Implementation, ...]]:
    """Spec and implementation of a class that needs no creator. Raises DefinitionError if it needs one."""
    if not cls.plugin_type:
        raise DefinitionError(
            f"{cls.__name__} does not say its plugin_type in its body",
            facts=[("defined at", f"{cls.__module__}.{cls.__qualname__}")],
            hint=f'Write plugin_type = "{cls.__name__}" there; or, where __init__ sets it, register an IPluginCreator.',
        )
    check_needed(cls, NEEDED)
    made = cls.__dict__.get("_made_own")
    if made is None:
        creator = ClassCreator(cls)
        made = cls._made_own = creator.dovetail_spec, creator.dovetail_implementations  # type: ignore[attr-defined]
    return made


class _OwnSpec:
    """The spec of a class that needs no creator, made on first use."""

    def __get__(self, plugin: Any, cls: Any) -> OpSpec:
        return own_of(cls)[0]


class _OwnImplementations:
    def __get__(self, plugin: Any, cls: Any) -> tuple[Implementation, ...]:
        return own_of(cls)[1]


class IPluginV2:
    """Root of TensorRT's plugin classes. Derive from IPluginV2DynamicExt instead."""

    @property
    def serialization_size(self) -> int:
        """Number of bytes that `serialize` returns."""
        return self.get_serialization_size()

    @property
    def tensorrt_version(self) -> int:
        """The version of TensorRT whose contract this follows: 8.5."""
        return 8500

    def get_serialization_size(self) -> int:
        raise PluginFailed(f"{type(self).__name__} must derive from IPluginV2DynamicExt")


class IPluginV2Ext(IPluginV2):
    """Between the two, as in TensorRT. Derive from IPluginV2DynamicExt instead."""


class IPluginV2DynamicExt(IPluginV2Ext):
    """A layer with dynamic shapes. Set num_outputs, plugin_type, plugin_version; override what follows.

    It is registered through an IPluginCreator. A class that sets plugin_type in its body needs none: its
    fields are the annotated parameters of `__init__`, and the class itself is registered.
    """

    num_outputs: int = 1
    plugin_type: str = ""
    plugin_version: str = "1"
    plugin_namespace: str = ""
    device: DeviceType = DeviceType.CPU  # of a class without a creator; with one, the creator's device counts

    dovetail_spec: ClassVar[OpSpec] = _OwnSpec()  # type: ignore[assignment]
    dovetail_implementations: ClassVar[tuple[Implementation, ...]] = _OwnImplementations()  # type: ignore[assignment]
    _arguments: tuple[tuple[Any, ...], dict[str, Any]] = ((), {})

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        check_methods(cls, PLUGIN_METHODS)

    @classmethod
    def stands_for_itself(cls) -> bool:
        """True if its body sets plugin_type and its parameters are annotated, so that it needs no creator."""
        try:
            return bool(cls.plugin_type) and all(p.annotation is not p.empty for p in parameters_of(cls))
        except DefinitionError:
            return False

    @classmethod
    def implementations_for(cls, plugin: IPluginV2DynamicExt) -> tuple[Implementation, ...]:
        """The implementation for an object of this class, whether or not it is registered."""
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

    @by_default
    def get_output_dimensions(self, output_index: int, inputs: list[DimsExprs], expr_builder: ExprBuilder) -> Any:
        """Extents of an output, from those of the inputs. Called once for each output."""
        raise NotImplementedError(f"{type(self).__name__} does not have get_output_dimensions")

    @by_default
    def enqueue(
        self,
        input_desc: list[Any],
        output_desc: list[Any],
        inputs: list[Any],
        outputs: list[Any],
        workspace: Any,
        stream: int,
    ) -> int | None:
        """Compute; 0 or None is success. Tensors are addresses with the array as an attribute: `inputs[0].array`.

        On the GPU that is a DeviceArray, and `stream` a cudaStream_t, never 0: launch work on it, and do not wait.
        """
        raise NotImplementedError(f"{type(self).__name__} does not have enqueue")

    # ---- with defaults

    def get_output_datatype(self, index: int, input_types: list[DataType]) -> DataType:
        """Type of an output; that of the first input unless overridden."""
        return input_types[0]

    def supports_format_combination(self, pos: int, in_out: list[Any], num_inputs: int) -> bool:
        """True if `in_out[pos]` is supported together with those before it. By default all must be linear."""
        return int(in_out[pos].format) == 0

    def configure_plugin(self, inputs: list[Any], outputs: list[Any]) -> None:
        """Receives the tensors, as DynamicPluginTensorDesc."""

    def get_workspace_size(self, input_desc: list[Any], output_desc: list[Any]) -> int:
        """Bytes of scratch memory for these sizes and all smaller ones."""
        return 0

    def initialize(self) -> int | None:
        """Acquire what an engine needs. 0 or None is success."""

    def terminate(self) -> None:
        """Release what `initialize` acquired."""

    def attach_to_context(self, cudnn: Any, cublas: Any, allocator: Any) -> None:
        """From now on this clone belongs to a context. The handles are always None: there are no libraries here."""

    def detach_from_context(self) -> None:
        """The context has been destroyed."""

    def clone(self) -> IPluginV2DynamicExt:
        """A copy in the same state; a shallow copy by default."""
        return copy.copy(self)

    @by_default
    def serialize(self) -> bytes | str:
        """The state that `deserialize_plugin` of the creator reads, as bytes; a str is encoded as UTF-8."""
        return b""

    def get_serialization_size(self) -> int:
        data = self.serialize()
        return len(data.encode() if isinstance(data, str) else data)

    def destroy(self) -> None:
        """Called when the object is no longer used."""

    # ---- for the network

    def as_created(self, lookup: Lookup | None = None) -> CreatedV2:
        """The op for `network.add_plugin_v2`: the spec, values that make this object again, clones.

        Raises:
            DefinitionError, PluginFailed: see CreatedV2.
        """
        return CreatedV2(self, lookup)


def _refuse_to_make(name: str) -> Any:
    raise PluginFailed(f"{name} is not registered here", hint="Call registry.add_op or registry.register_creator.")
