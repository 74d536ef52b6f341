"""TensorRT's RNNv2: several recurrent layers on top of each other, made of LSTM, GRU or RNN layers."""

from __future__ import annotations

import warnings
from math import prod
from typing import Any

import numpy

from dovetail.core.arguments import shape_of, whole
from dovetail.core.errors import FieldValueError, ShapeError
from dovetail.core.named import Named, member_of
from dovetail.core.strict import Strict
from dovetail.core.types import DataType
from dovetail.plugins.builtin._recurrent import RELU, TANH, RecurrentDirection


class RNNOperation(Named):
    """What a cell computes; GRU multiplies the state before it is reset."""

    RELU = 0
    TANH = 1
    LSTM = 2
    GRU = 3


class RNNDirection(Named):
    """Is the sequence read from its end too?"""

    UNIDIRECTION = 0
    BIDIRECTION = 1


class RNNInputMode(Named):
    """Is the input of the first layer multiplied by weights, or given to each gate as it is?"""

    LINEAR = 0
    SKIP = 1


class RNNGateType(Named):
    """The gates: INPUT of a plain cell; INPUT, OUTPUT, FORGET, CELL of LSTM; UPDATE, RESET, HIDDEN of GRU."""

    INPUT = 0
    OUTPUT = 1
    FORGET = 2
    UPDATE = 3
    RESET = 4
    CELL = 5
    HIDDEN = 6


GATE = RNNGateType
OPS: dict[RNNOperation, tuple[str, tuple[RNNGateType, ...], dict[str, Any]]] = {
    RNNOperation.RELU: ("RNN", (GATE.INPUT,), {"activations": (RELU,)}),
    RNNOperation.TANH: ("RNN", (GATE.INPUT,), {"activations": (TANH,)}),
    RNNOperation.LSTM: ("LSTM", (GATE.INPUT, GATE.OUTPUT, GATE.FORGET, GATE.CELL), {}),
    RNNOperation.GRU: ("GRU", (GATE.UPDATE, GATE.RESET, GATE.HIDDEN), {"linear_before_reset": True}),
}
PORTS = {"sequence_lens": 4, "hidden_state": 5, "cell_state": 6}
STATES = ("hidden_state", "cell_state")


