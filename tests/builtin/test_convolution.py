"""Convolution. Cases are shared by correctness, benchmark and the reference page."""

import numpy as np
import pytest
from convolving import check_random, convolving_cases
from hypothesis import given, settings
from hypothesis import strategies as st

import dovetail as trt
from dovetail.core.contract import SymbolicTensor
from dovetail.core.errors import ShapeError
from dovetail.core.expr import DimsExprs, constraints, input_dim
from dovetail.core.types import FLOATS, DataType, DeviceType
from dovetail.machine.testing import Case, check

SAME_UPPER, SAME_LOWER, CAFFE_UP, ROUND_UP = 2, 3, 5, 1


def case(name, x, kernel, groups=1, bias=True, **fields):
    """A case whose fields follow from the kernel's dims."""
    given = {"bias": (kernel[0],)} if bias else {}
    return Case(
        name,
        x=x,
        kernel=kernel,
        num_output_maps=kernel[0],
        kernel_size_nd=kernel[2:],
        num_groups=groups,
        **given,
        **fields,
    )


ONE, TWO = (1, 1), (2, 2)
CASES = [
    case("pointwise", (2, 5, 7, 9), (4, 5, 1, 1), dtypes=FLOATS),
    case("three by three", (1, 3, 9, 11), (8, 3, 3, 3), pre_padding=ONE, post_padding=ONE, dtypes=FLOATS),
    case("without a bias", (2, 4, 6, 6), (5, 4, 3, 3), bias=False),
    case("odd channels", (1, 19, 8, 8), (17, 19, 3, 3), pre_padding=ONE, post_padding=ONE),
    case("stride", (2, 8, 11, 12), (8, 8, 3, 3), stride_nd=TWO, pre_padding=ONE, post_padding=ONE),
    case("strides differ", (1, 3, 12, 11), (4, 3, 2, 3), stride_nd=(3, 1)),
    case("padding in front only", (1, 3, 6, 6), (4, 3, 3, 3), pre_padding=(2, 1)),
    case("padding behind only", (1, 3, 6, 6), (4, 3, 3, 3), post_padding=(1, 2)),
    case("padding wider than the input", (1, 2, 2, 2), (3, 2, 3, 3), pre_padding=(4, 4), post_padding=(4, 4)),
    case("dilation", (1, 4, 12, 12), (6, 4, 3, 3), dilation_nd=(2, 3)),
    case("depthwise", (2, 32, 9, 9), (32, 1, 3, 3), groups=32, pre_padding=ONE, post_padding=ONE),
    case("depthwise with two maps a channel", (1, 6, 7, 7), (12, 1, 3, 3), groups=6),
    case("groups", (1, 12, 6, 6), (9, 4, 3, 3), groups=3),
    case("same, odd cell behind", (1, 3, 7, 8), (4, 3, 3, 3), stride_nd=TWO, padding_mode=SAME_UPPER),
    case("same, odd cell in front", (1, 3, 7, 8), (4, 3, 3, 3), stride_nd=TWO, padding_mode=SAME_LOWER),
    case("same, window below stride", (1, 2, 6, 6), (3, 2, 1, 1), stride_nd=(4, 4), padding_mode=SAME_UPPER),
    case("rounded up", (1, 3, 8, 8), (4, 3, 3, 3), stride_nd=(3, 3), padding_mode=ROUND_UP),
    case(
        "caffe rounded up",
        (1, 3, 8, 8),
        (4, 3, 3, 3),
        stride_nd=(3, 3),
        pre_padding=ONE,
        padding_mode=CAFFE_UP,
    ),
    case("window as large as the input", (2, 5, 6, 7), (3, 5, 6, 7)),
    case("wide window", (1, 3, 16, 16), (4, 3, 7, 7), stride_nd=TWO, pre_padding=(3, 3), post_padding=(3, 3)),
    case("batch of two dims", (2, 3, 4, 6, 6), (5, 4, 3, 3)),
    case("three spatial dims", (1, 3, 5, 6, 7), (4, 3, 3, 3, 3), pre_padding=(1, 1, 1), post_padding=(1, 1, 1)),
    case(
        "three spatial dims, groups and stride",
        (2, 4, 6, 6, 6),
        (6, 2, 2, 3, 1),
        groups=2,
        stride_nd=(2, 1, 2),
    ),
    case("empty batch", (0, 3, 8, 8), (4, 3, 3, 3)),
    case(
        "first of a residual network",
        (1, 3, 224, 224),
        (64, 3, 7, 7),
        stride_nd=TWO,
        pre_padding=(3, 3),
        post_padding=(3, 3),
        bench=True,
    ),
    case(
        "middle of a residual network",
        (1, 64, 56, 56),
        (64, 64, 3, 3),
        pre_padding=ONE,
        post_padding=ONE,
        bench=True,
    ),
]
test_kernels = check("Convolution@1", CASES)

