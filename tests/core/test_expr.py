"""Expressions over unknown dims: what they fold to, print as, and refuse; checked against plain integers."""

import copy
import math
import pickle

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest import mark, raises

from dovetail.core.algebra import OPERATIONS
from dovetail.core.errors import DTypeError, FieldValueError, PlanCorrupt, ShapeError
from dovetail.core.expr import (
    DimsExprs,
    ExprBuilder,
    as_expr,
    ceil_div,
    constant,
    constraints,
    from_program,
    input_dim,
    maximum,
    minimum,
    modulo,
    operation,
    program,
    require,
    select,
)
from dovetail.core.floats import BEYOND, FLOAT32, FLOAT64
from dovetail.core.types import DimensionOperation as Operation
from dovetail.core.types import FloatOperation, Rounding

N, C, H, W = (input_dim(0, axis, name) for axis, name in enumerate("NCHW"))
M = input_dim(1, 0, "M")
NAMES = {(0, 0): "N", (0, 1): "C", (0, 2): "H", (0, 3): "W", (1, 0): "M"}


# ---- if and int


def test_an_if_on_an_unknown_dim_says_so():
    with raises(ShapeError) as error:
        _ = 1 if H else 2
    assert str(error.value).startswith("dimension H is not known until run time, so it cannot decide an `if`")
    assert error.value.leaves == ["H"]


def test_an_if_on_a_comparison_names_the_dims_and_shows_the_comparison():
    with raises(ShapeError) as error:
        _ = 1 if N + 1 < H else 2
    assert str(error.value).splitlines()[:2] == [
        "dimensions N, H are not known until run time, so they cannot decide an `if`",
        "  wanted  the value of N + 1 < H",
    ]


