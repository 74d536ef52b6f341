"""ReverseSequence. Cases are shared by correctness, benchmark and the reference page."""

import numpy as np
import pytest

import dovetail as trt
from dovetail.core.contract import SymbolicTensor
from dovetail.core.errors import ShapeError
from dovetail.core.expr import DimsExprs, input_dim
from dovetail.core.types import DataType
from dovetail.machine.testing import Case, check

TYPES = [t for t in DataType if t != DataType.FP8]


def lengths(n, most, dtype=np.int32):
    """Some of which are beyond the sequences."""
    return np.random.default_rng(2).integers(-2, most + 3, n).astype(dtype)


CASES = [
    Case(
        f"{dims} sequences along {sequence}, numbered by {batch}",
        x=dims,
        sequence_lens=lengths(dims[batch], dims[sequence], dtype),
        batch_axis=batch,
        sequence_axis=sequence,
        dtypes=TYPES,
    )
    for dims, batch, sequence, dtype in (
        ((7, 4), 1, 0, np.int32),
        ((4, 7), 0, 1, np.int64),
        ((7, 4, 5), 1, 0, np.int64),
        ((4, 7, 5), 0, 1, np.int32),
        ((3, 4, 2, 7, 5), 1, 3, np.int32),
        ((3, 7, 2, 4), -1, -3, np.int64),
        ((2, 9, 3, 17), 0, 3, np.int32),
    )
]
CASES += [
    Case("no sequences", x=(5, 0, 2), sequence_lens=lengths(0, 5)),
    Case("sequences of nothing", x=(0, 3, 2), sequence_lens=lengths(3, 0)),
    Case("sentences", x=(128, 32, 512), sequence_lens=lengths(32, 128), bench=True),
]
test_kernels = check("ReverseSequence@1", CASES)


def test_values(compute):
    x = np.arange(8).reshape(4, 2)
    assert compute("ReverseSequence", x, np.array([3, 1])).tolist() == [[4, 1], [2, 3], [0, 5], [6, 7]]
    y = compute("ReverseSequence", x.T, np.array([2, 4]), batch_axis=0, sequence_axis=1)
    assert y.tolist() == [[2, 0, 4, 6], [7, 5, 3, 1]]


def test_extents_may_be_unknown(infer):
    n = input_dim(0, 0, "n")
    x = SymbolicTensor(DimsExprs((5, n, 3)), DataType.INT8)
    (y,) = infer("ReverseSequence", x, SymbolicTensor(DimsExprs((n,)), DataType.INT64))
    assert (tuple(y.dims.evaluate([[7]])), y.dtype) == ((5, 7, 3), DataType.INT8)


def test_what_does_not_fit_is_named(infer):
    x = np.zeros((4, 3), np.float32)
    with pytest.raises(ShapeError, match="got 3 and 4"):
        infer("ReverseSequence", x, lengths(4, 4))
    with pytest.raises(ShapeError, match="lengths with 2 dims"):
        infer("ReverseSequence", x, lengths((3, 1), 4))
    with pytest.raises(ShapeError, match="axis along which they run"):
        infer("ReverseSequence", x, lengths(3, 4), batch_axis=-2)
    with pytest.raises(ShapeError, match="axis 2"):
        infer("ReverseSequence", x, lengths(3, 4), sequence_axis=2)


def test_it_is_added_as_in_tensorrt(network):
    x = network.add_input("x", trt.float32, (5, 2))
    layer = network.add_reverse_sequence(x, network.add_input("lengths", trt.int32, (2,)))
    assert (layer.batch_axis, layer.sequence_axis) == (1, 0)
    assert tuple(layer.get_output(0).shape) == (5, 2)
