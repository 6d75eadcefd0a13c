"""Work that is divided among cores: compiled loops run side by side in threads."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Part = TypeVar("Part")
Made = TypeVar("Made")


def usable_cores() -> int:
    """The cores that this process may run on, or as many as OMP_NUM_THREADS says, which most numeric libraries heed."""
    said = os.environ.get("OMP_NUM_THREADS", "")
    if said.isdecimal() and int(said):
        return int(said)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_threads(work: Callable[[Part], Made], parts: Sequence[Part]) -> list[Made]:
    """What some work makes of each part, in order; on no more cores than may be used."""
    if len(parts) == 1:
        return [work(parts[0])]
    threads = min(usable_cores(), len(parts))
    if threads <= 1:
        return list(map(work, parts))
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, parts))


def slices(size: int, parts: int) -> list[slice]:
    """As many slices as there are parts, about as long, that together are all of so many elements."""
    return [slice(size * n // parts, size * (n + 1) // parts) for n in range(parts)]
