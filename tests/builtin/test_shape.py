"""Shape. Cases are shared by correctness, benchmark and the reference page."""

import numpy as np
import pytest
from networks import engine_of, new_network, profile_of

import dovetail as trt
from dovetail.core.contract import SymbolicTensor
from dovetail.core.errors import DTypeError
from dovetail.core.expr import DimsExprs, input_dim
from dovetail.core.types import FLOATS, DataType
from dovetail.machine.testing import Case, check

N = input_dim(0, 0, "N")
ALL = (*FLOATS, DataType.INT32, DataType.INT64, DataType.INT8, DataType.UINT8, DataType.BOOL)

CASES = [
    Case("a matrix", x=(3, 5), dtypes=ALL),
    Case("as int64", x=(2, 3, 4, 5), to=int(DataType.INT64)),
    Case("a scalar", x=()),
    Case("no element", x=(4, 0, 2)),
    Case("eight axes", x=(1, 2, 1, 2, 1, 2, 1, 2)),
]
test_kernels = check("Shape@1", CASES)


def test_extents_are_known_to_later_layers(infer):
    (y,) = infer("Shape", SymbolicTensor(DimsExprs((N, 3)), DataType.FLOAT))
    assert (y.dtype, y.dims.known()) == (DataType.INT32, (2,))
    assert [e.same(d) for e, d in zip(y.elements(), (N, 3), strict=True)] == [True, True]


def test_the_type_can_be_int64_and_nothing_else(network):
    layer = network.add_shape(network.add_input("x", trt.float32, (2, 3)))
    layer.to = trt.int64
    assert layer.get_output(0).dtype == trt.int64
    layer.to = trt.float32
    with pytest.raises(DTypeError, match="as type 0"):
        _ = layer.get_output(0).dtype


def test_it_runs_where_extents_change():
    builder, network, config = new_network()
    x = network.add_input("x", trt.float32, (-1, 3))
    shape = network.add_shape(x).get_output(0)
    shape.name = "y"
    network.mark_output(shape)
    profile_of(builder, config, x=((1, 3), (2, 3), (5, 3)))
    context = engine_of(builder, network, config).create_execution_context()
    for n in (1, 4):
        assert context.run({"x": np.zeros((n, 3), np.float32)})["y"].tolist() == [n, 3]
