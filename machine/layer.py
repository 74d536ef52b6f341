"""Layers of a network under construction."""

from __future__ import annotations

import difflib
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dovetail.core.arguments import text, whole
from dovetail.core.contract import REQUIRED, OpObject, OpSpec, Port, SymbolicTensor
from dovetail.core.errors import DefinitionError, DTypeError, FieldValueError, ShapeError, UnknownAttribute
from dovetail.core.expr import Constraint, DimsExprs, constraints
from dovetail.core.named import member_of
from dovetail.core.strict import Strict, unknown_attribute
from dovetail.core.types import FLOATS, DataType, Weights, from_numpy
from dovetail.machine.enums import LayerType
from dovetail.machine.names import checked_name
from dovetail.machine.tensor import ITensor

if TYPE_CHECKING:
    from dovetail.machine.network import INetworkDefinition


def _as_weights(value: Any) -> np.ndarray | None:
    """Data given for a weights port: an array, trt.Weights or None. It is copied, so later changes have no effect."""
    if value is None:
        return None
    if isinstance(value, Weights):
        return np.array(value.numpy()) if value.size else None
    array = np.array(value)
    if array.dtype == np.float64 and not isinstance(value, np.ndarray):
        array = array.astype(np.float32)  # Python floats have no width of their own
    return array


