"""Calls on several threads at once, with results in the order of the inputs."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

AHEAD = 2  # calls that wait for each thread, so that none is idle while the caller looks at a result


class Streams:
    """Threads that are kept, so that what a call keeps for its thread (a context) is made once in each."""

    def __init__(self, name: str) -> None:
        self._name = name
        # By process, for a child of fork() has none of its parent's, and number; idle ones take next to nothing.
        self._threads: dict[tuple[int, int], ThreadPoolExecutor] = {}

    def map(self, call: Callable[[Any], Any], items: Iterable[Any], n_threads: int) -> Iterator[Any]:
        """`call` of each item. Items are taken as they are needed; an error is raised where its result would come.

        Calls that have not begun when the iterator ends or is closed are given up.
        """
        if n_threads == 1:
            yield from map(call, items)
            return
        threads = self._threads.setdefault((os.getpid(), n_threads), ThreadPoolExecutor(n_threads, self._name))
        running: deque[Future[Any]] = deque()
        try:
            for item in items:
                if len(running) == AHEAD * n_threads:
                    yield running.popleft().result()
                running.append(threads.submit(call, item))
            while running:
                yield running.popleft().result()
        finally:
            for future in running:
                future.cancel()
