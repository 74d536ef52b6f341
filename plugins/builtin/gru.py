"""GRU."""

from __future__ import annotations

from numpy import split

from dovetail.plugins import Ints, field
from dovetail.plugins.builtin._recurrent import SIGMOID, TANH, Recurrent, onnx_recurrent


class GRU(Recurrent):
    """h' = (1 - z) n + z h, with z = f(x w_z^T + h r_z^T + b_z), q = f(x w_q^T + h r_q^T + b_q) and
    n = g(x w_n^T + (q h) r_n^T + b_n); with linear_before_reset n = g(x w_n^T + b_wn + q (h r_n^T + b_rn))

    Inputs    x              [steps, batch, inputs], float16 | bfloat16 | float32; [batch, steps, inputs] with layout 1
              w, r           [directions, 3 hidden, inputs], [directions, 3 hidden, hidden]: z (update), q (reset), n
              b              [directions, 6 hidden], those of w then those of r; 0 where it is absent
              sequence_lens  [batch], int32; all steps where it is absent
              initial_h      dims of y_h; 0 where it is absent
    Outputs   y              [steps, directions, batch, hidden]; [batch, steps, directions, hidden] with layout 1
              y_h            [directions, batch, hidden]; [batch, directions, hidden] with layout 1
    Lengths   behind the end of a sequence y is 0 and the state stays; a reverse cell begins at the end
    Numerics  sums, functions and states are float32 whatever the type
    Errors    ShapeError if dims or the numbers of activations do not agree
    Source    ONNX GRU-22
    """

    purpose = "Recurrent cells"
    activations: Ints = field((SIGMOID, TANH), doc="f and g, for one direction or for each.", low=0, high=10)
    linear_before_reset: bool = field(False, doc="Is the state multiplied by r_n before it is reset by q?")
    gates, functions = 3, 2

    def infer(self, x, w, r, b, sequence_lens, initial_h):
        return self.outputs(x, w, r, b, sequence_lens, [initial_h])

    def step(self, direction, x, states, r, bias_w, bias_r, p):
        (h,) = states
        x_z, x_q, x_n = split(x + bias_w, 3, axis=-1)
        (r_z, r_q, r_n), (b_z, b_q, b_n) = split(r, 3), split(bias_r, 3)
        z = self.act(direction, 0, x_z + h @ r_z.T + b_z)
        q = self.act(direction, 0, x_q + h @ r_q.T + b_q)
        n = q * (h @ r_n.T + b_n) if self.linear_before_reset else (q * h) @ r_n.T + b_n
        return [(1 - z) * self.act(direction, 1, x_n + n) + z * h]

    def reference(self, x, w, r, b, sequence_lens, initial_h):
        return self.walk(x, w, r, b, sequence_lens, [initial_h])

    onnx = (onnx_recurrent("GRU", "sigmoid", "tanh"),)
