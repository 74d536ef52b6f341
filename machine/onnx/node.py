"""A node of a model during the import: inputs as tensors or constants, attributes in Python's types."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dovetail.core.contract import Port
from dovetail.core.types import DataType, from_numpy
from dovetail.machine.network import INetworkDefinition
from dovetail.machine.onnx.constants import Constants
from dovetail.machine.onnx.errors import ErrorCode, ModelError
from dovetail.machine.onnx.limits import Limits
from dovetail.machine.onnx.types import ElementTypes, elem_type_of, name_of
from dovetail.machine.tensor import ITensor

COMPOSED_OPSET = 21  # of operators that rewrites use
Value = ITensor | np.ndarray | tuple[Any, ...]  # the value of a name in the model; tuples are sequences


def element_type(value: ITensor | np.ndarray) -> DataType:
    return value.dtype if isinstance(value, ITensor) else from_numpy(value.dtype)


@dataclass
class Import:
    """State that all nodes of one model share."""

    network: INetworkDefinition
    types: ElementTypes
    imported: Callable[..., list[Any]]  # (NodeProto, inputs, their ONNX types, opset) -> outputs
    limits: Limits
    warn: Callable[[str], None]
    unread: frozenset[str] = frozenset()  # outputs of nodes of the main graph that nothing takes
    constants: Constants = field(init=False)

    def __post_init__(self) -> None:
        self.constants = Constants(self.limits.has)


class Node:
    """Implements `dovetail.plugins.onnx.OnnxNode`; see there."""

    def __init__(
        self, shared: Import, proto: Any, inputs: Sequence[Value | None], opset: int, types: Sequence[int] = ()
    ) -> None:
        self.network, self.opset = shared.network, opset
        self.op_type, self.domain, self.name = proto.op_type, proto.domain, proto.name
        self.n_outputs = len(proto.output)
        self.proto = proto
        self._shared = shared
        self._inputs = list(inputs)
        self._types = list(types)
        self._tensors: dict[int, ITensor] = {}
        self._attributes: dict[str, Any] | None = None

    def __len__(self) -> int:
        return len(self._inputs)

    def __getitem__(self, index: int) -> ITensor:
        tensor = self.get(index)
        if tensor is None:
            raise self.fail(f"input {index} is missing")
        return tensor

    def get(self, index: int) -> ITensor | None:
        value = self._inputs[index] if 0 <= index < len(self._inputs) else None
        if value is None or isinstance(value, ITensor):
            return value
        if isinstance(value, tuple):
            raise self.fail(
                f"input {index} is a sequence of {len(value)} tensors, where a tensor is needed; SequenceAt and "
                "ConcatFromSequence give one"
            )
        if index not in self._tensors:
            self._tensors[index] = self.as_tensor(value)
        return self._tensors[index]

    def value(self, index: int) -> Value | None:
        """Input `index`: an array if it is known, a tensor, or a tuple of these for a sequence."""
        return self._inputs[index] if 0 <= index < len(self._inputs) else None

    def tensor_or_array(self, index: int) -> ITensor | np.ndarray:
        """The same for an input that is given and is not a sequence."""
        value = self.value(index)
        return value if isinstance(value, np.ndarray) else self[index]

    def sequence(self, index: int) -> tuple[Any, ...]:
        """Input `index`, a sequence: its tensors and arrays."""
        value = self.value(index)
        if not isinstance(value, tuple):
            given = "missing" if value is None else f"a tensor {list(value.shape)}"
            raise self.fail(f"input {index} is {given}, where a sequence is needed; SequenceConstruct makes one")
        return value

    def reserve(self, what: str, bytes: int = 0, layers: int = 0) -> None:
        """See `OnnxNode.reserve`. Layers are counted when they have been made."""
        self._shared.limits.check(what, layers=layers)
        self._shared.limits.use(what, bytes=bytes)

    def is_absent(self, index: int) -> bool:
        return self.value(index) is None

    def wants(self, index: int) -> bool:
        """True if the model uses output `index`."""
        name = self.proto.output[index] if index < len(self.proto.output) else ""
        return bool(name) and name not in self._shared.unread

    def as_tensor(self, array: Any) -> ITensor:
        """A constant of the network."""
        exact = self._shared.types.in_float64(array)
        array = np.asarray(array)
        layer = self.network.add_constant(array.shape, np.ascontiguousarray(array))
        if exact:
            layer.in_float64 = exact
        return layer.get_output(0)

    def constant(self, index: int) -> np.ndarray | None:
        return self.contents(self._inputs[index] if 0 <= index < len(self._inputs) else None)

    def contents(self, value: Value | None) -> np.ndarray | None:
        """None of what is not known, and of sequences."""
        if isinstance(value, ITensor):
            return self._shared.constants.contents(value)
        return value if isinstance(value, np.ndarray) else None

    def source(self, tensor: ITensor) -> tuple[str, list[Any], dict[str, Any]]:
        """See `OnnxNode.source`."""
        layer = tensor._producer
        return ("", [], {}) if layer is None else (layer.spec.name, list(layer._inputs), dict(layer._values))

    # ---- types
    def carrier(self, type_name: str) -> DataType:
        return self._shared.types.carrier(type_name)

    def attr_type(self, name: str, default: str = "FLOAT") -> str:
        value = self.attr(name)
        return name_of(value) if value else default  # 0, UNDEFINED, is the default that some writers spell out

    def type_name(self, index: int) -> str:
        elem_type = self._types[index] if index < len(self._types) else 0
        return name_of(elem_type or elem_type_of(self[index].dtype))

    # ---- attributes
    def attr(self, name: str, default: Any = None) -> Any:
        return self.attributes().get(name, default)

    def numbers(self, name: str) -> tuple[int, ...]:
        """An attribute that is a list of integers, () if it is absent; whatever the others are."""
        return tuple(int(n) for attribute in self.proto.attribute if attribute.name == name for n in attribute.ints)

    def number(self, name: str, default: int) -> int:
        """The same of one integer."""
        return next((int(attribute.i) for attribute in self.proto.attribute if attribute.name == name), default)

    def attributes(self) -> dict[str, Any]:
        """All attributes of the node, read once, since trees have millions of numbers."""
        if self._attributes is None:
            self._attributes = self._read_attributes()
        return self._attributes

    def _read_attributes(self) -> dict[str, Any]:
        import onnx

        found: dict[str, Any] = {}
        for attribute in self.proto.attribute:
            value = onnx.helper.get_attribute_value(attribute)
            if isinstance(value, bytes):
                value = value.decode("utf-8", "replace")
            elif isinstance(value, onnx.TensorProto):
                value = self._shared.types.array(value)
            elif isinstance(value, onnx.SparseTensorProto):
                value = self._shared.types.dense(value, self._shared.limits.use)
            elif isinstance(value, onnx.GraphProto):
                raise self.fail(
                    f"attribute {attribute.name} is a {type(value).__name__}", code=ErrorCode.UNSUPPORTED_NODE
                )
            elif attribute.type == onnx.AttributeProto.STRINGS:
                value = tuple(text.decode("utf-8", "replace") for text in value)
            elif not isinstance(value, (int, float, str)):
                value = tuple(value)
            found[attribute.name] = value
        return found

    # ---- layers
    def add(self, op: str, inputs: Sequence[Any], /, **fields: Any) -> ITensor:
        tensors = [value if value is None or isinstance(value, ITensor) else self.as_tensor(value) for value in inputs]
        spec = self.network._lookup.find(op, "1", "")
        for name, value in fields.items():
            known = spec.field_named(name)
            if known is not None and known.enum is not None and isinstance(value, str):
                fields[name] = known.enum[value]
        return self.network.add_plugin(op, tensors, fields).get_output(0)

    def onnx(
        self,
        op_type: str,
        inputs: Sequence[Value | None],
        /,
        n_outputs: int = 1,
        opset: int = COMPOSED_OPSET,
        domain: str = "",
        **attrs: Any,
    ) -> Any:
        """See `OnnxNode.onnx`."""
        import onnx

        inputs = [v if v is None or isinstance(v, (ITensor, tuple)) else np.asarray(v) for v in inputs]
        names = ["" if value is None else f"input_{index}" for index, value in enumerate(inputs)]
        outputs = [f"output_{index}" for index in range(n_outputs)]
        tensor = onnx.numpy_helper.from_array
        given = {
            name: tensor(value) if isinstance(value, np.ndarray) else value
            for name, value in attrs.items()
            if value is not None
        }
        proto = onnx.helper.make_node(op_type, names, outputs, domain=domain, **given)
        types = [self._type_of(value) for value in inputs]
        results = self._shared.imported(proto, inputs, types, opset)
        return results[0] if n_outputs == 1 else tuple(results)

    def _type_of(self, value: Value | None) -> int:
        """The model's type of one of this node's inputs, if the network uses another type for it; else 0."""
        for index, elem_type in enumerate(self._types):
            if value is not None and (value is self.value(index) or value is self._tensors.get(index)):
                return elem_type
        return 0

    def warn(self, text: str) -> None:
        """Log a warning about this node."""
        self._shared.warn(f"{self.op_type} '{self.name}': {text}")

    def fail(self, reason: str, code: ErrorCode = ErrorCode.INVALID_NODE, **facts: Any) -> ModelError:
        told = "".join(f"; {name} {value}" for name, value in facts.items())
        return ModelError(code, f"{reason}{told}")

    # ---- the default rule
    def add_as(self, spec: Any, attrs: dict[str, Any]) -> list[ITensor]:
        """A layer of `spec`: inputs go to its ports in order, constants to weights as data, attributes to fields."""
        inputs: list[ITensor | None] = []
        fields = dict(attrs)
        for index in range(len(self._inputs)):
            port: Port | None = spec.inputs[min(index, len(spec.inputs) - 1)] if spec.inputs else None
            known = self.constant(index) if port is not None and port.weights else None
            if known is not None:
                fields[port.name] = known
                inputs.append(None)
            else:
                inputs.append(self.get(index))
        while inputs and inputs[-1] is None:
            inputs.pop()
        layer = self.network.add_plugin(spec.name, inputs, fields, spec.version, spec.namespace)
        return [layer.get_output(index) for index in range(layer.num_outputs)]
