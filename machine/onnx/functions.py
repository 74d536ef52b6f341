"""Operators that ONNX itself defines by other operators: the bodies of its functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def body_of(proto: Any, opset: int, types: Sequence[Any]) -> Any:
    """The FunctionProto of a node; None if its operator is not a function.

    Args:
        types: the TypeProto of each input, an empty one for an input that is absent.
    """
    import onnx

    try:
        schema = onnx.defs.get_schema(proto.op_type, opset, proto.domain)
    except onnx.defs.SchemaError:
        return None
    made = b""
    if schema.has_context_dependent_function:
        versions = [v for v in schema.context_dependent_function_opset_versions if v <= opset]
        if versions:
            data = [given.SerializeToString() for given in types]
            made = schema.get_context_dependent_function_with_opset_version(
                max(versions), proto.SerializeToString(), data
            )
    if not made and schema.has_function:
        versions = [v for v in schema.function_opset_versions if v <= opset]
        if versions:
            made = schema.get_function_with_opset_version(max(versions))
    if not made:
        return None
    function = onnx.FunctionProto()
    function.ParseFromString(made)
    return function


def bound(nodes: Sequence[Any], attributes: Mapping[str, Any]) -> list[Any]:
    """Nodes of a body with the attributes of the call; attributes that the call does not have are dropped."""
    import onnx

    result = []
    for given in nodes:
        node = onnx.NodeProto()
        node.CopyFrom(given)
        del node.attribute[:]
        for attribute in given.attribute:
            if not attribute.ref_attr_name:
                kept = node.attribute.add()
                kept.CopyFrom(attribute)
                for graph in (kept.g, *kept.graphs) if kept.HasField("g") or kept.graphs else ():
                    inner = bound(graph.node, attributes)
                    del graph.node[:]
                    graph.node.extend(inner)
            elif attribute.ref_attr_name in attributes:
                kept = node.attribute.add()
                kept.CopyFrom(attributes[attribute.ref_attr_name])
                kept.name = attribute.name
        result.append(node)
    return result


def attributes_of(proto: Any, function: Any, opset: int) -> dict[str, Any]:
    """The attributes of a call, by name: those of the node, else the defaults of function and operator."""
    import onnx

    found = {attribute.name: attribute for attribute in function.attribute_proto}
    try:
        schema = onnx.defs.get_schema(proto.op_type, opset, proto.domain)
    except onnx.defs.SchemaError:  # a function of the model
        return found | {attribute.name: attribute for attribute in proto.attribute}
    for name, attribute in schema.attributes.items():
        if attribute.default_value.name:
            found[name] = attribute.default_value
    return found | {attribute.name: attribute for attribute in proto.attribute}
