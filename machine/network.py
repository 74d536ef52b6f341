"""`INetworkDefinition`: layers are added by op name, and shapes are inferred when they are added."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from dovetail.core.arguments import extents, whole
from dovetail.core.contract import Lookup, OpSpec, Port, parse_op_id
from dovetail.core.errors import DefinitionError, DTypeError, ShapeError, UnknownAttribute
from dovetail.core.named import member_of
from dovetail.core.plugin_field import PluginField, values_by_name
from dovetail.core.strict import Strict
from dovetail.core.types import DataType, TensorLocation
from dovetail.machine import absent
from dovetail.machine.enums import NetworkDefinitionCreationFlag
from dovetail.machine.extent_names import ExtentNames
from dovetail.machine.layer import ILayer
from dovetail.machine.names import checked_name
from dovetail.machine.order import LayerOrder
from dovetail.machine.tensor import ITensor


class INetworkDefinition(Strict):
    """A network under construction. Made by `Builder.create_network()`.

    The `network.add_<layer>(...)` methods are those of the registered ops. Layers of any plugin can be added by name
    with `add_plugin`.
    """

    _absent = absent.NETWORK
    name: str
    shape_outputs: list[ITensor]
    error_recorder: Any = None

    def __init__(self, lookup: Lookup, flags: int = 1) -> None:
        self.name = ""
        self._flags = flags
        self._lookup = lookup
        self._layers: list[ILayer] = []
        self._inputs: list[ITensor] = []
        self._outputs: list[ITensor] = []
        self.shape_outputs = []  # outputs marked for their contents as a shape
        self._names: dict[str, ITensor] = {}
        self._consumers: dict[ITensor, dict[ILayer, int]] = {}  # how many inputs of the layer take the tensor
        self._order = LayerOrder(_producers_of, self._consumers_behind)
        self._extents = ExtentNames()
        self._suffixes: dict[str, int] = {}
        self._in_add_method = False

    @property
    def lookup(self) -> Lookup:
        """The registry that its ops are looked up in."""
        return self._lookup

    @property
    def input_tensors(self) -> Sequence[ITensor]:
        return self._inputs

    @property
    def output_tensors(self) -> Sequence[ITensor]:
        return self._outputs

    # ---- inputs and outputs
    def add_input(self, name: str, dtype: DataType, shape: Sequence[int]) -> ITensor:
        """A network input; -1 is an extent that is known only at run time.

        Raises:
            DefinitionError: the name is taken or empty.
            DTypeError: no such type, or the shape is not a sequence of integers.
            ShapeError: an extent below -1, or more than 8 dimensions.
        """
        if not name or not isinstance(name, str):
            raise DefinitionError(f"a network input cannot be named {name!r}", hint="Give a non-empty string.")
        self._check_free(name)
        tensor = ITensor(self, name, None, len(self._inputs))
        tensor._dtype = member_of(DataType, dtype, f"the type of input '{name}'")
        self._inputs.append(tensor)
        try:
            self._set_input_shape(tensor, shape)
        except (ShapeError, DTypeError):
            self._inputs.pop()
            raise
        self._names[name] = tensor
        return tensor

    def _set_input_shape(self, tensor: ITensor, shape: Sequence[int]) -> None:
        if tensor._producer is not None:
            raise DefinitionError(f"the shape of '{tensor.name}' follows from its layer and cannot be set")
        dims = extents(f"the shape of input '{tensor.name}'", shape)
        if any(extent < -1 for extent in dims):
            raise ShapeError(
                f"input '{tensor.name}' cannot have the shape {list(dims)}",
                facts=[("extents", "-1 (known at run time) or more")],
                got=dims,
            )
        tensor.declared_shape = dims
        self._name_extents(tensor)

    def _name_extents(self, tensor: ITensor) -> None:
        """Set the dims of an input as expressions, and those of inputs that share a name of an extent with it."""
        self._extents.update(tensor)
        for other in self._extents.changed():
            dims = self._extents.dims_of(other)
            if other._dims is None or not other._dims.same(dims):
                other._dims = dims
                self._invalidate_from(other)

    def mark_output(self, tensor: ITensor) -> None:
        """Make `tensor` an output of the network. Marking it again changes nothing.

        Raises:
            DefinitionError: the tensor is not this network's.
        """
        self._check_owned(tensor, "mark_output")
        if tensor not in self._outputs:
            self._outputs.append(tensor)

    def mark_output_for_shapes(self, tensor: ITensor) -> bool:
        """Make a shape tensor an output, which is in host memory on every device. Returns True."""
        self.mark_output(tensor)
        tensor.location = TensorLocation.HOST
        if tensor not in self.shape_outputs:
            self.shape_outputs.append(tensor)
        return True

    def unmark_output_for_shapes(self, tensor: ITensor) -> bool:
        if tensor not in self.shape_outputs:
            return False
        self.shape_outputs.remove(tensor)
        tensor.location = TensorLocation.DEVICE
        return self.unmark_output(tensor)

    def shape_inputs(self) -> list[ITensor]:
        """Inputs whose contents determine extents of a tensor, or are part of a condition."""
        leaves = {
            leaf for layer in self._layers for tensor in layer.infer() for dim in tensor.dims for leaf in dim.late
        }
        leaves |= {leaf for layer in self._layers for found in layer._constraints for leaf in found.condition.late}
        uppers = [leaf.leaf.upper for leaf in leaves if leaf.is_size_tensor]
        for upper in uppers:  # of sizes in bounds of sizes, too
            new = upper.late - leaves
            leaves |= new
            uppers += [leaf.leaf.upper for leaf in new if leaf.is_size_tensor]
        used = {leaf.leaf.input for leaf in leaves if leaf.leaf.is_element}
        return [tensor for index, tensor in enumerate(self._inputs) if index in used]

    def unmark_output(self, tensor: ITensor) -> bool:
        if tensor not in self._outputs:
            return False
        self._outputs.remove(tensor)
        return True

    # ---- layers
    def add_plugin(
        self,
        name: str,
        inputs: Sequence[ITensor | None],
        fields: Mapping[str, Any] | None = None,
        version: str = "1",
        namespace: str = "",
        layer_name: str | None = None,
    ) -> ILayer:
        """A layer that computes the op `namespace::name@version`.

        Args:
            inputs: tensors in the order of the op's inputs; None for an optional one that is absent.
            fields: values by name, including weights. Others keep their defaults and can be set on the layer.

        Raises:
            PluginNotFound: no such op; near misses are listed.
            FieldValueError: unknown field, or a value of wrong type, count or range.
            ShapeError, DTypeError: these inputs do not fit. The network is unchanged.
        """
        if not isinstance(name, str):
            spec = getattr(name, "dovetail_spec", None)
            hint = f'Pass its id, "{spec.id}".' if isinstance(spec, OpSpec) else 'Such as "acme::HardSwish@1".'
            raise DTypeError(f"add_plugin takes the name of an op, got {type(name).__name__}", hint=hint)
        if "::" in name or "@" in name:
            name, version, namespace = parse_op_id(name)
        spec = self._lookup.find(name, version, namespace)
        return self._add_layer(spec, inputs, _values_of(fields), layer_name)

    def add_plugin_v2(self, inputs: Sequence[ITensor], plugin: Any) -> ILayer:
        """A layer from a plugin object: made by a creator, or an instance of a Python IPluginV2DynamicExt class.

        The network takes a clone, `layer.plugin`; later changes do not affect the caller's object.
        """
        if isinstance(plugin, type):
            raise DTypeError(
                f"add_plugin_v2 cannot take the class {plugin.__name__}",
                hint=f"Pass an object of it: {plugin.__name__}(...).",
            )
        created = plugin.as_created(self._lookup) if hasattr(plugin, "as_created") else plugin
        if not hasattr(created, "spec") or not hasattr(created, "values"):
            raise DTypeError(
                f"add_plugin_v2 cannot take a {type(plugin).__name__}",
                hint="Pass what creator.create_plugin(name, fields) returned, or an IPluginV2DynamicExt object.",
            )
        layer = self._add_layer(created.spec, inputs, dict(created.values), None, created.clone_op)
        authors = getattr(layer._instance, "plugin", None)
        layer.__dict__["_plugin"] = authors if hasattr(authors, "as_created") else created.holding(layer._instance)
        return layer

    def _add_layer(
        self,
        spec: OpSpec,
        inputs: Sequence[ITensor | None],
        fields: dict[str, Any],
        layer_name: str | None,
        make_op: Callable[[], Any] | None = None,
    ) -> ILayer:
        name = checked_name("a layer", layer_name or "") or f"(Unnamed Layer* {len(self._layers)}) [{spec.name}]"
        if not hasattr(inputs, "__iter__"):
            raise DTypeError(f"inputs of {spec.id} are a list, got {type(inputs).__name__}", hint="Write [x] for one.")
        for index, tensor in enumerate(inputs):
            if tensor is not None:
                self._check_owned(tensor, f"input {index} of {spec.id}")
        self._check_input_count(spec, name, inputs)
        layer = ILayer(self, spec, name, inputs)
        for key, value in fields.items():
            layer.set_field(key, value)
        if make_op is not None:
            layer.__dict__["_instance"] = make_op()
        for index in range(self._output_count(spec, layer)):
            layer._outputs.append(ITensor(self, self._free_name(f"{name}_output_{index}"), layer, index))
        if not self._in_add_method:
            layer.infer()  # errors appear at the user's line; nothing was added yet
        self._layers.append(layer)
        self._order.append(layer)
        for tensor in layer._inputs:
            self._feed(layer, None, tensor)
        for tensor in layer._outputs:
            self._names[tensor.name] = tensor
        return layer

    def _forget_behind(self, n_layers: int) -> None:
        """Remove all layers except the first `n_layers`, which must not consume any of the removed ones."""
        for layer in reversed(self._layers[n_layers:]):
            for tensor in layer._inputs:
                self._feed(layer, tensor, None)
            for tensor in layer._outputs:
                self._names.pop(tensor.name, None)
                self._consumers.pop(tensor, None)
            self._order.remove(layer)
        del self._layers[n_layers:]

    def _check_input_count(self, spec: OpSpec, name: str, inputs: Sequence[ITensor | None]) -> None:
        variadic = bool(spec.inputs) and spec.inputs[-1].variadic
        if len(inputs) <= len(spec.inputs) or variadic:
            return
        raise DefinitionError(
            f"{spec.id} '{name}' cannot take {len(inputs)} inputs",
            facts=[("inputs", ", ".join(_describe(port) for port in spec.inputs) or "none")],
            expected=len(spec.inputs),
            got=len(inputs),
        )

    @staticmethod
    def _output_count(spec: OpSpec, layer: ILayer) -> int:
        count = getattr(layer.make_op(), "num_outputs", None) if not spec.outputs else None
        return int(count) if count is not None else len(spec.outputs) or len(layer.infer())

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("add_") or name in self._absent:
            return super().__getattr__(name)
        found = self._lookup.find_add_method(name)
        if found is None:
            names = getattr(self._lookup, "add_methods", lambda: [])()
            near = difflib.get_close_matches(name, names, n=1)
            nearest = f"; did you mean {near[0]}?" if near else "."
            raise UnknownAttribute(
                f"no plugin has {name}{nearest}",
                hint="Layers of any plugin are added by name: network.add_plugin('Name', inputs, fields).",
                field=name,
                got=name,
            )
        _, method = found

        def call(*args: Any, **kwargs: Any) -> ILayer:
            # TensorRT's methods are followed by attribute assignments, so shapes are checked when they are asked for.
            outer, self._in_add_method = self._in_add_method, True
            try:
                return method(self, *args, **kwargs)
            finally:
                self._in_add_method = outer

        call.__name__, call.__doc__ = name, method.__doc__
        return call

    # ---- contents
    @property
    def num_layers(self) -> int:
        return len(self._layers)

    @property
    def num_inputs(self) -> int:
        return len(self._inputs)

    @property
    def num_outputs(self) -> int:
        return len(self._outputs)

    @property
    def flags(self) -> int:
        """The bits that `Builder.create_network` was given."""
        return self._flags

    def get_flag(self, flag: NetworkDefinitionCreationFlag) -> bool:
        return bool(self._flags >> int(member_of(NetworkDefinitionCreationFlag, flag, "a network flag")) & 1)

    @property
    def has_implicit_batch_dimension(self) -> bool:
        return False

    @property
    def has_explicit_precision(self) -> bool:
        return self.get_flag(NetworkDefinitionCreationFlag.EXPLICIT_PRECISION)

    def get_layer(self, index: int) -> ILayer | None:
        """Layer `index`, or None if the index is too large. `network[index]` raises IndexError."""
        return self._layers[index] if 0 <= whole("the index of a layer", index) < len(self._layers) else None

    def get_input(self, index: int) -> ITensor | None:
        """Input `index`, or None if the index is too large."""
        return self._inputs[index] if 0 <= whole("the index of an input", index) < len(self._inputs) else None

    def get_output(self, index: int) -> ITensor | None:
        """Output `index`, or None if the index is too large."""
        return self._outputs[index] if 0 <= whole("the index of an output", index) < len(self._outputs) else None

    def tensors(self) -> Iterator[ITensor]:
        """All tensors: the inputs, then the outputs of the layers."""
        yield from self._inputs
        for layer in self._layers:
            yield from layer._outputs

    def __len__(self) -> int:
        return len(self._layers)

    def __getitem__(self, index: int) -> ILayer:
        return self._layers[index]

    def __iter__(self) -> Iterator[ILayer]:
        return iter(self._layers)

    def __bool__(self) -> bool:
        return True

    def __str__(self) -> str:
        lines = [f"network '{self.name}'" if self.name else "network"]
        lines += [f"  input   {tensor!r}" for tensor in self._inputs]
        for layer in self._layers:
            sources = ", ".join("-" if t is None else t.name for t in layer._inputs)
            lines.append(f"  {layer.label} ({sources})")
            lines += [f"    -> {tensor!r}" for tensor in layer._outputs]
        lines += [f"  output  {tensor.name}" for tensor in self._outputs]
        return "\n".join(lines)

    # ---- bookkeeping used by tensors and layers
    def _feed(self, layer: ILayer, old: ITensor | None, new: ITensor | None) -> None:
        """Note that an input of `layer` takes `new` instead of `old`. Raises DefinitionError if that makes a cycle."""
        if layer not in self._order:
            return  # not added yet: its inputs are noted then
        if new is not None and new._producer is not None:
            cycle = self._order.connect(new._producer, layer)
            if cycle:
                raise _closes_cycle(layer, new, cycle)
        if old is not None:
            consumers = self._consumers[old]
            consumers[layer] -= 1
            if not consumers[layer]:
                del consumers[layer]
        if new is not None:
            consumers = self._consumers.setdefault(new, {})
            consumers[layer] = consumers.get(layer, 0) + 1

    def _consumers_of(self, tensor: ITensor) -> list[ILayer]:
        return list(self._consumers.get(tensor, ()))

    def _consumers_behind(self, layer: ILayer) -> Iterator[ILayer]:
        return (consumer for tensor in layer._outputs for consumer in self._consumers.get(tensor, ()))

    def _invalidate_from(self, tensor: ITensor) -> None:
        for layer in self._consumers_of(tensor):
            layer._invalidate()

    def _check_owned(self, tensor: Any, where: str) -> None:
        if not isinstance(tensor, ITensor):
            raise DTypeError(
                f"{where} takes an ITensor, got {type(tensor).__name__}",
                hint="Pass layer.get_output(0), or what network.add_input returned.",
            )
        if tensor._network is not self:
            raise DefinitionError(f"{where}: tensor '{tensor.name}' belongs to another network")

    def _check_free(self, name: str) -> None:
        checked_name("a tensor", name)
        if name in self._names:
            owner = self._names[name]
            made = "a network input" if owner._producer is None else f"made by {owner._producer.label}"
            raise DefinitionError(
                f"the tensor name '{name}' is taken", facts=[(name, made)], hint="Names of tensors are unique."
            )

    def _free_name(self, name: str) -> str:
        candidate, suffix = name, self._suffixes.get(name, 1)
        while candidate in self._names:
            candidate, suffix = f"{name}_{suffix}", suffix + 1
        if candidate != name:
            self._suffixes[name] = suffix
        return candidate

    def _rename(self, tensor: ITensor, name: str) -> None:
        if name == tensor._name:
            return
        if not name or not isinstance(name, str):
            raise DefinitionError(
                f"tensor '{tensor._name}' cannot be named {name!r}", hint="Give a non-empty string.", got=name
            )
        self._check_free(name)
        self._names.pop(tensor._name, None)
        self._names[name] = tensor
        tensor._name = name
        if tensor._producer is None:
            self._name_extents(tensor)


def _producers_of(layer: ILayer) -> Iterator[ILayer]:
    return (tensor._producer for tensor in layer._inputs if tensor is not None and tensor._producer is not None)


_SHOWN_OF_A_CYCLE = 6  # layers; the ones between are counted


def _closes_cycle(layer: ILayer, tensor: ITensor, cycle: list[ILayer]) -> DefinitionError:
    names = [repr(step.name) for step in cycle]
    if len(names) > _SHOWN_OF_A_CYCLE:
        names[3:-2] = [f"({len(names) - 5} more)"]
    return DefinitionError(
        f"{layer.label} cannot take tensor '{tensor.name}', which is computed from its own output",
        facts=[("cycle", " -> ".join([*names, repr(layer.name)]))],
        hint="A network has no cycles: feed this input with something that does not depend on the layer, or add the "
        "repeated layers once for each repetition.",
        layer=layer.name,
        cycle=[step.name for step in cycle],
    )


def _describe(port: Port) -> str:
    kind = "any number of " if port.variadic else "optional " if port.optional else ""
    return f"{kind}{port.name}"


def _values_of(fields: Any) -> dict[str, Any]:
    """Field values by name, from a mapping or from a collection of PluginFields."""
    if isinstance(fields, (list, tuple)) and all(isinstance(field, PluginField) for field in fields):
        return values_by_name(fields)
    try:
        return dict(fields or {})
    except (TypeError, ValueError):
        hint = 'Pass a dict, {"axis": 1}, or a PluginFieldCollection.'
        raise DTypeError(f"fields cannot be a {type(fields).__name__}", hint=hint) from None
