"""Deconvolution. Cases are shared by correctness, benchmark and the reference page."""

import numpy as np
import pytest
from convolving import check_random, convolving_cases
from hypothesis import given, settings
from hypothesis import strategies as st

import dovetail as trt
from dovetail.core.contract import SymbolicTensor
from dovetail.core.errors import ShapeError
from dovetail.core.expr import DimsExprs, input_dim
from dovetail.core.types import FLOATS, DataType, DeviceType
from dovetail.machine.testing import Case, check, make_layer, rows_of

SAME_UPPER, SAME_LOWER = 2, 3
ONE, TWO = (1, 1), (2, 2)


def case(name, x, kernel, groups=1, bias=True, **fields):
    """A case whose fields follow from the kernel's dims."""
    maps = kernel[1] * groups
    given = {"bias": (maps,)} if bias else {}
    return Case(
        name,
        x=x,
        kernel=kernel,
        num_output_maps=maps,
        kernel_size_nd=kernel[2:],
        num_groups=groups,
        **given,
        **fields,
    )


CASES = [
    case("pointwise", (2, 5, 7, 9), (5, 4, 1, 1), dtypes=FLOATS),
    case("three by three", (1, 3, 5, 6), (3, 8, 3, 3), dtypes=FLOATS),
    case("without a bias", (2, 4, 6, 6), (4, 5, 3, 3), bias=False),
    case("twice as large", (2, 8, 7, 7), (8, 4, 4, 4), stride_nd=TWO, pre_padding=ONE, post_padding=ONE),
    case("stride above the window", (1, 3, 4, 4), (3, 2, 2, 2), stride_nd=(3, 3)),
    case("trimmed in front", (1, 3, 6, 6), (3, 4, 3, 3), pre_padding=(2, 1)),
    case("trimmed behind", (1, 3, 6, 6), (3, 4, 3, 3), post_padding=(1, 2)),
    case("dilation", (1, 4, 6, 6), (4, 6, 3, 3), dilation_nd=(2, 3)),
    case("groups", (1, 12, 6, 6), (12, 3, 3, 3), groups=3),
    case("depthwise", (1, 6, 7, 7), (6, 1, 3, 3), groups=6, stride_nd=TWO),
    case("same, odd cell behind", (1, 3, 5, 6), (3, 4, 3, 3), stride_nd=TWO, padding_mode=SAME_UPPER),
    case("same, odd cell in front", (1, 3, 5, 6), (3, 4, 3, 3), stride_nd=TWO, padding_mode=SAME_LOWER),
    case("same, window below stride", (1, 3, 5, 6), (3, 4, 2, 2), stride_nd=(3, 3), padding_mode=SAME_UPPER),
    case("batch of two dims", (2, 3, 4, 3, 3), (4, 5, 3, 3)),
    case("three spatial dims", (1, 3, 3, 4, 5), (3, 4, 3, 3, 3), stride_nd=(2, 1, 2)),
    case("empty batch", (0, 3, 8, 8), (3, 4, 3, 3)),
    case("phases of one and of two taps", (2, 17, 5, 4), (17, 3, 3, 3), stride_nd=TWO, pre_padding=ONE),
    case("phases of two blocks of maps", (1, 20, 3, 5), (20, 4, 5, 4), stride_nd=(3, 2), post_padding=(3, 2)),
    case("phases by rows only", (2, 1, 16, 2, 7), (16, 5, 4, 1), stride_nd=(4, 1)),
    case("phases that begin at different inputs", (1, 3, 4, 3), (3, 2, 9, 3), stride_nd=(4, 3), pre_padding=(7, 2)),
    case("more of a phase cut off than it has", (1, 16, 1, 1), (16, 3, 4, 4), stride_nd=(3, 4), pre_padding=(3, 3)),
    case(
        "last of a generator",
        (1, 64, 32, 32),
        (64, 3, 4, 4),
        stride_nd=TWO,
        pre_padding=ONE,
        post_padding=ONE,
        bench=True,
    ),
]
test_kernels = check("Deconvolution@1", CASES)


@pytest.mark.parametrize(("mode", "extent"), [(0, 4), (1, 4), (2, 6), (3, 6), (4, 4), (5, 4)])
def test_extents_of_all_padding_modes(infer, mode, extent):
    # I = 3, window 3, stride 2: 7 cells, of which the explicit modes trim 1 in front and 2 behind
    (y,) = infer(
        "Deconvolution",
        (1, 1, 3, 3),
        (1, 1, 3, 3),
        num_output_maps=1,
        kernel_size_nd=(3, 3),
        stride_nd=TWO,
        pre_padding=ONE,
        post_padding=TWO,
        padding_mode=mode,
    )
    assert y.dims.known() == (1, 1, extent, extent)


