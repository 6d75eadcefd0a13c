"""How many cores this process may use: in a container, under `taskset` or Slurm fewer than the machine has."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

GROUPS = Path("/sys/fs/cgroup")
"""Where Linux shows its control groups, and what each may use."""

OWN_GROUPS = Path("/proc/self/cgroup")
"""Which of them this process belongs to."""


def usable_cores() -> int:
    """Cores that this process may run on at a time, at least 1: by its affinity, and by its control groups' quotas.

    A part of a core counts as a whole one. Without either limit it is the number of the machine's cores.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min([cores, *_quotas()])


def _quotas() -> Iterator[int]:
    """The limit of each control group around this process that has one, in either version of Linux's interface."""
    for line in _text(OWN_GROUPS).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        own = PurePosixPath(path.lstrip("/"))
        for group in (own, *own.parents):
            yield from _quota((GROUPS / "cpu" if controllers else GROUPS) / group)


def _quota(group: Path) -> Iterator[int]:
    """Cores that the quota of one control group comes to, rounded up; nothing where it has none."""
    newer, older = ("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")  # microseconds of each so many
    words = " ".join(_text(group / name) for name in newer + older).split()
    if len(words) == 2 and all(word.isdecimal() and int(word) for word in words):  # no quota is "max", or -1
        quota, period = map(int, words)
        yield -(-quota // period)


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""
