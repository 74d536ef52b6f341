"""An order of a network's layers, producers before consumers, kept up to date while the network is edited."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dovetail.machine.layer import ILayer

Neighbours = Callable[["ILayer"], Iterable["ILayer"]]


class LayerOrder:
    """Finds the cycle that an edge would close, looking only at layers between its two ends.

    Source: Pearce & Kelly, "A dynamic topological sort algorithm for directed acyclic graphs", ACM JEA 11, 2006.
    """

    def __init__(self, producers: Neighbours, consumers: Neighbours) -> None:
        self._producers, self._consumers = producers, consumers
        self._places: dict[ILayer, int] = {}
        self._n_appended = 0

    def __contains__(self, layer: ILayer) -> bool:
        return layer in self._places

    def append(self, layer: ILayer) -> None:
        """Put a new layer behind all others; nothing may consume it yet."""
        self._places[layer] = self._n_appended
        self._n_appended += 1

    def remove(self, layer: ILayer) -> None:
        """Take out a layer that nothing consumes."""
        del self._places[layer]

    def connect(self, producer: ILayer, consumer: ILayer) -> list[ILayer]:
        """Make room for an edge that is about to be added; [] if it can be.

        Otherwise returns the layers of the cycle that it would close, from `consumer` to `producer`, and changes
        nothing. A layer that is not in the order yet cannot be part of a cycle.
        """
        if consumer not in self._places or producer not in self._places:
            return []
        low, high = self._places[consumer], self._places[producer]
        if high < low:
            return []
        came_from: dict[ILayer, ILayer | None] = {consumer: None}
        self._reach(came_from, self._consumers, lambda place: place <= high)
        if producer in came_from:
            return _path(producer, came_from)
        before: dict[ILayer, ILayer | None] = {producer: None}
        self._reach(before, self._producers, lambda place: place >= low)
        self._reorder(list(before), list(came_from))
        return []

    def _reach(
        self, found: dict[ILayer, ILayer | None], neighbours: Neighbours, is_inside: Callable[[int], bool]
    ) -> None:
        """Add to `found` what can be reached from it inside the range of places, and where it was reached from."""
        pending = list(found)
        while pending:
            layer = pending.pop()
            for other in neighbours(layer):
                if other in self._places and other not in found and is_inside(self._places[other]):
                    found[other] = layer
                    pending.append(other)

    def _reorder(self, before: list[ILayer], after: list[ILayer]) -> None:
        """Share out the places of both groups anew, those of `before` first, each group in its old order."""
        place = self._places.__getitem__
        layers = [*sorted(before, key=place), *sorted(after, key=place)]
        for layer, new in zip(layers, sorted(map(place, layers)), strict=True):
            self._places[layer] = new


def _path(end: ILayer, came_from: dict[ILayer, ILayer | None]) -> list[ILayer]:
    path: list[ILayer] = []
    layer: ILayer | None = end
    while layer is not None:
        path.append(layer)
        layer = came_from[layer]
    return path[::-1]
