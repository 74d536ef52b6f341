"""`context.run` on arrays of all sorts: what is used where it lies, what is converted, and at what price in calls."""

import sys

import numpy as np
import pytest
from networks import engine_of, new_network, profile_of

import dovetail as trt
from dovetail.core.errors import BindingError, ProfileError
from dovetail.machine.exchange import host_view


def context_of(dims, *names, ranges=None, dtype=trt.float32):
    """A context of an engine that negates each of its inputs: x -> x_out."""
    builder, network, config = new_network()
    for name in names:
        layer = network.add_unary(network.add_input(name, dtype, dims), trt.UnaryOperation.NEG)
        layer.get_output(0).name = f"{name}_out"
        network.mark_output(layer.get_output(0))
    if ranges:
        profile_of(builder, config, **dict.fromkeys(names, ranges))
    return engine_of(builder, network, config).create_execution_context()


class Counted:
    """Stands for the native context, and notes what is called."""

    def __init__(self, native):
        self.native, self.called = native, []

    def __getattr__(self, name):
        self.called.append(name)
        return getattr(self.native, name)


@pytest.fixture
def ones():
    return np.ones((2, 3), np.float32)


def test_arrays_that_fit_take_one_native_call(ones):
    context = context_of((2, 3), "a", "b", "c")
    context._direct = counted = Counted(context._context)
    given = {f"{name}_out": np.zeros((2, 3), np.float32) for name in "abc"}
    for inputs in (dict.fromkeys("abc", ones), [ones] * 3, (ones,) * 3):
        for outputs in (None, given, {"b_out": given["b_out"]}, {"a_out": None}):
            results = context.run(inputs, outputs)
            assert list(results) == ["a_out", "b_out", "c_out"]
            assert all((array == -1).all() for array in results.values())
            for name, array in (outputs or {}).items():
                assert array is None or results[name] is array
    assert counted.called == ["run"] * 12


def test_an_only_array_takes_one_native_call(ones):
    context = context_of((2, 3), "x")
    context._direct = counted = Counted(context._context)
    assert (context.run(ones)["x_out"] == -1).all()
    assert counted.called == ["run"]


def test_a_model_that_is_called_in_order_takes_one_native_call(ones):
    builder, network, config = new_network()
    a, b = (network.add_input(name, trt.float32, (2, 3)) for name in ("a", "b"))
    network.mark_output(network.add_elementwise(a, b, trt.ElementWiseOperation.SUB).get_output(0))
    model = trt.load(bytes(builder.build_serialized_network(network, config)))
    assert (model(3 * ones, ones) == 2).all()  # it makes the context of this thread
    context = model._local.context
    context._direct = counted = Counted(context._context)
    assert (model(3 * ones, ones) == 2).all()
    assert counted.called == ["run"]
    assert (model(ones, b=ones) == 0).all()
    assert (model({"a": ones, "b": ones}) == 0).all()
    with pytest.raises(BindingError, match="input 'b' cannot be float64"):
        model(ones, np.ones((2, 3)))
    with pytest.raises(BindingError, match="array 3"):
        model(ones, ones, ones)


def test_results_are_new_arrays(ones):
    context = context_of((2, 3), "x")
    first = context.run(ones)["x_out"]
    second = context.run(2 * ones)["x_out"]
    assert (first == -1).all()
    assert (second == -2).all()
    assert not np.may_share_memory(first, second)
    assert first.flags.owndata
    assert first.flags.writeable


def test_an_input_is_held_until_the_next_one_comes(ones):
    context = context_of((2, 3), "x")
    before = sys.getrefcount(ones)
    result = context.run(ones)["x_out"]
    assert sys.getrefcount(ones) == before + 1
    context.run(np.zeros((2, 3), np.float32))
    assert sys.getrefcount(ones) == before
    assert sys.getrefcount(result) == 2


