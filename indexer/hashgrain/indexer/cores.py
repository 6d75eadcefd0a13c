"""How many cores a search of many queries may use."""

from __future__ import annotations

import os


def usable_cores() -> int:
    """The cores that this process may run on, or as many as OMP_NUM_THREADS says, which most numeric libraries heed."""
    said = os.environ.get("OMP_NUM_THREADS", "")
    if said.isdecimal() and int(said):
        return int(said)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
