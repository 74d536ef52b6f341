"""Scale. Cases are shared by correctness, benchmark and the reference page."""

import numpy as np
import pytest

import dovetail as trt
from dovetail.core.contract import SymbolicTensor
from dovetail.core.errors import ShapeError
from dovetail.core.expr import DimsExprs, constraints, input_dim
from dovetail.core.types import FLOATS
from dovetail.machine.testing import Case, check

UNIFORM, CHANNEL, ELEMENTWISE = 0, 1, 2

CASES = [
    Case("uniform", x=(2, 3, 5, 7), scale=(1,), shift=(1,), dtypes=FLOATS),
    Case("channels", x=(2, 3, 5, 7), scale=(3,), shift=(3,), mode=CHANNEL, dtypes=FLOATS),
    Case("channels, odd count above a vector", x=(1, 19, 3, 3), scale=(19,), shift=(19,), mode=CHANNEL),
    Case("channels with a power", x=(2, 3, 4, 4), scale=(3,), shift=(3,), power=(3,), mode=CHANNEL, low=0.5),
    Case("channels last", x=(4, 6, 5), scale=(5,), mode=CHANNEL, channel_axis=2),
    Case("batch as channels", x=(4, 3, 2, 2), scale=(4,), shift=(4,), mode=CHANNEL, channel_axis=0),
    Case("elements", x=(2, 3, 4, 5), scale=(3, 4, 5), shift=(3, 4, 5), mode=ELEMENTWISE),
    Case("elements of the whole tensor", x=(2, 3, 4), scale=(2, 3, 4), mode=ELEMENTWISE, channel_axis=0),
    Case("shift alone", x=(2, 3, 5, 7), shift=(3,), mode=CHANNEL),
    Case("power alone", x=(2, 3, 5, 7), power=np.array([2], np.float32), low=0),
    Case("nothing at all", x=(2, 3, 5, 7)),
    Case("one element", x=(1,), scale=(1,), shift=(1,)),
    Case("empty batch", x=(0, 3, 5, 7), scale=(3,), mode=CHANNEL),
    Case(
        "batch norm of a residual network",
        x=(8, 64, 56, 56),
        scale=(64,),
        shift=(64,),
        mode=CHANNEL,
        bench=True,
    ),
]
test_kernels = check("Scale@1", CASES)


def test_absent_parameters_change_nothing(compute):
    x = np.array([1.0, 2.0])
    assert compute("Scale", x, None, None, None).tolist() == [1, 2]
    assert compute("Scale", x, None, None, np.array([2.0])).tolist() == [1, 4]


def test_the_order_is_scale_shift_power(compute):
    assert compute("Scale", np.array([3.0]), np.array([2.0]), np.array([1.0]), np.array([2.0])).tolist() == [49]


def test_elements_are_repeated_over_the_batch(compute):
    x, scale = np.ones((2, 3)), np.array([1.0, 2.0, 3.0])
    assert compute("Scale", x, scale, None, None, mode=ELEMENTWISE).tolist() == [[1, 2, 3]] * 2


def test_a_wrong_number_of_values_names_both(infer):
    with pytest.raises(ShapeError) as error:
        infer("Scale", (1, 3, 8, 8), None, (4,), None, mode=CHANNEL)
    assert (error.value.expected, error.value.got) == (3, 4)
    assert "Scale@1 'layer'" in str(error.value) and "shift" in str(error.value)


def test_an_axis_outside_x_names_both(infer):
    with pytest.raises(ShapeError) as error:
        infer("Scale", (4, 5), (5,), mode=CHANNEL, channel_axis=2)
    assert (error.value.expected, error.value.got) == ("-2..1", 2)


def test_channels_may_be_unknown_until_run_time(infer):
    x = SymbolicTensor(DimsExprs([1, input_dim(0, 1, "C"), 2, 2]), trt.float32)
    with constraints() as found:
        infer("Scale", x, (3,), mode=CHANNEL)
    assert [bool(c.condition.evaluate([[1, n]])) for c in found for n in (3, 4)] == [True, False]


def test_data_of_any_dims_is_taken(network):
    x = network.add_input("x", trt.float32, (2, 3, 4, 5))
    layer = network.add_scale(x, trt.ScaleMode.ELEMENTWISE, np.zeros(60, np.float32))
    assert tuple(layer.get_output(0).shape) == (2, 3, 4, 5)


def test_add_scale_takes_the_third_axis_from_the_end(network):
    x = network.add_input("x", trt.float32, (2, 5, 3, 4, 4))
    layer = network.add_scale(x, trt.ScaleMode.CHANNEL, np.zeros(3, np.float32))
    assert layer.channel_axis == 2


def test_add_scale_below_rank_four_says_what_to_do(network):
    x = network.add_input("x", trt.float32, (3, 4))
    with pytest.raises(ShapeError, match="add_scale_nd"):
        network.add_scale(x, trt.ScaleMode.UNIFORM)
