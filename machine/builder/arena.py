"""Offsets for tensors that live at different times in one arena.

Greedy by size, by breadth and by lifetime are tried, the best kept. If it misses the lower bound, its order is
improved for a bounded number of rounds: the buffer that ends last is placed earlier, and what is not worse is kept.
Source of the greedy orders: Pisarchyk & Lee, "Efficient memory management for deep neural net inference", arXiv
2001.03288.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

ALIGNMENT = 64  # bytes; guaranteed on the CPU by plugin.h
CUDA_ALIGNMENT = 256  # that of cudaMalloc, which kernels may rely on
RANDOM_ROUNDS = 200
MOST_IMPROVED = 500  # buffers, with which the rounds take a second
EXCHANGED, WORSE = 0.3, 0.02  # shares of the rounds in which buffers are exchanged, and in which a worse order is kept


@dataclass(frozen=True)
class Buffer:
    """`size` bytes alive from step `first` to step `last`, both included."""

    key: object
    size: int
    first: int
    last: int


@dataclass(frozen=True)
class Arena:
    """Offset of each buffer, total bytes, and the lower bound: the most bytes that are alive at once."""

    offsets: dict[object, int]
    size: int
    lower_bound: int


def align(size: int, alignment: int = ALIGNMENT) -> int:
    return -(-size // alignment) * alignment


def lower_bound(buffers: Iterable[Buffer], alignment: int = ALIGNMENT) -> int:
    """Largest sum of sizes alive at one step, in bytes."""
    changes: dict[int, int] = {}
    for buffer in buffers:
        size = align(buffer.size, alignment)
        changes[buffer.first] = changes.get(buffer.first, 0) + size
        changes[buffer.last + 1] = changes.get(buffer.last + 1, 0) - size
    alive = most = 0
    for step in sorted(changes):
        alive += changes[step]
        most = max(most, alive)
    return most


def plan_arena(buffers: Sequence[Buffer], alignment: int = ALIGNMENT) -> Arena:
    """The smallest layout found. Deterministic: the random rounds have a fixed seed."""
    bound = lower_bound(buffers, alignment)
    orders: list[Callable[[Buffer], object]] = [
        lambda b: (-b.size, b.first),
        lambda b: (-(b.last - b.first), -b.size),
        lambda b: (b.first, -b.size),
    ]
    best: Arena | None = None
    order: list[Buffer] = []
    for key in orders:
        candidate = sorted(buffers, key=key)  # type: ignore[arg-type]
        found = _place(candidate, bound, alignment)
        if best is None or found.size < best.size:
            best, order = found, candidate
        if best.size == bound:
            return best
    assert best is not None
    return _improved(best, order, alignment) if len(buffers) <= MOST_IMPROVED else best


def _improved(best: Arena, order: list[Buffer], alignment: int) -> Arena:
    """The best layout found from one that misses the bound. Some of the rounds also exchange two buffers at random."""
    rng, bound = random.Random(0), best.lower_bound
    current = best
    for _ in range(RANDOM_ROUNDS):
        offsets = current.offsets
        last = max(range(len(order)), key=lambda i: offsets[order[i].key] + order[i].size)
        changed = order[:last] + order[last + 1 :]
        changed.insert(rng.randrange(last) if last else 0, order[last])
        if rng.random() < EXCHANGED:
            i, k = rng.randrange(len(changed)), rng.randrange(len(changed))
            changed[i], changed[k] = changed[k], changed[i]
        found = _place(changed, bound, alignment)
        if found.size <= current.size or rng.random() < WORSE:
            current, order = found, changed
        if found.size < best.size:
            best = found
        if best.size == bound:
            break
    return best


def _place(order: Sequence[Buffer], bound: int, alignment: int) -> Arena:
    """Place each buffer, in this order, in the lowest gap between placed buffers that live at the same time."""
    n = len(order)
    first, last = (np.array([getattr(b, name) for b in order], np.int64) for name in ("first", "last"))
    sizes = [align(b.size, alignment) for b in order]
    starts, ends = np.zeros(n, np.int64), np.zeros(n, np.int64)
    for i in range(n):
        beside = np.flatnonzero((first[:i] <= last[i]) & (last[:i] >= first[i]))
        starts[i] = _lowest_gap(starts[beside], ends[beside], sizes[i])
        ends[i] = starts[i] + sizes[i]
    offsets = {buffer.key: int(start) for buffer, start in zip(order, starts, strict=True)}
    return Arena(offsets, int(ends.max(initial=0)), bound)


def _lowest_gap(starts: np.ndarray, ends: np.ndarray, need: int) -> int:
    """The lowest offset from which `need` bytes are free, between or after the occupied spans."""
    if not starts.size:
        return 0
    by_start = np.argsort(starts, kind="stable")
    free_from = np.concatenate([[0], np.maximum.accumulate(ends[by_start])])  # in front of each span, and at the end
    fits = np.flatnonzero(starts[by_start] - free_from[:-1] >= need)
    return int(free_from[fits[0] if fits.size else -1])
