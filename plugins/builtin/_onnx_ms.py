"""What the rewrites of com.microsoft share: their rows, checks of inputs and attributes, and small compositions."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from typing import Any

from dovetail.plugins import onnx_op
from dovetail.plugins.builtin._onnx_shapes import rank_of

DOMAIN = "com.microsoft"
COUNTS = ("K", "N", "block_size", "groups", "kv_num_heads", "num_heads")  # attributes that count something
ELEMENT_TYPES = {"FLOAT": 1, "UINT8": 2, "INT8": 3, "UINT16": 4, "INT16": 5, "INT32": 6, "INT64": 7, "FLOAT16": 10}


def microsoft(
    op_type: str,
    rewrite: Callable[[Any], Any],
    inputs: tuple[int, int | None],
    attrs: str = "",
    only: Mapping[str, Any] | None = None,
    outputs: int = 1,
    domain: str = DOMAIN,
    needs: str = "",
    optional: Container[int] = (),
) -> Any:
    """A row of an operator as onnxruntime writes it. Whatever the rewrite would not honour is refused by name.

    Args:
        inputs: least and greatest number of inputs; None is any.
        attrs: names of the attributes that the rewrite reads, or that concern speed alone.
        only: attributes that must have this value, if they are there.
        outputs: how many of the outputs can be made.
        needs: names of attributes that have to be there; those that are counts are 1 or more.
        optional: places among the least number of inputs that may be empty.
    """
    known, fixed = {*attrs.split(), *needs.split()}, dict(only or {})

    def checked(node: Any) -> Any:
        least, most = inputs
        if not least <= len(node) or (most is not None and len(node) > most):
            wanted = f"{least} to {'any number' if most is None else most}"
            raise node.fail("it has another number of inputs", inputs=len(node), wanted=wanted)
        empty = [index for index in range(least) if node.value(index) is None and index not in optional]
        if empty:
            raise node.fail(f"its input {empty[0]} is missing")
        for name in needs.split():
            value = node.attr(name)
            if value is None or (name in COUNTS and value < 1):
                raise node.fail(f"its attribute {name} is {'missing' if value is None else f'{value}, not 1 or more'}")
        for name, value in node.attributes().items():
            if name in fixed and value != fixed[name]:
                raise node.fail(f"{name} is {value}, and only {fixed[name]} is imported")
            if name not in fixed and name not in known:
                wanted = ", ".join(sorted(known | fixed.keys())) or "none"
                raise node.fail(f"it has an attribute that is not known: {name}", known=wanted)
        unmade = [index for index in range(outputs, node.n_outputs) if node.wants(index)]
        if unmade:
            raise node.fail(f"its output {unmade[0]} is not made here", outputs=outputs)
        return rewrite(node)

    return onnx_op(op_type, domain=domain, rewrite=checked)


def given_attrs(node: Any, *names: str) -> dict[str, Any]:
    """Those of these attributes that the node has, to be handed on."""
    return {name: node.attr(name) for name in names if node.attr(name) is not None}


def absent(node: Any, *indices: int, why: str) -> None:
    """Raises the error to raise if one of these inputs is there."""
    for index in indices:
        if node.value(index) is not None:
            raise node.fail(f"its input {index} is not imported: {why}")


def channels_first(node: Any, x: Any) -> Any:
    """[N, ..., C] as [N, C, ...]."""
    rank = rank_of(x)
    return node.onnx("Transpose", [x], perm=[0, rank - 1, *range(1, rank - 1)])


def channels_last(node: Any, x: Any) -> Any:
    """[N, C, ...] as [N, ..., C]."""
    rank = rank_of(x)
    return node.onnx("Transpose", [x], perm=[0, *range(2, rank), 1])


def in_type(node: Any, x: Any, index: int) -> Any:
    """x in the type that the model has for input `index`."""
    return node.onnx("Cast", [x], to=ELEMENT_TYPES[node.type_name(index)])


def in_float32(node: Any, x: Any) -> Any:
    return node.onnx("Cast", [x], to=ELEMENT_TYPES["FLOAT"])


def added(node: Any, *values: Any) -> Any:
    """The sum of those that are there."""
    first, *others = [value for value in values if value is not None]
    for other in others:
        first = node.onnx("Add", [first, other])
    return first
