"""All pairs of near codes of some segments, found by several threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hashgrain.indexer.cores import compute_threads
from hashgrain.indexer.duplicates.segments import Segments

PAIRS = 1 << 16
"""Pairs that are handed over at once, more or less; each takes 10 bytes."""

_AHEAD = 4  # segments for each thread that are under way or done before their turn


@dataclass(frozen=True, eq=False)
class CodePairs:
    """Some pairs of different codes.

    Attributes:
        codes: uint32 (n, 2).
        distance: uint16 (n,), in bits.
    """

    codes: NDArray[np.uint32]
    distance: NDArray[np.uint16]


def near_codes(
    segments: Segments, radius: int, progress: Callable[[int], None], parent: NDArray[np.uint32] | None = None
) -> Iterator[CodePairs]:
    """Every pair of codes within a radius, once; in bounded memory, however many there are.

    Args:
        segments: the codes.
        radius: in bits.
        progress: told how many codes were gone through.
        parent: see `joining.unite`. Pairs that it connects already are left out; the caller may unite what it is given.
    """
    threads = compute_threads()
    numbers = iter(np.flatnonzero(segments.radii >= 0).tolist())
    waiting: deque[tuple[_Sweep, Future[CodePairs]]] = deque()
    rungs = segments.rungs()
    known = np.empty(0, np.uint32) if parent is None else parent
    with ThreadPoolExecutor(threads) as pool:
        try:
            while True:
                while len(waiting) < _AHEAD * threads and (number := next(numbers, None)) is not None:
                    sweep = _Sweep(segments, rungs, number, radius, known)
                    waiting.append((sweep, pool.submit(sweep.next)))
                if not waiting:
                    return
                sweep, found = waiting.popleft()
                pairs = found.result()
                if sweep.done:
                    progress(int(segments.count[sweep.number]))
                else:
                    waiting.appendleft((sweep, pool.submit(sweep.next)))
                if len(pairs.codes):
                    yield pairs
        finally:
            for _, found in waiting:
                found.cancel()


class _Sweep:
    """The pairs of one segment's codes with each other and with those of later segments, some at a time."""

    def __init__(
        self,
        segments: Segments,
        rungs: tuple[NDArray[np.int32], NDArray[np.int64]],
        number: int,
        radius: int,
        parent: NDArray[np.uint32],
    ) -> None:
        self.number = number
        self._rungs = rungs
        self._segments = segments
        self._radius = radius
        self._parent = parent
        self._others: NDArray[np.int64] | None = None
        self._at = np.zeros(2, np.int64)

    @property
    def done(self) -> bool:
        """Whether all have been found."""
        return self._others is not None and int(self._at[0]) == len(self._others)

    def next(self) -> CodePairs:
        """Find some more."""
        from hashgrain.indexer.loops import joining  # loads the compiler: only for those who look for duplicates

        all_ = self._segments
        if self._others is None:
            found = np.empty(len(all_), np.int64)
            near = joining.near_segments(all_.centroids, all_.radii, self.number, self._radius, found)
            self._others = found[:near].copy()
        room = max(PAIRS, int(all_.count[self._others].max()))
        pairs, distance = np.empty((room, 2), np.uint32), np.empty(room, np.uint16)
        held = joining.join(
            all_.words,
            *self._rungs,
            all_.start,
            all_.count,
            all_.centroids,
            all_.radii,
            self.number,
            self._others,
            self._radius,
            self._parent,
            self._at,
            pairs,
            distance,
        )
        return CodePairs(pairs[:held], distance[:held])
