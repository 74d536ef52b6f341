"""An order of a network's layers, producers before consumers, that is updated while the network is edited."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dovetail.machine.layer import ILayer

Neighbours = Callable[["ILayer"], Iterable["ILayer"]]
_GAP = 1 << 256  # initial distance of neighbouring positions: allows 256 insertions between two


class LayerOrder:
    """Finds the cycle that an edge would close, examining only layers between its two ends.

    If an edge goes against the order, the layers before its start and those after its end are searched alternately; the
    set that is complete first is moved. Each layer's position is a number between those of its neighbours.
    Source: Bender, Fineman, Gilbert & Tarjan, "A new approach to incremental cycle detection", ACM TALG 12, 2016.
    """

    def __init__(self, producers: Neighbours, consumers: Neighbours) -> None:
        self._producers, self._consumers = producers, consumers
        self._places: dict[ILayer, int] = {}
        self._before: dict[ILayer, ILayer | None] = {}
        self._after: dict[ILayer, ILayer | None] = {}
        self._last: ILayer | None = None

    def __contains__(self, layer: ILayer) -> bool:
        return layer in self._places

    def append(self, layer: ILayer) -> None:
        """Append a new layer; nothing may consume it yet."""
        self._places[layer] = _GAP + (self._places[self._last] if self._last is not None else 0)
        self._link(self._last, layer, None)

    def remove(self, layer: ILayer) -> None:
        """Remove a layer that nothing consumes."""
        self._link(self._before.pop(layer), None, self._after.pop(layer))
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
        behind: dict[ILayer, ILayer | None] = {consumer: None}
        front: dict[ILayer, ILayer | None] = {producer: None}
        searches = [
            self._reach(behind, self._consumers, lambda place: place <= high),
            self._reach(front, self._producers, lambda place: place >= low),
        ]
        while True:
            for search, found, end in zip(searches, (behind, front), (producer, consumer), strict=True):
                is_through = next(search, None) is None
                if end in found:
                    path = _path(end, found)
                    return path[::-1] if found is behind else path
                if is_through:
                    self._move(found, producer, consumer, found is behind)
                    return []

    def _reach(
        self, found: dict[ILayer, ILayer | None], neighbours: Neighbours, is_inside: Callable[[int], bool]
    ) -> Iterator[ILayer]:
        """Add to `found` the layers reachable from it within the positions, with their predecessors."""
        pending = list(found)
        while pending:
            layer = pending.pop()
            for other in neighbours(layer):
                if other in self._places and other not in found and is_inside(self._places[other]):
                    found[other] = layer
                    pending.append(other)
                yield other

    def _move(self, layers: Iterable[ILayer], producer: ILayer, consumer: ILayer, is_behind: bool) -> None:
        """Move `layers`, in their order, directly after the producer or directly before the consumer."""
        in_order = sorted(layers, key=self._places.__getitem__)
        for layer in in_order:
            self._link(self._before[layer], None, self._after[layer])
        at = producer if is_behind else self._before[consumer]
        for layer in in_order:
            self._link(at, layer, self._after[at] if at is not None else consumer)
            self._place(layer)
            at = layer

    def _link(self, before: ILayer | None, layer: ILayer | None, after: ILayer | None) -> None:
        """Link `layer` between two neighbours; if it is None, link these to each other."""
        if layer is not None:
            self._before[layer], self._after[layer] = before, after
        if before is not None:
            self._after[before] = layer if layer is not None else after
        if after is not None:
            self._before[after] = layer if layer is not None else before
        else:
            self._last = layer if layer is not None else before

    def _place(self, layer: ILayer) -> None:
        before, after = self._before[layer], self._after[layer]
        low = self._places[before] if before is not None else 0
        high = self._places[after] if after is not None else low + 2 * _GAP
        self._places[layer] = (low + high) // 2
        if not low < self._places[layer] < high:
            self._spread()

    def _spread(self) -> None:
        """Give all layers new positions at the initial distance."""
        layer, count = self._last, len(self._places)
        while layer is not None:
            self._places[layer] = count * _GAP
            layer, count = self._before[layer], count - 1


def _path(end: ILayer, came_from: dict[ILayer, ILayer | None]) -> list[ILayer]:
    """The path from the start of the search to `end`, backwards."""
    path: list[ILayer] = []
    layer: ILayer | None = end
    while layer is not None:
        path.append(layer)
        layer = came_from[layer]
    return path
