"""ExpandedDepthwise. Cases are shared by correctness, benchmark and the reference page."""

import numpy as np
import pytest

from dovetail.core.errors import FieldValueError, ShapeError
from dovetail.machine.testing import Case, check

ONE, TWO = (1, 1), (2, 2)
SAME_UPPER, SAME_LOWER, CAFFE_UP, ROUND_UP = 2, 3, 5, 1


def case(name, x, maps, window=(3, 3), has_bias=(True, True), **fields):
    """A case whose weights follow from x and the number of maps."""
    given = {key: (maps,) for key, is_given in zip(("bias", "expansion_bias"), has_bias, strict=True) if is_given}
    return Case(
        name,
        x=x,
        kernel=(maps, 1, *window),
        expansion=(maps, x[-3], 1, 1),
        num_output_maps=maps,
        num_groups=maps,
        kernel_size_nd=window,
        **given,
        **fields,
    )


PADDED = {"pre_padding": ONE, "post_padding": ONE}
CASES = [
    case("plain", (1, 16, 9, 11), 32, **PADDED),
    case("no bias", (1, 8, 6, 7), 16, has_bias=(False, False), **PADDED),
    case("bias of the expansion alone", (1, 8, 6, 7), 16, has_bias=(False, True), low=0.0, **PADDED),
    case("bias of the kernel alone", (1, 8, 6, 7), 16, has_bias=(True, False), high=0.5, **PADDED),
    case("limits", (1, 24, 14, 14), 144, low=0.0, high=1.0, **PADDED),
    case("a lower limit above zero, where there is no channel", (1, 3, 9, 9), 19, low=0.25, high=1.0, **PADDED),
    case("x * sigmoid(x)", (1, 24, 14, 14), 48, silu=True, **PADDED),
    case("x * sigmoid(x), limited", (1, 7, 13, 10), 33, silu=True, low=-0.125, high=0.5, **PADDED),
    case("odd channels", (2, 19, 8, 9), 17, low=0.0, high=6.0, **PADDED),
    case("more channels than a short sum has", (1, 530, 5, 6), 40, **PADDED),
    case("stride", (1, 16, 15, 14), 96, low=0.0, high=6.0, stride_nd=TWO, **PADDED),
    case("strides differ", (1, 5, 12, 11), 20, (2, 3), stride_nd=(3, 1)),
    case("stride above the window", (1, 5, 13, 17), 20, ONE, stride_nd=(3, 4)),
    case("five by five", (2, 12, 11, 13), 40, (5, 5), silu=True, pre_padding=TWO, post_padding=TWO),
    case("five by five, stride", (1, 12, 11, 13), 40, (5, 5), stride_nd=TWO, pre_padding=TWO, post_padding=TWO),
    case("dilation", (1, 4, 12, 12), 24, dilation_nd=(2, 3), low=0.0),
    case("padding in front only", (1, 3, 6, 6), 4, low=0.5, pre_padding=(2, 1)),
    case("padding behind only", (1, 3, 6, 6), 4, low=0.5, post_padding=(1, 2)),
    case("padding wider than the input", (1, 2, 2, 2), 18, low=0.5, pre_padding=(4, 4), post_padding=(4, 4)),
    case("window as large as the input", (2, 5, 6, 7), 18, (6, 7)),
    case("window wider than the input", (1, 5, 3, 4), 18, (5, 7), pre_padding=(3, 3), post_padding=(3, 3)),
    case("same, odd cell behind", (1, 3, 7, 8), 34, stride_nd=TWO, padding_mode=SAME_UPPER),
    case("same, odd cell in front", (1, 3, 7, 8), 34, stride_nd=TWO, padding_mode=SAME_LOWER),
    case("rounded up", (1, 3, 8, 8), 4, stride_nd=(3, 3), padding_mode=ROUND_UP),
    case("caffe rounded up", (1, 3, 8, 8), 4, stride_nd=(3, 3), pre_padding=ONE, padding_mode=CAFFE_UP),
    case("several bands of rows", (1, 16, 80, 60), 48, low=0.0, high=6.0, **PADDED),
    case("several bands of rows, stride", (2, 9, 81, 59), 24, silu=True, stride_nd=TWO, **PADDED),
    case("rows too long for several", (1, 3, 9, 1100), 20, low=0.0, **PADDED),
    case("batch of two dims", (2, 3, 4, 6, 6), 18, **PADDED),
    case("empty batch", (0, 3, 8, 8), 4),
    case("one row", (1, 6, 1, 40), 24, **PADDED),
    case("of MobileNetV2", (1, 16, 112, 112), 96, low=0.0, high=6.0, stride_nd=TWO, bench=True, **PADDED),
]
test_kernels = check("ExpandedDepthwise@1", CASES)


def given(maps=4, **fields):
    rng = np.random.default_rng(0)
    arrays = [
        rng.standard_normal(dims).astype(np.float32) for dims in ((1, 3, 6, 6), (4, 1, 3, 3), (4,), (maps, 3, 1, 1))
    ]
    return arrays, {"num_output_maps": 4, "num_groups": 4, "kernel_size_nd": (3, 3), **fields}


def test_weights_must_fit(infer):
    arrays, fields = given(maps=5)
    with pytest.raises(ShapeError, match="expansion"):
        infer("ExpandedDepthwise", *arrays, None, **fields)


@pytest.mark.parametrize("limits", [{"low": 2.0, "high": 1.0}, {"low": float("nan")}, {"high": float("nan")}])
def test_limits_are_in_order(infer, limits):
    arrays, fields = given(**limits)
    with pytest.raises(FieldValueError, match="limits low"):
        infer("ExpandedDepthwise", *arrays, None, **fields)


def test_volumes_run_through_the_reference(compute):
    x, kernel, expansion = np.ones((1, 2, 3, 4, 5)), np.ones((3, 1, 2, 2, 2)), np.ones((3, 2, 1, 1, 1))
    fields = {"num_output_maps": 3, "num_groups": 3, "kernel_size_nd": (2, 2, 2)}
    y = compute("ExpandedDepthwise", x, kernel, np.full(3, 4.0), expansion, np.full(3, 0.5), high=2.0, **fields)
    assert y.shape == (1, 3, 2, 3, 4) and (y == 8 * 2 + 4).all()


def test_each_map_is_a_group(infer):
    arrays, fields = given(num_groups=2)
    with pytest.raises(FieldValueError, match="num_groups"):
        infer("ExpandedDepthwise", *arrays, None, **fields)