def test_it_is_the_transpose_of_convolution(compute):
    # <convolution(x), y> = <x, deconvolution(y)> for the same kernel
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((1, 4, 9, 8)), rng.standard_normal((1, 6, 4, 6))
    kernel = rng.standard_normal((6, 2, 3, 3))
    fields = {"kernel_size_nd": (3, 3), "stride_nd": (2, 1), "num_groups": 2}
    forward = compute("Convolution", x, kernel, None, num_output_maps=6, **fields)
    back = compute("Deconvolution", y, kernel, None, num_output_maps=4, **fields)
    assert (forward * y).sum() == pytest.approx((x * back).sum(), rel=1e-12)


def test_unknown_extents_become_expressions(infer):
    x = SymbolicTensor(DimsExprs([1, 3, input_dim(0, 2, "H"), 8]), DataType.FLOAT)
    (y,) = infer(
        "Deconvolution",
        x,
        (3, 4, 4, 4),
        num_output_maps=4,
        kernel_size_nd=(4, 4),
        stride_nd=TWO,
        padding_mode=SAME_UPPER,
    )
    assert y.dims.evaluate([[1, 3, 5, 8]]) == (1, 4, 10, 16)


def test_trimming_everything_is_refused(infer):
    with pytest.raises(ShapeError, match="output extent of 0 on spatial axis 0"):
        infer(
            "Deconvolution",
            (1, 1, 2, 2),
            (1, 1, 2, 2),
            num_output_maps=1,
            kernel_size_nd=TWO,
            pre_padding=(3, 0),
        )


def test_a_kernel_of_other_dims_is_refused_with_those_needed(infer):
    with pytest.raises(ShapeError) as error:
        infer("Deconvolution", (1, 5, 8, 8), (4, 5, 3, 3), num_output_maps=4, kernel_size_nd=(3, 3))
    assert error.value.expected == (5, 4, 3, 3)


def test_spatial_extents_may_be_set_afterwards(network):
    x = network.add_input("x", trt.float32, (1, 1, 3, 3))
    layer = network.add_deconvolution_nd(x, 1, (1, 1), np.zeros(1, np.float32))
    layer.kernel_size_nd = (3, 3)
    layer.kernel = np.zeros(9, np.float32)
    assert tuple(layer.get_output(0).shape) == (1, 1, 5, 5)


@pytest.mark.parametrize("device", [DeviceType.CPU, pytest.param(DeviceType.GPU, marks=pytest.mark.gpu)])
@settings(max_examples=300, deadline=None)
@given(case=convolving_cases(transposed=True), n_threads=st.sampled_from([1, 2]))
def test_random_parameters(case, device, n_threads):
    check_random("Deconvolution@1", case, device, n_threads)


@pytest.mark.parametrize(
    ("maps", "kernel", "fields", "reason"),
    [
        (3, (4, 4), {"stride_nd": TWO}, None),
        (8, (4, 4), {"stride_nd": TWO}, None),
        (9, (4, 4), {"stride_nd": TWO}, "the phases have more than 32 maps together"),
        (3, (4, 4), {}, "there is one phase only"),
        (3, (4, 4), {"stride_nd": TWO, "dilation_nd": (1, 2)}, "there is a dilation"),
        (3, (1, 2), {"stride_nd": TWO}, "the stride is above 4, or above the extent of the kernel"),
        (1, (5, 5), {"stride_nd": (5, 1)}, "the stride is above 4, or above the extent of the kernel"),
        (1, (17, 16), {"stride_nd": TWO}, "the kernel has more than 256 elements"),
    ],
    ids=str,
)
def test_phases_are_merged_where_their_maps_are_few(maps, kernel, fields, reason):
    made = case("few maps", (1, 16, 6, 5), (16, maps, *kernel), **fields)
    lookup = trt.get_plugin_registry()
    arrays, values = made.arrays(lookup, "Deconvolution@1", DataType.FLOAT)
    candidates, trace = rows_of(lookup, make_layer(lookup, "Deconvolution@1", arrays, values), DeviceType.CPU, "cpu")
    fitting = [one for one in candidates if one.row.tactic.startswith("merged_chw16")]
    reasons = {one.reason for one in trace.refused if one.tactic == "merged_chw16_scalar"}
    assert bool(fitting) == (reason is None)
    assert reasons == ({reason} if reason else set())
