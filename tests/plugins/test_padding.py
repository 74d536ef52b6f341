"""Padding formulas, against the definition: how many windows fit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dovetail.core.expr import as_expr, input_dim
from dovetail.plugins import PaddingMode, convolution_extent, deconvolution_extent

MODES = list(PaddingMode)
SIZES = {
    "size": st.integers(1, 40),
    "window": st.integers(1, 9),
    "stride": st.integers(1, 6),
    "before": st.integers(0, 5),
    "after": st.integers(0, 5),
}


@given(**SIZES)
def test_rounding_down_counts_the_windows_that_fit(size, window, stride, before, after):
    extent, front = convolution_extent(MODES[0], size, window, stride, before, after)
    room = size + before + after
    if room >= window:
        assert extent == len(range(0, room - window + 1, stride)) and front == before


@given(**SIZES)
def test_rounding_up_leaves_no_cell_unseen(size, window, stride, before, after):
    extent, _ = convolution_extent(MODES[1], size, window, stride, before, after)
    room = size + before + after
    if room >= window:
        assert (extent - 1) * stride + window >= room > (extent - 2) * stride + window


@given(**SIZES)
def test_same_has_one_window_for_each_stride(size, window, stride, before, after):
    upper, front_upper = convolution_extent(PaddingMode.SAME_UPPER, size, window, stride, before, after)
    lower, front_lower = convolution_extent(PaddingMode.SAME_LOWER, size, window, stride, before, after)
    assert upper == lower == len(range(0, size, stride))
    total = max((upper - 1) * stride + window - size, 0)
    assert (front_upper, front_lower) == (total // 2, total - total // 2)


@given(**SIZES)
def test_deconvolution_gives_back_what_convolution_took(size, window, stride, before, after):
    full, _ = deconvolution_extent(MODES[0], size, window, stride, 0, 0)
    assert convolution_extent(MODES[0], full, window, stride, 0, 0)[0] == size
    trimmed, front = deconvolution_extent(MODES[0], size, window, stride, before, after)
    assert (trimmed, front) == (full - before - after, before)


@given(**SIZES, mode=st.sampled_from(MODES))
def test_expressions_evaluate_to_the_same_numbers(mode, size, window, stride, before, after):
    unknown = input_dim(0, 0, "N")
    for rule in (convolution_extent, deconvolution_extent):
        expected = rule(mode, size, window, stride, before, after)
        symbolic = rule(mode, unknown, window, stride, before, after)
        assert tuple(as_expr(e).evaluate([[size]]) for e in symbolic) == expected


@pytest.mark.parametrize(
    ("mode", "expected"), [("SAME_UPPER", (6, 0)), ("SAME_LOWER", (6, 1)), ("EXPLICIT_ROUND_DOWN", (7, 0))]
)
def test_the_example_of_the_deconvolution_page(mode, expected):
    assert deconvolution_extent(PaddingMode[mode], 3, 3, 2, 0, 0) == expected