@pytest.mark.parametrize(
    "convert",
    [
        lambda x: x.tolist(),
        lambda x: np.asfortranarray(x),
        lambda x: np.repeat(x, 2, axis=1)[:, ::2],
        lambda x: memoryview(x),
        lambda x: x.astype(x.dtype.newbyteorder()).astype(x.dtype),
        lambda x: np.ma.masked_array(x, mask=False),
        lambda x: np.frombuffer(b"\0" + x.tobytes(), np.uint8)[1:].view(np.float32).reshape(x.shape),
    ],
    ids=["lists", "columns", "strides", "buffer", "type", "masked", "unaligned"],
)
def test_whatever_holds_the_numbers_gives_the_same(convert):
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    context = context_of((2, 3), "x")
    result = context.run({"x": convert(x)})["x_out"]
    assert type(result) is np.ndarray
    np.testing.assert_array_equal(result, -x)


@pytest.mark.parametrize("name", ["x", "y"])
def test_a_type_that_differs_is_named_with_the_one_that_is_needed(name, ones):
    context = context_of((2, 3), "x", "y")
    with pytest.raises(BindingError, match=f"input '{name}' cannot be float64") as error:
        context.run({"x": ones, "y": ones} | {name: ones.astype(np.float64)})
    assert (error.value.expected, error.value.got) == ("float32", "float64")


def test_other_byte_orders_are_refused(ones):
    with pytest.raises(BindingError, match="input 'x' cannot be >f4"):
        context_of((2, 3), "x").run(ones.astype(">f4"))


def test_extents_outside_of_the_profile_are_refused_and_the_next_run_is_right(ones):
    context = context_of((-1, 3), "x", ranges=((1, 3), (2, 3), (4, 3)))
    with pytest.raises(ProfileError, match="input 'x' \\[5, 3\\]"):
        context.run(np.ones((5, 3), np.float32))
    with pytest.raises(ProfileError, match="input 'x' cannot have 1 dimensions"):
        context.run(np.ones(3, np.float32))
    for rows in (1, 4, 2):
        x = np.full((rows, 3), rows, np.float32)
        np.testing.assert_array_equal(context.run(x)["x_out"], -x)


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.zeros((3, 2), np.float32), r"cannot be written to an array of shape \[3, 2\]"),
        (np.zeros(6, np.float32), r"cannot be written to an array of shape \[6\]"),
        (np.zeros((2, 3), np.int32), "cannot be int32"),
        (np.zeros((2, 3), np.float32).T.copy().T, "needs a writable, aligned array in row-major order"),
        (np.zeros(25, np.uint8)[1:].view(np.float32).reshape(2, 3), "needs a writable, aligned array"),
        (np.broadcast_to(np.float32(0), (2, 3)), "needs a writable, aligned array in row-major order"),
    ],
    ids=["turned", "flat", "type", "columns", "unaligned", "read-only"],
)
def test_an_output_that_does_not_fit_is_refused(array, said, ones):
    context = context_of((2, 3), "x")
    with pytest.raises(BindingError, match="output 'x_out' " + said):
        context.run(ones, {"x_out": array})
    assert (context.run(ones)["x_out"] == -1).all()


def test_a_given_array_for_an_output_whose_extents_the_data_decide():
    builder, network, config = new_network()
    layer = network.add_non_zero(network.add_input("x", trt.float32, (4,)))
    layer.get_output(0).name = "y"
    network.mark_output(layer.get_output(0))
    context = engine_of(builder, network, config).create_execution_context()
    x, y = np.float32([0, 1, 0, 1]), np.zeros((1, 2), np.int32)
    assert context.run(x, {"y": y})["y"] is y
    assert y.tolist() == [[1, 3]]
    assert context.run(x)["y"].tolist() == [[1, 3]]
    with pytest.raises(BindingError, match=r"output 'y' cannot be written to an array of shape \[1, 3\]") as error:
        context.run(x, {"y": np.zeros((1, 3), np.int32)})
    assert (error.value.expected, error.value.got) == ((1, 2), (1, 3))


def test_scalars_and_empty_arrays():
    context = context_of((), "x")
    result = context.run(np.float32([3]).reshape(()))["x_out"]
    assert (result.shape, float(result)) == ((), -3)
    context = context_of((-1, 3), "x", ranges=((0, 3), (2, 3), (4, 3)))
    assert context.run(np.zeros((0, 3), np.float32))["x_out"].shape == (0, 3)


