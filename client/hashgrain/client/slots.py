"""Places for requests under way, as many as `InFlight` says: one kind for threads, one for tasks."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from hashgrain.client.in_flight import InFlight, QueueTimes
from hashgrain.codes.errors import ServerBusy


class _Measured:
    """What both kinds tell `InFlight`."""

    def __init__(self, in_flight: InFlight) -> None:
        self._in_flight = in_flight
        self._lock = threading.Lock()
        self._busy = 0
        self._adapting = False

    @property
    def limit(self) -> int:
        """Requests that may be under way now."""
        return self._in_flight.limit

    @contextmanager
    def measured(self, rows: int) -> Iterator[None]:
        """One attempt to send a request of so many images and to get its answer."""
        begun = time.monotonic()
        try:
            yield
        except ServerBusy:
            with self._lock:
                self._in_flight.rejected()
            raise
        seconds = time.monotonic() - begun
        with self._lock:
            self._in_flight.answered(rows, seconds)

    def _take(self) -> bool:
        """Take a place if there is one."""
        with self._lock:
            if self._busy >= self._in_flight.limit:
                self._in_flight.reached()
                return False
            self._busy += 1
            return True

    def _give_back(self) -> None:
        with self._lock:
            self._busy -= 1

    def _begin_adapting(self) -> bool:
        """Whether the caller is the one to ask the server; then it must call `_adapt`."""
        with self._lock:
            begins = not self._adapting and self._in_flight.is_due(time.monotonic())
            self._adapting |= begins
            return begins

    def _adapt(self, times: QueueTimes | None) -> None:
        with self._lock:
            self._in_flight.adapt(times, time.monotonic())
            self._adapting = False


class Slots(_Measured):
    """Places that threads take."""

    def __init__(self, in_flight: InFlight) -> None:
        super().__init__(in_flight)
        self._free = threading.Condition()

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Wait for a place and keep it as long as this lasts."""
        with self._free:
            self._free.wait_for(self._take)
        try:
            yield
        finally:
            self._give_back()
            with self._free:
                self._free.notify()

    def adapt(self, ask: Callable[[], QueueTimes | None]) -> None:
        """Where it is time, ask the server how long requests wait, and change the number of places."""
        if not self._begin_adapting():
            return
        times = None
        try:
            times = ask()
        finally:
            self._adapt(times)
        with self._free:
            self._free.notify_all()


class AsyncSlots(_Measured):
    """Places that the tasks of one event loop take; a cancelled task leaves nobody waiting in vain."""

    def __init__(self, in_flight: InFlight) -> None:
        super().__init__(in_flight)
        self._waiting: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def taken(self) -> AsyncIterator[None]:
        """Wait for a place and keep it as long as this lasts."""
        while not self._take():
            await self._turn()
        try:
            yield
        finally:
            self._give_back()
            self._wake(1)

    async def adapt(self, ask: Callable[[], Awaitable[QueueTimes | None]]) -> None:
        """As `Slots.adapt`."""
        if not self._begin_adapting():
            return
        times = None
        try:
            times = await ask()
        finally:
            self._adapt(times)
            self._wake(len(self._waiting))

    async def _turn(self) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it was this one's turn: now it is the next one's
                self._wake(1)
            elif turn in self._waiting:
                self._waiting.remove(turn)
            raise

    def _wake(self, count: int) -> None:
        while count and self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():  # else it was cancelled, and its task does not know yet
                turn.set_result(None)
                count -= 1
