"""Work that is divided among cores: compiled loops run side by side in threads."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from hashgrain.codes.cores import usable_cores

Part = TypeVar("Part")
Made = TypeVar("Made")


def compute_threads() -> int:
    """As many as OMP_NUM_THREADS says, which most numeric libraries heed, else one for each core that may be used."""
    said = os.environ.get("OMP_NUM_THREADS", "")
    return int(said) if said.isdecimal() and int(said) else usable_cores()


def in_threads(work: Callable[[Part], Made], parts: Sequence[Part]) -> list[Made]:
    """What some work makes of each part, in order; in no more threads than may compute."""
    if len(parts) == 1:
        return [work(parts[0])]
    threads = min(compute_threads(), len(parts))
    if threads <= 1:
        return list(map(work, parts))
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, parts))


def slices(size: int, parts: int) -> list[slice]:
    """As many slices as there are parts, about as long, that together are all of so many elements."""
    return [slice(size * n // parts, size * (n + 1) // parts) for n in range(parts)]
