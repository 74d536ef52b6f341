"""FullyConnected. Cases are shared by correctness, benchmark and the reference page."""

import numpy as np
import pytest
from networks import engine_of, new_network

import dovetail as trt
from dovetail.core.contract import SymbolicTensor
from dovetail.core.errors import ShapeError
from dovetail.core.expr import DimsExprs, input_dim
from dovetail.core.types import FLOATS, DataType
from dovetail.machine.testing import Case, check


def case(name, x, outputs, bias=True, **more):
    given = {"bias": (outputs,)} if bias else {}
    kernel = (outputs, int(np.prod(x[-3:])))
    return Case(name, x=x, kernel=kernel, num_output_channels=outputs, **given, **more)


CASES = [
    case("a batch", (5, 3, 4, 5), 7, dtypes=FLOATS),
    case("without a bias", (5, 3, 4, 5), 7, bias=False, dtypes=FLOATS),
    case("one row", (1, 40, 3, 3), 100, dtypes=FLOATS),
    case("one output", (90, 10, 3, 3), 1, dtypes=FLOATS),
    case("one row and one output", (1, 10, 3, 3), 1),
    case("a batch of two dims", (2, 17, 4, 5, 6), 40, dtypes=FLOATS),
    case("empty batch", (0, 4, 5, 6), 9),
    case("last of a residual network", (8, 512, 1, 1), 1000, bench=True),
]
test_kernels = check("FullyConnected@1", CASES)


def test_dims_and_types(infer):
    x = SymbolicTensor(DimsExprs((input_dim(0, 0, "N"), 2, 3, 4)), DataType.INT8)
    kernel = SymbolicTensor(DimsExprs((5, 24)), DataType.INT8)
    (y,) = infer("FullyConnected", x, kernel, num_output_channels=5)
    assert (y.dims.evaluate([[7, 2, 3, 4]]), y.dtype) == ((7, 5, 1, 1), DataType.FLOAT)


def test_too_few_dims_are_named(infer):
    with pytest.raises(ShapeError, match="flattens the last three dims") as error:
        infer("FullyConnected", (3, 4), (5, 12), num_output_channels=5)
    assert (error.value.expected, error.value.got) == (3, 2)


def test_a_kernel_of_other_dims_is_refused_with_those_needed(infer):
    with pytest.raises(ShapeError, match=r"cannot use a kernel of \[5, 23\]") as error:
        infer("FullyConnected", (1, 2, 3, 4), (5, 23), num_output_channels=5)
    assert error.value.expected == (5, 24)


def test_flattened_extents_must_be_known(infer):
    with pytest.raises(ShapeError, match="last three extents of x when it is built"):
        x = SymbolicTensor(DimsExprs((1, 2, input_dim(0, 2, "H"), 4)), DataType.FLOAT)
        infer("FullyConnected", x, (5, 24), num_output_channels=5)


def test_a_layer_with_flat_weights():
    rng = np.random.default_rng(6)
    x, kernel = rng.uniform(-1, 1, (3, 2, 4, 5)), rng.uniform(-1, 1, (7, 40))
    bias = np.arange(7, dtype=np.float32)
    builder, network, config = new_network()
    source = network.add_input("x", trt.float32, x.shape)
    with pytest.warns(DeprecationWarning, match="add_matrix_multiply"):
        layer = network.add_fully_connected(source, 7, kernel.reshape(-1).astype(np.float32), bias)
    layer.get_output(0).name = "y"
    network.mark_output(layer.get_output(0))
    y = engine_of(builder, network, config).create_execution_context().run({"x": x.astype(np.float32)})["y"]
    np.testing.assert_allclose(y.reshape(3, 7), x.reshape(3, 40) @ kernel.T + bias, atol=1e-5)


def test_no_batch(infer, compute):
    (y,) = infer("FullyConnected", (2, 3, 4), (5, 24), num_output_channels=5)
    assert y.dims.known() == (5, 1, 1)
    y = compute("FullyConnected", np.ones((2, 3, 4)), np.ones((5, 24)), None, num_output_channels=5)
    assert y.reshape(-1).tolist() == [24] * 5