MODES = [
    "EXPLICIT_ROUND_DOWN",
    "EXPLICIT_ROUND_UP",
    "SAME_UPPER",
    "SAME_LOWER",
    "CAFFE_ROUND_DOWN",
    "CAFFE_ROUND_UP",
]


def of(*dims, dtype=DataType.FLOAT):
    return SymbolicTensor(DimsExprs(dims), dtype)


@pytest.mark.parametrize(
    ("mode", "extent"),
    [
        ("EXPLICIT_ROUND_DOWN", 5),
        ("EXPLICIT_ROUND_UP", 6),
        ("SAME_UPPER", 4),
        ("SAME_LOWER", 4),
        ("CAFFE_ROUND_DOWN", 4),
        ("CAFFE_ROUND_UP", 5),
    ],
)
def test_extents_of_all_padding_modes(infer, mode, extent):
    # I = 8, window 3, stride 2, 1 cell in front and 3 behind; the CAFFE modes count the front one twice
    fields = {
        "num_output_maps": 1,
        "kernel_size_nd": (3, 3),
        "stride_nd": TWO,
        "pre_padding": ONE,
        "post_padding": (3, 3),
        "padding_mode": MODES.index(mode),
    }
    (y,) = infer("Convolution", (1, 1, 8, 8), (1, 1, 3, 3), **fields)
    assert y.dims.known() == (1, 1, extent, extent)


def test_a_kernel_is_not_flipped(compute):
    x = np.arange(1.0, 6).reshape(1, 1, 1, 5)
    kernel = np.array([100.0, 10, 1]).reshape(1, 1, 1, 3)
    y = compute("Convolution", x, kernel, None, num_output_maps=1, kernel_size_nd=(1, 3))
    assert y.reshape(-1).tolist() == [123, 234, 345]


def test_quantised_data_gives_float(infer):
    x, kernel = of(1, 4, 5, 5, dtype=DataType.INT8), of(8, 4, 1, 1, dtype=DataType.INT8)
    (y,) = infer("Convolution", x, kernel, num_output_maps=8, kernel_size_nd=ONE)
    assert y.dtype == DataType.FLOAT


def test_unknown_extents_become_expressions(infer):
    x = of(input_dim(0, 0, "N"), 3, input_dim(0, 2, "H"), 224)
    with constraints() as found:
        (y,) = infer(
            "Convolution",
            x,
            (64, 3, 7, 7),
            num_output_maps=64,
            kernel_size_nd=(7, 7),
            stride_nd=TWO,
            pre_padding=(3, 3),
            post_padding=(3, 3),
        )
    assert y.dims.evaluate([[5, 3, 100, 224]]) == (5, 64, 50, 112)
    assert [bool(c.condition.evaluate([[1, 3, h, 224]])) for c in found for h in (1, 0)] == [True, False]


def test_channels_must_be_known_when_built(infer):
    with pytest.raises(ShapeError, match="number of channels when it is built"):
        infer(
            "Convolution",
            of(1, input_dim(0, 1, "C"), 8, 8),
            (4, 3, 3, 3),
            num_output_maps=4,
            kernel_size_nd=(3, 3),
        )


def test_a_window_larger_than_the_input_names_both(infer):
    with pytest.raises(ShapeError, match="output extent of -1 on spatial axis 1") as error:
        infer("Convolution", (1, 1, 9, 3), (1, 1, 3, 5), num_output_maps=1, kernel_size_nd=(3, 5))
    assert "covers 5" in str(error.value) and "input   3" in str(error.value)


