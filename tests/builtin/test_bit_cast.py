"""BitCast. Cases are shared by correctness, benchmark and the reference page."""

import numpy as np
import pytest

import dovetail as trt
from dovetail.core.contract import SymbolicTensor
from dovetail.core.errors import DTypeError
from dovetail.core.expr import DimsExprs, input_dim
from dovetail.core.types import DataType, nptype
from dovetail.machine.testing import Case, check, make_layer, rows_of, run_row
from dovetail.registry.loader import default_registry

PAIRS = [
    (DataType.FLOAT, DataType.INT32),
    (DataType.INT32, DataType.FLOAT),
    (DataType.HALF, DataType.BF16),
    (DataType.BF16, DataType.HALF),
    (DataType.INT8, DataType.UINT8),
    (DataType.UINT8, DataType.INT8),
    (DataType.BOOL, DataType.UINT8),
]

CASES = [
    Case(f"{of.name} to {to.name}, {dims}", x=dims, to_type=to, dtypes=(of,))
    for of, to in PAIRS
    for dims in ((3, 37), (), (2, 3, 5, 7), (0, 4))
]
CASES += [
    Case("a large one", x=(64, 1021), to_type=DataType.INT32),
    Case("logits", x=(64, 65536), to_type=DataType.INT32, bench=True),
]
test_kernels = check("BitCast@1", CASES)


def every_pattern(dtype):
    """All bits that 16 of them and fewer can be; of 32, random ones and those of nan, infinities and zeros."""
    if dtype == DataType.BOOL:
        return np.array([False, True])
    if dtype.bits < 32:
        return np.arange(2**dtype.bits, dtype=f"u{dtype.itemsize}").view(nptype(dtype))
    special = np.array([0, 1 << 31, 0x7F800000, 0xFF800000, 0x7FC00001, 0x7F800001, 1], np.uint32)
    return np.append(np.random.default_rng(1).integers(0, 2**32, 4096, np.uint32), special).view(nptype(dtype))


@pytest.mark.parametrize(("of", "to"), PAIRS)
def test_bits_are_kept_whatever_they_mean(of, to):
    lookup, x = default_registry(), every_pattern(of)
    layer = make_layer(lookup, "BitCast@1", [x], {"to_type": to})
    kernels = [found for found in rows_of(lookup, layer)[0] if found.row.implementation.name == "cpu"]
    assert kernels
    for candidate in kernels:  # the reference, which stores by way of float32, makes every nan a quiet one
        (y,) = run_row(layer, candidate, [x])
        assert y.dtype == nptype(to)
        assert y.tobytes() == x.tobytes()


def test_values(compute):
    y = compute("BitCast", np.array([1.0, -2.0, 0.0]), to_type=DataType.INT32)
    assert y.tolist() == [0x3F800000, -0x40000000, 0]
    assert compute("BitCast", np.array([-1, 5], np.int8), to_type=DataType.UINT8).tolist() == [255, 5]
    assert compute("BitCast", np.array([0x40490FDB], np.int32), to_type=DataType.FLOAT) == pytest.approx(np.pi)


def test_extents_may_be_unknown(infer):
    n = input_dim(0, 0, "n")
    (y,) = infer("BitCast", SymbolicTensor(DimsExprs((n, 3)), DataType.INT32), to_type=DataType.FLOAT)
    assert (tuple(y.dims.evaluate([[7]])), y.dtype) == ((7, 3), DataType.FLOAT)


@pytest.mark.parametrize(
    ("of", "to"),
    [
        (DataType.FLOAT, DataType.INT64),
        (DataType.FLOAT, DataType.FLOAT),
        (DataType.HALF, DataType.INT8),
        (DataType.UINT8, DataType.BOOL),
    ],
)
def test_other_pairs_are_refused_by_name(infer, of, to):
    with pytest.raises(DTypeError, match=f"bits of {of.name} for {to.name}"):
        infer("BitCast", SymbolicTensor(DimsExprs((2,)), of), to_type=to)


def test_it_runs_in_a_network(network):
    layer = network.add_bit_cast(network.add_input("x", trt.float32, (2,)), to_type=trt.int32)
    assert layer.get_output(0).dtype == trt.int32


def bit_cast_model(of, to):
    """An ONNX model of one BitCast."""
    helper = pytest.importorskip("onnx").helper
    node = helper.make_node("BitCast", ["x"], ["y"], to=to)
    values = [helper.make_tensor_value_info(name, elem_type, [3]) for name, elem_type in (("x", of), ("y", to))]
    graph = helper.make_graph([node], "bits", values[:1], values[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 26)], ir_version=10)


@pytest.mark.parametrize(
    ("of", "to", "x", "y"),
    [
        (np.uint32, np.int32, [0, 2**31, 2**32 - 1], [0, -(2**31), -1]),
        (np.int32, np.uint32, [0, -(2**31), -1], [0, 2**31, 2**32 - 1]),
        (np.int16, np.uint16, [-1, 5, -(2**15)], [65535, 5, 2**15]),
        (np.int8, np.uint8, [-1, 5, -128], [255, 5, 128]),
        (np.float32, np.int32, [1.0, -0.0, 2.0], [0x3F800000, -(2**31), 0x40000000]),
        (np.float32, np.float32, [1.0, -0.0, 2.0], [1.0, -0.0, 2.0]),
    ],
)
def test_onnx_takes_the_bits_of_integers_that_wider_types_carry(of, to, x, y):
    onnx = pytest.importorskip("onnx")
    from dovetail.machine.onnx import backend

    numbers = [onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)) for dtype in (of, to)]
    (got,) = backend.prepare(bit_cast_model(*numbers), "CPU").run([np.array(x, of)])
    assert got.dtype == to
    assert got.tolist() == y


@pytest.mark.parametrize(
    ("of", "to"), [("DOUBLE", "INT64"), ("UINT64", "DOUBLE"), ("FLOAT16", "INT16"), ("UINT8", "BOOL")]
)
def test_onnx_names_types_whose_bits_no_network_has(network, of, to):
    numbers = [pytest.importorskip("onnx").TensorProto.DataType.Value(name) for name in (of, to)]
    parser = trt.OnnxParser(network, trt.Logger(trt.Logger.INTERNAL_ERROR))
    assert not parser.parse(bit_cast_model(*numbers).SerializeToString())
    assert f"the bits of {of} cannot be had as {to}" in " ".join(parser.get_error(0).desc().split())
