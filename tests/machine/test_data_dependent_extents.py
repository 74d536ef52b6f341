"""Data-dependent extents: NonZero, NMS, plugins with size outputs, and the layers after them."""

import ctypes
import re

import numpy as np
import pytest

import dovetail as trt
from dovetail.core.errors import BindingError, DefinitionError, PluginFailed, ShapeError
from dovetail.core.types import DataType
from dovetail.plugins import Input, Output, Plugin


class Bench:
    """A network, and what it takes to run it."""

    def __init__(self):
        self.builder = trt.Builder(trt.Logger(trt.Logger.ERROR))
        self.network, self.config = self.builder.create_network(), self.builder.create_builder_config()

    def output(self, tensor, name):
        tensor.name = name
        self.network.mark_output(tensor)

    def profile(self, **ranges):
        profile = self.builder.create_optimization_profile()
        for name, (low, likely, high) in ranges.items():
            profile.set_shape(name, low, likely, high)
        self.config.add_optimization_profile(profile)

    def context(self):
        plan = self.builder.build_serialized_network(self.network, self.config)
        return trt.Runtime(self.builder.logger).deserialize_cuda_engine(plan).create_execution_context()


@pytest.fixture
def bench():
    return Bench()


def values(*rows):
    return np.array(rows, np.float32)


SOME = (values([0, 1, 0], [2, 0, 3]), values([0, 0, 0], [0, 0, 0]), values([1, 1, 1], [1, 1, 1]))


def test_the_extents_are_known_after_each_run(bench):
    layer = bench.network.add_non_zero(bench.network.add_input("x", trt.float32, (2, 3)))
    assert tuple(layer.get_output(0).shape) == (2, -1)
    bench.output(layer.get_output(0), "y")
    context = bench.context()
    assert tuple(context.get_tensor_shape("y")) == (2, -1)
    assert context.get_max_output_size("y") == 2 * 6 * 4
    for x in SOME:
        np.testing.assert_array_equal(context.run({"x": x})["y"], np.array(np.nonzero(x), np.int32))
        assert tuple(context.get_tensor_shape("y")) == (2, np.count_nonzero(x))
        assert context.get_max_output_size("y") == 2 * 6 * 4


def test_layers_behind_follow(bench):
    """Coordinates, transposed, and what x holds there: y = x[x != 0]."""
    network = bench.network
    bench.profile(x=((1, 3), (2, 3), (9, 3)))
    x = network.add_input("x", trt.float32, (-1, 3))
    transposed = network.add_shuffle(network.add_non_zero(x).get_output(0))
    transposed.first_transpose = (1, 0)
    taken = network.add_gather_v2(x, transposed.get_output(0), trt.GatherMode.ND).get_output(0)
    bench.output(network.add_elementwise(taken, taken, trt.ElementWiseOperation.SUM).get_output(0), "y")
    bench.output(network.add_shape(taken).get_output(0), "n")
    context = bench.context()
    for x in (*SOME, np.random.default_rng(0).integers(0, 2, (7, 3)).astype(np.float32)):
        results = context.run({"x": x})
        np.testing.assert_array_equal(results["y"], 2 * x[x != 0])
        assert results["n"].tolist() == [np.count_nonzero(x)]


def test_extents_alone_can_follow(bench):
    """Nobody reads the coordinates, only how many there are."""
    network = bench.network
    x = network.add_input("x", trt.float32, (2, 3))
    shape = network.add_shape(network.add_non_zero(x).get_output(0)).get_output(0)
    fill = network.add_fill((0,), trt.FillOperation.LINSPACE)
    fill.set_input(0, network.add_slice(shape, (1,), (1,), (1,)).get_output(0))
    fill.set_input(1, network.add_constant((), np.float32(0).reshape(())).get_output(0))
    fill.set_input(2, network.add_constant((1,), np.ones(1, np.float32)).get_output(0))
    bench.output(fill.get_output(0), "y")
    context = bench.context()
    for x in SOME:
        assert context.run({"x": x})["y"].tolist() == list(range(np.count_nonzero(x)))