class ILayer(Strict):
    """A layer: an op key, field values and inputs. Fields, weights and their second names are attributes."""

    def __init__(self, network: INetworkDefinition, spec: OpSpec, name: str, inputs: Sequence[ITensor | None]) -> None:
        own = self.__dict__
        own.update(_network=network, _spec=spec, _name=name, _values=spec.defaults(), _weights={})
        own.update(_inputs=list(inputs), _outputs=[], _op=None, _inferred=None, _types={}, _precision=None)
        own.update(metadata="", _instance=None, _constraints=[], _own_types=[], _plugin=None)

    # ---- identity
    @property
    def name(self) -> str:
        return self._name

    @name.setter
    def name(self, name: str) -> None:
        self.__dict__["_name"] = checked_name("a layer", name)
        if self._constraints or any(port.size for port in self._spec.outputs):
            self._invalidate()  # expressions contain the name
        else:
            self.__dict__["_op"] = None

    @property
    def spec(self) -> OpSpec:
        return self._spec

    @property
    def label(self) -> str:
        """Its name in messages: `Convolution@1 'stem'`."""
        return f"{self._spec.id} '{self._name}'"

    # ---- read by the builder
    @property
    def input_tensors(self) -> Sequence[ITensor | None]:
        return self._inputs

    @property
    def output_tensors(self) -> Sequence[ITensor]:
        return self._outputs

    @property
    def field_values(self) -> Mapping[str, Any]:
        return self._values

    @property
    def requirements(self) -> Sequence[Constraint]:
        """The conditions of its op on extents that are known only at run time."""
        return self._constraints

    # ---- inputs and outputs
    @property
    def num_inputs(self) -> int:
        """Number of inputs up to the last one that is a tensor; data given as weights do not count."""
        return max((index + 1 for index, tensor in enumerate(self._inputs) if tensor is not None), default=0)

    @property
    def num_outputs(self) -> int:
        return len(self._outputs)

    def get_input(self, index: int) -> ITensor | None:
        return self._inputs[index] if 0 <= whole("the index of an input", index) < len(self._inputs) else None

    def get_output(self, index: int) -> ITensor | None:
        return self._outputs[index] if 0 <= whole("the index of an output", index) < len(self._outputs) else None

    def set_input(self, index: int, tensor: ITensor) -> None:
        """Set input `index`. Data set earlier for the same port is dropped.

        Raises:
            DefinitionError: the op has no such input, or the tensor is of another network or depends on this layer.
        """
        port = self._port(whole(f"the index of an input of {self.label}", index))
        if port is None:
            names = ", ".join(f"{i} {p.name}" for i, p in enumerate(self._spec.inputs))
            raise DefinitionError(f"{self.label} has no input {index}", facts=[("inputs", names)])
        self._network._check_owned(tensor, f"input {index} of {self.label}")
        self._network._feed(self, self.get_input(index), tensor)
        while len(self._inputs) <= index:
            self._inputs.append(None)
        self._inputs[index] = tensor
        self._weights.pop(port.name, None)
        self._invalidate()

    def _port(self, index: int) -> Port | None:
        ports = self._spec.inputs
        if 0 <= index < len(ports):
            return ports[index]
        return ports[-1] if ports and ports[-1].variadic and index >= 0 else None

    def ports_in_use(self) -> list[tuple[Port, ITensor | np.ndarray | None]]:
        """Each input with its port: a tensor, data given as weights, or None for an absent optional one.

        Raises:
            DefinitionError: a required input is missing.
        """
        pairs: list[tuple[Port, ITensor | np.ndarray | None]] = []
        count = max(len(self._inputs), sum(not port.variadic for port in self._spec.inputs))
        for index in range(count):
            port = self._port(index)
            assert port is not None
            tensor = self._inputs[index] if index < len(self._inputs) else None
            given = tensor if tensor is not None else self._weights.get(port.name)
            if given is None and not port.optional:
                how = f"set layer.{port.name}, or " if port.weights else ""
                raise DefinitionError(
                    f"{self.label} lacks its input '{port.name}'",
                    facts=[("input", f"{index}, {port.doc or port.name}")],
                    hint=f"{how}call layer.set_input({index}, tensor).".capitalize(),
                )
            pairs.append((port, given))
        while pairs and pairs[-1][1] is None:
            pairs.pop()
        return pairs

    # ---- precision
    @property
    def precision(self) -> DataType:
        """The type that was set; FLOAT if none was, as in TensorRT."""
        return DataType.FLOAT if self._precision is None else self._precision

    @precision.setter
    def precision(self, dtype: DataType) -> None:
        self.__dict__["_precision"] = member_of(DataType, dtype, f"the precision of {self.label}")

    @property
    def precision_is_set(self) -> bool:
        return self._precision is not None

    def reset_precision(self) -> None:
        self.__dict__["_precision"] = None

    def set_output_type(self, index: int, dtype: DataType) -> None:
        """Give output `index` another type than the layer computes; it is converted after the layer.

        Raises:
            DefinitionError: the layer has no such output.
        """
        self._check_output(index)
        self._types[index] = member_of(DataType, dtype, f"the type of output {index} of {self.label}")
        self._invalidate()

    def get_output_type(self, index: int) -> DataType:
        self._check_output(index)
        return self._outputs[index].dtype

    def output_type_is_set(self, index: int) -> bool:
        self._check_output(index)
        return index in self._types

    def reset_output_type(self, index: int) -> None:
        self._check_output(index)
        self._types.pop(index, None)
        self._invalidate()

    def _check_output(self, index: int) -> None:
        if not 0 <= whole(f"the index of an output of {self.label}", index) < len(self._outputs):
            raise DefinitionError(
                f"{self.label} has no output {index}",
                facts=[("outputs", f"0..{len(self._outputs) - 1}")],
                got=index,
            )

    def own_type(self, index: int) -> DataType:
        """The type in which the layer itself writes output `index`. Raises the errors of inference."""
        self._check_output(index)
        self.infer()
        return self._own_types[index]

    # ---- fields as attributes
    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")
        prop = self._spec.properties.get(name)
        if prop is not None:
            self._warn_deprecated(prop)
            return prop.get(self._values)
        if name in self._values:
            return self._values[name]
        if self._spec.field_named(name) is not None:
            return None
        port = self._spec.port_named(name)
        if port is not None and port.weights:
            return self._weights.get(name)
        if name == "type":  # a field of that name, as in Activation, takes precedence
            return self._kind()
        if name == "plugin" and self._plugin is not None:
            return self._plugin
        raise self._unknown(name)

    def _kind(self) -> LayerType:
        """The kind with the name of the op, if that is built in."""
        kinds = {kind.name.replace("_", ""): kind for kind in LayerType}
        is_plugin = self._instance is not None or self._spec.namespace
        return LayerType.PLUGIN_V2 if is_plugin else kinds.get(self._spec.name.upper(), LayerType.PLUGIN_V2)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _OWN_ATTRIBUTES or name.startswith("_"):
            object.__setattr__(self, name, value)
            return
        self.set_field(name, value)

    def set_field(self, name: str, value: Any) -> None:
        """Set a field, a weights port or a second name. Raises FieldValueError with the rule that was broken."""
        prop = self._spec.properties.get(text(f"the name of a field of {self.label}", name))
        field = self._spec.field_named(name)
        port = self._spec.port_named(name)
        if prop is not None:
            self._warn_deprecated(prop)
            if prop.set is None:
                raise FieldValueError(f"{self.label} cannot set {name}: it is read-only", field=name)
            trial = dict(self._values)
            prop.set(trial, value)
            checked = {key: self._check_field(key, item) for key, item in trial.items()}
            self._values.update(checked)
        elif field is not None:
            self._values[name] = field.check(self.label, value)
        elif port is not None and port.weights:
            self._set_weights(port, value)
        else:
            raise self._unknown(name)
        self._invalidate()

    def _check_field(self, name: str, value: Any) -> Any:
        field = self._spec.field_named(name)
        return value if field is None else field.check(self.label, value)

    def _set_weights(self, port: Port, value: Any) -> None:
        if isinstance(value, ITensor):
            self.set_input(self._spec.inputs.index(port), value)
            return
        array = _as_weights(value)
        if array is not None:
            try:
                dtype = from_numpy(array.dtype)
            except DTypeError as error:
                raise DTypeError(f"{self.label} cannot take {port.name} of {array.dtype}", hint=str(error)) from None
            if port.types and dtype not in port.types:
                legal = ", ".join(t.name for t in port.types)
                raise DTypeError(
                    f"{self.label} cannot take {port.name} of {dtype.name}",
                    facts=[("allowed", legal)],
                    hint=f"Convert the array first, such as weights.astype(np.{'float32'}).",
                    field=port.name,
                    expected=legal,
                    got=dtype.name,
                )
            self._weights[port.name] = array
        else:
            self._weights.pop(port.name, None)
        index = self._spec.inputs.index(port)
        if index < len(self._inputs):
            self._network._feed(self, self._inputs[index], None)
            self._inputs[index] = None

    def _warn_deprecated(self, prop: Any) -> None:
        if prop.deprecated:
            warnings.warn(f"Use {prop.deprecated} instead.", DeprecationWarning, stacklevel=4)

    def _unknown(self, name: str) -> UnknownAttribute:
        """The error for a field that the op does not have, with the nearest name and all others."""
        if name in self._absent:
            return unknown_attribute(self, name)
        known = [f.name for f in self._spec.fields] + [p.name for p in self._spec.inputs if p.weights]
        known += [key for key, prop in self._spec.properties.items() if not prop.deprecated]
        near = difflib.get_close_matches(name, [*known, *_OWN_ATTRIBUTES], n=1, cutoff=0.5)
        nearest = f"; did you mean '{near[0]}'?" if near else "."
        return UnknownAttribute(
            f"{self.label} has no field '{name}'{nearest}",
            facts=[("fields", ", ".join(known) or "none")],
            op=self._spec.id,
            field=name,
            got=name,
        )

    # ---- inference
    def _invalidate(self) -> None:
        """Drop the results of inference for this layer and its consumers."""
        pending: list[ILayer] = [self]
        self.__dict__["_op"] = None
        while pending:
            layer = pending.pop()
            layer.__dict__["_inferred"] = None
            for tensor in layer._outputs:
                pending += [c for c in self._network._consumers_of(tensor) if c._inferred is not None]

    def make_op(self) -> OpObject:
        """The op with this layer's fields. Raises FieldValueError if a required one is missing."""
        if self._op is None:
            missing = [f for f in self._spec.fields if f.name not in self._values and f.default is REQUIRED]
            if missing:
                raise FieldValueError(
                    f"{self.label} lacks required fields",
                    facts=[(f.name, f"{f.type_name}  {f.doc}") for f in missing],
                )
            op = self._instance if self._instance is not None else self._spec.make(self._name, dict(self._values))
            if self._instance is not None and hasattr(op, "layer"):
                op.layer = self._name  # type: ignore[attr-defined]
            self.__dict__["_op"] = op
        return self._op

    def infer(self) -> list[SymbolicTensor]:
        """Dims and types of all outputs, inferring producers first; cached until something changes."""
        stack: list[ILayer] = [self]
        on_stack = {id(self)}
        while stack:
            layer = stack[-1]
            waiting = [
                t._producer
                for t in layer._inputs
                if t is not None and t._producer is not None and t._producer._inferred is None
            ]
            if not waiting:
                if layer._inferred is None:
                    layer.__dict__["_inferred"] = layer._infer_one()
                on_stack.discard(id(stack.pop()))
                continue
            if id(waiting[0]) in on_stack:
                raise DefinitionError(f"{layer.label} and {waiting[0].label} feed each other")
            stack.append(waiting[0])
            on_stack.add(id(waiting[0]))
        return self._inferred

    def _infer_one(self) -> list[SymbolicTensor]:
        op = self.make_op()
        inputs = self.symbolic_inputs(op)
        self._check_types(inputs)
        with constraints() as recorded:
            outputs = list(op.infer(inputs))
        self._check_extents(inputs, outputs)
        self.__dict__["_constraints"] = recorded
        self.__dict__["_own_types"] = [output.dtype for output in outputs]
        for index, dtype in self._types.items():
            if outputs[index].dtype != dtype:
                outputs[index] = self._converted(index, outputs[index], dtype)
        return outputs

    def _converted(self, index: int, output: SymbolicTensor, dtype: DataType) -> SymbolicTensor:
        """An output after conversion to `dtype`. Raises DTypeError if there is no such conversion."""
        spec = self._network._lookup.with_role("identity")
        op = spec.make(f"{self._name}, type of output {index}", {**spec.defaults(), "to": int(dtype)})
        return op.infer([output])[0]

    def _check_extents(self, inputs: Sequence[SymbolicTensor | None], outputs: Sequence[SymbolicTensor]) -> None:
        for index, tensor in enumerate(outputs):
            for axis, dim in enumerate(tensor.dims):
                if dim.range[1] >= 0:
                    continue
                raise ShapeError(
                    f"{self.label} cannot give output {index} the dims {tensor.dims}: dimension {axis} is negative",
                    facts=[(t.name or f"input {i}", str(t.dims)) for i, t in enumerate(inputs) if t is not None],
                    hint="Where an extent is not known yet, a plugin computes it with the expression builder."
                    if dim.value == -1
                    else "",
                    layer=self._name,
                    got=dim.value,
                )

    def symbolic_inputs(self, op: OpObject) -> list[SymbolicTensor | None]:
        """The arguments of `op.infer`. Data given as weights gets the dims that the op expects, if it states them."""
        pairs = self.ports_in_use()
        known: list[SymbolicTensor | None] = [
            given.symbolic if isinstance(given, ITensor) else None for _, given in pairs
        ]
        dims = self._weight_dims(op, known)
        for index, (port, given) in enumerate(pairs):
            if isinstance(given, np.ndarray):
                shape = dims.get(port.name, given.shape)
                known[index] = SymbolicTensor(DimsExprs(shape), from_numpy(given.dtype), port.name, given)
        return known

    def _weight_dims(self, op: OpObject, inputs: list[SymbolicTensor | None]) -> dict[str, tuple[int, ...]]:
        if not self._weights or not hasattr(op, "weight_dims"):
            return {}
        return dict(op.weight_dims(inputs))

    def weights_as_given(self) -> dict[str, np.ndarray]:
        """Data of the weights ports, in the dims that the op expects. Raises ShapeError if a size does not fit."""
        op = self.make_op()
        pairs = self.ports_in_use()
        known = [given.symbolic if isinstance(given, ITensor) else None for _, given in pairs]
        dims = self._weight_dims(op, known)
        arrays = {}
        for name, array in self._weights.items():
            shape = tuple(dims.get(name, array.shape))
            if int(np.prod(shape, dtype=np.int64)) != array.size:
                raise ShapeError(
                    f"{self.label} cannot use {name} with {array.size} values",
                    facts=[
                        (name, f"{array.size} values, given as {list(array.shape)}"),
                        ("needed", f"{int(np.prod(shape, dtype=np.int64))} values, {list(shape)}"),
                    ],
                    hint=f"Set layer.{name} to an array of {int(np.prod(shape, dtype=np.int64))} values.",
                    layer=self._name,
                    field=name,
                    expected=shape,
                    got=array.shape,
                )
            arrays[name] = array.reshape(shape)
        return arrays

    def _check_types(self, inputs: Sequence[SymbolicTensor | None]) -> None:
        for index, tensor in enumerate(inputs):
            port = self._port(index)
            if tensor is None or port is None or not port.types or tensor.dtype in port.types:
                continue
            legal = ", ".join(t.name for t in port.types)
            to_quantized = tensor.dtype in FLOATS and DataType.INT8 in port.types and not set(port.types) & {*FLOATS}
            raise DTypeError(
                f"{self.label} cannot take {tensor.dtype.name} on input '{port.name}'",
                facts=[(port.name, f"{tensor.dtype.name}, tensor '{tensor.name}'"), ("allowed", legal)],
                hint="Put a Quantize layer in front, network.add_quantize(x, scale), and a Dequantize layer behind, "
                "network.add_dequantize(y, scale)."
                if to_quantized
                else "Convert with an Identity layer: network.add_identity(x).set_output_type(0, dtype).",
                layer=self._name,
                expected=legal,
                got=tensor.dtype.name,
            )

    def __repr__(self) -> str:
        return f"<ILayer {self.label}>"