@mark.parametrize("use", [bool, int, lambda e: range(e), lambda e: [e] * 3 == [0] * 3, lambda e: e == 3 or 1])
def test_every_use_as_a_number_is_the_same_error(use):
    with raises(ShapeError, match="not known until run time"):
        use(N // 2)


def test_a_known_extent_decides_and_counts():
    assert (N + 4) - N == 4
    assert list(range(N * 3 // N)) == [0, 1, 2]
    assert np.zeros((constant(2), 3)).shape == (2, 3)


# ---- the nine operations


@mark.parametrize(
    ("op", "a", "b", "result"),
    [
        (Operation.SUM, 7, -2, 5),
        (Operation.PROD, 7, -2, -14),
        (Operation.MAX, 7, -2, 7),
        (Operation.MIN, 7, -2, -2),
        (Operation.SUB, 7, -2, 9),
        (Operation.EQUAL, 7, 7, 1),
        (Operation.EQUAL, 7, -2, 0),
        (Operation.LESS, -2, 7, 1),
        (Operation.LESS, 7, 7, 0),
        (Operation.FLOOR_DIV, 7, 2, 3),
        (Operation.FLOOR_DIV, -7, 2, -4),
        (Operation.FLOOR_DIV, 7, -2, -4),
        (Operation.FLOOR_DIV, -7, -2, 3),
        (Operation.CEIL_DIV, 7, 2, 4),
        (Operation.CEIL_DIV, -7, 2, -3),
        (Operation.CEIL_DIV, 7, -2, -3),
        (Operation.CEIL_DIV, -7, -2, 4),
    ],
)
def test_an_operation_is_the_same_at_once_and_at_run_time(op, a, b, result):
    assert operation(op, a, b).value == result
    x, y = input_dim(0, 0), input_dim(0, 1)
    assert operation(op, x, y).evaluate([[a, b]]) == result


@mark.parametrize("name", ["of", "sum", "sub", "prod", "div", "round"])
@mark.parametrize("width", [FLOAT32, FLOAT64])
def test_operations_on_float_numbers_are_those_of_numpy(width, name):
    op, random = getattr(width, name), np.random.default_rng(0)
    scales = (-3, 0, 3, 30, 300 if width is FLOAT64 else 30)
    numbers = np.concatenate([random.normal(0, 10.0**scale, 60) for scale in scales]).astype(width.real)
    functions = {"sum": np.add, "sub": np.subtract, "prod": np.multiply, "div": np.divide}
    for x, y in zip(numbers, random.permutation(numbers), strict=True):
        if name == "of":
            x, y = np.int64(x * 2.0**20 if abs(x) < 1e9 else 3), np.int64(y if 1 < abs(y) < 1e9 else 1)
            a, b, wanted = int(x), int(y), width.real(x) / width.real(y)
        elif name == "round":
            a, b, wanted = width.place_of(x), Rounding.TO_EVEN, int(np.rint(x))
        else:
            with np.errstate(over="ignore"):
                a, b, wanted = width.place_of(x), width.place_of(y), functions[name](x, y)
        if (name == "round" and abs(wanted) >= 2**63) or not np.isfinite(float(wanted)):
            with raises(ShapeError, match="does not fit into"):
                operation(op, a, b)
            continue
        expected = wanted if name == "round" else width.place_of(wanted)
        assert operation(op, a, b).value == expected
        e = operation(op, input_dim(0, 0), input_dim(0, 1))
        assert e.evaluate([[a, b]]) == expected
        assert from_program(program(e)) is e
        low, high = operation(op, N, b).bounds([[(a - 5, a + 5)]])
        assert low <= expected <= high


def test_float_numbers_are_converted_as_numpy_does():
    for number in (0.0, -0.1, 0.29, 1e-45, -1e-60, 3.4e38, 1 / 3):
        narrow, wide = FLOAT32.place_of(number), FLOAT64.place_of(number)
        assert operation(FloatOperation.FLOAT_OF_DOUBLE, wide, 0).value == narrow
        widened = operation(FloatOperation.DOUBLE_OF_FLOAT, narrow, 0).value
        assert FLOAT64.number_at(widened) == np.float32(number)
        e = operation(FloatOperation.FLOAT_OF_DOUBLE, input_dim(0, 0), 0)
        assert from_program(program(e)) is e and e.evaluate([[wide]]) == narrow
    with raises(ShapeError, match="does not fit into float32"):
        operation(FloatOperation.FLOAT_OF_DOUBLE, FLOAT64.place_of(1e39), 0)


@mark.parametrize("width", [FLOAT32, FLOAT64])
def test_places_of_float_numbers_keep_their_order(width):
    numbers = np.array([-1e30, -1, -1e-45, 0, 1e-45, 0.7, 1, 3e38], width.real)
    places = [width.place_of(number) for number in numbers]
    assert places == sorted(places) and len(set(places)) == len(places)
    assert [width.number_at(place) for place in places] == list(numbers)
    assert width.place_of(-0.0) == 0 and width.place_of(np.inf) == -width.place_of(-np.inf) == BEYOND


@mark.parametrize(("width", "name"), [(FLOAT32, "float"), (FLOAT64, "double")])
def test_operations_on_float_numbers_are_read_by_people(width, name):
    scaled = operation(width.prod, operation(width.of, N, 1), width.place_of(0.7))
    assert str(scaled) == f"{name}(N)*0.7"
    assert str(operation(width.round, scaled, Rounding.UP)) == f"ceil({name}(N)*0.7)"
    assert str(operation(width.sub, operation(width.of, 3, N), width.place_of(-0.5))) == f"{name}(3, N) - (-0.5)"
    with raises(ShapeError, match=rf"{name}\(N, 0\) divides by zero"):
        operation(width.of, N, 0)


def test_a_whole_number_is_not_rounded_again():
    whole = operation(FLOAT32.round, operation(FLOAT32.prod, operation(FLOAT32.of, N, 1), FLOAT32.place_of(0.7)), 1)
    assert operation(FLOAT32.round, operation(FLOAT32.of, whole, 1), 0).same(whole)


def test_numpy_integers_are_integers():
    assert (np.int64(3) + N).same(N + 3)
    assert (N * np.int32(2)).same(2 * N)


def test_a_factor_that_is_no_integer_is_refused_with_the_way_out():
    with raises(DTypeError, match="as a fraction"):
        _ = N * 0.5


def test_an_operation_that_does_not_exist_is_refused():
    with raises(FieldValueError, match="99 is not an operation on dims"):
        ExprBuilder().operation(99, N, C)


# ---- folding


@mark.parametrize(
    ("folded", "result"),
    [
        (N + 0, N),
        (0 + N, N),
        (N * 1, N),
        (N * 0, 0),
        (N - N, 0),
        (N // 1, N),
        (N + 1 - N, 1),
        (N + 3 - 4, N - 1),
        (2 * (N + 1) - N, N + 2),
        (N + N, 2 * N),
        (N * C - C * N, 0),
        (-(0 - N), N),
        (N * C // N, C),
        (N * C * 49 // (N * 7), 7 * C),
        ((4 * N + 6) // 2, 2 * N + 3),
        ((4 * N + 7) // 2, 2 * N + 3),
        (ceil_div(4 * N + 7, 2), 2 * N + 4),
        (N // 2 // 3, N // 6),
        (ceil_div(ceil_div(N, 2), 3), ceil_div(N, 6)),
        (N * (C + 1) // (C + 1), N),
        (maximum(N, N), N),
        (maximum(N, 0), N),
        (maximum(N, N + 1), N + 1),
        (minimum(N, N + C), N),
        (minimum(minimum(N, 5), 3), minimum(N, 3)),
        (maximum(3, minimum(N, 2)), 3),
        (N < 0, 0),
        (N < N + 1, 1),
        (N <= N, 1),
        (N == N, 1),
        (N != N, 0),
        (N == N + 1, 0),
        (N * C == C * N, 1),
        (modulo(N * 6, 3), 0),
        (select(N < 3, C, C), C),
    ],
    ids=str,
)
def test_what_is_known_is_folded(folded, result):
    assert as_expr(folded).same(as_expr(result))


def test_a_flattened_extent_is_known_though_the_batch_is_not():
    dims = DimsExprs([N, 512, 7, 7])
    assert (dims.volume // N).value == 25088


def test_an_unknown_divisor_of_zero_is_not_folded_away():
    assert not (0 // N).is_constant


def test_equal_expressions_are_one_object():
    assert (N + 2 * C) is (N + C + C)
    assert {N + 1: "a"}[N + 2 - 1] == "a"
    assert copy.deepcopy(N * C) is N * C


def test_an_expression_is_stored_as_a_program_only():
    with raises(TypeError, match="program"):
        pickle.dumps(N)


# ---- errors of evaluation


def test_a_division_by_zero_names_the_dimension():
    with raises(ShapeError) as error:
        (C // (N - 1)).evaluate([[1, 8]])
    assert str(error.value) == ("dimension C//(N - 1) divides by zero\n  dividend  C = 8\n  divisor   N - 1 = 0")
    assert error.value.dimension.same(N - 1)


def test_a_division_by_the_constant_zero_is_refused_at_once():
    with raises(ShapeError, match=r"dimension N//0 divides by zero"):
        _ = N // 0
    with raises(ShapeError, match=r"dimension ceil\(3/0\) divides by zero"):
        ceil_div(constant(3), 0)


def test_a_value_beyond_int64_is_an_error_not_a_wrong_number():
    with raises(ShapeError, match="does not fit into 64 bits"):
        (N * N).evaluate([[2**32]])
    with raises(ShapeError, match="does not fit into 64 bits"):
        constant(2**63)


def test_an_input_that_is_not_there_is_named():
    with raises(ShapeError, match="dimension M cannot be looked up"):
        (N + M).evaluate([[1]])


# ---- text


@mark.parametrize(
    ("expr", "text"),
    [
        ((N + 2 * C - 3) // 2 + 1, "(N + 2*C - 3)//2 + 1"),
        (N * (C + 1), "N*(C + 1)"),
        (N * C // (H * W), "N*C//(H*W)"),
        (N // 2 * 3, "3*(N//2)"),
        (N // (C // H), "N//(C//H)"),
        (N // -2, "N//(-2)"),
        (N - (C - H), "N + H - C"),
        (5 - N, "5 - N"),
        (-N, "-N"),
        (-2 * N - 1, "-2*N - 1"),
        (ceil_div(N + 1, 2), "ceil((N + 1)/2)"),
        (minimum(N, maximum(C, 3)) + 1, "min(N, max(C, 3)) + 1"),
        (N < C + 1, "N < C + 1"),
        ((N < C) == (H < W), "(N < C) == (H < W)"),
        (N >= 3, "1 - (N < 3)"),
        (input_dim(1, 2), "in1[2]"),
    ],
)
def test_text_has_as_few_parentheses_as_it_needs(expr, text):
    assert str(expr) == text


def test_dims_print_as_people_write_shapes():
    assert str(DimsExprs([N, 3, (H + 1) // 2])) == "[N, 3, (H + 1)//2]"


# ---- functions of shape rules


def test_functions_of_ints_give_ints():
    results = [minimum(3, 5, 2), maximum(3, 5), ceil_div(-7, 2), modulo(-7, 3), select(0, 1, 2)]
    assert results == [2, 5, -3, 2, 2]
    assert {type(result) for result in results} == {int}


@given(st.integers(0, 9), st.integers(0, 9), st.integers(1, 9))
def test_minimum_maximum_select_and_modulo_at_run_time(n, c, h):
    dims = [[n, c, h]]
    assert minimum(N, C, H).evaluate(dims) == min(n, c, h)
    assert maximum(N, C, 3).evaluate(dims) == max(n, c, 3)
    assert select(N < C, H, N).evaluate(dims) == (h if n < c else n)
    assert select(N - C, H, N).evaluate(dims) == (h if n - c else n)
    assert modulo(N - C, H).evaluate(dims) == ((N - C) % H).evaluate(dims) == (n - c) % h
    assert (N <= C).evaluate(dims) == (n <= c)
    assert (N >= C).evaluate(dims) == (n >= c)
    assert (N != C).evaluate(dims) == (n != c)


# ---- bounds


@mark.parametrize(
    ("expr", "low", "high"),
    [
        ((N + 2 - 3) // 2 + 1, 1, 5),
        (N % 4, 0, 3),
        ((N + 1) % 2, 0, 1),
        (N - N // 2, 1, 5),
        (select(N < 5, N, 3), 1, 10),
        (select(N < C, 7, 3), 3, 7),
        (select(N < C, C, H), 2, 30),
        (minimum(N, 4), 1, 4),
        (N * C, 2, 60),
        (-N, -10, -1),
        (ceil_div(H, N), 2, 30),
        (N < H, 1, 1),
    ],
    ids=str,
)
def test_bounds_over_a_profile(expr, low, high):
    assert expr.bounds([[(1, 10), (2, 6), (20, 30)]]) == (low, high)


def test_a_known_extent_may_be_given_as_a_number():
    assert (N + C).bounds([[(1, 8), 3]]) == (4, 11)


# ---- programs


def test_a_program_is_postfix_and_flat():
    assert program((N + 3) // 2) == [
        1,
        0,
        0,
        0,
        3,
        16 + Operation.SUM,
        0,
        2,
        16 + Operation.FLOOR_DIV,
    ]
    assert program(7) == [0, 7]
    assert {type(word) for word in program(N + 1)} == {int}


def test_names_are_not_in_the_program_but_may_be_given_back():
    expr = (N + 3) // C
    assert str(from_program(program(expr))) == "(in0[0] + 3)//in0[1]"
    assert from_program(program(expr), NAMES) is expr


@mark.parametrize("words", [[], [1, 0], [0, 1, 0, 2], [16], [0, 1, 0, 0, 23], [99, 1], [0, 1, 0, 2, 40], [0, "x"]])
def test_what_is_no_program_is_refused(words):
    with raises(PlanCorrupt, match="a dims program cannot be read"):
        from_program(words)


# ---- size tensors


def test_a_size_tensor_is_bounded_but_has_no_program():
    size = ExprBuilder().declare_size_tensor(1, N, N * 2)
    assert size.is_size_tensor()
    assert (size + 1).bounds([[(1, 8)]]) == (1, 17)
    with raises(ShapeError, match="known only after the layer has run"):
        program(size + 1)
    assert not size.same(ExprBuilder().declare_size_tensor(1, N, N * 2))


@mark.parametrize(("opt", "upper"), [(3, 2), (0, -1), (-1, 4), (N + 1, N), (N * 2 + 1, N * 2), (N, N - N - 1)])
def test_a_size_that_no_size_can_be_is_refused(opt, upper):
    with raises(ShapeError, match=r"is declared as likely .*, at most .*, which no size can be"):
        ExprBuilder().declare_size_tensor(0, opt, upper)


@mark.parametrize(("opt", "upper"), [(2, 2), (0, 0), (N, N), (N // 2, N), (1, N), (N, C)])
def test_a_size_that_may_be_one_is_taken(opt, upper):
    assert ExprBuilder().declare_size_tensor(0, opt, upper).is_size_tensor()


# ---- TensorRT's names


def test_tensorrts_names_work_as_methods():
    builder = ExprBuilder()
    total = builder.operation(Operation.SUM, N, builder.constant(3))
    assert total.same(N + 3)
    assert (total.is_constant(), builder.constant(3).is_constant()) == (False, True)
    assert (builder.constant(3).get_constant_value(), total.get_constant_value()) == (3, -(2**63))


# ---- dims


def test_dims_are_compared_as_they_are_written():
    dims = DimsExprs([N, 3])
    assert dims == (N, 3)
    assert dims == DimsExprs([N + 1 - 1, constant(3)])
    assert dims != (C, 3)
    assert dims != (N, 3, 1)
    assert hash(dims) == hash(DimsExprs([N, 3]))


def test_dims_are_sliced_joined_and_changed():
    dims = DimsExprs([N, C, H])
    assert dims[1:] + dims[:1] == (C, H, N)
    assert dims.__add__([4]) == (N, C, H, 4)
    assert dims.__radd__((4,)) == (4, N, C, H)
    assert dims.replaced(-1, 1) == (N, C, 1)
    assert dims.replaced(0, 2).known() == (2, -1, -1)
    assert dims.evaluate([[1, 2, 3]]) == (1, 2, 3)
    assert (dims.is_constant, DimsExprs([1, 2]).is_constant) == (False, True)


def test_nine_dims_are_too_many():
    with raises(ShapeError, match="has 9 dims; 8 is the most"):
        DimsExprs([N] * 9)


# ---- constraints


def test_what_is_known_to_hold_is_not_recorded():
    with constraints() as found:
        require(N == N, "same")
        require(3, "known")
        require(N + 1 > 0, "positive")
    assert found == []


def test_what_is_known_not_to_hold_is_an_error_at_once():
    with raises(ShapeError, match="extents of a and b must be equal"):
        require(constant(3) == 4, "extents of a and b must be equal")


def test_what_is_unknown_is_recorded_once():
    with constraints() as found:
        require(N == C, "N and C must be equal")
        DimsExprs.require(N == C, "N and C must be equal")
    ((condition, text),) = found
    assert (str(condition), text) == ("N == C", "N and C must be equal")


def test_the_innermost_recorder_counts():
    with constraints() as outer, constraints() as inner:
        require(N == C, "equal")
    assert (len(outer), len(inner)) == (0, 1)


def test_a_condition_that_nothing_records_is_not_lost():
    with raises(ShapeError, match="nothing records it"):
        require(N == C, "equal")


# ---- depth


def test_depth_is_no_limit():
    deep, plain = N, 5
    for i in range(2000):
        deep, plain = (deep * 3 + i) // 2 - i % 7, (plain * 3 + i) // 2 - i % 7
        deep, plain = minimum(deep, 1000 + i), min(plain, 1000 + i)
    assert deep.evaluate([[5]]) == plain
    assert deep.bounds([[5]]) == (plain, plain)
    assert from_program(program(deep), NAMES) is deep
    assert str(deep).startswith("min(")
    assert hash(deep) == hash(copy.deepcopy(deep))


def test_a_sum_of_thousands_of_terms_is_no_limit():
    total = sum((input_dim(2, i) for i in range(3000)), start=N)
    assert total.evaluate([[1], [], [1] * 3000]) == 3001


def test_shared_parts_are_computed_once():
    shared = N
    for i in range(300):
        shared = select(shared < i, shared + 1, shared)
    assert shared.evaluate([[0]]) == 299
    low, high = shared.bounds([[(0, 8)]])
    assert low <= 299 <= high
    assert len(str(shared)) < 1000
    with raises(ShapeError, match="cannot be written as one program"):
        program(shared)


# ---- any expression

LEAVES = [(0, 0), (0, 1), (1, 0)]
DIMS = {key: input_dim(*key, NAMES[key]) for key in LEAVES}
trees = st.recursive(
    st.one_of(st.integers(-6, 12), st.sampled_from(LEAVES)),
    lambda inner: st.tuples(st.sampled_from(list(Operation)), inner, inner),
    max_leaves=12,
)
inputs_of_trees = st.tuples(st.tuples(st.integers(0, 12), st.integers(0, 12)), st.tuples(st.integers(0, 12)))


def raw_value(tree, inputs):
    """The value of a tree by Python's own arithmetic; None if it divides by zero or is too large."""
    if isinstance(tree, int):
        return tree
    if len(tree) == 2:
        return inputs[tree[0]][tree[1]]
    a, b = raw_value(tree[1], inputs), raw_value(tree[2], inputs)
    if a is None or b is None or (tree[0] in (Operation.FLOOR_DIV, Operation.CEIL_DIV) and b == 0):
        return None
    value = OPERATIONS[tree[0]](a, b)
    return value if abs(value) < 2**40 else None


def built(tree):
    """The Expr of a tree, or None if it was refused while it was built."""
    if isinstance(tree, int):
        return constant(tree)
    if len(tree) == 2:
        return DIMS[tree]
    a, b = built(tree[1]), built(tree[2])
    if a is None or b is None:
        return None
    try:
        return operation(tree[0], a, b)
    except ShapeError:
        return None


@settings(max_examples=400)
@given(trees, inputs_of_trees)
def test_folding_changes_no_value(tree, inputs):
    expr, value = built(tree), raw_value(tree, inputs)
    if value is not None:
        assert expr is not None
        assert expr.evaluate(inputs) == value


@settings(max_examples=400)
@given(trees, inputs_of_trees)
def test_the_text_is_python_for_the_same_value(tree, inputs):
    expr, value = built(tree), raw_value(tree, inputs)
    if expr is not None:
        text = str(expr)
        if value is not None and "..." not in text:
            names = {NAMES[key]: inputs[key[0]][key[1]] for key in LEAVES}
            assert eval(text, {"ceil": math.ceil}, names) == value


@settings(max_examples=400)
@given(trees)
def test_any_program_can_be_read_back(tree):
    expr = built(tree)
    if expr is not None:
        assert from_program(program(expr), NAMES) is expr


@settings(max_examples=400)
@given(trees, st.data())
def test_bounds_enclose_every_value(tree, data):
    expr = built(tree)
    if expr is None:
        return
    span = st.tuples(st.integers(0, 12), st.integers(0, 12)).map(sorted)
    ends = [[data.draw(span), data.draw(span)], [data.draw(span)]]
    low, high = expr.bounds(ends)
    for _ in range(5):
        inputs = [[data.draw(st.integers(*end)) for end in axes] for axes in ends]
        value = raw_value(tree, inputs)
        assert value is None or low <= value <= high


# ---- quotients of polynomials

Q = (N - 1) // 8


@mark.parametrize(
    ("quotient", "text"),
    [
        ((1024 * Q + 1024) // (Q + 1), "1024"),
        ((Q + 1) * C * 1024 // ((Q + 1) * C), "1024"),
        ((1024 * Q + 1024) * C // (Q + 1), "1024*C"),
        ((N * C + N) // (C + 1), "N"),
        ((N * C + N + 2 * C + 2) // (C + 1), "N + 2"),
        ((N * C * H + 3 * N * C) // (H * N + 3 * N), "C"),
        ((N * N - 4) // (N + 2), "N - 2"),
        (ceil_div(6 * N + 12, 4 * N + 8), "2"),
        ((N * C) // (N * H), "C//H"),
        ((4 * N) // (6 * C), "2*N//(3*C)"),
        ((N + 5) * (C + 1) // (2 * C + 2), "(N + 5)//2"),
        ((N + 2) // (N + 1), "(N + 2)//(N + 1)"),
        ((N * C + 1) // (C + 1), "(C*N + 1)//(C + 1)"),
    ],
    ids=str,
)
def test_what_divides_without_a_rest_is_divided(quotient, text):
    assert str(quotient).replace("N*C", "C*N") == text.replace("N*C", "C*N")


factors = st.lists(
    st.tuples(st.integers(-4, 9), st.sampled_from([N, C, H]), st.integers(-3, 9)), min_size=1, max_size=3
)


@given(factors, factors, st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)))
def test_a_product_divided_by_one_of_its_sides_is_the_other(left, right, extents):
    a, b = ([k * extent + c for k, extent, c in side] for side in (left, right))
    p, q = math.prod(a), math.prod(b)
    values = [math.prod(k * extents["NCH".index(str(x))] + c for k, x, c in side) for side in (left, right)]
    if isinstance(q, int) or (isinstance(q, type(N)) and q.value is not None) or values[1] == 0:
        return
    assert (p * q // q).evaluate([extents]) == ceil_div(p * q, q).evaluate([extents]) == values[0]


def test_equal_products_are_found_equal_however_they_are_written():
    assert (N * C + C == (N + 1) * C).value == 1
    assert ((N + 1) * (C + 2) == N * C + 2 * N + C + 2).value == 1
    assert ((N + 1) * (C + 2) == N * C + 2 * N + C + 3).value is None


@mark.parametrize(
    ("extent", "text"),
    [
        (N * minimum(N, 1), "N"),
        (N * C * minimum(N * C, 1), "N*C"),
        (maximum(N, 1) * minimum(N, 1), "N"),
        (maximum(N, maximum(N, 1)), "max(N, 1)"),
        (minimum(N, maximum(N, 1)), "N"),
        (maximum(C, minimum(N, maximum(C, 2))), "max(C, min(N, max(C, 2)))"),
        ((N - 5) * minimum(N - 5, 1), "(N - 5)*min(N - 5, 1)"),
    ],
    ids=str,
)
def test_an_extent_that_is_broadcast_to_itself_stays(extent, text):
    assert str(extent) == text
