"""Python kernels behind the table of functions: rows, formats, types that numpy lacks, contexts, failures."""

import numpy as np
import pytest

import dovetail as trt
from dovetail.core.errors import DefinitionError, PluginFailed
from dovetail.core.types import FLOATS, DataType
from dovetail.plugins import Input, Output, Plugin, Weights, kernel
from dovetail.plugins.adapter import store, widen


class Scaled(Plugin):
    """y = factor * x."""

    namespace = "bench"
    x = Input(FLOATS)
    y = Output(like="x")
    factor: float = 2.0

    def reference(self, x):
        return x * self.factor


class Squared(Plugin):
    """y = x * x, with scratch memory."""

    namespace = "bench"
    x = Input(DataType.FLOAT)
    y = Output(like="x")

    def configure(self, inputs, outputs):
        self.largest = inputs[0].max

    def get_workspace_size(self, inputs, outputs):
        return 4 * int(np.prod(inputs[0].max))

    def shape_changed(self, inputs, outputs):
        self.seen = tuple(inputs[0].dims)

    def enqueue(self, inputs, outputs, workspace, stream):
        assert self.seen == inputs[0].shape
        scratch = np.asarray(workspace).view(np.float32)[: inputs[0].size].reshape(inputs[0].shape)
        np.square(inputs[0], out=scratch)
        outputs[0][:] = scratch


def test_a_plugin_with_a_reference_runs(bench):
    bench.registry.add_op(Scaled)
    layer = bench.network.add_plugin("bench::Scaled", [bench.input(-1, 3)], {"factor": 3.0})
    assert bench.run(layer, [[1, 2, 3]]).tolist() == [[3, 6, 9]]


def test_its_rows_are_the_product_of_the_types():
    (implementation,) = Scaled.dovetail_implementations
    assert implementation.id == "bench::Scaled@1#reference"
    assert [(r.types, r.formats) for r in implementation.rows] == [("f32|f16|bf16 -> f32|f16|bf16", "linear")]


def test_rows_follow_like_and_skip_what_cannot_be():
    class Mixed(Plugin):
        """y = x in the type of w."""

        x = Input((DataType.FLOAT, DataType.INT8))
        w = Weights((DataType.FLOAT, DataType.HALF))
        xs = Input(DataType.FLOAT, variadic=True)
        y = Output(DataType.HALF, like="w")

        def infer(self, x, w, xs):
            return x.like(dtype=w.dtype)

        def reference(self, x, w, xs):
            return x

    (implementation,) = Mixed.dovetail_implementations
    assert implementation.rows[0].types == "f32|i8 f16|f16 f32|f32... -> f16|f16"


def test_enqueue_gets_arrays_scratch_memory_and_shapes(bench):
    bench.registry.add_op(Squared)
    context = bench.context(bench.network.add_plugin("bench::Squared", [bench.input(-1)]))
    assert context.run({"x": np.array([2, 3], np.float32)})["y"].tolist() == [4, 9]
    assert context.run({"x": np.array([4], np.float32)})["y"].tolist() == [16]


def test_contexts_share_nothing(bench):
    bench.registry.add_op(Squared)
    layer = bench.network.add_plugin("bench::Squared", [bench.input(-1)])
    first = bench.context(layer)
    second = first.engine.create_execution_context()
    first.run({"x": np.ones(2, np.float32)})
    second.run({"x": np.ones(5, np.float32)})
    assert first.run({"x": np.ones(2, np.float32)})["y"].tolist() == [1, 1]


def test_a_marked_kernel_gets_the_memory_of_its_format(bench):
    seen = []

    class Flat(Plugin):
        """y = -x, channels last."""

        namespace = "bench"
        x = Input(DataType.FLOAT)
        y = Output(like="x")

        @kernel(formats="hwc")
        def last(self, inputs, outputs, workspace, stream):
            seen.append(inputs[0].tolist())
            np.negative(inputs[0], out=outputs[0])

    bench.registry.add_op(Flat)
    layer = bench.network.add_plugin("bench::Flat", [bench.input(1, 2, 1, 3)])
    y = bench.run(layer, np.arange(6).reshape(1, 2, 1, 3))
    assert seen[-1] == [0, 3, 1, 4, 2, 5]
    assert y.reshape(-1).tolist() == [0, -1, -2, -3, -4, -5]


