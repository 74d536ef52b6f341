"""LSTM."""

from __future__ import annotations

from numpy import split, zeros

from dovetail.core.types import FLOATS
from dovetail.plugins import Input, Ints, Output, Weights, field
from dovetail.plugins.builtin._recurrent import SIGMOID, TANH, Recurrent, onnx_recurrent


class LSTM(Recurrent):
    """c' = u c + i g(a_c), h' = o h(c'), with i = f(a_i + p_i c), u = f(a_u + p_u c), o = f(a_o + p_o c') and
    a = x w^T + b_w + h r^T + b_r of each gate

    Inputs    x              [steps, batch, inputs], float16 | bfloat16 | float32; [batch, steps, inputs] with layout 1
              w, r           [directions, 4 hidden, inputs], [directions, 4 hidden, hidden]: gates i (input),
                             o (output), u (forget), c (cell)
              b              [directions, 8 hidden], those of w then those of r; 0 where it is absent
              sequence_lens  [batch], int32; all steps where it is absent
              initial_h, initial_c  dims of y_h; 0 where they are absent
              p              [directions, 3 hidden], peepholes p_i, p_o, p_u; 0 where they are absent
    Outputs   y              [steps, directions, batch, hidden]; [batch, steps, directions, hidden] with layout 1
              y_h, y_c       [directions, batch, hidden]; [batch, directions, hidden] with layout 1
    Coupling  with input_forget u is 1 - i
    Lengths   behind the end of a sequence y is 0 and the states stay; a reverse cell begins at the end
    Numerics  sums, functions and states are float32 whatever the type
    Errors    ShapeError if dims or the numbers of activations do not agree
    Source    ONNX LSTM-22
    """

    purpose = "Recurrent cells"
    initial_c = Input(FLOATS, like="x", optional=True, doc="First cell state, dims of y_c; 0 where it is absent.")
    p = Weights(FLOATS, like="x", optional=True, doc="[directions, 3 * hidden], peepholes.")
    y_c = Output(like="x", doc="The cell state after the last step.")

    activations: Ints = field((SIGMOID, TANH, TANH), doc="f, g and h, for one direction or for each.", low=0, high=10)
    input_forget: bool = field(False, doc="Is the forget gate 1 - i?")
    gates, functions = 4, 3

    def infer(self, x, w, r, b, sequence_lens, initial_h, initial_c, p):
        return self.outputs(x, w, r, b, sequence_lens, [initial_h, initial_c], p)

    def step(self, direction, x, states, r, bias_w, bias_r, p):
        h, c = states
        i, o, u, a = split(x + bias_w + h @ r.T + bias_r, 4, axis=-1)
        p_i, p_o, p_u = split(zeros(3 * c.shape[-1], c.dtype) if p is None else p, 3)
        i = self.act(direction, 0, i + p_i * c)
        u = 1 - i if self.input_forget else self.act(direction, 0, u + p_u * c)
        c = u * c + i * self.act(direction, 1, a)
        return [self.act(direction, 0, o + p_o * c) * self.act(direction, 2, c), c]

    def reference(self, x, w, r, b, sequence_lens, initial_h, initial_c, p):
        return self.walk(x, w, r, b, sequence_lens, [initial_h, initial_c], p)

    onnx = (onnx_recurrent("LSTM", "sigmoid", "tanh", "tanh"),)
