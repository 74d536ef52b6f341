"""How a layer says which ONNX operators it is: rows of `onnx_op` in its class.

The importer (`OnnxParser`) knows no operator by name: it looks these rows up in the registry, and where there is none
it takes an op of the operator's own name, with the operator's attributes as fields.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from dovetail.core.types import DataType


class OnnxNode(Protocol):
    """What a rewrite is handed: one node of a model, and the means to make layers of it."""

    op_type: str
    opset: int  # version of the operator's domain in this model
    n_outputs: int
    network: Any  # INetworkDefinition: network.add_<layer>(...)

    def __len__(self) -> int:
        """Number of inputs; absent ones at the end do not count."""

    def __getitem__(self, index: int) -> Any:
        """Input `index` as a tensor of the network. Raises if it is absent."""

    def get(self, index: int) -> Any:
        """The same, None if it is absent."""

    def value(self, index: int) -> Any:
        """Input `index` as it is known: an array, a tensor, a tuple of these for a sequence; None if it is absent."""

    def sequence(self, index: int) -> tuple[Any, ...]:
        """The tensors and arrays of a sequence; raises if it is none. A rewrite gives one as a tuple, an output."""

    def wants(self, index: int) -> bool:
        """Does the model use output `index`?"""

    def constant(self, index: int) -> np.ndarray | None:
        """Contents of an input that are known now: an initializer, a Constant, or what follows from them."""

    def contents(self, value: Any) -> np.ndarray | None:
        """The same of any tensor of the network, or an array."""

    def source(self, tensor: Any) -> tuple[str, list[Any], dict[str, Any]]:
        """(op name, inputs, field values) of the layer that makes a tensor; ("", [], {}) of an input of the network."""

    def type_name(self, index: int) -> str:
        """What the model calls the type of input `index`: "FLOAT16". The tensor's own may be one that carries it."""

    def carrier(self, type_name: str) -> DataType:
        """The type in which the network carries the model's type of this name. Raises if there is none."""

    def attr_type(self, name: str, default: str = "FLOAT") -> str:
        """What the model calls the type that an attribute stands for: "FLOAT16"."""

    def attr(self, name: str, default: Any = None) -> Any:
        """An attribute in Python's types: int, float, str, tuple of these, or an array."""

    def add(self, op: str, inputs: Sequence[Any], /, **fields: Any) -> Any:
        """A layer by op name, of tensors and arrays; its first output. Values of enums may be their names."""

    def onnx(self, op_type: str, inputs: Sequence[Any], /, **attrs: Any) -> Any:
        """Another ONNX operator, of tensors and arrays (None: absent), imported as if the model had it: its output.

        `n_outputs=2` gives a tuple of outputs, `opset=13` the operator of that opset (21 if left out), `domain=""` the
        domain; the rest are the operator's attributes. Raises what the operator's own import raises.
        """

    def reserve(self, what: str, bytes: int = 0, layers: int = 0) -> None:
        """Call this before arrays or layers are made whose number the model's extents or attributes decide.

        Raises what ends the import if it is more than its budget (`parser.budget`) has left; `what` is the subject of
        the sentence.
        """

    def warn(self, text: str) -> None:
        """Log a warning that names this node."""

    def fail(self, reason: str, **facts: Any) -> Exception:
        """The error to raise where the node cannot be imported."""


Rewrite = Callable[[OnnxNode], Any]  # gives a tensor, or a list or tuple of them, one an output


@dataclass(frozen=True)
class OnnxOp:
    """One operator that a layer is, for opsets `since`..`until` of its domain."""

    op_type: str
    since: int = 1
    until: int | None = None
    domain: str = ""
    attrs: Mapping[str, Any] = field(
        default_factory=dict
    )  # fields that it has without saying so, or defaults of its own
    renamed: Mapping[str, str] = field(default_factory=dict)  # ONNX attribute -> field
    rewrite: Rewrite | None = None
    mixes_types: bool = False

    def takes(self, domain: str, op_type: str, opset: int) -> bool:
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
    """A row of `Plugin.onnx`.

    Without `rewrite`, inputs go to the ports in their order and attributes to the fields of the same name.

    Args:
        op_type: the operator, "Relu".
        since: first opset whose meaning this is; `until`: the last one.
        domain: "" is ai.onnx.
        attrs: field values that the operator implies; an attribute of the node goes before them.
        renamed: attributes whose field has another name.
        rewrite: makes the layers instead: function(node) -> tensor, or tensors for several outputs.
        mixes_types: the rewrite converts inputs itself, so they may have other types than ONNX allows.
    """
    return OnnxOp(op_type, since, until, domain, dict(attrs or {}), dict(renamed or {}), rewrite, mixes_types)
