"""Padding. Cases are shared by correctness, benchmark and the reference page."""

import pytest

import dovetail as trt
from dovetail.core.contract import SymbolicTensor
from dovetail.core.errors import ShapeError
from dovetail.core.expr import DimsExprs, constraints, input_dim
from dovetail.core.types import FLOATS, DataType
from dovetail.machine.testing import Case, check

N = input_dim(0, 0, "N")
ALL = (*FLOATS, DataType.INT32, DataType.INT64, DataType.INT8, DataType.UINT8, DataType.BOOL)

CASES = [
    Case("around an image", x=(2, 3, 7, 9), pre_padding=(1, 2), post_padding=(3, 0), dtypes=ALL),
    Case("less of it", x=(2, 3, 7, 9), pre_padding=(-1, -2), post_padding=(-3, 0), dtypes=ALL),
    Case("both", x=(2, 3, 7, 9), pre_padding=(-1, 2), post_padding=(3, -4)),
    Case("nothing of it is left", x=(2, 4), pre_padding=(-5, 0), post_padding=(6, 0)),
    Case("three axes", x=(4, 5, 6), pre_padding=(1, 0, 1), post_padding=(0, 2, 0)),
    Case("last axis whole", x=(2, 5, 16), pre_padding=(1, 0), post_padding=(1, 0)),
    Case("no padding", x=(2, 5, 16), pre_padding=(0, 0), post_padding=(0, 0)),
    Case("one axis", x=(7,), pre_padding=(2,), post_padding=(1,)),
    Case("from nothing", x=(2, 0), pre_padding=(0, 2), post_padding=(0, 1)),
    Case("to nothing", x=(2, 3), pre_padding=(0, -2), post_padding=(0, -1)),
    Case("eight axes", x=(2, 1, 2, 1, 2, 1, 2, 3), pre_padding=(1,) * 8, post_padding=(0,) * 8),
    Case("before a convolution", x=(8, 64, 112, 112), pre_padding=(1, 1), post_padding=(1, 1), bench=True),
]
test_kernels = check("Padding@1", CASES)


def test_unknown_extents_grow(infer):
    with constraints() as found:
        x = SymbolicTensor(DimsExprs((N, 5)), DataType.FLOAT)
        (y,) = infer("Padding", x, pre_padding=(-2, 0), post_padding=(-1, 0))
    assert y.dims.same((N - 3, 5))
    assert [bool(c.condition.evaluate([[n]])) for c in found for n in (2, 3)] == [False, True]


def test_what_does_not_fit_is_named(infer):
    with pytest.raises(ShapeError, match="cut axis 1"):
        infer("Padding", (2, 3), pre_padding=(0, -2), post_padding=(0, -2))
    with pytest.raises(ShapeError, match="cannot pad"):
        infer("Padding", (2, 3), pre_padding=(0, 0, 0), post_padding=(0, 0, 0))
    with pytest.raises(ShapeError, match="cannot pad"):
        infer("Padding", (2, 3), pre_padding=(0,), post_padding=(0, 0))


def test_both_names_of_tensorrt(network):
    x = network.add_input("x", trt.float32, (1, 1, 4, 4))
    layer = network.add_padding_nd(x, (1, 1), (2, 2))
    layer.post_padding_nd = (0, 0)
    assert (layer.post_padding, layer.pre_padding_nd) == ((0, 0), (1, 1))
    assert tuple(layer.get_output(0).shape) == (1, 1, 5, 5)
    assert tuple(network.add_padding(x, (1, 1), (2, 2)).get_output(0).shape) == (1, 1, 7, 7)