def test_a_run_within_the_conversion_of_an_array_is_refused(ones):
    context = context_of((2, 3), "x")

    class Nested:
        def __array__(self, dtype=None, copy=None):
            context.run(ones)
            return ones

    with pytest.raises(BindingError, match="from within its own execution"):
        context.run(Nested())
    assert (context.run(ones)["x_out"] == -1).all()


def test_a_profiler_takes_arrays_too(ones):
    class Profiler(trt.IProfiler):
        def __init__(self):
            self.heard = []

        def report_layer_time(self, layer_name, ms):
            self.heard.append(layer_name)

    context = context_of((2, 3), "x")
    context.profiler = Profiler()
    for given in (ones, ones.tolist()):
        assert (context.run({"x": given})["x_out"] == -1).all()
    assert len(context.profiler.heard) == 2 * context.engine.num_layers
    context.profiler = None
    context._direct = counted = Counted(context._context)
    context.run(ones)
    assert counted.called == ["run"]


@pytest.mark.parametrize(
    ("dtype", "numbers", "lost"),
    [
        (trt.int32, [1, 2**31], "2147483648"),
        (trt.int32, [1, 2**32 + 3], "4294967299"),
        (trt.int32, [1, 1.5], "1.5"),
        (trt.int32, [1, float("nan")], "nan"),
        (trt.int8, [1, 128], "128"),
        (trt.int64, [1.0, 1e30], "1e\\+30"),
        (trt.float32, [1, 1e39], "1e\\+39"),
        (trt.float16, [1, 65520], "65520"),
        (trt.float32, [1, 1j], "1j"),
    ],
)
def test_numbers_that_the_type_does_not_have_are_refused(dtype, numbers, lost):
    """What Python's numbers become is the number, rounded where it is a float, and nothing else."""
    context = context_of((2,), "x", dtype=dtype)
    with pytest.raises(BindingError, match=f"input 'x' cannot .*{lost}"):
        context.run({"x": numbers})


def test_numbers_that_the_type_has_are_taken():
    assert context_of((3,), "x", dtype=trt.int32).run({"x": [1, 2.0, True]})["x_out"].tolist() == [-1, -2, -1]
    infinite = context_of((3,), "x").run({"x": [1, 0.1, float("inf")]})["x_out"]
    np.testing.assert_array_equal(infinite, np.float32([-1, -0.1, -np.inf]))


def test_what_lies_under_a_mask_is_not_taken_for_a_number(ones):
    """Of results, too: an array that hides some of its elements is no place for them."""
    context = context_of((2, 3), "x")
    hidden = np.ma.masked_array(ones, mask=[[True, False, False]] * 2)
    for given in (lambda: {"x": hidden}, lambda: [hidden], lambda: hidden):
        with pytest.raises(BindingError, match=r"input 'x' has 2 masked elements(.|\n)*filled"):
            context.run(given())
    with pytest.raises(BindingError, match=r"output 'x_out' has 2 masked elements"):
        context.run({"x": ones}, outputs={"x_out": hidden})
    np.testing.assert_array_equal(context.run({"x": hidden.filled(2)})["x_out"], [[-2, -1, -1]] * 2)
    y = np.ma.masked_array(ones.copy())
    assert context.run({"x": y}, outputs={"x_out": y})["x_out"].tolist() == (-ones).tolist() == y.tolist()


def test_an_unaligned_array_is_copied_before_a_kernel_reads_it(ones):
    """Kernels read and write numbers at addresses that are multiples of their size."""
    unaligned = np.frombuffer(b"\0" + ones.tobytes(), np.uint8)[1:].view(np.float32).reshape(2, 3)
    context = context_of((2, 3), "x")
    assert context._direct.run(ones, None) is not None
    assert context._direct.run(unaligned, None) is None  # the native call leaves it to what converts
    assert (context.run(unaligned)["x_out"] == -1).all()
    assert host_view(unaligned, trt.float32, "x").flags.aligned