def test_groups_that_do_not_divide_are_named(infer):
    with pytest.raises(ShapeError) as error:
        infer("Convolution", (1, 6, 8, 8), (4, 3, 3, 3), num_output_maps=4, kernel_size_nd=(3, 3), num_groups=4)
    assert (error.value.expected, error.value.got) == (4, 6)


def test_a_kernel_of_other_dims_is_refused_with_those_needed(infer):
    with pytest.raises(ShapeError, match=r"cannot use a kernel of \[4, 3, 3, 3\]") as error:
        infer("Convolution", (1, 5, 8, 8), (4, 3, 3, 3), num_output_maps=4, kernel_size_nd=(3, 3))
    assert error.value.expected == (4, 5, 3, 3)


def test_too_few_dims_are_named(infer):
    with pytest.raises(ShapeError) as error:
        infer("Convolution", (5, 8, 8), (4, 5, 3, 3), num_output_maps=4, kernel_size_nd=(3, 3))
    assert (error.value.expected, error.value.got) == (4, 3)
    assert "Batches are explicit" in error.value.hint
    assert "(1, 5, 8, 8)" in error.value.hint and "(-1, 5, 8, 8)" in error.value.hint


@pytest.mark.parametrize(
    ("add", "shape", "with_batch"),
    [
        (lambda n, x: n.add_convolution_nd(x, 2, (3, 3), np.ones((2, 3, 3, 3), np.float32)), (3, 8, 8), "(1, 3, 8, 8)"),
        (lambda n, x: n.add_deconvolution_nd(x, 2, (3, 3), np.ones(54, np.float32)), (3, -1, 8), "(-1, 3, -1, 8)"),
        (lambda n, x: n.add_pooling_nd(x, trt.PoolingType.MAX, (2, 2)), (8, 8), "(1, 1, 8, 8)"),
        (lambda n, x: n.add_scale(x, trt.ScaleMode.UNIFORM), (3, 8, 8), "(1, 3, 8, 8)"),
    ],
)
def test_an_input_without_its_batch_is_shown_with_it(network, add, shape, with_batch):
    x = network.add_input("image", trt.float32, shape)
    with pytest.raises(ShapeError) as error:
        add(network, x).get_output(0).shape  # noqa: B018  raises
    assert "Batches are explicit" in error.value.hint and with_batch in error.value.hint


def test_a_list_of_another_length_is_named(infer):
    with pytest.raises(ShapeError, match="stride_nd"):
        infer(
            "Convolution",
            (1, 5, 8, 8),
            (4, 5, 3, 3),
            num_output_maps=4,
            kernel_size_nd=(3, 3),
            stride_nd=(2, 2, 2),
        )


def test_a_wrong_number_of_weights_is_named(network):
    x = network.add_input("x", trt.float32, (1, 5, 8, 8))
    layer = network.add_convolution_nd(x, 4, (3, 3), np.zeros(7, np.float32))
    with pytest.raises(ShapeError, match="cannot use kernel with 7 values"):
        layer.weights_as_given()


def test_padding_nd_writes_both_and_reads_the_front(network):
    x = network.add_input("x", trt.float32, (1, 5, 8, 8))
    layer = network.add_convolution_nd(x, 4, (3, 3), np.zeros(180, np.float32))
    layer.padding_nd = (1, 2)
    assert (layer.pre_padding, layer.post_padding, layer.padding_nd) == ((1, 2),) * 3
    layer.post_padding = (0, 0)
    assert layer.padding_nd == (1, 2)
    assert (layer.stride_nd, layer.dilation_nd, layer.num_groups) == ((1, 1), (1, 1), 1)


@pytest.mark.parametrize("device", [DeviceType.CPU, pytest.param(DeviceType.GPU, marks=pytest.mark.gpu)])
@settings(max_examples=300, deadline=None)
@given(case=convolving_cases(), n_threads=st.sampled_from([1, 2]))
def test_random_parameters(case, device, n_threads):
    check_random("Convolution@1", case, device, n_threads)
