"""Shared by LSTM, GRU and RNN: ports, fields, activations, the loop over the sequence, and the ONNX rewrites."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy

from dovetail.core.errors import ShapeError
from dovetail.core.named import Named
from dovetail.core.types import FLOATS, DataType
from dovetail.plugins import Floats, Input, Output, Plugin, Weights, all_equal, field, require_that
from dovetail.plugins.onnx import onnx_op

GATES_FIRST = "[directions, gates * hidden, "


class RecurrentDirection(Named):
    """Which way the sequence is read. BIDIRECTIONAL has two cells with weights of their own."""

    FORWARD = 0
    REVERSE = 1
    BIDIRECTIONAL = 2


class RecurrentActivation(Named):
    """A function inside a cell; a is its alpha, b its beta.

    RELU max(v, 0); TANH; SIGMOID 1 / (1 + e^-v); AFFINE a v + b; LEAKY_RELU v if v >= 0 else a v; THRESHOLDED_RELU v
    if v >= a else 0; SCALED_TANH a tanh(b v); HARD_SIGMOID max(0, min(1, a v + b)); ELU v if v >= 0 else a (e^v - 1);
    SOFTSIGN v / (1 + |v|); SOFTPLUS ln(1 + e^v)
    """

    RELU = 0
    TANH = 1
    SIGMOID = 2
    AFFINE = 3
    LEAKY_RELU = 4
    THRESHOLDED_RELU = 5
    SCALED_TANH = 6
    HARD_SIGMOID = 7
    ELU = 8
    SOFTSIGN = 9
    SOFTPLUS = 10


RELU, TANH, SIGMOID = RecurrentActivation.RELU, RecurrentActivation.TANH, RecurrentActivation.SIGMOID


def activate(kind: int, a: float, b: float, v: Any) -> Any:
    """The function of `kind` of each element."""
    functions = {
        RecurrentActivation.RELU: lambda: numpy.maximum(v, 0),
        RecurrentActivation.TANH: lambda: numpy.tanh(v),
        RecurrentActivation.SIGMOID: lambda: (1 + numpy.tanh(v / 2)) / 2,
        RecurrentActivation.AFFINE: lambda: a * v + b,
        RecurrentActivation.LEAKY_RELU: lambda: numpy.where(v >= 0, v, a * v),
        RecurrentActivation.THRESHOLDED_RELU: lambda: numpy.where(v >= a, v, 0),
        RecurrentActivation.SCALED_TANH: lambda: a * numpy.tanh(b * v),
        RecurrentActivation.HARD_SIGMOID: lambda: numpy.clip(a * v + b, 0, 1),
        RecurrentActivation.ELU: lambda: numpy.where(v >= 0, v, a * numpy.expm1(numpy.minimum(v, 0))),
        RecurrentActivation.SOFTSIGN: lambda: v / (1 + abs(v)),
        RecurrentActivation.SOFTPLUS: lambda: numpy.maximum(v, 0) + numpy.log1p(numpy.exp(-abs(v))),
    }
    return functions[RecurrentActivation(kind)]().astype(v.dtype)


class Recurrent(Plugin, abstract=True):
    """A cell that is applied to one element of a sequence after the other and to its previous output."""

    x = Input(FLOATS, doc="[steps, batch, inputs]; [batch, steps, inputs] with layout 1.")
    w = Weights(FLOATS, like="x", doc=GATES_FIRST + "inputs], what x is multiplied by.")
    r = Weights(FLOATS, like="x", doc=GATES_FIRST + "hidden], what the state is multiplied by.")
    b = Weights(FLOATS, like="x", optional=True, doc="[directions, 2 * gates * hidden], those of w, then those of r.")
    sequence_lens = Input(DataType.INT32, optional=True, doc="[batch], how many steps each sequence has.")
    initial_h = Input(FLOATS, like="x", optional=True, doc="First state, dims of y_h; 0 where it is absent.")
    y = Output(like="x", doc="The state after each step.")
    y_h = Output(like="x", doc="The state after the last step.")

    if TYPE_CHECKING:  # each cell has its own
        activations: Any
        step: Any

    direction: RecurrentDirection = field(RecurrentDirection.FORWARD, doc="Which way the sequence is read.")
    layout: int = field(0, doc="0: steps are the first axis; 1: the batch is.", low=0, high=1)
    activation_alpha: Floats = field((), doc="a of each activation; () is 0.")
    activation_beta: Floats = field((), doc="b of each activation; () is 0.")
    clip: float = field(0.0, doc="Arguments of activations are clipped to -clip..clip; 0 means no limit.", low=0)

    gates: ClassVar[int]
    functions: ClassVar[int]  # activations of one direction

    @property
    def directions(self) -> int:
        return 2 if self.direction == RecurrentDirection.BIDIRECTIONAL else 1

    def check_activations(self) -> None:
        """Checks that each list has as many values as there are activations. Raises ShapeError."""
        n = len(self.activations)
        wanted = (self.functions, self.functions * self.directions)
        for name, allowed in (
            ("activations", wanted),
            ("activation_alpha", (0, n)),
            ("activation_beta", (0, n)),
        ):
            given = getattr(self, name)
            if len(given) not in allowed:
                raise ShapeError(
                    f"{self.label} cannot use {name} of {len(given)} values",
                    facts=[(name, given), ("needed", " or ".join(str(count) for count in sorted(set(allowed))))],
                    hint=f"One direction has {self.functions} activations; both may have their own.",
                    expected=allowed,
                    got=len(given),
                )

    def outputs(self, x: Any, w: Any, r: Any, b: Any, sequence_lens: Any, states: Any, p: Any = None) -> list[Any]:
        """y, then one for each of `states`. Raises ShapeError if dims do not agree."""
        self.check_activations()
        if x.rank != 3 or r.rank != 3:
            raise ShapeError(
                f"{self.label} needs x and r of three dims",
                facts=[("x", x.dims), ("r", r.dims)],
                expected=3,
                got=(x.rank, r.rank),
            )
        steps, batch, inputs = (x.dims[1], x.dims[0], x.dims[2]) if self.layout else x.dims
        n, hidden = self.directions, r.dims[2]
        state = (batch, n, hidden) if self.layout else (n, batch, hidden)
        wanted = [
            ("w", w, (n, hidden * self.gates, inputs)),
            ("r", r, (n, hidden * self.gates, hidden)),
            ("b", b, (n, hidden * (2 * self.gates))),
            ("sequence_lens", sequence_lens, (batch,)),
            ("p", p, (n, hidden * 3)),
            *((f"initial_{name}", tensor, state) for name, tensor in zip("hc", states, strict=False)),
        ]
        for name, tensor, dims in wanted:
            if tensor is None:
                continue
            shown = f"[{', '.join(map(str, dims))}]"
            require_that(
                tensor.rank == len(dims) and all_equal(tensor.dims, dims),
                f"{self.label} cannot use {name} of {tensor.dims}",
                [(name, tensor.dims), ("needed", shown), ("x", x.dims), ("r", r.dims)],
                expected=shown,
                got=str(tensor.dims),
            )
        y = (batch, steps, n, hidden) if self.layout else (steps, n, batch, hidden)
        return [x.like(y), *(x.like(state) for _ in states)]

    def act(self, direction: int, which: int, v: Any) -> Any:
        """Activation number `which` of a direction, of what is clipped first."""
        n = len(self.activations)
        at = which + (direction * self.functions if n > self.functions else 0)
        a = self.activation_alpha[at] if self.activation_alpha else 0.0
        b = self.activation_beta[at] if self.activation_beta else 0.0
        return activate(self.activations[at], a, b, numpy.clip(v, -self.clip, self.clip) if self.clip > 0 else v)

    def walk(self, x: Any, w: Any, r: Any, b: Any, sequence_lens: Any, states: Any, p: Any = None) -> list[Any]:
        """y and the last states. `step(direction, x, states, r, bias of w, bias of r, p)` gives the next states."""
        if self.layout:
            x = x.swapaxes(0, 1)
            states = [None if state is None else state.swapaxes(0, 1) for state in states]
        steps, batch, n, hidden = x.shape[0], x.shape[1], self.directions, r.shape[2]
        lengths = numpy.full(batch, steps) if sequence_lens is None else numpy.clip(sequence_lens, 0, steps)
        y = numpy.zeros((steps, n, batch, hidden), x.dtype)
        last = numpy.zeros((len(states), n, batch, hidden), x.dtype)
        for d in range(n):
            is_backward = d == 1 or self.direction == RecurrentDirection.REVERSE
            now = [numpy.zeros((batch, hidden), x.dtype) if state is None else state[d].copy() for state in states]
            biases = numpy.zeros((2, self.gates * hidden), x.dtype) if b is None else b[d].reshape(2, -1)
            products = x @ w[d].T
            for step in range(steps):
                rows = numpy.flatnonzero(step < lengths)
                at = lengths[rows] - 1 - step if is_backward else numpy.full(len(rows), step)
                old = [state[rows] for state in now]
                new = self.step(d, products[at, rows], old, r[d], *biases, None if p is None else p[d])
                for state, values in zip(now, new, strict=True):
                    state[rows] = values
                y[at, d, rows] = now[0][rows]
            last[:, d] = now
        if self.layout:
            y, last = y.transpose(2, 0, 1, 3), last.swapaxes(1, 2)
        return [y, *last]

    @classmethod
    def add(cls, network, input, w, r, b=None):
        """A layer of this cell. Weights are arrays or tensors; other inputs and the fields are set on it."""
        layer = network.add_plugin(cls.name, [input])
        layer.w, layer.r, layer.b = w, r, b
        return layer


# ---- ONNX

# Operators whose attributes alpha and beta an activation takes, with the values that it has otherwise.
ALPHAS = {"affine": 1.0, "leakyrelu": 0.01, "thresholdedrelu": 1.0, "scaledtanh": 1.0, "hardsigmoid": 0.2, "elu": 1.0}
BETAS = {"affine": 0.0, "scaledtanh": 1.0, "hardsigmoid": 0.5}
NAMES = {kind.name.replace("_", "").lower(): kind for kind in RecurrentActivation}
FIELDS = ("layout", "clip", "linear_before_reset", "input_forget")


def parameters(names: list[str], given: Any, defaults: dict[str, float]) -> tuple[float, ...]:
    """One for each activation: those given are for the activations in order, or for those that take one."""
    if len(given) == len(names):
        return tuple(given)
    left = list(given)
    return tuple((left.pop(0) if left else defaults[name]) if name in defaults else 0.0 for name in names)


def onnx_recurrent(op: str, *defaults: str) -> Any:
    """The ONNX operator of a layer whose ports and fields have ONNX's names."""

    def rewrite(node: Any) -> list[Any]:
        direction = str(node.attr("direction", "forward"))
        if direction.upper() not in RecurrentDirection.__members__:
            raise node.fail("direction has no such value", direction=direction)
        n = 2 if direction == "bidirectional" else 1
        names = [name.lower() for name in node.attr("activations") or defaults * n]
        unknown = [name for name in names if name not in NAMES]
        if unknown:
            raise node.fail("an activation is not known", activation=unknown[0])
        fields = {name: node.attr(name) for name in FIELDS if node.attr(name) is not None}
        fields |= {
            "direction": RecurrentDirection[direction.upper()],
            "activations": tuple(NAMES[name] for name in names),
            "activation_alpha": parameters(names, node.attr("activation_alpha", ()), ALPHAS),
            "activation_beta": parameters(names, node.attr("activation_beta", ()), BETAS),
        }
        layer = node.network.add_plugin(op, [node.get(index) for index in range(len(node))], fields)
        hidden, given = layer.infer()[1].dims[-1].value, node.attr("hidden_size")
        if None not in (hidden, given) and hidden != given:
            raise node.fail("hidden_size is not that of R", hidden_size=given, R=hidden)
        return [layer.get_output(index) for index in range(layer.num_outputs)]

    return onnx_op(op, since=7, rewrite=rewrite)
