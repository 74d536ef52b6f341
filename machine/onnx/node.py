"""A node of a model while it becomes layers: inputs as tensors or constants, attributes in Python's types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dovetail.core.contract import Port
from dovetail.core.errors import DovetailError
from dovetail.core.types import DataType, from_numpy
from dovetail.machine.network import INetworkDefinition
from dovetail.machine.onnx.errors import ErrorCode, ModelError
from dovetail.machine.tensor import ITensor

Value = ITensor | np.ndarray  # what a name of the model stands for


class Node:
    """See `dovetail.plugins.onnx.OnnxNode`, which this is."""

    def __init__(self, network: INetworkDefinition, proto: Any, inputs: Sequence[Value | None], opset: int) -> None:
        self.network, self.opset = network, opset
        self.op_type, self.domain, self.name = proto.op_type, proto.domain, proto.name
        self.n_outputs = len(proto.output)
        self._proto = proto
        self._inputs = list(inputs)
        self._tensors: dict[int, ITensor] = {}

    def __len__(self) -> int:
        return len(self._inputs)

    def __getitem__(self, index: int) -> ITensor:
        tensor = self.get(index)
        if tensor is None:
            raise self.fail(f"input {index} is missing")
        return tensor

    def get(self, index: int) -> ITensor | None:
        value = self._inputs[index] if index < len(self._inputs) else None
        if value is None or isinstance(value, ITensor):
            return value
        if index not in self._tensors:
            self._tensors[index] = self.as_tensor(value)
        return self._tensors[index]

    def as_tensor(self, array: np.ndarray) -> ITensor:
        """A constant of the network."""
        return self.network.add_constant(array.shape, np.ascontiguousarray(array)).get_output(0)

    def constant(self, index: int) -> np.ndarray | None:
        value = self._inputs[index] if index < len(self._inputs) else None
        if not isinstance(value, ITensor):
            return value
        symbolic = value.symbolic
        if symbolic.constant is not None:
            return np.asarray(symbolic.constant)
        elements = symbolic.elements()
        if elements is None or not all(element.is_constant for element in elements):
            return None
        dims = tuple(dim.value for dim in symbolic.dims)
        return np.array([element.value for element in elements], np.int64).reshape(dims)

    def attr(self, name: str, default: Any = None) -> Any:
        return self.attributes().get(name, default)

    def attributes(self) -> dict[str, Any]:
        """All attributes that the node has."""
        import onnx

        found: dict[str, Any] = {}
        for attribute in self._proto.attribute:
            value = onnx.helper.get_attribute_value(attribute)
            if isinstance(value, bytes):
                value = value.decode("utf-8", "replace")
            elif isinstance(value, onnx.TensorProto):
                value = onnx.numpy_helper.to_array(value)
            elif isinstance(value, (onnx.GraphProto, onnx.SparseTensorProto)):
                raise self.fail(
                    f"attribute {attribute.name} is a {type(value).__name__}", code=ErrorCode.UNSUPPORTED_NODE
                )
            elif not isinstance(value, (int, float, str)):
                value = tuple(v.decode("utf-8", "replace") if isinstance(v, bytes) else v for v in value)
            found[attribute.name] = value
        return found

    def add(self, op: str, inputs: Sequence[Any], **fields: Any) -> ITensor:
        tensors = [self.as_tensor(value) if isinstance(value, np.ndarray) else value for value in inputs]
        return self.network.add_plugin(op, tensors, fields).get_output(0)

    def fail(self, reason: str, code: ErrorCode = ErrorCode.INVALID_NODE, **facts: Any) -> ModelError:
        told = "".join(f"; {name} {value}" for name, value in facts.items())
        return ModelError(code, f"{reason}{told}")

    # ---- the default rule
    def add_as(self, spec: Any, attrs: dict[str, Any]) -> list[ITensor]:
        """A layer of `spec`: inputs go to its ports in order, constants to weights as data, attributes to fields."""
        inputs: list[ITensor | None] = []
        fields = dict(attrs)
        for index, value in enumerate(self._inputs):
            port: Port | None = spec.inputs[min(index, len(spec.inputs) - 1)] if spec.inputs else None
            if isinstance(value, np.ndarray) and port is not None and port.weights:
                fields[port.name] = value
                inputs.append(None)
            else:
                inputs.append(self.get(index))
        while inputs and inputs[-1] is None:
            inputs.pop()
        layer = self.network.add_plugin(spec.name, inputs, fields, spec.version, spec.namespace)
        if self.name:
            layer.name = self.name
        return [layer.get_output(index) for index in range(layer.num_outputs)]


def type_of(elem_type: int) -> DataType:
    """The type that a model calls `elem_type`. Raises ModelError for strings, complex numbers and the like."""
    import onnx

    try:
        return from_numpy(onnx.helper.tensor_dtype_to_np_dtype(elem_type))
    except (KeyError, DovetailError):
        name = (
            onnx.TensorProto.DataType.Name(elem_type) if elem_type in onnx.TensorProto.DataType.values() else elem_type
        )
        raise ModelError(ErrorCode.UNSUPPORTED_GRAPH, f"tensors of type {name} are not known here") from None
