"""Partitioned boolean quadratic programming: one alternative for each variable, so that all costs sum to the least.

A variable costs what its alternative does, an edge between two variables what their alternatives cost together.
Reductions R0 (a variable without neighbours), RI (one) and RII (two) are exact and take every series-parallel graph to
nothing, which networks of layers nearly always are. What is left after them is searched by branch and bound.
Source: Scholz & Eckstein, "Register allocation for irregular architectures", LCTES 2002; for layers Anderson & Gregg,
"Optimal DNN primitive selection", CGO 2018.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field

import numpy as np

Variable = Hashable
BRANCH_LIMIT = 200_000  # partial assignments that the search may visit before it settles for what it has


@dataclass
class Solution:
    """The alternative chosen for each variable, the sum of costs, and whether no better choice exists."""

    choice: dict[Variable, int]
    cost: float
    is_optimal: bool = True


@dataclass
class Problem:
    """Costs of each variable's alternatives, and for each edge of pairs of them. Costs may be infinite: impossible."""

    variables: dict[Variable, np.ndarray] = field(default_factory=dict)
    edges: dict[Variable, dict[Variable, np.ndarray]] = field(default_factory=dict)

    def add_variable(self, variable: Variable, costs: np.ndarray) -> None:
        self.variables[variable] = np.asarray(costs, dtype=np.float64)
        self.edges.setdefault(variable, {})

    def add_edge(self, a: Variable, b: Variable, costs: np.ndarray) -> None:
        """costs[i, j] is paid where a takes i and b takes j; added to what the edge costs already."""
        costs = np.asarray(costs, dtype=np.float64)
        if a == b:
            self.variables[a] = self.variables[a] + np.diagonal(costs)
            return
        if b in self.edges[a]:
            costs = costs + self.edges[a][b]
        self.edges[a][b] = costs
        self.edges[b][a] = costs.T

    def copy(self) -> Problem:
        return Problem(dict(self.variables), {variable: dict(around) for variable, around in self.edges.items()})

    def cost_of(self, choice: Mapping[Variable, int]) -> float:
        total = sum(float(costs[choice[variable]]) for variable, costs in self.variables.items())
        seen: set[Variable] = set()
        for a, around in self.edges.items():
            total += sum(float(m[choice[a], choice[b]]) for b, m in around.items() if b not in seen)
            seen.add(a)
        return total


def solve(problem: Problem) -> Solution:
    """The cheapest assignment; exact unless the search had to stop early (`is_optimal` is then False)."""
    rest = problem.copy()
    undo = _reduce(rest)
    choice: dict[Variable, int] = {}
    is_optimal = True
    if rest.variables:
        choice, is_optimal = _search(rest)
    for variable, costs, around in reversed(undo):
        total = costs.copy()
        for neighbour, matrix in around.items():
            total = total + matrix[:, choice[neighbour]]
        choice[variable] = int(np.argmin(total))
    return Solution(choice, problem.cost_of(choice), is_optimal)


def _reduce(problem: Problem) -> list[tuple[Variable, np.ndarray, dict[Variable, np.ndarray]]]:
    """Apply R0, RI and RII until none fits. Returns what was taken away, in order."""
    undo = []
    ready = [variable for variable in problem.variables if len(problem.edges[variable]) <= 2]
    while ready:
        variable = ready.pop()
        if variable not in problem.variables or len(problem.edges[variable]) > 2:
            continue
        costs = problem.variables.pop(variable)
        around = problem.edges.pop(variable)
        undo.append((variable, costs, around))
        for neighbour in around:
            del problem.edges[neighbour][variable]
        if len(around) == 1:
            ((neighbour, matrix),) = around.items()
            problem.variables[neighbour] = problem.variables[neighbour] + (costs[:, None] + matrix).min(axis=0)
        elif len(around) == 2:
            (a, to_a), (b, to_b) = around.items()
            through = (costs[:, None, None] + to_a[:, :, None] + to_b[:, None, :]).min(axis=0)
            problem.add_edge(a, b, through)
        ready += [neighbour for neighbour in around if len(problem.edges[neighbour]) <= 2]
    return undo


def _search(problem: Problem) -> tuple[dict[Variable, int], bool]:
    """Branch and bound over the variables that no reduction took, those with most neighbours first."""
    order = sorted(problem.variables, key=lambda variable: -len(problem.edges[variable]))
    position = {variable: i for i, variable in enumerate(order)}
    # Least that each variable can still add: its own cost and the cheapest entry of each edge to an earlier variable.
    floor = [
        float(problem.variables[v].min())
        + sum(float(m.min()) for b, m in problem.edges[v].items() if position[b] < position[v])
        for v in order
    ]
    remaining = np.concatenate([np.cumsum(floor[::-1])[::-1], [0.0]])
    best_cost, best = np.inf, _greedy(problem, order)
    best_cost = problem.cost_of(best)
    visited = 0
    stack: list[tuple[float, list[int]]] = [(0.0, [])]
    while stack:
        spent, chosen = stack.pop()
        if spent + remaining[len(chosen)] >= best_cost:
            continue
        visited += 1
        if visited > BRANCH_LIMIT:
            return best, False
        if len(chosen) == len(order):
            best_cost, best = spent, dict(zip(order, chosen, strict=True))
            continue
        costs = _step_costs(problem, order, position, chosen)
        for alternative in np.argsort(-costs):
            stack.append((spent + float(costs[alternative]), [*chosen, int(alternative)]))
    return best, True


def _step_costs(
    problem: Problem, order: list[Variable], position: dict[Variable, int], chosen: list[int]
) -> np.ndarray:
    variable = order[len(chosen)]
    costs = problem.variables[variable].copy()
    for neighbour, matrix in problem.edges[variable].items():
        if position[neighbour] < len(chosen):
            costs = costs + matrix[:, chosen[position[neighbour]]]
    return costs


def _greedy(problem: Problem, order: list[Variable]) -> dict[Variable, int]:
    position = {variable: i for i, variable in enumerate(order)}
    chosen: list[int] = []
    for _ in order:
        chosen.append(int(np.argmin(_step_costs(problem, order, position, chosen))))
    return dict(zip(order, chosen, strict=True))
