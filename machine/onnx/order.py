"""The order in which the nodes of a graph can be imported."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterator, Sequence
from typing import Any


def graphs_of(node: Any) -> Iterator[tuple[str, Any]]:
    """(attribute, graph) of each graph inside a node."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.name, attribute.g
        for graph in attribute.graphs:
            yield attribute.name, graph


def names_read(node: Any) -> set[str]:
    """Names that a node needs from its graph, including those that graphs inside the node read."""
    found = set(node.input)
    for _, graph in graphs_of(node):
        made = {entry.name for entry in (*graph.input, *graph.initializer)}
        made.update(name for inner in graph.node for name in inner.output)
        read = {name for inner in graph.node for name in names_read(inner)}
        found |= (read | {entry.name for entry in graph.output}) - made
    found.discard("")
    return found


def order_of(nodes: Sequence[Any], given: Container[str] = ()) -> tuple[Sequence[int], list[int]]:
    """(indices of the nodes, each after those it needs; indices of nodes that need each other).

    Nodes that are in order already keep it. Names in `given` exist before the first node.
    """
    makers = {name: place for place, node in enumerate(nodes) for name in node.output if name and name not in given}
    needs = [{makers[name] for name in names_read(node) if name in makers} for node in nodes]
    if all(max(found, default=-1) < place for place, found in enumerate(needs)):
        return range(len(nodes)), []
    waiting = [len(found) for found in needs]
    users: dict[int, list[int]] = defaultdict(list)
    for place, found in enumerate(needs):
        for other in found:
            users[other].append(place)
    order: list[int] = []
    ready = [place for place in reversed(range(len(nodes))) if not waiting[place]]
    while ready:
        place = ready.pop()
        order.append(place)
        for user in reversed(users[place]):
            waiting[user] -= 1
            if not waiting[user]:
                ready.append(user)
    return order, [place for place, left in enumerate(waiting) if left]
