"""How a plugin says which ONNX operators it imports: `onnx_op` and `checked_op`.

The importer (`OnnxParser`) knows no operator by name: it looks these entries up in the registry. If there is none, it
uses the op with the operator's name, with the attributes as fields.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

from dovetail.core.errors import DefinitionError
from dovetail.plugins.author import shown
from dovetail.plugins.onnx.node import OnnxNode

Rewrite = Callable[[OnnxNode], Any]  # returns a tensor, or a list or tuple with one for each output


@dataclass(frozen=True)
class OnnxOp:
    """An operator that a plugin imports, in opsets `since`..`until` of its domain."""

    op_type: str
    since: int = 1
    until: int | None = None
    domain: str = ""
    attrs: Mapping[str, Any] = field(default_factory=dict)  # values of fields that the node does not give
    renamed: Mapping[str, str] = field(default_factory=dict)  # ONNX attribute -> field
    rewrite: Rewrite | None = None
    mixes_types: bool = False

    def takes(self, domain: str, op_type: str, opset: int) -> bool:
        """True if it imports this operator in this opset."""
        return (
            (domain, op_type) == (self.domain, self.op_type)
            and self.since <= opset
            and (self.until is None or opset <= self.until)
        )


def onnx_op(
    op_type: str,
    since: int = 1,
    until: int | None = None,
    *,
    domain: str = "",
    attrs: Mapping[str, Any] | None = None,
    renamed: Mapping[str, str] | None = None,
    rewrite: Rewrite | None = None,
    mixes_types: bool = False,
) -> OnnxOp:
    """One entry of `Plugin.onnx`, or of the hook `dovetail_onnx_rewrites`.

    Without `rewrite`, inputs become ports in their order and attributes become fields of the same name.

    Args:
        op_type: the operator, "Relu".
        since: first opset with this meaning; `until`: the last one.
        domain: "" is ai.onnx.
        attrs: field values that the operator implies; attributes of the node take precedence.
        renamed: names of fields for attributes with another name.
        rewrite: a function that makes the layers: function(node) -> tensor, or tensors for several outputs.
        mixes_types: the rewrite converts inputs itself, so that types may differ where ONNX requires equal ones.

    To refuse a node, a rewrite raises `node.fail(reason, **facts)`.
    """
    return OnnxOp(op_type, since, until, domain, dict(attrs or {}), dict(renamed or {}), rewrite, mixes_types)


def checked_op(
    op_type: str,
    rewrite: Rewrite,
    inputs: tuple[int, int | None],
    attrs: str = "",
    *,
    domain: str = "",
    outputs: int = 1,
    needs: str = "",
    counts: Container[str] = (),
    only: Mapping[str, Any] | None = None,
    optional: Container[int] = (),
) -> OnnxOp:
    """An operator for which the package onnx has no schema. Inputs and attributes that are not listed are refused.

    Args:
        inputs: smallest and largest number of inputs; None: no limit.
        attrs: names, separated by spaces, of the attributes that the rewrite reads or that concern speed only.
        outputs: number of outputs that the rewrite can make.
        needs: names of required attributes.
        counts: those of them that must be 1 or more.
        only: attributes that must have this value, if they are given.
        optional: indices of inputs below the smallest number that may be empty.
    """
    known, fixed = {*attrs.split(), *needs.split()}, dict(only or {})

    def checked(node: OnnxNode) -> Any:
        least, most = inputs
        if not least <= len(node) or (most is not None and len(node) > most):
            wanted = f"{least} to {'any number' if most is None else most}"
            raise node.fail("it has another number of inputs", inputs=len(node), wanted=wanted)
        empty = [index for index in range(least) if node.value(index) is None and index not in optional]
        if empty:
            raise node.fail(f"its input {empty[0]} is missing")
        for name in needs.split():
            value = node.attr(name)
            if value is None or (name in counts and value < 1):
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


class OnnxOperators(Sequence[OnnxOp]):
    """The operators of a plugin: a sequence, or a function without parameters that returns one, called on first use.

    With a function, rewrites may be defined below the class that names them.

    Raises:
        DefinitionError: when it is read, if it has items other than `onnx_op(...)`.
    """

    def __init__(self, name: str, where: str, given: Sequence[OnnxOp] | Callable[[], Sequence[OnnxOp]]) -> None:
        self._name, self._where, self._given = name, where, given
        self._read: tuple[OnnxOp, ...] | None = None

    def __len__(self) -> int:
        return len(self._all())

    @overload
    def __getitem__(self, index: int) -> OnnxOp: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[OnnxOp]: ...
    def __getitem__(self, index: int | slice) -> OnnxOp | Sequence[OnnxOp]:
        return self._all()[index]

    def __iter__(self) -> Iterator[OnnxOp]:
        return iter(self._all())

    def _all(self) -> tuple[OnnxOp, ...]:
        if self._read is None:
            given = self._given() if callable(self._given) else self._given
            if not isinstance(given, (tuple, list)) or not all(isinstance(one, OnnxOp) for one in given):
                name = given if isinstance(given, str) else self._name
                raise DefinitionError(
                    f"plugin {self._name} has an onnx that is not a tuple of onnx_op",
                    facts=[("got", shown(given)), ("defined at", self._where)],
                    hint=f'Write onnx = (onnx_op("{name}"),).',
                )
            self._read = tuple(given)
        return self._read
