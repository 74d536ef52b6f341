"""What a rewrite is handed: one node of a model, and the means to make layers of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from dovetail.core.types import DataType


class OnnxNode(Protocol):
    """What a rewrite is handed: one node of a model, and the means to make layers of it."""

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

    def as_tensor(self, array: Any) -> Any:
        """An array as a constant of the network, a tensor."""

    def type_name(self, index: int) -> str:
        """What the model calls the type of input `index`: "FLOAT16". The tensor's own may be one that carries it."""

    def carrier(self, type_name: str) -> DataType:
        """The type in which the network carries the model's type of this name. Raises if there is none."""

    def attr_type(self, name: str, default: str = "FLOAT") -> str:
        """What the model calls the type that an attribute stands for: "FLOAT16"."""

    def attr(self, name: str, default: Any = None) -> Any:
        """An attribute in Python's types: int, float, str, tuple of these, or an array."""

    def attributes(self) -> Mapping[str, Any]:
        """All attributes that the node has, by name, as `attr` gives them."""

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
