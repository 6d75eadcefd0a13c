"""Pictures per second of several encoders, measured in turn, so that a busy machine is busy for all of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping


def pictures_per_second(
    encoders: Mapping[str, Callable[[], object]], pictures: int, rounds: int = 5
) -> dict[str, float]:
    """Medians over the rounds; one more round warms up.

    Args:
        encoders: by name, each encodes all the pictures when called.
        pictures: how many those are.
        rounds: how often each is measured.
    """
    seconds: dict[str, list[float]] = {name: [] for name in encoders}
    for _ in range(rounds + 1):
        for name, encode in encoders.items():
            begin = time.perf_counter()
            encode()
            seconds[name].append(time.perf_counter() - begin)
    return {name: pictures / statistics.median(values[1:]) for name, values in seconds.items()}
