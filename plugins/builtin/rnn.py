"""RNN."""

from __future__ import annotations

from dovetail.plugins import Ints, field
from dovetail.plugins.builtin._recurrent import TANH, Recurrent, RecurrentActivation, onnx_recurrent
from dovetail.plugins.builtin._rnn_v2 import (
    IRNNv2Layer,
    RNNDirection,
    RNNGateType,
    RNNInputMode,
    RNNOperation,
    add_rnn_v2,
)


class RNN(Recurrent):
    """h' = f(x w^T + b_w + h r^T + b_r), for each step; y has all h', y_h the last

    Inputs    x              [steps, batch, inputs], float16 | bfloat16 | float32; [batch, steps, inputs] with layout 1
              w, r           [directions, hidden, inputs], [directions, hidden, hidden]
              b              [directions, 2 hidden], b_w then b_r; 0 where it is absent
              sequence_lens  [batch], int32; all steps where it is absent
              initial_h      dims of y_h; 0 where it is absent
    Outputs   y              [steps, directions, batch, hidden]; [batch, steps, directions, hidden] with layout 1
              y_h            [directions, batch, hidden]; [batch, directions, hidden] with layout 1
    Lengths   behind the end of a sequence y is 0 and the state stays; a reverse cell begins at the end
    Numerics  sums, functions and states are float32 whatever the type
    Errors    ShapeError if dims or the numbers of activations do not agree
    Source    ONNX RNN-22
    """

    purpose = "Recurrent cells"
    activations: Ints = field((TANH,), doc="f, for one direction or for each.", low=0, high=10)
    gates, functions = 1, 1

    def infer(self, x, w, r, b, sequence_lens, initial_h):
        return self.outputs(x, w, r, b, sequence_lens, [initial_h])

    def step(self, direction, x, states, r, bias_w, bias_r, p):
        (h,) = states
        return [self.act(direction, 0, x + bias_w + h @ r.T + bias_r)]

    def reference(self, x, w, r, b, sequence_lens, initial_h):
        return self.walk(x, w, r, b, sequence_lens, [initial_h])

    onnx = (onnx_recurrent("RNN", "tanh"),)
    enums = (RecurrentActivation, RNNOperation, RNNDirection, RNNInputMode, RNNGateType, IRNNv2Layer)

    @classmethod
    def add_rnn_v2(cls, network, input, layer_count, hidden_size, max_seq_length, op):
        """Several LSTM, GRU or RNN layers on top of each other, with TensorRT's names. Deprecated: add these."""
        return add_rnn_v2(network, input, layer_count, hidden_size, max_seq_length, op)
