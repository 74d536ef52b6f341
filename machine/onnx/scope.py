"""Scopes: the values of the names in a graph while its nodes are imported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from dovetail.machine.onnx.domains import opset_in
from dovetail.machine.onnx.errors import ErrorCode, ModelError
from dovetail.machine.onnx.node import Value
from dovetail.machine.onnx.types import elem_type_of
from dovetail.machine.tensor import ITensor


class Scope:
    """Values and types by name, in a graph, in a branch inside it, or in the body of a function.

    `types` has ONNX's types if they differ from those of the network; `broken` has the names whose node failed.
    """

    def __init__(self, opsets: Mapping[str, int], outer: Scope | None = None) -> None:
        self.opsets = {**opsets}
        self.outer = outer
        self.values: dict[str, Value | None] = {"": None}
        self.types: dict[str, int] = {}
        self.broken: set[str] = set()

    def opset(self, domain: str) -> int:
        return opset_in(self.opsets, domain)

    def set(self, name: str, value: Value | None, elem_type: int = 0) -> None:
        self.values[name] = value
        if elem_type:
            self.types[name] = elem_type

    def value(self, name: str) -> Value | None:
        """The value of a name. Raises ModelError if no node makes it."""
        if name in self.values:
            return self.values[name]
        if self.outer is None:
            raise ModelError(ErrorCode.INVALID_GRAPH, f"nothing before it makes its input '{name}'")
        return self.outer.value(name)

    def type(self, name: str) -> int:
        """ONNX's type of the value of a name; 0 if it has none."""
        if name in self.types:
            return self.types[name]
        if name not in self.values and self.outer is not None:
            return self.outer.type(name)
        value = self.value(name)
        if value is None:
            return 0
        if isinstance(value, tuple):  # an empty one has the type of SequenceEmpty in ONNX
            value = value[0] if value else np.zeros(0, np.float32)
        return elem_type_of(value.dtype) if isinstance(value, ITensor) else _elem_type(value)

    def type_proto(self, name: str) -> Any:
        """The type with the known extents; an empty one if there is no value."""
        import onnx

        value = self.value(name)
        if value is None:
            return onnx.TypeProto()
        if isinstance(value, tuple):
            return onnx.helper.make_sequence_type_proto(onnx.helper.make_tensor_type_proto(self.type(name), None))
        dims = [None if dim < 0 else dim for dim in value.shape]
        return onnx.helper.make_tensor_type_proto(self.type(name), dims)


def inferred_types(proto: Any, scope: Scope, opset: int) -> dict[str, int]:
    """Types of a node's outputs, or of the tensors in them, inferred by ONNX.

    Those that cannot be inferred are left out.
    """
    import onnx

    try:
        schema = onnx.defs.get_schema(proto.op_type, opset, proto.domain)
        given = {name: scope.type_proto(name) for name in proto.input if name}
        imports = [onnx.helper.make_opsetid(domain, version) for domain, version in scope.opsets.items()]
        told = onnx.shape_inference.infer_node_outputs(schema, proto, given, opset_imports=imports)
    except Exception:  # an operator that ONNX does not define, or one whose inference refuses the extents
        return {}
    tensors = {
        name: kind.sequence_type.elem_type.tensor_type if kind.HasField("sequence_type") else kind.tensor_type
        for name, kind in told.items()
    }
    types = {name: tensor.elem_type for name, tensor in tensors.items()}
    return {name: elem_type for name, elem_type in types.items() if elem_type}


def _elem_type(array: np.ndarray) -> int:
    import onnx

    return int(onnx.helper.np_dtype_to_tensor_dtype(array.dtype))
