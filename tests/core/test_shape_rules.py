"""The hard shape rules, written once and asked twice: with plain ints and with unknown dims."""

from hypothesis import given
from hypothesis import strategies as st
from pytest import mark

from dovetail.core.expr import (
    ceil_div,
    constant,
    constraints,
    from_program,
    input_dim,
    maximum,
    minimum,
    program,
    select,
)
from dovetail.plugins import broadcast

I = input_dim(0, 0, "I")  # noqa: E741  the letter of the formulas
ANY = st.integers(-3, 40)


def at_run_time(rule, size, *rest):
    """The rule's answer by way of an expression that was stored as a program."""
    expr = rule(I, *rest)
    low, high = expr.bounds([[(max(size - 2, 0), size + 3)]])
    value = from_program(program(expr)).evaluate([[size]])
    assert low <= value <= high
    return value


# ---- windows: I input, F window, S stride, D dilation, B and A padding before and after


def explicit_round_down(size, window, stride, dilation, before, after):
    return (size + before + after - (1 + dilation * (window - 1))) // stride + 1


def explicit_round_up(size, window, stride, dilation, before, after):
    return ceil_div(size + before + after - (1 + dilation * (window - 1)), stride) + 1


def same_extent(size, stride):
    return ceil_div(size, stride)


def same_padding(size, window, stride, dilation):
    return (size - 1) // stride * stride + 1 + dilation * (window - 1) - size


def caffe_pooling_extent(size, window, stride, before, after):
    extent = explicit_round_down(size, window, stride, 1, before, after)
    return extent - ((extent - 1) * stride >= size + before)


def deconvolution_same(size, window, stride):
    return minimum(size * stride, (size - 1) * stride + window)


@given(st.integers(0, 60), st.integers(1, 9), st.integers(1, 5), st.integers(1, 3), ANY, ANY)
def test_explicit_padding_rounds_down_or_up_below_zero_too(size, window, stride, dilation, before, after):
    room = size + before + after - (1 + dilation * (window - 1))
    down, rest = divmod(room, stride)
    arguments = (size, window, stride, dilation, before, after)
    assert at_run_time(explicit_round_down, *arguments) == down + 1
    assert at_run_time(explicit_round_up, *arguments) == down + (rest > 0) + 1