def test_two_sizes_one_after_the_other(bench):
    network = bench.network
    first = network.add_non_zero(network.add_input("x", trt.float32, (2, 3))).get_output(0)
    second = network.add_non_zero(first).get_output(0)
    bench.output(second, "y")
    context = bench.context()
    for x in SOME:
        np.testing.assert_array_equal(context.run({"x": x})["y"], np.array(np.nonzero(np.array(np.nonzero(x)))))


class Keeper(trt.IOutputAllocator):
    """Memory as a user of TensorRT gives it."""

    def __init__(self):
        self.calls, self.shapes, self.memory = [], [], None

    def reallocate_output(self, tensor_name, memory, size, alignment):
        self.calls.append((tensor_name, size))
        self.memory = (ctypes.c_char * (size + alignment))()
        return ctypes.addressof(self.memory) + -ctypes.addressof(self.memory) % alignment

    def notify_shape(self, tensor_name, shape):
        self.shapes.append(tuple(shape))


def test_an_output_allocator_gives_the_memory(bench):
    layer = bench.network.add_non_zero(bench.network.add_input("x", trt.float32, (2, 3)))
    bench.output(layer.get_output(0), "y")
    context, keeper = bench.context(), Keeper()
    context.set_output_allocator("y", keeper)
    assert context.get_output_allocator("y") is keeper
    for x in SOME:
        context.set_tensor_address("x", x.ctypes.data)
        context.execute_async_v3(0)
        n = np.count_nonzero(x)
        assert keeper.calls[-1] == ("y", 2 * n * 4)
        assert keeper.shapes[-1] == (2, n)
        data = (ctypes.c_int32 * (2 * n)).from_address(context.get_tensor_address("y"))
        np.testing.assert_array_equal(np.array(data).reshape(2, n), np.array(np.nonzero(x)))
    assert context.run({"x": SOME[0]})["y"].shape == (2, 3)
    assert len(keeper.calls) == len(SOME)  # run has memory of its own


def test_an_allocator_of_an_output_whose_size_is_known(bench):
    """It is asked in each execution, and `run` gives arrays of its own all the same."""
    x = bench.network.add_input("x", trt.float32, (2, 3))
    bench.output(bench.network.add_activation(x, trt.ActivationType.RELU).get_output(0), "y")
    context, keeper = bench.context(), Keeper()
    context.set_output_allocator("y", keeper)
    for x in SOME:
        np.testing.assert_array_equal(context.run({"x": x})["y"], x)
    assert keeper.calls == []
    context.set_tensor_address("x", SOME[0].ctypes.data)
    context.execute_async_v3(0)
    assert (keeper.calls, keeper.shapes) == ([("y", 24)], [(2, 3)])
    y = (ctypes.c_float * 6).from_address(context.get_tensor_address("y"))
    np.testing.assert_array_equal(np.array(y).reshape(2, 3), SOME[0])
    context.set_output_allocator("y", None)
    np.testing.assert_array_equal(context.run({"x": SOME[2]})["y"], SOME[2])


def test_memory_for_the_largest_result_will_do_and_less_will_not(bench):
    layer = bench.network.add_non_zero(bench.network.add_input("x", trt.float32, (2, 3)))
    bench.output(layer.get_output(0), "y")
    context, y = bench.context(), np.full(12, -1, np.int32)
    context.execute_v2([SOME[0].ctypes.data, y.ctypes.data])
    assert y.tolist() == [0, 1, 1, 1, 0, 2] + [-1] * 6
    context._context.set_address(1, y.ctypes.data, 8)
    with pytest.raises(BindingError, match="cannot live in a buffer of 8 bytes"):
        context.execute_async_v3(0)
    assert context.run({"x": SOME[0]})["y"].shape == (2, 3)


def test_an_allocator_that_gives_nothing_or_fails(bench):
    layer = bench.network.add_non_zero(bench.network.add_input("x", trt.float32, (2, 3)))
    bench.output(layer.get_output(0), "y")
    context = bench.context()
    context.set_tensor_address("x", SOME[0].ctypes.data)
    keeper = Keeper()
    keeper.reallocate_output = lambda *args: 0
    context.set_output_allocator("y", keeper)
    with pytest.raises(MemoryError, match="gave no memory for 'y'"):
        context.execute_async_v3(0)
    keeper.reallocate_output = lambda *args: [][0]
    with pytest.raises(IndexError):
        context.execute_async_v3(0)
    assert context.run({"x": SOME[0]})["y"].shape == (2, 3)
    with pytest.raises(BindingError, match="only outputs have allocators"):
        context.set_output_allocator("x", keeper)


