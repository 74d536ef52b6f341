"""Values and ranges of many expressions: the same as one by one, shared parts computed once."""

from pytest import raises

from dovetail.core import assignment
from dovetail.core.assignment import Ranges, Values
from dovetail.core.errors import ShapeError
from dovetail.core.expr import input_dim, input_element, minimum, select, size_tensor

N, M = input_dim(0, 0, "n"), input_dim(0, 1, "m")


def test_values_are_those_of_evaluate():
    exprs = [(N - 1) // 2, (N - 1) // 2 * M, select(N < M, N, 3), N]
    values = Values([[9, 4]])
    assert [values.of(expr) for expr in exprs] == [expr.evaluate([[9, 4]]) for expr in exprs] == [4, 16, 3, 9]


def test_contents_and_sizes_are_looked_up():
    element, size = input_element(0, 1), size_tensor(1, N, N * 2)
    assert Values([[3, 1]], [(7, 8)]).of(element + size) == 8 + 6
    assert Values([[3, 1]], [(7, 8)], {size: 2}).of(element + size) == 8 + 2


def test_a_division_by_zero_is_named():
    with raises(ShapeError, match=r"n//m divides by zero"):
        Values([[3, 0]]).of(N // M)


def test_ranges_are_those_of_bounds():
    ends = [[(1, 10), (2, 6)]]
    exprs = [N - 2 * (N // 2), select(N < M, 7, 3), N * M, size_tensor(1, N, N * M)]
    ranges = Ranges(ends)
    assert [ranges.of(expr) for expr in exprs] == [expr.bounds(ends) for expr in exprs]
    assert ranges.of(exprs[0]) == (0, 1)


def test_a_large_expression_is_bounded_part_by_part(monkeypatch):
    monkeypatch.setattr(assignment, "MOST_TERMS", 3)
    low, high = Ranges([[(1, 10), (2, 6)]]).of(select(N < M, 7, minimum(N, 3)))
    assert low <= 1 and high >= 7


def test_thousands_of_expressions_upon_each_other_are_evaluated_at_once():
    expr, values, ranges = N, Values([[5, 2]]), Ranges([[(1, 9), (2, 2)]])
    for i in range(3000):
        expr = minimum((expr * 3 + i) // 2, 1000 + i)
        low, high = ranges.of(expr)
        assert low <= values.of(expr) <= high
    assert values.of(expr) == expr.evaluate([[5, 2]])
