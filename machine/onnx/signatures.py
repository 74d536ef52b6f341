"""Signatures of operators from ONNX's schemas, and checks of nodes against them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from dovetail.machine.onnx.domains import MAIN

PLUGIN_ATTRIBUTES = ("plugin_version", "plugin_namespace")  # select the plugin of a node; not attributes of operators
UNBOUNDED = 2**31 - 1  # means "any number" in schemas


@dataclass(frozen=True)
class FormalParameter:
    """An input of an operator."""

    name: str
    is_required: bool
    type_name: str  # of a type parameter, or a type itself
    types: frozenset[str]  # legal types of the tensor: "FLOAT"; empty if it is not a tensor
    is_shared: bool  # all inputs with this type parameter have one type


@dataclass(frozen=True)
class Signature:
    """One operator in one opset."""

    label: str
    inputs: tuple[FormalParameter, ...]
    n_inputs: tuple[int, int]
    n_outputs: tuple[int, int]
    outputs: tuple[tuple[str, bool], ...]  # (name, whether it is required)
    attributes: Mapping[str, str]  # name -> type
    required: tuple[str, ...]
    is_deprecated: bool

    def parameter(self, index: int) -> FormalParameter | None:
        """The port of input `index`; the last port takes all further inputs."""
        return self.inputs[min(index, len(self.inputs) - 1)] if self.inputs else None


@lru_cache(maxsize=4096)
def signature_of(domain: str, op_type: str, opset: int) -> Signature | None:
    """The signature of an operator; None if ONNX does not define it in this opset."""
    import onnx

    try:
        schema = onnx.defs.get_schema(op_type, opset, "" if domain in MAIN else domain)
    except onnx.defs.SchemaError:
        return None
    option = onnx.defs.OpSchema.FormalParameterOption
    ports = tuple(
        FormalParameter(
            port.name, port.option == option.Single, port.type_str, _tensor_types(port.types), port.is_homogeneous
        )
        for port in schema.inputs
    )
    attributes = {name: attribute.type.name for name, attribute in schema.attributes.items()}
    return Signature(
        f"{op_type} of opset {schema.since_version}" if domain in MAIN else f"{domain}::{op_type}",
        ports,
        (schema.min_input, schema.max_input),
        (schema.min_output, schema.max_output),
        tuple((port.name, port.option == option.Single) for port in schema.outputs),
        attributes,
        tuple(name for name, attribute in schema.attributes.items() if attribute.required),
        schema.deprecated,
    )


def _tensor_types(types: Iterable[str]) -> frozenset[str]:
    """FLOAT of "tensor(float)"."""
    return frozenset(name[7:-1].upper() for name in types if name.startswith("tensor("))


def differences(node: Any, signature: Signature, in_function: bool = False) -> list[str]:
    """The differences between a node and its operator's schema, a sentence each."""
    if signature.is_deprecated:
        return [f"{signature.label} is deprecated: ONNX has no such operator from that opset on"]
    found = []
    if any(node.output) or signature.n_outputs[0]:
        wrong = _count("output", list(node.output), signature.n_outputs, signature.label)
        found += wrong
        for index, (name, (port_name, is_required)) in enumerate(zip(node.output, signature.outputs, strict=False)):
            if not name and is_required and not wrong:
                found.append(f"its output {index} ('{port_name}') has no name, and {signature.label} requires it")
    inputs = list(node.input)
    while len(inputs) > signature.n_inputs[1] and not inputs[-1]:
        inputs.pop()
    ports = ", ".join(port.name for port in signature.inputs)
    wrong = _count("input", inputs, signature.n_inputs, f"{signature.label}" + (f" ({ports})" if ports else ""))
    found += wrong
    for index, name in enumerate(() if wrong else inputs):
        port = signature.parameter(index)
        if not name and port is not None and port.is_required:
            found.append(f"its input {index} ('{port.name}') has no name, and {signature.label} requires it")
    return found + _attributes(node, signature, in_function)


def _count(kind: str, names: Sequence[str], limits: tuple[int, int], label: str) -> list[str]:
    least, most = limits
    if least <= len(names) <= most:
        return []
    shown = ", ".join(f"'{name[:100]}'" for name in names[:8]) + (", ..." if len(names) > 8 else "")
    rule = f"{least}" if least == most else f"{least} or more" if most >= UNBOUNDED else f"{least} to {most}"
    plural = "" if len(names) == 1 else "s"
    return [f"it has {len(names)} {kind}{plural}{f' ({shown})' if names else ''}, and {label} takes {rule}"]


def _attributes(node: Any, signature: Signature, in_function: bool) -> list[str]:
    found, seen = [], set()
    for attribute in node.attribute:
        name = attribute.name
        if name in seen:
            found.append(f"its attribute '{name[:100]}' is given twice")
        seen.add(name)
        wanted = signature.attributes.get(name)
        if attribute.ref_attr_name and not in_function:
            found.append(f"its attribute '{name[:100]}' refers to a function's attribute, and it is in no function")
        if wanted is None and name not in PLUGIN_ATTRIBUTES:
            known = ", ".join(sorted(signature.attributes)) or "none"
            found.append(f"{signature.label} has no attribute '{name[:100]}'; its attributes: {known}")
        elif wanted is not None and kind_of(attribute) not in (wanted, ""):
            found.append(
                f"its attribute '{name}' is of type {kind_of(attribute)}, and {signature.label} takes {wanted}"
            )
    missing = [name for name in signature.required if name not in seen]
    return found + [
        f"it lacks the attribute '{name}' ({signature.attributes[name]}), which {signature.label} requires"
        for name in missing
    ]


KINDS = ("FLOAT", "INT", "STRING", "TENSOR", "GRAPH", "FLOATS", "INTS", "STRINGS", "TENSORS", "GRAPHS")
MEMBERS = ("f", "i", "s", "t", "g", "floats", "ints", "strings", "tensors", "graphs")


def kind_of(attribute: Any) -> str:
    """The type of an attribute, "INT"; if it is not stated, that of its value; "" if it has none."""
    import onnx

    if attribute.type:
        known = attribute.type in onnx.AttributeProto.AttributeType.values()
        return onnx.AttributeProto.AttributeType.Name(attribute.type) if known else str(attribute.type)
    for kind, member in zip(KINDS, MEMBERS, strict=True):
        is_list = member.endswith("s") and member != "s"
        if bool(getattr(attribute, member)) if is_list else attribute.HasField(member):
            return kind
    return ""


def types_that_differ(signature: Signature, types: Sequence[str]) -> str:
    """The error in the types of a node's inputs; "" if there is none.

    Args:
        types: of each input, "FLOAT"; "" where it is absent, not known, or not a tensor.
    """
    bound: dict[str, tuple[str, str]] = {}
    for index, given in enumerate(types):
        port = signature.parameter(index)
        if not given or port is None:
            continue
        label = f"input {index} ('{port.name}')"
        if not port.types:
            continue
        if given not in port.types:
            return f"its {label} is {given}, and {signature.label} takes {', '.join(sorted(port.types))}"
        if not port.is_shared:
            continue
        first, kind = bound.setdefault(port.type_name, (label, given))
        if kind != given:
            rule = f"{signature.label} takes them of one type; convert one with Cast"
            return f"its {first} is {kind} and its {label} is {given}, and {rule}"
    return ""
