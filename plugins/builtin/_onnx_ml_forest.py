"""Trees as the arrays of TreeEnsemble: nodes in an order in which children come behind their parents."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy

EQUAL, MEMBER = 4, 6  # modes of nodes


@dataclass
class Forest:
    """Nodes that compare, with children as places of nodes or -1 - leaf; the votes of each leaf."""

    feature: list[int] = field(default_factory=list)
    mode: list[int] = field(default_factory=list)
    tracks_true: list[int] = field(default_factory=list)
    split: list[float] = field(default_factory=list)
    if_true: list[int] = field(default_factory=list)
    if_false: list[int] = field(default_factory=list)
    roots: list[int] = field(default_factory=list)
    votes: list[list[tuple[int, float]]] = field(default_factory=list)

    def add(self, feature: int, mode: int, tracks_true: int, split: float, if_true: int, if_false: int) -> int:
        row = (feature, mode, tracks_true, split, if_true, if_false)
        columns: tuple[list[Any], ...] = (
            self.feature,
            self.mode,
            self.tracks_true,
            self.split,
            self.if_true,
            self.if_false,
        )
        for column, value in zip(columns, row, strict=True):
            column.append(value)
        return len(self.feature) - 1

    def order(self, node: Any) -> list[int]:
        """Nodes that a root leads to, each in front of its children. Raises the error to raise at a circle."""
        done, order = [0] * len(self.feature), []  # 1 while what is below is visited, 2 after it
        stack = [root for root in self.roots if root >= 0]
        while stack:
            place = stack[-1]
            if done[place]:
                stack.pop()
                if done[place] == 1:
                    done[place] = 2
                    order.append(place)
                continue
            done[place] = 1
            for child in (self.if_true[place], self.if_false[place]):
                if child >= 0 and done[child] == 1:
                    raise node.fail("its trees turn in a circle", node=place, child=child)
                if child >= 0 and not done[child]:
                    stack.append(child)
        return order[::-1]

    def fields(self, node: Any) -> dict[str, numpy.ndarray]:
        """The arrays of the layer."""
        order = self.order(node)
        unknown = [feature for feature in self.feature if not 0 <= feature < 2**31]
        if unknown:
            raise node.fail("a node asks for a feature that cannot be", feature=unknown[0])
        new = {old: place for place, old in enumerate(order)}
        columns = numpy.array(
            [
                (
                    *(self.feature[old], self.mode[old], bool(self.tracks_true[old])),
                    *(child if child < 0 else new[child] for child in (self.if_true[old], self.if_false[old])),
                )
                for old in order
            ],
            numpy.int32,
        ).reshape(-1, 5)
        splits = numpy.array([self.split[old] for old in order])
        # Features that were float64 were rounded to the nearest float32, and so are the splits that they may equal.
        with numpy.errstate(over="ignore"):
            near = splits.astype(numpy.float32)
        splits = near if node.type_name(0) == "DOUBLE" else narrowed(splits, near, columns[:, 1])
        votes = [vote for leaf in self.votes for vote in leaf]
        if columns.size and not int(columns[:, 0].min()) >= 0:
            raise node.fail("a node asks for a feature that is negative")
        return {
            "nodes": columns,
            "splits": splits,
            "roots": numpy.array([root if root < 0 else new[root] for root in self.roots], numpy.int32),
            "leaves": numpy.cumsum([0, *map(len, self.votes)], dtype=numpy.int32),
            "vote_targets": numpy.array([target for target, _ in votes], numpy.int32),
            "vote_weights": numpy.array([weight for _, weight in votes], numpy.float32),
        }


def narrowed(splits: numpy.ndarray, near: numpy.ndarray, modes: numpy.ndarray) -> numpy.ndarray:
    """float64 splits, of which `near` are the nearest float32, as float32 that divide float32 features as they do.

    x <= split holds for the same x if the split is rounded down, x < split if it is rounded up; no x is equal to a
    split that is not a float32, nor to nan.
    """
    wide, limit = near.astype(numpy.float64), numpy.float32(numpy.inf)
    down, up = (modes == 0) | (modes == 3), (modes == 1) | (modes == 2)
    near = numpy.where(down & (wide > splits), numpy.nextafter(near, -limit), near)
    near = numpy.where(up & (wide < splits), numpy.nextafter(near, limit), near)
    return numpy.where((modes >= EQUAL) & (wide != splits), numpy.float32(numpy.nan), near)
