"""LSTM. Cases are shared by correctness, benchmark and the reference page."""

import numpy as np
import pytest

from dovetail.core.errors import ShapeError
from dovetail.core.types import FLOATS
from dovetail.machine.testing import Case, check
from dovetail.plugins.builtin._recurrent import RecurrentActivation, RecurrentDirection

BOTH, REVERSE = RecurrentDirection.BIDIRECTIONAL, RecurrentDirection.REVERSE
LENGTHS = np.array([4, 0, 6, 1], np.int32)
SMALL = {"x": (6, 4, 5), "w": (1, 32, 5), "r": (1, 32, 8), "b": (1, 64)}
OTHERS = (RecurrentActivation.HARD_SIGMOID, RecurrentActivation.SOFTSIGN, RecurrentActivation.ELU)

CASES = [
    Case("one step", x=(1, 1, 3), w=(1, 16, 3), r=(1, 16, 4)),
    Case("steps", x=(5, 2, 7), w=(1, 76, 7), r=(1, 76, 19), b=(1, 152), initial_h=(1, 2, 19), initial_c=(1, 2, 19),
         dtypes=FLOATS),
    Case("peepholes", **SMALL, p=(1, 24), initial_c=(1, 4, 8), dtypes=FLOATS),
    Case("coupled gates", **SMALL, input_forget=True, initial_c=(1, 4, 8)),
    Case("coupled gates, peepholes", **SMALL, p=(1, 24), input_forget=True),
    Case("both ways", x=(4, 3, 5), w=(2, 32, 5), r=(2, 32, 8), b=(2, 64), p=(2, 24), direction=BOTH, dtypes=FLOATS),
    Case("both ways, batch first", x=(3, 4, 5), w=(2, 32, 5), r=(2, 32, 8), initial_h=(3, 2, 8), initial_c=(3, 2, 8),
         direction=BOTH, layout=1),
    Case("lengths", **SMALL, sequence_lens=LENGTHS, initial_h=(1, 4, 8), initial_c=(1, 4, 8), dtypes=FLOATS),
    Case("lengths, reverse", **SMALL, sequence_lens=LENGTHS, direction=REVERSE),
    Case("clipped", **SMALL, clip=0.25),
    Case("other activations", **SMALL, activations=OTHERS, activation_alpha=(0.3, 0, 0.5),
         activation_beta=(0.4, 0, 0)),
    Case("no step", x=(0, 2, 3), w=(1, 16, 3), r=(1, 16, 4), initial_h=(1, 2, 4), initial_c=(1, 2, 4)),
    Case("large", x=(6, 17, 40), w=(1, 520, 40), r=(1, 520, 130), b=(1, 1040), low=-0.2, high=0.2, dtypes=FLOATS),
    Case("speech", x=(100, 16, 256), w=(1, 2048, 256), r=(1, 2048, 512), b=(1, 4096), low=-0.1, high=0.1, bench=True),
]  # fmt: skip
test_kernels = check("LSTM@1", CASES)


def test_gates_are_in_the_order_of_onnx(compute):
    """Biases open the input and the output gate and close the forget gate: h = tanh(tanh(1)), whatever c was."""
    b = np.array([[100.0, 100, -100, 0, 0, 0, 0, 0]])
    w = np.array([[[0.0], [0], [0], [1]]])
    y, y_h, y_c = compute(
        "LSTM", np.ones((1, 1, 1)), w, 0 * w, b, None, None, np.full((1, 1, 1), 9.0), activations=(2, 1, 1)
    )
    np.testing.assert_allclose(y_c.ravel(), np.tanh(1.0))
    np.testing.assert_allclose((y.ravel(), y_h.ravel()), np.tanh(np.tanh(1.0)))


def test_what_does_not_agree_is_named(infer):
    with pytest.raises(ShapeError, match=r"cannot use p of \[1, 8\]"):
        infer("LSTM", (4, 2, 3), (1, 16, 3), (1, 16, 4), None, None, None, None, (1, 8))
    with pytest.raises(ShapeError, match=r"cannot use initial_c of \[2, 4\]"):
        infer("LSTM", (4, 2, 3), (1, 16, 3), (1, 16, 4), None, None, None, (2, 4))
