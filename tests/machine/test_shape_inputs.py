"""Network inputs whose contents are extents, and outputs that are shapes."""

import numpy as np
import pytest

import dovetail as trt
from dovetail.core.errors import BindingError, BuildError, DovetailError, DTypeError, ProfileError, ShapeError
from tests.machine.test_data_dependent_extents import Bench


@pytest.fixture
def bench():
    return Bench()


def reshaping(bench, low=(1, 1), likely=(3, 4), high=(12, 12), dtype=trt.int32):
    """y = x [n] as a matrix of the extents that input `shape` holds."""
    network = bench.network
    x, shape = network.add_input("x", trt.float32, (-1,)), network.add_input("shape", dtype, (2,))
    layer = network.add_shuffle(x)
    layer.set_input(1, shape)
    bench.output(layer.get_output(0), "y")
    profile = bench.builder.create_optimization_profile()
    profile.set_shape("x", (0,), (12,), (144,))
    profile.set_shape_input("shape", low, likely, high)
    bench.config.add_optimization_profile(profile)
    return x, shape


@pytest.mark.parametrize("dtype", [trt.int32, trt.int64])
def test_contents_decide_extents(bench, dtype):
    x, shape = reshaping(bench, dtype=dtype)
    assert (shape.is_shape_tensor, shape.is_execution_tensor) == (True, False)
    assert (x.is_shape_tensor, x.is_execution_tensor) == (False, True)
    context = bench.context()
    engine = context.engine
    assert engine.is_shape_inference_io("shape")
    assert not engine.is_shape_inference_io("x")
    assert engine.get_tensor_profile_values("shape", 0) == [(1, 1), (3, 4), (12, 12)]
    assert context.infer_shapes() == ["x", "shape"]
    for rows, columns in ((3, 4), (12, 1), (1, 7)):
        x = np.arange(rows * columns, dtype=np.float32)
        wanted = np.array([rows, columns], trt.nptype(dtype))
        np.testing.assert_array_equal(context.run({"x": x, "shape": wanted})["y"], x.reshape(rows, columns))


