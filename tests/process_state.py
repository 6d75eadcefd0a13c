"""What the kernel says of processes: a signal is sent in a moment, but takes effect in its own time."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

PATIENCE_S = 20


def suspend(pid: int) -> None:
    """Stop a process with SIGSTOP and return once every thread of it stands still."""
    os.kill(pid, signal.SIGSTOP)
    tasks = Path(f"/proc/{pid}/task")
    _wait(lambda: all(_state(task) in "TtZX" for task in tasks.iterdir()), f"process {pid} does not stop")


def wait_until_group_is_gone(group: int) -> None:
    """Return once no process of the group runs; one that is dead and not yet collected by its parent does not."""
    _wait(lambda: not _running(group), f"processes of group {group} still run")


def memory_of_group(group: int, what: str) -> list[int]:
    """Bytes of each process of the group: VmRSS (resident now) or VmHWM (the most that ever were)."""
    fields = re.compile(rf"^{what}:\s+(\d+) kB", re.MULTILINE)
    return [1024 * int(found[1]) for path in _running(group) if (found := fields.search((path / "status").read_text()))]


def _running(group: int) -> list[Path]:
    return [path for path in Path("/proc").glob("[0-9]*") if _group(path) == group and _any_thread_runs(path)]


def _any_thread_runs(path: Path) -> bool:
    """Of a process that is killed, the first thread may be dead before the others are, which hold its ports."""
    try:
        return any(_state(task) not in "ZX" for task in (path / "task").iterdir())
    except (FileNotFoundError, ProcessLookupError):
        return False


def _fields(path: Path) -> list[str]:
    """Fields of /proc/PID/stat from the state on; nothing where the process has ended meanwhile."""
    try:
        return (path / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ["X", "0", "0"]


def _state(path: Path) -> str:
    return _fields(path)[0]


def _group(path: Path) -> int:
    return int(_fields(path)[2])


def _wait(true: Callable[[], bool], complaint: str) -> None:
    for _ in range(PATIENCE_S * 100):
        if true():
            return
        time.sleep(0.01)
    pytest.fail(complaint)
