"""Server processes that outlive the command that starts them, told apart even where a process id is used again."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hashgrain.codes.errors import EmbeddedServerError

POLL_S = 0.03

# Servers that this very process started. It stays their parent while it lives (a test, the demo), so it must reap
# them: a dead child would go on to stand in the process table otherwise.
_children: dict[int, subprocess.Popen[bytes]] = {}


@dataclass(frozen=True)
class ProcessId:
    """A process, beyond mistake.

    Attributes:
        pid: the process id, which the system gives to another process later.
        start_ticks: when it started, in clock ticks since boot.
        boot_id: which boot that was.
    """

    pid: int
    start_ticks: int
    boot_id: str


def launch(command: Sequence[str], environment: Mapping[str, str], folder: Path, log: Path) -> ProcessId:
    """Start a server in a session of its own, so that it survives this command and its terminal.

    Args:
        command: program and arguments.
        environment: all of its environment variables.
        folder: its working directory.
        log: where its output goes; the log of the run before is kept beside it as `….previous.log`.

    Raises:
        EmbeddedServerError: the program cannot be run.
    """
    if log.exists():
        log.replace(log.with_suffix(".previous.log"))
    try:
        with log.open("wb") as output:
            child = subprocess.Popen(
                command,
                env=dict(environment),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
    except OSError as exc:
        raise EmbeddedServerError(f"{command[0]} cannot be run ({exc.strerror}); see `hashgrain doctor`") from exc
    _children[child.pid] = child
    return ProcessId(child.pid, _start_ticks(child.pid) or 0, _boot_id())


def alive(process: ProcessId) -> bool:
    """Whether it still runs; another process under the same id does not count."""
    if child := _children.get(process.pid):
        if child.poll() is None:
            return True
        del _children[process.pid]
    return _start_ticks(process.pid) == process.start_ticks and _boot_id() == process.boot_id


def terminate(process: ProcessId, grace_s: float) -> bool:
    """Ask a process to end, and kill it with its children after `grace_s` seconds.

    Returns:
        True where it ended by itself.
    """
    if alive(process):
        os.kill(process.pid, signal.SIGTERM)
    if ended(process, grace_s):
        return True
    try:
        os.killpg(process.pid, signal.SIGKILL)  # it leads a process group of its own: see `launch`
    except ProcessLookupError:
        return True
    ended(process, 5)
    return False


def ended(process: ProcessId, timeout_s: float) -> bool:
    """Wait until it has ended, at most `timeout_s` seconds; whether it has."""
    deadline = time.monotonic() + timeout_s
    while alive(process):
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_S)
    return True


def _start_ticks(pid: int) -> int | None:
    """When a process started, or None where there is none, or only its remains."""
    try:
        # The second field is the program's name in brackets and may hold blanks and brackets itself.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    state, start = fields[0], fields[19]
    return None if state in "ZX" and not _threads_beside(pid) else int(start)


def _threads_beside(pid: int) -> bool:
    """Whether threads outlive the first one: until they have ended, too, the process holds its ports."""
    try:
        return len(list(Path(f"/proc/{pid}/task").iterdir())) > 1
    except OSError:
        return False


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
