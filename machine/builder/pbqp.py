"""Partitioned boolean quadratic programming: one alternative a node, so that node and edge costs sum to the least.

Reductions R0 (a node without neighbours), RI (one) and RII (two) are exact and take every series-parallel graph to
nothing, which networks of layers nearly always are. What is left after them is searched by branch and bound.
Source: Scholz & Eckstein, "Register allocation for irregular architectures", LCTES 2002; for layers Anderson & Gregg,
"Optimal DNN primitive selection", CGO 2018.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field

import numpy as np

Node = Hashable
BRANCH_LIMIT = 200_000  # partial assignments that the search may visit before it settles for what it has


@dataclass
class Solution:
    """Chosen alternative a node, the sum of costs, and whether no better choice exists."""

    choice: dict[Node, int]
    cost: float
    is_optimal: bool = True


@dataclass
class Problem:
    """Costs of alternatives a node, and of pairs of alternatives an edge. Costs may be infinite: impossible."""

    nodes: dict[Node, np.ndarray] = field(default_factory=dict)
    edges: dict[Node, dict[Node, np.ndarray]] = field(default_factory=dict)

    def add_node(self, node: Node, costs: np.ndarray) -> None:
        self.nodes[node] = np.asarray(costs, dtype=np.float64)
        self.edges.setdefault(node, {})

    def add_edge(self, a: Node, b: Node, costs: np.ndarray) -> None:
        """costs[i, j] is paid where a takes i and b takes j; added to what the edge costs already."""
        costs = np.asarray(costs, dtype=np.float64)
        if a == b:
            self.nodes[a] = self.nodes[a] + np.diagonal(costs)
            return
        if b in self.edges[a]:
            costs = costs + self.edges[a][b]
        self.edges[a][b] = costs
        self.edges[b][a] = costs.T

    def copy(self) -> Problem:
        return Problem(dict(self.nodes), {node: dict(around) for node, around in self.edges.items()})

    def cost_of(self, choice: Mapping[Node, int]) -> float:
        total = sum(float(costs[choice[node]]) for node, costs in self.nodes.items())
        seen: set[Node] = set()
        for a, around in self.edges.items():
            total += sum(float(m[choice[a], choice[b]]) for b, m in around.items() if b not in seen)
            seen.add(a)
        return total


def solve(problem: Problem) -> Solution:
    """The cheapest assignment; exact unless the search had to stop early, which `is_optimal` tells."""
    rest = problem.copy()
    undo = _reduce(rest)
    choice: dict[Node, int] = {}
    is_optimal = True
    if rest.nodes:
        choice, is_optimal = _search(rest)
    for node, costs, around in reversed(undo):
        total = costs.copy()
        for neighbour, matrix in around.items():
            total = total + matrix[:, choice[neighbour]]
        choice[node] = int(np.argmin(total))
    return Solution(choice, problem.cost_of(choice), is_optimal)


def _reduce(problem: Problem) -> list[tuple[Node, np.ndarray, dict[Node, np.ndarray]]]:
    """Apply R0, RI and RII until none fits. Returns what was taken away, in order."""
    undo = []
    ready = [node for node in problem.nodes if len(problem.edges[node]) <= 2]
    while ready:
        node = ready.pop()
        if node not in problem.nodes or len(problem.edges[node]) > 2:
            continue
        costs = problem.nodes.pop(node)
        around = problem.edges.pop(node)
        undo.append((node, costs, around))
        for neighbour in around:
            del problem.edges[neighbour][node]
        if len(around) == 1:
            ((neighbour, matrix),) = around.items()
            problem.nodes[neighbour] = problem.nodes[neighbour] + (costs[:, None] + matrix).min(axis=0)
        elif len(around) == 2:
            (a, to_a), (b, to_b) = around.items()
            through = (costs[:, None, None] + to_a[:, :, None] + to_b[:, None, :]).min(axis=0)
            problem.add_edge(a, b, through)
        ready += [neighbour for neighbour in around if len(problem.edges[neighbour]) <= 2]
    return undo


def _search(problem: Problem) -> tuple[dict[Node, int], bool]:
    """Branch and bound over the nodes that no reduction took, those with most neighbours first."""
    order = sorted(problem.nodes, key=lambda node: -len(problem.edges[node]))
    position = {node: i for i, node in enumerate(order)}
    # Least that each node can still add: its own cost and the cheapest entry of each edge to an earlier node.
    floor = [
        float(problem.nodes[n].min())
        + sum(float(m.min()) for b, m in problem.edges[n].items() if position[b] < position[n])
        for n in order
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


def _step_costs(problem: Problem, order: list[Node], position: dict[Node, int], chosen: list[int]) -> np.ndarray:
    node = order[len(chosen)]
    costs = problem.nodes[node].copy()
    for neighbour, matrix in problem.edges[node].items():
        if position[neighbour] < len(chosen):
            costs = costs + matrix[:, chosen[position[neighbour]]]
    return costs


def _greedy(problem: Problem, order: list[Node]) -> dict[Node, int]:
    position = {node: i for i, node in enumerate(order)}
    chosen: list[int] = []
    for _ in order:
        chosen.append(int(np.argmin(_step_costs(problem, order, position, chosen))))
    return dict(zip(order, chosen, strict=True))
