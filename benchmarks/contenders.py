"""What is timed, and how: every contender answers the same queries in turn, so that a busy machine slows all alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.recall import K, tie_aware_recall
from hashgrain.codes import HashCodes

RECALL = 0.99
ROUNDS = 5
TURN_S = 2.0
"""Seconds after which a contender's turn at single queries ends, and all its batches together."""

Search = Callable[[HashCodes], NDArray[np.integer]]
"""One query → the fine distances of up to ten neighbours."""


@dataclass(frozen=True)
class Contender:
    """A way to search.

    Attributes:
        name: what it is, and its setting.
        search: answers one query.
        batch: answers many at once on all cores, or None.
        load: items a second that were written and indexed, or None where the row shares another's data.
        size: bytes per item, or None.
    """

    name: str
    search: Search
    batch: Callable[[HashCodes], object] | None = None
    load: float | None = None
    size: float | None = None


@dataclass(frozen=True)
class Measured:
    """A contender's figures: times in ms of one query, and queries a second in a batch (None without batches)."""

    contender: Contender
    recall: float
    p50: float
    p99: float
    rate: float | None


def measure(
    contenders: Sequence[Contender], singles: HashCodes, batch: HashCodes, kth: NDArray[np.int64]
) -> list[Measured]:
    """Time all contenders in rounds; `kth` belongs to `singles`. The first query of all is not counted."""
    seconds: list[list[float]] = [[] for _ in contenders]
    rates: list[list[float]] = [[] for _ in contenders]
    found: list[list[NDArray[np.integer]]] = [[] for _ in contenders]
    limits: list[list[int]] = [[] for _ in contenders]
    for contender in contenders:
        contender.search(singles[:1])
    for turn in range(ROUNDS):
        rows = np.arange(len(singles))[turn::ROUNDS]
        for place, contender in enumerate(contenders):
            last = time.perf_counter() + TURN_S
            for row in rows:
                query = singles[int(row) : int(row) + 1]
                begin = time.perf_counter()
                answer = contender.search(query)
                seconds[place].append(time.perf_counter() - begin)
                found[place].append(answer)
                limits[place].append(int(kth[row]))
                if time.perf_counter() > last:
                    break
            if contender.batch is not None and sum(len(batch) / rate for rate in rates[place]) < TURN_S:
                begin = time.perf_counter()
                contender.batch(batch)
                rates[place].append(len(batch) / (time.perf_counter() - begin))
    return [
        Measured(
            contender,
            tie_aware_recall(answers, np.array(limit), K),
            1000 * float(np.percentile(taken, 50)),
            1000 * float(np.percentile(taken, 99)),
            float(np.median(rate)) if rate else None,
        )
        for contender, taken, answers, limit, rate in zip(contenders, seconds, found, limits, rates, strict=True)
    ]


def cheapest(
    settings: Iterable[int], answers: Callable[[int], Sequence[NDArray[np.integer]]], kth: NDArray[np.int64],
    recall: float = RECALL,
) -> int:  # fmt: skip
    """The first of the ascending settings whose answers reach the recall; the last one where none does."""
    chosen = None
    for setting in settings:
        chosen = setting
        if tie_aware_recall(answers(setting), kth, K) >= recall:
            break
    if chosen is None:
        raise ValueError("no settings to choose from")
    return chosen


def milliseconds(action: Callable[[], object], times: int) -> float:
    """Median of so many runs of an action, in ms."""
    taken = []
    for _ in range(times):
        begin = time.perf_counter()
        action()
        taken.append(time.perf_counter() - begin)
    return 1000 * float(np.median(taken))
