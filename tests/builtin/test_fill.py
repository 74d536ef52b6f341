"""Fill. Cases are shared by correctness, benchmark and the reference page."""

import numpy as np
import pytest

import dovetail as trt
from dovetail.core.contract import SymbolicTensor
from dovetail.core.errors import DTypeError, ShapeError
from dovetail.core.expr import DimsExprs, input_dim
from dovetail.core.types import FLOATS, DataType, nptype
from dovetail.machine.testing import Case, check
from dovetail.plugins.builtin.fill import philox

LINSPACE, UNIFORM, NORMAL = range(3)
NUMBERS = (*FLOATS, DataType.INT32, DataType.INT64)


def dims(*extents, dtype=np.int32):
    return np.array(extents, dtype)


def seeded(seed, name, **named):
    """A case that sets the field; the keyword is that of the inputs' values."""
    case = Case(name, **named)
    case.named["seed"] = seed
    return case


CASES = [
    Case(f"a line of {t.name}", shape=(1001,), operation=LINSPACE, alpha=3.0, beta=-2.0, to_type=t) for t in NUMBERS
]
CASES += [
    Case(
        f"a line over three axes of {t.name}",
        dims=dims(3, 5, 37),
        alphas=np.array(3, nptype(t)),
        betas=np.array([100, -20, 0.5 if t in FLOATS else 2], nptype(t)),
        to_type=t,
    )
    for t in NUMBERS
]
CASES += [
    seeded(7, f"{name} of {t.name}", shape=(3, 5, 37), operation=op, alpha=-1.0, beta=3.0, to_type=t)
    for name, op in (("uniform", UNIFORM), ("normal", NORMAL))
    for t in FLOATS
]
CASES += [
    Case("dims of 64 bits", dims=dims(2, 3, dtype=np.int64), operation=UNIFORM),
    Case(
        "limits from inputs",
        dims=dims(70),
        operation=UNIFORM,
        alphas=np.array(5, np.float32),
        betas=np.array(6, np.float32),
    ),
    seeded(-(2**62) + 12345, "a great seed", shape=(9,), operation=NORMAL),
    Case("a scalar", shape=(), operation=NORMAL),
    Case("no element", shape=(0, 3), operation=UNIFORM),
    Case(
        "no step for no element",
        dims=dims(0, 3),
        alphas=np.array(0, np.int32),
        betas=dims(1, 1),
        to_type=DataType.INT32,
    ),
    Case(
        "integers wrap around",
        dims=dims(4),
        alphas=np.array(2**31 - 2, np.int32),
        betas=dims(1),
        to_type=DataType.INT32,
    ),
    Case("noise", shape=(8, 256, 1024), operation=NORMAL, bench=True),
]
test_kernels = check("Fill@1", CASES)


def test_the_generator_gives_the_published_numbers():
    """kat_vectors of Random123, philox4x32 10: counter and key of zeros."""
    assert [f"{word:08x}" for word in philox([0], 0)[0]] == ["6627e8d5", "e169c58d", "bc57ac4c", "9b00dbd8"]


def test_random_numbers_have_the_moments_that_they_should(compute):
    shape = (100_000,)
    y = compute("Fill", None, None, None, shape=shape, operation=UNIFORM, alpha=2.0, beta=4.0)
    assert (y.min() >= 2, y.max() < 4) == (True, True)
    assert (abs(y.mean() - 3) < 0.01, abs(y.std() - 2 / 12**0.5) < 0.01) == (True, True)
    y = compute("Fill", None, None, None, shape=shape, operation=NORMAL, alpha=2.0, beta=3.0)
    assert (abs(y.mean() - 2) < 0.03, abs(y.std() - 3) < 0.03) == (True, True)
    other = compute("Fill", None, None, None, shape=shape, operation=NORMAL, alpha=2.0, beta=3.0, seed=1)
    assert abs(np.corrcoef(y, other)[0, 1]) < 0.02


