"""`OnnxNode`, the argument of a rewrite: one node of a model, and methods that add layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from dovetail.core.types import DataType


class OnnxNode(Protocol):
    """One node of a model, and methods that add layers for it; the argument of a rewrite."""

    op_type: str
    domain: str  # "" is ai.onnx
    name: str  # of the node, often ""
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
        """Input `index`: an array if it is known, a tensor, or a tuple of these for a sequence; None if absent."""

    def sequence(self, index: int) -> tuple[Any, ...]:
        """The tensors and arrays of a sequence. Raises if the input is not one. To return one, use a tuple."""

    def wants(self, index: int) -> bool:
        """True if the model uses output `index`."""

    def constant(self, index: int) -> np.ndarray | None:
        """Contents of an input if they are known now: an initializer, a Constant, or computed from these."""

    def contents(self, value: Any) -> np.ndarray | None:
        """The same of any tensor of the network, or an array."""

    def source(self, tensor: Any) -> tuple[str, list[Any], dict[str, Any]]:
        """(op name, inputs, field values) of the layer that makes a tensor; ("", [], {}) of an input of the network."""

    def as_tensor(self, array: Any) -> Any:
        """An array as a constant of the network, a tensor."""

    def type_name(self, index: int) -> str:
        """The model's type of input `index`: "FLOAT16". The tensor may have a wider type that represents it."""

    def carrier(self, type_name: str) -> DataType:
        """The network's type that represents the model's type of this name. Raises if there is none."""

    def attr_type(self, name: str, default: str = "FLOAT") -> str:
        """The name of the model's type that an attribute holds: "FLOAT16"."""

    def attr(self, name: str, default: Any = None) -> Any:
        """An attribute in Python's types: int, float, str, tuple of these, or an array."""

    def attributes(self) -> Mapping[str, Any]:
        """All attributes that the node has, by name, as `attr` gives them."""

    def add(self, op: str, inputs: Sequence[Any], /, **fields: Any) -> Any:
        """Add a layer by op name, with tensors and arrays; returns its first output. Enum values may be names."""

    def onnx(self, op_type: str, inputs: Sequence[Any], /, **attrs: Any) -> Any:
        """Import another ONNX operator, as if the model had it, with tensors and arrays (None: absent).

        Returns its output, with `n_outputs=2` a tuple of outputs. `opset=13` selects the operator of that opset
        (default 21), `domain=""` the domain; the rest are attributes. Raises the errors of that operator's import.
        """

    def reserve(self, what: str, bytes: int = 0, layers: int = 0) -> None:
        """Call this before making arrays or layers whose number depends on the model's extents or attributes.

        Raises, and so ends the import, if its budget (`parser.budget`) is exceeded; `what` is the subject of the
        message.
        """

    def warn(self, text: str) -> None:
        """Log a warning that names this node."""

    def fail(self, reason: str, **facts: Any) -> Exception:
        """The error to raise if the node cannot be imported."""
