"""Squares and cubes become products; other powers stay."""

import numpy as np
import pytest
from networks import engine_of
from rewriting import Net

import dovetail as trt


@pytest.mark.parametrize("exponent", [2.0, 3.0])
def test_a_power_is_a_product(exponent):
    net = Net()
    net.out(net.ew("POW", net.x(2, 5), net.c([[exponent]])))
    assert [op.name for op in of(net)] == ["PROD"] * int(exponent - 1)
    special = [0.0, -0.0, np.inf, -np.inf, np.nan, 1e-30, -1e-20, 3e38, 1.7, -2.5]
    x = np.float32(special).reshape(2, 5)
    y = engine_of(net.builder, net.network, net.config).create_execution_context().run({"x0": x})["y0"]
    with np.errstate(all="ignore"):
        wanted = np.power(x.astype(np.float64), exponent).astype(np.float32)
    np.testing.assert_allclose(y, wanted, rtol=3e-7)
    assert np.array_equal(np.signbit(y[0, :2]), np.signbit(wanted[0, :2]))


def of(net):
    """The operations of the ElementWise layers that are left."""
    graph = net.graph(until="multiply_out_powers")
    return [layer.values["op"] for layer in graph.all_layers() if layer.spec.name == "ElementWise"]


NEAR = {
    "another number": lambda net: net.ew("POW", net.x(2, 5), net.c([[2.5]])),
    "several numbers": lambda net: net.ew("POW", net.x(2, 5), net.c([[2, 2, 3, 2, 2]])),
    "the base": lambda net: net.ew("POW", net.c([[2.0]]), net.x(2, 5)),
    "more dims": lambda net: net.ew("POW", net.x(1, 5), net.c([[2.0], [2.0]])),
    "half": lambda net: net.ew("POW", net.x(2, 5, dtype=trt.float16), net.c([[3.0]], np.float16)),
    "integers": lambda net: net.ew("POW", net.x(2, 5, dtype=trt.int32), net.c([[2]], np.int32)),
}


@pytest.mark.parametrize("kind", NEAR)
def test_other_powers_stay(kind):
    net = Net()
    net.out(NEAR[kind](net))
    assert [op.name for op in of(net)] == ["POW"]


def test_a_pinned_layer_stays():
    net = Net()
    net.out(net.ew("POW", net.x(2, 5), net.c([[2.0]]), name="power"))
    net.config.pin_implementation("power", "#cpu:linear_avx2")
    assert [op.name for op in of(net)] == ["POW"]