def test_a_line_starts_at_alpha(compute):
    assert compute("Fill", None, None, None, shape=(4,), alpha=1.0, beta=0.5).tolist() == [1, 1.5, 2, 2.5]


def test_dims_come_from_extents(infer):
    n = input_dim(0, 0, "N")
    wanted = SymbolicTensor(DimsExprs((2,)), DataType.INT64, values=(n, DimsExprs((3,))[0]))
    (y,) = infer("Fill", wanted, operation=UNIFORM, to_type=DataType.HALF)
    assert (tuple(d.evaluate([[5]]) for d in y.dims), y.dtype) == ((5, 3), DataType.HALF)


def test_dims_that_are_data_are_named(infer):
    with pytest.raises(ShapeError, match="dims"):
        infer("Fill", SymbolicTensor(DimsExprs((2,)), DataType.INT32), operation=UNIFORM)


def test_a_line_of_integers_is_followed(infer):
    (y,) = infer("Fill", shape=(3,), alpha=2.0, beta=5.0, to_type=DataType.INT64)
    assert [int(e) for e in y.elements()] == [2, 7, 12]
    n = input_dim(0, 0, "N")
    start = SymbolicTensor(DimsExprs(()), DataType.INT64, values=(n,))
    (y,) = infer("Fill", np.array([2]), start, np.array([3]), to_type=DataType.INT64)
    assert [e.evaluate([[5]]) for e in y.elements()] == [5, 8]


def test_what_does_not_fit_is_named(infer):
    with pytest.raises(ShapeError, match="2 axes with one step"):
        infer("Fill", shape=(2, 3))
    with pytest.raises(ShapeError, match="needs 2 betas, got 3"):
        infer("Fill", dims(2, 3), np.array(0, np.float32), np.zeros(3, np.float32))
    with pytest.raises(ShapeError, match="-1 elements on axis 0"):
        infer("Fill", dims(-1, 3), operation=UNIFORM)
    with pytest.raises(DTypeError, match="random numbers of type INT32"):
        infer("Fill", shape=(2,), operation=UNIFORM, to_type=DataType.INT32)
    with pytest.raises(DTypeError, match="INT64 from alphas of INT32"):
        infer("Fill", dims(2), np.array(0, np.int32), to_type=DataType.INT64)
    with pytest.raises(DTypeError, match="INT32 from betas of FLOAT"):
        infer("Fill", dims(2), np.array(0, np.int32), np.array([1], np.float32))
    with pytest.raises(DTypeError, match="FLOAT from alphas of INT32"):
        infer("Fill", dims(2), np.array(0, np.int32), operation=UNIFORM)


@pytest.mark.parametrize("asks", [True, False], ids=["set_output_type", "nothing set"])
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_a_line_from_integers_is_of_their_type(network, asks, dtype):
    """As in TensorRT 8.5, whose add_fill takes no type."""
    x = network.add_input("x", getattr(trt, dtype.__name__), ())
    layer = network.add_fill((4,), trt.FillOperation.LINSPACE)
    layer.set_input(1, x)
    layer.set_input(2, network.add_constant((1,), np.array([16777217], dtype)).get_output(0))
    if asks:
        layer.set_output_type(0, x.dtype)
    layer.get_output(0).name = "y"
    network.mark_output(layer.get_output(0))
    builder = trt.Builder(trt.Logger())
    engine = builder.build_engine(network, builder.create_builder_config())
    y = engine.create_execution_context().run({"x": np.array(5, dtype)})["y"]
    assert (y.dtype, y.tolist()) == (dtype, [5, 16777222, 33554439, 50331656])


def test_it_is_added_as_in_tensorrt(network):
    layer = network.add_fill((2, 3), trt.FillOperation.RANDOM_UNIFORM)
    layer.alpha, layer.beta = -1.0, 1.0
    assert tuple(layer.get_output(0).shape) == (2, 3)
    layer.shape = (4,)
    layer.operation = trt.FillOperation.LINSPACE
    assert tuple(layer.get_output(0).shape) == (4,)