class IRNNv2Layer(Strict):
    """What `network.add_rnn_v2` returns: `layer_count` recurrent layers, each fed by the one below.

    Inputs    input         [batch..., max_seq_length, data_length]: any number of batch dims, at most one unknown
              seq_lengths   [batch...], int32; optional
              hidden_state, cell_state  [batch..., layers, hidden_size]; optional. Both directions have a place: that of
                            layer l reads forward at 2 l and backward at 2 l + 1
    Outputs   0             [batch..., max_seq_length, hidden_size], twice hidden_size with BIDIRECTION
              1, 2          the last hidden state, and cell state of LSTM, as hidden_state
    Weights   set_weights_for_gate(layer, gate, is_w, array): [hidden_size, inputs] if is_w, else [hidden_size,
              hidden_size]; with BIDIRECTION layers are counted as the states are. Biases are 0 until they are set
    Source    TensorRT 8.5 IRNNv2Layer, which is deprecated
    """

    op: RNNOperation
    layer_count: int
    hidden_size: int
    max_seq_length: int
    data_length: int
    layers: list[Any]

    def __init__(
        self, network: Any, input: Any, layer_count: int, hidden_size: int, max_seq_length: int, op: RNNOperation
    ) -> None:
        self.op = member_of(RNNOperation, op, "the op of add_rnn_v2")
        self.layer_count = _count("layer_count", layer_count)
        self.hidden_size = _count("hidden_size", hidden_size)
        self.max_seq_length = _count("max_seq_length", max_seq_length)
        shape = tuple(shape_of("the input of add_rnn_v2", input))
        if len(shape) < 2 or shape[-2] not in (-1, max_seq_length) or shape[-1] < 0 or shape[:-2].count(-1) > 1:
            raise ShapeError(
                f"RNNv2 cannot use an input of {list(shape)}",
                facts=[
                    ("needed", f"[batch..., {max_seq_length}, data length]"),
                    ("rule", "at most one extent of the batch is unknown"),
                ],
                got=shape,
            )
        self.data_length = int(shape[-1])
        self._network, self._input, self._batch = network, input, shape[:-2]
        self._direction, self._input_mode = RNNDirection.UNIDIRECTION, RNNInputMode.LINEAR
        self._given: dict[tuple[int, RNNGateType, bool, str], numpy.ndarray] = {}
        self._tensors: dict[str, Any] = {}
        kind, self._gates, fields = OPS[self.op]
        self.layers = []
        tensor = self._flat(input, 2)
        for _ in range(self.layer_count):
            self.layers.append(network.add_plugin(kind, [tensor], {"layout": 1, **fields}))
            y = self.layers[-1].get_output(0)
            tensor = network.add_plugin("Shuffle", [y], {"reshape_dims": (0, 0, -1)}).get_output(0)
        self._shuffles: list[tuple[Any, bool]] = []
        self._outputs = [self._with_batch(tensor, True)]
        for index in range(1, self.layers[0].num_outputs):
            states = [layer.get_output(index) for layer in self.layers]
            joined = network.add_plugin("Concatenation", states, {"axis": 1}).get_output(0)
            self._outputs.append(self._with_batch(joined, False))
        self._set_batch_dims()

    def _flat(self, tensor: Any, n_kept: int) -> Any:
        """`tensor` with one batch dim in front of the last `n_kept` dims."""
        if len(self._batch) == 1:
            return tensor
        kept = tuple(tensor.shape)[len(self._batch) :]
        if len(kept) != n_kept or (-1 in kept and -1 in self._batch):
            raise ShapeError(
                f"RNNv2 cannot use a tensor of {list(tensor.shape)} beside an input of {list(self._input.shape)}",
                facts=[("rule", f"the batch of the input, then {n_kept} dims, of which at most one is unknown in all")],
                got=tuple(tensor.shape),
            )
        dims = (prod(self._batch) if -1 in kept else -1, *kept)
        return self._network.add_plugin("Shuffle", [tensor], {"reshape_dims": dims}).get_output(0)

    def _with_batch(self, tensor: Any, is_sequence: bool) -> Any:
        """`tensor` with the batch dims of the input again, once `_set_batch_dims` has said how many values follow."""
        if len(self._batch) == 1:
            return tensor
        self._shuffles.append((self._network.add_plugin("Shuffle", [tensor]), is_sequence))
        return self._shuffles[-1][0].get_output(0)

    def _set_batch_dims(self) -> None:
        n, length = self._directions, int(self._input.shape[-2])
        for shuffle, is_sequence in self._shuffles:
            behind = (length, n * self.hidden_size) if is_sequence else (n * self.layer_count, self.hidden_size)
            shuffle.reshape_dims = (*self._batch, *behind)

    # ---- as a layer
    @property
    def name(self) -> str:
        return str(self.layers[0].name)

    @name.setter
    def name(self, name: str) -> None:
        for index, layer in enumerate(self.layers):
            layer.name = f"{name}:{index}" if index else name

    @property
    def type(self) -> Any:
        """LayerType.RNN_V2. The layers that it is made of have kinds of their own."""
        return type(self.layers[0].type)["RNN_V2"]

    @property
    def metadata(self) -> str:
        return str(self.layers[0].metadata)

    @metadata.setter
    def metadata(self, text: str) -> None:
        for layer in self.layers:
            layer.metadata = text

    @property
    def precision(self) -> DataType:
        return self.layers[0].precision

    @precision.setter
    def precision(self, dtype: DataType) -> None:
        for layer in self.layers:
            layer.precision = dtype

    @property
    def precision_is_set(self) -> bool:
        return bool(self.layers[0].precision_is_set)

    def reset_precision(self) -> None:
        for layer in self.layers:
            layer.reset_precision()

    @property
    def num_layers(self) -> int:
        return self.layer_count

    @property
    def num_outputs(self) -> int:
        return len(self._outputs)

    @property
    def num_inputs(self) -> int:
        return 1 + len(self._tensors)

    def get_input(self, index: int) -> Any:
        return [self._input, *self._tensors.values()][index] if 0 <= index < self.num_inputs else None

    def get_output(self, index: int) -> Any:
        return self._outputs[index] if 0 <= index < len(self._outputs) else None

    def get_output_type(self, index: int) -> DataType:
        """Type of an output. Raises FieldValueError if there are not as many."""
        return self._output(index).dtype

    def set_output_type(self, index: int, dtype: DataType) -> None:
        """Give an output another type: it is converted behind the layers. Raises FieldValueError."""
        self._output(index).dtype = dtype

    def _output(self, index: int) -> Any:
        tensor = self.get_output(index)
        if tensor is None:
            facts = [("outputs", f"0..{len(self._outputs) - 1}")]
            raise FieldValueError(f"RNNv2 has no output {index}", facts=facts, got=index)
        return tensor

    # ---- settings
    @property
    def direction(self) -> RNNDirection:
        return self._direction

    @direction.setter
    def direction(self, direction: RNNDirection) -> None:
        self._direction = RNNDirection(direction)
        both = self._direction == RNNDirection.BIDIRECTION
        for index, layer in enumerate(self.layers):
            layer.direction = RecurrentDirection.BIDIRECTIONAL if both else RecurrentDirection.FORWARD
            self._set_weights(index)
        for state in STATES:
            if state in self._tensors:
                self._set_state(state)
        self._set_batch_dims()

    @property
    def input_mode(self) -> RNNInputMode:
        return self._input_mode

    @input_mode.setter
    def input_mode(self, mode: RNNInputMode) -> None:
        if RNNInputMode(mode) == RNNInputMode.SKIP and self.data_length != self.hidden_size:
            raise FieldValueError(
                f"RNNv2 cannot give {self.data_length} values to gates of {self.hidden_size} as they are",
                facts=[("data_length", self.data_length), ("hidden_size", self.hidden_size)],
                field="input_mode",
            )
        self._input_mode = RNNInputMode(mode)
        self._set_weights(0)

    @property
    def seq_lengths(self) -> Any:
        return self._tensors.get("seq_lengths")

    @seq_lengths.setter
    def seq_lengths(self, tensor: Any) -> None:
        self._tensors["seq_lengths"], flat = tensor, self._flat(tensor, 0)
        for layer in self.layers:
            layer.set_input(PORTS["sequence_lens"], flat)

    @property
    def hidden_state(self) -> Any:
        return self._tensors.get("hidden_state")

    @hidden_state.setter
    def hidden_state(self, tensor: Any) -> None:
        self._tensors["hidden_state"] = tensor
        self._set_state("hidden_state")

    @property
    def cell_state(self) -> Any:
        return self._tensors.get("cell_state")

    @cell_state.setter
    def cell_state(self, tensor: Any) -> None:
        if self.op != RNNOperation.LSTM:
            raise FieldValueError(f"RNNv2 has no cell state with {self.op.name}", field="cell_state")
        self._tensors["cell_state"] = tensor
        self._set_state("cell_state")

    @property
    def _directions(self) -> int:
        return 2 if self._direction == RNNDirection.BIDIRECTION else 1

    def _set_state(self, which: str) -> None:
        n, tensor = self._directions, self._flat(self._tensors[which], 2)
        for index, layer in enumerate(self.layers):
            part = tensor
            if self.layer_count > 1:
                places = numpy.arange(index * n, index * n + n, dtype=numpy.int32)
                part = self._network.add_gather(
                    tensor, self._network.add_constant(places.shape, places).get_output(0), 1
                ).get_output(0)
            layer.set_input(PORTS[which], part)

    # ---- weights
    def set_weights_for_gate(self, layer_index: int, gate: RNNGateType, is_w: bool, weights: Any) -> None:
        """What a gate multiplies the input by (is_w), or the state. Raises FieldValueError, ShapeError."""
        self._give(layer_index, gate, is_w, "weights", weights)

    def set_bias_for_gate(self, layer_index: int, gate: RNNGateType, is_w: bool, bias: Any) -> None:
        """The bias beside these weights. Raises FieldValueError, ShapeError."""
        self._give(layer_index, gate, is_w, "bias", bias)

    def get_weights_for_gate(self, layer_index: int, gate: RNNGateType, is_w: bool) -> numpy.ndarray | None:
        return self._given.get((layer_index, RNNGateType(gate), bool(is_w), "weights"))

    def get_bias_for_gate(self, layer_index: int, gate: RNNGateType, is_w: bool) -> numpy.ndarray | None:
        return self._given.get((layer_index, RNNGateType(gate), bool(is_w), "bias"))

    def _give(self, layer_index: int, gate: RNNGateType, is_w: bool, what: str, values: Any) -> None:
        gate, n_layers = RNNGateType(gate), self.layer_count * self._directions
        if gate not in self._gates or not 0 <= layer_index < n_layers:
            raise FieldValueError(
                f"RNNv2 has no gate {gate.name} in layer {layer_index}",
                facts=[("gates", ", ".join(g.name for g in self._gates)), ("layers", f"0..{n_layers - 1}")],
                hint="Set the direction first: it doubles the layers.",
                field=what,
            )
        array = numpy.array(values.numpy() if hasattr(values, "numpy") else values)
        inputs = self._inputs_of(layer_index // self._directions) if is_w else self.hidden_size
        shape = (self.hidden_size, inputs) if what == "weights" else (self.hidden_size,)
        if array.size != numpy.prod(shape):
            raise ShapeError(
                f"RNNv2 cannot use {what} of {array.size} values for gate {gate.name}",
                facts=[(what, list(array.shape)), ("needed", list(shape))],
                expected=shape,
                got=array.shape,
            )
        self._given[layer_index, gate, bool(is_w), what] = array.reshape(shape)
        self._set_weights(layer_index // self._directions)

    def _inputs_of(self, layer: int) -> int:
        return self.hidden_size * self._directions if layer else self.data_length

    def _set_weights(self, layer: int) -> None:
        """Weights of one layer, as far as all of its gates have theirs."""
        indices = range(layer * self._directions, (layer + 1) * self._directions)
        skips = layer == 0 and self._input_mode == RNNInputMode.SKIP
        known = list(self._given.values())
        if not known:
            return
        zero = numpy.zeros(self.hidden_size, known[0].dtype)

        def joined(is_w: bool, what: str, default: Any) -> numpy.ndarray | None:
            parts = [[self._given.get((i, g, is_w, what), default) for g in self._gates] for i in indices]
            if any(part is None for row in parts for part in row):
                return None
            return numpy.stack([numpy.concatenate(row) for row in parts])

        unit = numpy.eye(self.hidden_size, dtype=known[0].dtype)
        w = joined(True, "weights", unit if skips else None)
        r = joined(False, "weights", None)
        biases = [joined(is_w, "bias", zero) for is_w in (True, False)]
        if w is not None and r is not None:
            target = self.layers[layer]
            target.w, target.r, target.b = w, r, numpy.concatenate(biases, axis=1)


def _count(name: str, value: Any) -> int:
    number = whole(f"{name} of add_rnn_v2", value)
    if number < 1:
        raise FieldValueError(f"{name} of add_rnn_v2 cannot be {number}", facts=[("allowed", "1 or more")], got=number)
    return number


def add_rnn_v2(
    network: Any, input: Any, layer_count: int, hidden_size: int, max_seq_length: int, op: RNNOperation
) -> IRNNv2Layer:
    warnings.warn("Use add_lstm, add_gru or add_rnn instead.", DeprecationWarning, stacklevel=4)
    return IRNNv2Layer(network, input, layer_count, hidden_size, max_seq_length, op)