def test_two_kernels_are_told_apart_by_their_types():
    class Two(Plugin):
        """y = x."""

        x = Input((DataType.FLOAT, DataType.INT32))
        y = Output(like="x")

        @kernel(types="f32 -> f32")
        def real(self, inputs, outputs, workspace, stream):
            outputs[0][:] = 1

        @kernel(types="i32 -> i32", tactic="whole")
        def integer(self, inputs, outputs, workspace, stream):
            outputs[0][:] = 2

    (implementation,) = Two.dovetail_implementations
    assert [(r.tactic, r.types) for r in implementation.rows] == [
        ("real", "f32 -> f32"),
        ("whole", "i32 -> i32"),
    ]


def test_two_kernels_for_the_same_tensors_are_refused():
    with pytest.raises(DefinitionError, match="two kernels for the same types and formats"):

        class Two(Plugin):
            """y = x."""

            x = Input()
            y = Output(like="x")

            @kernel()
            def one(self, inputs, outputs, workspace, stream):
                pass

            def enqueue(self, inputs, outputs, workspace, stream):
                pass


def test_a_kernel_may_be_overridden():
    class Cubed(Squared):
        """y = x * x * x."""

        def enqueue(self, inputs, outputs, workspace, stream):
            outputs[0][:] = inputs[0] ** 3

    (implementation,) = Cubed.dovetail_implementations
    assert [r.tactic for r in implementation.rows] == ["enqueue"]


def test_too_many_combinations_of_types_are_refused():
    with pytest.raises(DefinitionError, match=r"allows 32768 combinations of types"):

        class Loose(Plugin):
            """y = a."""

            a, b, c, d, e = Input(), Input(), Input(), Input(), Input()
            y = Output(like="a")

            def reference(self, a, b, c, d, e):
                return a


def test_an_exception_names_the_plugin_and_stays_the_cause(bench):
    class Failing(Scaled):
        """y = nothing."""

        def reference(self, x):
            raise KeyError("gone")

    bench.registry.add_op(Failing)
    layer = bench.network.add_plugin("bench::Failing", [bench.input(2)])
    with pytest.raises(PluginFailed) as error:
        bench.run(layer, [1, 2])
    assert "gone" in str(error.value)


def test_a_reference_of_the_wrong_shape_is_named(bench):
    class Shrinking(Scaled):
        """y = less than infer says."""

        def reference(self, x):
            return x[:1]

    bench.registry.add_op(Shrinking)
    layer = bench.network.add_plugin("bench::Shrinking", [bench.input(2)])
    with pytest.raises(PluginFailed, match="wrong dims"):
        bench.run(layer, [1, 2])


class Desc:
    def __init__(self, dtype):
        self.dtype = dtype


@pytest.mark.parametrize("dtype", [DataType.HALF, DataType.BF16])
def test_narrow_floats_are_rounded_to_nearest_even(dtype):
    step = {DataType.HALF: 2.0**-10, DataType.BF16: 2.0**-7}[dtype]
    values = np.array([1, 1 + step / 2, 1 + 3 * step / 2, -2, np.inf, np.nan, 0], np.float32)
    memory = np.zeros(7, {DataType.HALF: np.float16, DataType.BF16: np.uint16}[dtype])
    store(values, memory, Desc(dtype))
    back = widen(memory, Desc(dtype))
    assert back.dtype == np.float32
    np.testing.assert_array_equal(back, [1, 1, 1 + 2 * step, -2, np.inf, np.nan, 0])


def test_bf16_agrees_with_ml_dtypes():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    bits = np.random.default_rng(0).integers(0, 2**32, 100_000, dtype=np.uint32)
    values = bits.view(np.float32)
    memory = np.zeros(values.size, np.uint16)
    store(values, memory, Desc(DataType.BF16))
    with np.errstate(all="ignore"):
        expected = values.astype(ml_dtypes.bfloat16).astype(np.float32)
    np.testing.assert_array_equal(widen(memory, Desc(DataType.BF16)), expected)


def test_layers_keep_running_with_narrow_weights(bench):
    x = bench.input(1, 2, 4, 4, dtype=trt.float16)
    layer = bench.network.add_convolution_nd(x, 1, (1, 1), np.ones(2, np.float16))
    data = np.ones((1, 2, 4, 4), np.float16)
    assert (bench.context(layer).run({"x": data})["y"] == 2).all()
