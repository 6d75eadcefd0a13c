"""`StageClock`: how long each stage of a pipeline was at work."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

Stage: TypeAlias = Literal["read", "decode", "infer", "write"]
"""read: files, archives and the network, up to bytes; infer: sending included; write: sink and ledger."""

STAGES: tuple[Stage, ...] = get_args(Stage)


@dataclass(frozen=True)
class StageTime:
    """One stage of a run.

    Attributes:
        stage: its name.
        thread_seconds: of all its threads together, waiting included.
        cpu_seconds: of all its threads together, in which a core of this machine worked for them.
        busy_seconds: in which at least one of its threads was at work; the stage that comes near the length of the
            run is what limits it.
    """

    stage: Stage
    thread_seconds: float
    cpu_seconds: float
    busy_seconds: float


class StageClock:
    """Adds up the times of stages; threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running = dict.fromkeys(STAGES, 0)
        self._since = dict.fromkeys(STAGES, 0.0)
        self._thread_seconds = dict.fromkeys(STAGES, 0.0)
        self._cpu_seconds = dict.fromkeys(STAGES, 0.0)
        self._busy_seconds = dict.fromkeys(STAGES, 0.0)

    @contextmanager
    def at(self, stage: Stage) -> Iterator[None]:
        """The calling thread is at work for `stage` as long as this lasts."""
        begun, begun_cpu = time.perf_counter(), time.thread_time()
        with self._lock:
            if not self._running[stage]:
                self._since[stage] = begun
            self._running[stage] += 1
        try:
            yield
        finally:
            ended, cpu = time.perf_counter(), time.thread_time() - begun_cpu
            with self._lock:
                self._running[stage] -= 1
                self._thread_seconds[stage] += ended - begun
                self._cpu_seconds[stage] += cpu
                if not self._running[stage]:
                    self._busy_seconds[stage] += ended - self._since[stage]

    def times(self) -> tuple[StageTime, ...]:
        """What has been added up, stage by stage."""
        with self._lock:
            return tuple(
                StageTime(stage, self._thread_seconds[stage], self._cpu_seconds[stage], self._busy_seconds[stage])
                for stage in STAGES
            )