_OWN_ATTRIBUTES = frozenset(name for name, value in vars(ILayer).items() if isinstance(value, property)) | {"metadata"}


class _KindOfLayer(type):
    """Classes such as `trt.IConvolutionLayer`: a layer is an instance of the one of its op."""

    def __instancecheck__(cls, layer: Any) -> bool:
        return isinstance(layer, ILayer) and cls._is_of(layer)


_kinds: dict[str, type] = {}


def layer_class(name: str, specs: Iterable[OpSpec]) -> type | None:
    """TensorRT's class `name`, such as IConvolutionLayer; None if no op in the default namespace fits the name.

    It has no members of its own: fields are attributes of any layer. `layer.__class__ = trt.IConvolutionLayer`, as
    scripts write, changes nothing.
    """
    match = re.fullmatch(r"I(\w+)Layer", name)
    if match is None:
        return None
    if name not in _kinds:
        wanted = {spec.name for spec in specs if spec.name.lower() == match[1].lower() and not spec.namespace}
        if not wanted and match[1] != "PluginV2":
            return None

        def is_of(layer: ILayer) -> bool:
            return layer._spec.name in wanted if wanted else layer._kind() == LayerType.PLUGIN_V2

        members = {
            "_is_of": staticmethod(is_of),
            "__module__": __name__,
            "__doc__": f"Layers that TensorRT calls {name}.",
        }
        _kinds[name] = _KindOfLayer(name, (ILayer,), members)
    return _kinds[name]