class AtLeast(Plugin):
    """y = the elements of x that are at least `low`."""

    namespace = "sizes"
    x = Input(DataType.FLOAT)
    y = Output(like="x")
    count = Output(DataType.INT64, size=True)
    low: float = 0.0

    def infer(self, x):
        count = self.declare_size("count", opt=x.dims[0] // 2, upper=x.dims[0])
        return x.like([count]), x.like((), DataType.INT64)

    def reference(self, x):
        return x[x >= self.low], np.int64((x >= self.low).sum())


class Liar(AtLeast):
    """One that tells more than it declared."""

    name = "Liar"

    def enqueue(self, inputs, outputs, workspace, stream):
        outputs[1][...] = inputs[0].size + 1


def add_sized(bench, plugin, **fields):
    registry = trt.get_plugin_registry()
    if not any(spec.id == plugin.dovetail_spec.id for spec in registry.specs()):
        registry.add_op(plugin, "sizes")
    x = bench.network.add_input("x", trt.float32, (-1,))
    bench.profile(x=((0,), (6,), (20,)))
    bench.output(bench.network.add_plugin(plugin.dovetail_spec.id, [x], {"low": 2.0} | fields).get_output(0), "y")


def test_a_plugin_tells_a_size(bench):
    add_sized(bench, AtLeast)
    context = bench.context()
    for x in ([1, 2, 3, 0], [], [0, 1], [5] * 20):
        x = np.array(x, np.float32)
        assert context.run({"x": x})["y"].tolist() == x[x >= 2].tolist()


def test_a_size_beyond_its_bound_is_refused_with_the_layer(bench):
    add_sized(bench, Liar)
    with pytest.raises(ShapeError, match=r"tells an extent that it must not have(.|\n)*allowed +0\.\.4") as error:
        bench.context().run({"x": np.zeros(4, np.float32)})
    assert "Liar" in str(error.value)


def test_a_size_output_that_cannot_hold_one_is_refused(bench):
    class Wrong(AtLeast):
        """The count has dims."""

        name = "Wrong"

        def infer(self, x):
            count = self.declare_size("count", opt=1, upper=x.dims[0])
            return x.like([count]), x.like((1,), DataType.INT64)

    add_sized(bench, Wrong)
    with pytest.raises(DefinitionError, match="declares its output 1 as a size tensor, which it cannot be"):
        bench.context()


class Bounded(AtLeast):
    """Declares what its fields say."""

    name = "Bounded"
    opt: int = 0
    less: int = 0

    def infer(self, x):
        count = self.declare_size("count", opt=self.opt, upper=x.dims[0] - self.less)
        return x.like([count]), x.like((), DataType.INT64)


@pytest.mark.parametrize(
    ("opt", "less", "said"),
    [
        (7, 0, "likely 7 = 7, at most x.0 = 6"),  # opt of the profile is 6
        (0, 7, "likely 0 = 0, at most x.0 - 7 = -1"),
    ],
)
def test_a_size_that_cannot_be_at_the_profiles_opt_is_refused_with_the_layer(bench, opt, less, said):
    add_sized(bench, Bounded, opt=opt, less=less)
    with pytest.raises(ShapeError) as error:
        bench.context()
    assert said in str(error.value) and "the opt extents of profile 0" in str(error.value)
    assert error.value.layer in str(error.value)


def test_a_bound_that_is_negative_when_run_allows_no_size_but_0(bench):
    add_sized(bench, Bounded, less=3)
    context = bench.context()
    assert context.run({"x": np.ones(2, np.float32)})["y"].tolist() == []
    with pytest.raises(PluginFailed, match="gave 'y' the wrong dims"):
        context.run({"x": np.full(2, 5, np.float32)})


class Miscounting(AtLeast):
    """Returns all elements, or none, and tells how many there should be."""

    name = "Miscounting"
    returns: int = 0

    def reference(self, x):
        return x[: self.returns], np.int64((x >= self.low).sum())


@pytest.mark.parametrize(("returns", "returned"), [(4, r"\[4\]"), (1, r"\[1\]"), (0, r"\[0\]")])
def test_an_array_of_another_length_than_its_count_is_refused(bench, returns, returned):
    add_sized(bench, Miscounting, returns=returns)
    context = bench.context()
    with pytest.raises(ShapeError, match="gave output 0 other dims than it told") as error:
        context.run({"x": np.array([1, 2, 3, 0], np.float32)})
    assert re.search(rf"returned +{returned}", str(error.value))
    assert re.search(r"told by its size outputs +\[2\]", str(error.value))
    x = np.full(max(returns, 1), 2 if returns else 0, np.float32)
    assert context.run({"x": x})["y"].tolist() == [2] * returns  # as many as it told: all is well again


# ---- two of them in one layer


def rows_that_hold(network, name, n):
    """The [k, 3] rows of an input [n, 3] that a mask [n] selects, both named after it."""
    x, mask = network.add_input(name, trt.float32, (n, 3)), network.add_input(f"mask_{name}", trt.bool, (n,))
    places = network.add_non_zero(mask).get_output(0)
    column = network.add_shuffle(places)
    column.reshape_dims = (-1,)
    return network.add_gather(x, column.get_output(0), 0).get_output(0)


@pytest.mark.parametrize("level", [0, 3])
def test_two_sizes_of_unequal_bounds_meet_in_one_layer(bench, level):
    bench.config.builder_optimization_level = level
    a, b = rows_that_hold(bench.network, "a", 20), rows_that_hold(bench.network, "b", 30)
    bench.output(bench.network.add_elementwise(a, b, trt.ElementWiseOperation.SUM).get_output(0), "y")
    transposed, plain = trt.MatrixOperation.TRANSPOSE, trt.MatrixOperation.NONE
    bench.output(bench.network.add_matrix_multiply(a, transposed, b, plain).get_output(0), "z")
    context = bench.context()
    rng = np.random.default_rng(0)
    for k in (0, 4, 20):
        masks = [rng.permutation(np.arange(n) < k) for n in (20, 30)]
        x = [rng.standard_normal((n, 3)).astype(np.float32) for n in (20, 30)]
        got = context.run({"a": x[0], "b": x[1], "mask_a": masks[0], "mask_b": masks[1]})
        rows = [values_[mask] for values_, mask in zip(x, masks, strict=True)]
        np.testing.assert_allclose(got["y"], rows[0] + rows[1], rtol=1e-6)
        np.testing.assert_allclose(got["z"], rows[0].T @ rows[1], rtol=1e-4, atol=1e-5)
    report = context.engine.report()
    assert "failed while timed" not in report


def test_sizes_that_are_unequal_when_run_are_an_error_then(bench):
    a, b = rows_that_hold(bench.network, "a", 20), rows_that_hold(bench.network, "b", 30)
    bench.output(bench.network.add_elementwise(a, b, trt.ElementWiseOperation.SUM).get_output(0), "y")
    x = {"a": np.ones((20, 3), np.float32), "b": np.ones((30, 3), np.float32)}
    with pytest.raises(ShapeError, match="cannot combine"):
        bench.context().run(x | {"mask_a": np.arange(20) < 3, "mask_b": np.arange(30) < 4})


def test_a_size_and_a_known_extent_meet_in_one_layer(bench):
    a, b = rows_that_hold(bench.network, "a", 20), bench.network.add_input("b", trt.float32, (7, 3))
    bench.output(bench.network.add_elementwise(a, b, trt.ElementWiseOperation.SUM).get_output(0), "y")
    x = {"a": np.ones((20, 3), np.float32), "b": np.ones((7, 3), np.float32), "mask_a": np.arange(20) < 7}
    np.testing.assert_array_equal(bench.context().run(x)["y"], np.full((7, 3), 2, np.float32))
