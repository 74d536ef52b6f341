"""GRU. Cases are shared by correctness, benchmark and the reference page."""

import numpy as np
import pytest

from dovetail.core.errors import ShapeError
from dovetail.core.types import FLOATS
from dovetail.machine.testing import Case, check
from dovetail.plugins.builtin._recurrent import RecurrentActivation, RecurrentDirection

BOTH, REVERSE = RecurrentDirection.BIDIRECTIONAL, RecurrentDirection.REVERSE
LENGTHS = np.array([4, 0, 6, 1], np.int32)
SMALL = {"x": (6, 4, 5), "w": (1, 24, 5), "r": (1, 24, 8), "b": (1, 48)}
HARD = (RecurrentActivation.HARD_SIGMOID, RecurrentActivation.SOFTSIGN)

CASES = [
    Case("one step", x=(1, 1, 3), w=(1, 12, 3), r=(1, 12, 4), linear_before_reset=True),
    Case("steps", x=(5, 2, 7), w=(1, 57, 7), r=(1, 57, 19), b=(1, 114), initial_h=(1, 2, 19), dtypes=FLOATS),
    Case("steps, reset last", x=(5, 2, 7), w=(1, 57, 7), r=(1, 57, 19), b=(1, 114), initial_h=(1, 2, 19),
         linear_before_reset=True, dtypes=FLOATS),
    Case("both ways", x=(4, 3, 5), w=(2, 24, 5), r=(2, 24, 8), b=(2, 48), direction=BOTH, dtypes=FLOATS),
    Case("both ways, reset last", x=(4, 3, 5), w=(2, 24, 5), r=(2, 24, 8), b=(2, 48), direction=BOTH,
         linear_before_reset=True),
    Case("both ways, batch first", x=(3, 4, 5), w=(2, 24, 5), r=(2, 24, 8), initial_h=(3, 2, 8), direction=BOTH,
         layout=1),
    Case("lengths", **SMALL, sequence_lens=LENGTHS, initial_h=(1, 4, 8), dtypes=FLOATS),
    Case("lengths, reset last", **SMALL, sequence_lens=LENGTHS, linear_before_reset=True),
    Case("lengths, reverse", **SMALL, sequence_lens=LENGTHS, direction=REVERSE),
    Case("clipped", **SMALL, clip=0.25),
    Case("other activations", **SMALL, activations=HARD, activation_alpha=(0.3, 0), activation_beta=(0.4, 0)),
    Case("others each way", x=(4, 2, 9), w=(2, 24, 9), r=(2, 24, 8), direction=BOTH,
         activations=(RecurrentActivation.SIGMOID, RecurrentActivation.RELU, *HARD),
         activation_alpha=(0, 0, 0.5, 0.125), activation_beta=(0, 0, 0.25, 0), linear_before_reset=True),
    Case("no step", x=(0, 2, 3), w=(1, 12, 3), r=(1, 12, 4), initial_h=(1, 2, 4)),
    Case("large", x=(6, 17, 40), w=(1, 390, 40), r=(1, 390, 130), b=(1, 780), low=-0.2, high=0.2, dtypes=FLOATS),
    Case("speech", x=(100, 16, 256), w=(1, 1536, 256), r=(1, 1536, 512), b=(1, 3072), low=-0.1, high=0.1,
         linear_before_reset=True, bench=True),
]  # fmt: skip
test_kernels = check("GRU@1", CASES)


def test_an_open_update_gate_keeps_the_state(compute):
    """Biases of the update gate that saturate it: h' = h."""
    b = np.zeros((1, 6))
    b[0, 0] = 100
    y, _ = compute("GRU", np.ones((3, 1, 1)), np.ones((1, 3, 1)), np.ones((1, 3, 1)), b, None, np.full((1, 1, 1), 0.5))
    assert y.ravel().tolist() == [0.5] * 3


def test_a_closed_reset_gate_forgets_the_state(compute):
    """h' = tanh(x) where the update gate is closed too; the bias inside of the brackets is forgotten with it."""
    b = np.array([[-100.0, -100, 0, 0, 0, 7]])
    one = np.ones((1, 3, 1))
    y, _ = compute("GRU", np.ones((1, 1, 1)), one, one, b, None, np.ones((1, 1, 1)), linear_before_reset=True)
    np.testing.assert_allclose(y.ravel(), np.tanh(1.0))


def test_what_does_not_agree_is_named(infer):
    with pytest.raises(ShapeError, match=r"cannot use w of \[1, 8, 3\]"):
        infer("GRU", (4, 2, 3), (1, 8, 3), (1, 8, 4))
    with pytest.raises(ShapeError, match="activations of 3 values"):
        infer("GRU", (4, 2, 3), (1, 12, 3), (1, 12, 4), activations=(1, 1, 1))
