"""PBQP: exact where reductions suffice, exact by search elsewhere, against brute force."""

from itertools import product

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dovetail.machine.builder.pbqp import Problem, solve


def brute_force(problem):
    variables = list(problem.variables)
    choices = product(*(range(len(problem.variables[variable])) for variable in variables))
    return min(problem.cost_of(dict(zip(variables, choice, strict=True))) for choice in choices)


@st.composite
def problems(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = draw(st.integers(1, 6))
    density = draw(st.floats(0, 1))
    problem = Problem()
    for variable in range(n):
        problem.add_variable(variable, rng.integers(0, 20, draw(st.integers(1, 4))))
    for a in range(n):
        for b in range(a):
            if rng.random() < density:
                matrix = rng.integers(0, 20, (len(problem.variables[a]), len(problem.variables[b]))).astype(float)
                matrix[rng.random(matrix.shape) < 0.1] = np.inf
                problem.add_edge(a, b, matrix)
    return problem


@settings(max_examples=200, deadline=None)
@given(problems())
def test_cost_is_the_least_there_is(problem):
    solution = solve(problem)
    assert solution.is_optimal
    assert solution.cost == brute_force(problem)
    assert solution.cost == problem.cost_of(solution.choice)


def test_a_greedy_choice_would_lose():
    # The first variable prefers 0 by one, but every neighbour of 0 pays ten to convert.
    problem = Problem()
    problem.add_variable("a", [1, 2])
    for leaf in "bcd":
        problem.add_variable(leaf, [5, 5])
        problem.add_edge("a", leaf, [[10, 10], [10, 0]])
    solution = solve(problem)
    assert solution.choice == {"a": 1, "b": 1, "c": 1, "d": 1}
    assert solution.cost == 17


def test_a_long_chain_is_solved_without_recursion():
    problem = Problem()
    for i in range(5000):
        problem.add_variable(i, [0, 1])
    for i in range(4999):
        problem.add_edge(i, i + 1, [[1, 0], [0, 1]])
    assert solve(problem).is_optimal
