"""Bias, residual, activation and scale behind matrix products are computed in them; what differs a little is not."""

import numpy as np
import pytest
from fusing import PROD, RELU, SUM, Net, check_both

import dovetail as trt

NONE, TRANSPOSE = trt.MatrixOperation.NONE, trt.MatrixOperation.TRANSPOSE
ElementWise, Unary = trt.ElementWiseOperation, trt.UnaryOperation


def constant(net, *dims):
    values = net.rng.uniform(-0.5, 0.5, dims).astype(np.float32)
    return net.network.add_constant(dims, values).get_output(0)


def product(net, x, columns, op=NONE, name="product"):
    rank, k = len(x.shape), x.shape[-1]
    dims = (1,) * (rank - 2) + ((columns, k) if op == TRANSPOSE else (k, columns))
    return net.named(net.network.add_matrix_multiply(x, NONE, constant(net, *dims), op), name)


def gelu(net, x):
    """As exporters write it: five layers."""
    rank = len(x.shape)
    erf = net.unary(net.add(x, net.number(2**0.5, rank), "by root", ElementWise.DIV), Unary.ERF, "erf")
    half = net.add(x, net.add(erf, net.number(1.0, rank), "plus 1"), "gate", PROD)
    return net.add(half, net.number(0.5, rank), "half", PROD)


GELU = "by root + erf + plus 1 + gate + half"


@pytest.mark.parametrize("dims", [(1, 30), (4, 300), (29, 270), (1, 37, 64), (2, 3, 17, 33)], ids=str)
@pytest.mark.parametrize("op", [NONE, TRANSPOSE])
def test_bias_and_gelu(dims, op):
    net = Net(dims)
    y = gelu(net, net.add(product(net, net.x, 70, op), constant(net, *(1,) * (len(dims) - 1), 70), "bias"))
    check_both(net, y, wanted=[f"product + bias + {GELU}"])


@pytest.mark.parametrize("dims", [(3, 40), (33, 40), (2, 19, 40)], ids=str)
def test_bias_residual_and_activation(dims):
    net = Net(dims)
    y = net.add(product(net, net.x, 40), constant(net, *(1,) * (len(dims) - 1), 40), "bias")
    y = net.activation(net.add(net.x, y, "residual"), "relu")
    check_both(net, y, wanted=["product + bias + residual + relu"])


@pytest.mark.parametrize("size", [65, 17, 1])
def test_products_of_a_batch_whose_extent_is_known_at_run_time(size):
    net = Net((size, 9, 32), batch=(1, 4, 65))
    y = net.activation(net.add(product(net, net.x, 24), constant(net, 1, 1, 24), "bias"), "relu")
    check_both(net, y, wanted=["product + bias + relu"])


def test_rows_whose_number_is_known_at_run_time():
    net = Net((7, 32), batch=(1, 4, 65))
    y = net.activation(net.add(product(net, net.x, 24), constant(net, 1, 24), "bias"), "relu")
    check_both(net, y, wanted=["product + bias + relu"])


def test_two_inputs():
    net = Net((2, 20, 48))
    scores = net.named(net.network.add_matrix_multiply(net.x, NONE, net.x, TRANSPOSE), "product")
    y = net.add(net.add(scores, net.number(0.125, 3), "scale", PROD), constant(net, 1, 1, 20), "mask")
    check_both(net, y, wanted=["product + scale + mask"])


def test_fully_connected():
    net = Net((3, 5, 4, 4))
    kernel = net.rng.uniform(-0.5, 0.5, (37, 80)).astype(np.float32)
    bias = net.rng.uniform(-0.5, 0.5, 37).astype(np.float32)
    made = net.named(net.network.add_fully_connected(net.x, 37, kernel, bias), "dense")
    y = net.activation(net.add(net.scale(made), constant(net, 3, 37, 1, 1), "sum"), "relu", RELU)
    check_both(net, y, wanted=["dense + scale + sum + relu"])


def test_a_result_that_others_take_is_stored():
    net = Net((1, 9, 32))
    made = product(net, net.x, 32)
    y = net.add(net.named(net.network.add_softmax(made), "softmax"), net.activation(made, "relu"), "sum", SUM)
    check_both(net, y, wanted=["product", "softmax", "relu + sum"])


def test_an_operand_with_one_value_for_each_row_of_a_batch_is_no_bias():
    net = Net((2, 9, 32))
    y = net.add(product(net, net.x, 24), constant(net, 1, 9, 1), "rows")
    check_both(net, y, wanted=["product", "rows"])


def test_a_constant_on_the_left_keeps_what_follows():
    net = Net((1, 32, 11))
    made = net.named(net.network.add_matrix_multiply(constant(net, 1, 24, 32), NONE, net.x, NONE), "product")
    check_both(net, net.activation(made, "relu"), wanted=["product", "relu"])