@given(st.integers(0, 60), st.integers(1, 9), st.integers(1, 5), st.integers(1, 3))
def test_same_padding_may_be_negative_and_its_halves_add_up(size, window, stride, dilation):
    total = same_padding(size, window, stride, dilation)
    upper = at_run_time(lambda i, *rest: same_padding(i, *rest) // 2, size, window, stride, dilation)
    lower = at_run_time(
        lambda i, *rest: same_padding(i, *rest) - same_padding(i, *rest) // 2, size, window, stride, dilation
    )
    assert upper + lower == total
    assert upper <= lower <= upper + 1
    extent = at_run_time(same_extent, size, stride)
    assert (extent - 1) * stride + 1 + dilation * (window - 1) == size + total


def test_the_known_case_of_negative_same_padding():
    assert same_padding(I, 1, 4, 1).evaluate([[6]]) == -1
    assert (same_padding(I, 1, 4, 1) // 2).evaluate([[6]]) == -1


@mark.parametrize(
    ("rule", "extent"),
    [
        (lambda i: explicit_round_down(i, 3, 2, 1, 3, 2), 5),
        (lambda i: explicit_round_up(i, 3, 2, 1, 3, 2), 5),
        (lambda i: same_extent(i, 2), 3),
        (lambda i: caffe_pooling_extent(i, 3, 2, 3, 3), 5),
    ],
)
def test_the_worked_examples_of_pooling(rule, extent):
    assert (at_run_time(rule, 6), rule(6)) == (extent, extent)


@given(st.integers(1, 60), st.integers(1, 9), st.integers(1, 5), ANY, ANY)
def test_caffe_pooling_drops_a_window_that_starts_in_the_padding(size, window, stride, before, after):
    extent = (size + before + after - window) // stride + 1
    if (extent - 1) * stride >= size + before:
        extent -= 1
    assert at_run_time(caffe_pooling_extent, size, window, stride, before, after) == extent


@given(st.integers(0, 60), st.integers(1, 9), st.integers(1, 5))
def test_same_deconvolution_trims_only_what_is_there(size, window, stride):
    full = (size - 1) * stride + window
    assert at_run_time(deconvolution_same, size, window, stride) == (size * stride if window >= stride else full)


def test_a_stride_of_one_keeps_the_extent_however_many_layers():
    extent = I
    for _ in range(200):
        extent = explicit_round_down(extent, 3, 1, 1, 1, 1)
    assert extent is I


def test_two_hundred_strided_layers_stay_small():
    extent = I
    for _ in range(200):
        extent = explicit_round_down(extent, 3, 2, 1, 1, 1)
    assert len(program(extent)) <= 200 * 12
    assert extent.evaluate([[224]]) == 1


# ---- reshape, resize, slice


def reshaped(dims, shape):
    """Dims after a reshape; one extent of -1 takes what is left."""
    total, rest = constant(1), constant(1)
    for extent in dims:
        total = total * extent
    for extent in shape:
        rest = rest * (1 if extent == -1 else extent)
    return [total // rest if extent == -1 else extent for extent in shape]


def test_a_reshape_finds_the_extent_that_is_left():
    assert reshaped([I, 64, 7, 7], [I, -1])[1].value == 3136
    assert reshaped([I, 64, 7, 7], [-1, 3136])[0] is I
    assert reshaped([I, 8, 12], [-1, 4, 12])[0].same(2 * I)
    assert reshaped([I, 6], [-1, 4])[0].evaluate([[10]]) == 15


@given(st.integers(0, 200), st.integers(1, 9), st.integers(1, 9))
def test_resize_by_a_fraction_floors(size, numerator, denominator):
    rule = lambda i, num, den: i * num // den  # noqa: E731
    assert at_run_time(rule, size, numerator, denominator) == size * numerator // denominator


def sliced(size, start, end, step):
    """Extent of size[start:end:step] by Python's rules, as min, max and select state them."""
    low, high = (0, size) if step > 0 else (-1, size - 1)
    bounds = []
    for index in (start, end):
        index = index + size if index < 0 else index
        bounds.append(minimum(maximum(index, low), high))
    first, last = bounds
    span = last - first if step > 0 else first - last
    return maximum(ceil_div(span, abs(step)), 0)


@given(st.integers(0, 20), st.integers(-25, 25), st.integers(-25, 25), st.sampled_from([1, 2, 3, -1, -2, -3]))
def test_a_slice_clamps_as_python_does(size, start, end, step):
    assert at_run_time(sliced, size, start, end, step) == len(range(size)[start:end:step])


@given(st.integers(0, 20), st.integers(0, 20))
def test_broadcasting_takes_the_extent_that_is_not_one(size, other):
    rule = lambda i, j: select(i == 1, j, i)  # noqa: E731
    assert at_run_time(rule, size, other) == (other if size == 1 else size)


@mark.parametrize("n_first", [True, False])
@mark.parametrize("most", [1, 512])
def test_an_extent_that_meets_what_was_cut_from_it_stays(n_first, most):
    n = input_dim(0, 0, "n")
    with constraints() as conditions:
        dims = [[n], [minimum(most, n)]]
        (wide,) = broadcast("sum", *dims[:: 1 if n_first else -1])
    assert wide.same(n)
    valid = [value for value in range(1025) if all(c.condition.evaluate([[value]]) for c in conditions)]
    assert valid == list(range(most + 1)) if most > 1 else valid == list(range(1025))


def test_an_extent_that_meets_one_cut_to_nothing_is_chosen_between():
    n = input_dim(0, 0, "n")
    with constraints():
        (wide,) = broadcast("sum", [n], [minimum(0, n)])
    assert not wide.same(n)


def test_an_extent_that_was_broadcast_stays_when_it_meets_its_parts_again():
    n, m, k = (input_dim(0, axis, name) for axis, name in enumerate("nmk"))
    with constraints():
        (wide,) = broadcast("sum", [n], [m])
        (wider,) = broadcast("sum", [wide], [k])
        again = [broadcast("sum", [a], [b])[0] for a, b in ((wide, n), (m, wide), (wider, wide), (n, wider))]
    assert [x.same(y) for x, y in zip(again, [wide, wide, wider, wider], strict=True)] == [True] * 4
    assert wide.evaluate([[1, 5, 1]]) == wider.evaluate([[1, 1, 5]]) == 5
    assert wider.evaluate([[1, 0, 1]]) == 0