def test_they_are_read_at_each_execution(bench):
    reshaping(bench)
    context = bench.context()
    x, shape, y = np.arange(12, dtype=np.float32), np.array([3, 4], np.int32), np.empty(12, np.float32)
    context.set_input_shape("x", (12,))
    for name, array in (("x", x), ("shape", shape), ("y", y)):
        context.set_tensor_address(name, array.ctypes.data)
    for rows in (3, 2, 6):
        shape[:] = rows, 12 // rows
        assert tuple(context.get_tensor_shape("y")) == (rows, 12 // rows)
        context.execute_async_v3(0)
        np.testing.assert_array_equal(y, x)


def test_by_binding(bench):
    reshaping(bench)
    context = bench.context()
    assert not context.all_shape_inputs_specified
    context.set_binding_shape(0, (12,))
    context.set_shape_input(1, [2, 6])
    assert context.all_shape_inputs_specified
    assert context.engine.is_shape_binding(1)
    assert not context.engine.is_execution_binding(1)
    assert context.get_shape(1) == [2, 6]
    assert tuple(context.get_binding_shape(2)) == (2, 6)
    with pytest.raises(BindingError, match="'x' is not a shape input"):
        context.set_shape_input(0, [1])
    with pytest.raises(BindingError, match="cannot take 3 values"):
        context.set_shape_input(1, [1, 2, 3])


def test_contents_outside_the_profile_are_refused_by_element(bench):
    reshaping(bench)
    context = bench.context()
    with pytest.raises(ProfileError, match=r"contents \{3, 13\} of shape input 'shape'(.|\n)*element 1 +13"):
        context.run({"x": np.zeros(39, np.float32), "shape": np.array([3, 13], np.int32)})


def test_contents_that_do_not_fit_are_refused(bench):
    reshaping(bench)
    with pytest.raises(ShapeError, match=r"12.*|shape") as error:
        bench.context().run({"x": np.zeros(12, np.float32), "shape": np.array([3, 5], np.int32)})
    assert "3, 5" in str(error.value)


def test_a_profile_without_values_says_what_to_call(bench):
    reshaping(bench)
    bench.config._profiles[0]._contents.clear()
    with pytest.raises(BuildError, match=r"(?s)sets no values for input 'shape'.*set_shape_input"):
        bench.context()


def test_profiles_of_shape_inputs_are_checked(bench):
    profile = bench.builder.create_optimization_profile()
    with pytest.raises(ShapeError, match="cannot mix lengths"):
        profile.set_shape_input("s", (1,), (2, 3), (4,))
    with pytest.raises(ShapeError, match="out of order"):
        profile.set_shape_input("s", (5,), (2,), (4,))
    assert profile.get_shape_input("s") == []


def test_arithmetic_on_contents_is_followed(bench):
    """y = the first 2 * n + 1 elements of x, n an input without dims."""
    network = bench.network
    x, n = network.add_input("x", trt.float32, (40,)), network.add_input("n", trt.int32, (1,))
    two = network.add_constant((1,), np.array([2], np.int32)).get_output(0)
    one = network.add_constant((1,), np.array([1], np.int32)).get_output(0)
    operation = trt.ElementWiseOperation
    size = network.add_elementwise(n, two, operation.PROD).get_output(0)
    size = network.add_elementwise(size, one, operation.SUM).get_output(0)
    layer = network.add_slice(x, (0,), (1,), (1,))
    layer.set_input(2, size)
    bench.output(layer.get_output(0), "y")
    network.mark_output_for_shapes(size)
    assert n.is_shape_tensor
    profile = bench.builder.create_optimization_profile()
    profile.set_shape_input("n", (0,), (3,), (19,))
    bench.config.add_optimization_profile(profile)
    context = bench.context()
    x = np.arange(40, dtype=np.float32)
    for k in (3, 0, 19):
        results = context.run({"x": x, "n": np.array([k], np.int32)})
        assert results["y"].tolist() == list(range(2 * k + 1))
        assert results[size.name].tolist() == [2 * k + 1]
    with pytest.raises(ProfileError):
        context.run({"x": x, "n": np.array([20], np.int32)})


def test_a_condition_is_asserted_when_shapes_are_bound(bench):
    network = bench.network
    x, n = network.add_input("x", trt.float32, (4,)), network.add_input("n", trt.int32, (1,))
    four = network.add_constant((1,), np.array([4], np.int32)).get_output(0)
    condition = network.add_elementwise(n, four, trt.ElementWiseOperation.LESS).get_output(0)
    network.add_assertion(condition, "n must be less than 4")
    bench.output(network.add_activation(x, trt.ActivationType.RELU).get_output(0), "y")
    profile = bench.builder.create_optimization_profile()
    profile.set_shape_input("n", (0,), (3,), (9,))
    bench.config.add_optimization_profile(profile)
    context = bench.context()
    assert context.run({"x": np.ones(4, np.float32), "n": np.array([3], np.int32)})["y"].tolist() == [1] * 4
    with pytest.raises(ShapeError, match="n must be less than 4"):
        context.run({"x": np.ones(4, np.float32), "n": np.array([4], np.int32)})


# ---- values that no shape can have

HUGE = [2**31, 2**32 + 3, 2**47, 2**63 - 1, 2**63, 2**64 - 1, 2**64, 2**70]


def the_lesser(bench, dtype, high):
    """y = 0, 1, ... up to the lesser of the input `n` and 8: of any range, the extents stay small."""
    network = bench.network
    n = network.add_input("n", dtype, (1,))
    eight = network.add_constant((1,), np.array([8], trt.nptype(dtype))).get_output(0)
    least = network.add_elementwise(n, eight, trt.ElementWiseOperation.MIN).get_output(0)
    layer = network.add_fill((0,), trt.FillOperation.LINSPACE)
    steps = (network.add_constant(array.shape, array).get_output(0) for array in (np.float32(0), np.float32([1])))
    for index, tensor in enumerate((least, *steps)):
        layer.set_input(index, tensor)
    bench.output(layer.get_output(0), "y")
    profile = bench.builder.create_optimization_profile()
    profile.set_shape_input("n", (0,), (3,), (high,))
    bench.config.add_optimization_profile(profile)
    return bench.context()


@pytest.mark.parametrize("high", HUGE)
@pytest.mark.parametrize("dtype", [trt.int32, trt.int64])
def test_a_profile_holds_no_values_beyond_the_type_of_the_input(bench, dtype, high):
    if high < 2**63 and dtype == trt.int64:
        assert the_lesser(bench, dtype, high).run({"n": [high]})["y"].tolist() == list(range(8))
        return
    with pytest.raises(ShapeError, match=f"shape input 'n'.* cannot be .*{high}"):
        the_lesser(bench, dtype, high)


@pytest.mark.parametrize("value", [*HUGE, -(2**31) - 1, -(2**63) - 1, float("nan"), float("inf"), 1.5, None, "3", 1j])
@pytest.mark.parametrize("dtype", [trt.int32, trt.int64])
def test_contents_beyond_the_type_are_refused_with_the_value(bench, dtype, value):
    """Not cut to fit, which would give the extents of another value."""
    context = the_lesser(bench, dtype, 8)
    with pytest.raises(DovetailError, match=r"input 'n'") as error:
        context.run({"n": [value]})
    assert str(value)[:8] in str(error.value)
    beyond = dtype == trt.int32 or not isinstance(value, int) or not -(2**63) <= value < 2**63
    if beyond:
        with pytest.raises((ShapeError, DTypeError), match="shape input 'n' cannot be") as error:
            context.set_shape_input(0, [value])
        assert str(value) in str(error.value)
    assert context.run({"n": [4]})["y"].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("extent", [*HUGE[4:], -(2**63) - 1, float("nan"), 1.5])
def test_extents_beyond_64_bits_are_refused_with_the_value(bench, extent):
    x = bench.network.add_input("x", trt.float32, (-1,))
    bench.output(bench.network.add_activation(x, trt.ActivationType.RELU).get_output(0), "y")
    bench.profile(x=((1,), (2,), (4,)))
    context = bench.context()
    for set_shape in (lambda: context.set_input_shape("x", (extent,)), lambda: context.set_binding_shape(0, (extent,))):
        with pytest.raises((ShapeError, DTypeError), match="the shape of input 'x' cannot be") as error:
            set_shape()
        assert str(extent) in str(error.value)
    with pytest.raises((ShapeError, DTypeError), match="max of input 'x' cannot be"):
        bench.profile(x=((1,), (2,), (extent,)))
