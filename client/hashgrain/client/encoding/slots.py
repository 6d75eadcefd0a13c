"""Places for requests under way, as many as `InFlight` says: one kind for threads, one for tasks.

Bulk requests make way while others send small ones: then there is one place for them, so that of two instances of the
model one is free.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from hashgrain.client.encoding.small_requests import SmallRequests
from hashgrain.client.wire.in_flight import InFlight, ModelStatistics
from hashgrain.codes.errors import ServerBusy


class _Measured:
    """What both kinds tell `InFlight` and `SmallRequests`; without the latter nothing makes way."""

    def __init__(self, in_flight: InFlight, small_requests: SmallRequests | None = None) -> None:
        self._in_flight = in_flight
        self._small_requests = small_requests
        self._lock = threading.Lock()
        self._busy = 0
        self._adapting = False

    def places(self, bulk: bool) -> int:
        """Requests that may be under way now where one more is to be sent."""
        makes_way = bulk and self._small_requests is not None and self._small_requests.lately
        return 1 if makes_way else self._in_flight.limit

    @contextmanager
    def measured(self, rows: int, bulk: bool) -> Iterator[None]:
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
            if bulk and self._small_requests:
                self._small_requests.answered(rows)

    def _take(self, bulk: bool) -> bool:
        """Take a place if there is one."""
        with self._lock:
            if self._busy >= self._in_flight.limit:
                self._in_flight.reached()
            if self._busy >= self.places(bulk):
                return False
            self._busy += 1
            return True

    def _give_back(self) -> None:
        with self._lock:
            self._busy -= 1

    def _begin_adapting(self, bulk: bool) -> bool:
        """Whether the caller is the one to ask the server; then it must call `_adapt`."""
        now = time.monotonic()
        with self._lock:
            looks = bulk and self._small_requests is not None and self._small_requests.is_due(now)
            begins = not self._adapting and (looks or self._in_flight.is_due(now))
            self._adapting |= begins
            return begins

    def _adapt(self, statistics: ModelStatistics | None) -> None:
        now = time.monotonic()
        with self._lock:
            if self._small_requests:
                self._small_requests.look(statistics, now)
            if self._in_flight.is_due(now):
                self._in_flight.adapt(statistics, now)
            self._adapting = False


class Slots(_Measured):
    """Places that threads take."""

    def __init__(self, in_flight: InFlight, small_requests: SmallRequests | None = None) -> None:
        super().__init__(in_flight, small_requests)
        self._free = threading.Condition()

    @contextmanager
    def taken(self, bulk: bool) -> Iterator[None]:
        """Wait for a place and keep it as long as this lasts."""
        with self._free:
            self._free.wait_for(lambda: self._take(bulk))
        try:
            yield
        finally:
            self._give_back()
            with self._free:
                self._free.notify_all()  # the first that waits may be one that makes way

    def adapt(self, ask: Callable[[], ModelStatistics | None], bulk: bool) -> None:
        """Where it is time, ask the server what it counts, and change the number of places."""
        if not self._begin_adapting(bulk):
            return
        statistics = None
        try:
            statistics = ask()
        finally:
            self._adapt(statistics)
        with self._free:
            self._free.notify_all()


class AsyncSlots(_Measured):
    """Places that the tasks of one event loop take; a cancelled task leaves nobody waiting in vain."""

    def __init__(self, in_flight: InFlight, small_requests: SmallRequests | None = None) -> None:
        super().__init__(in_flight, small_requests)
        self._waiting: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def taken(self, bulk: bool) -> AsyncIterator[None]:
        """Wait for a place and keep it as long as this lasts."""
        while not self._take(bulk):
            await self._turn()
        try:
            yield
        finally:
            self._give_back()
            self._wake()

    async def adapt(self, ask: Callable[[], Awaitable[ModelStatistics | None]], bulk: bool) -> None:
        """As `Slots.adapt`."""
        if not self._begin_adapting(bulk):
            return
        statistics = None
        try:
            statistics = await ask()
        finally:
            self._adapt(statistics)
            self._wake()

    async def _turn(self) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn in self._waiting:
                self._waiting.remove(turn)
            raise

    def _wake(self) -> None:
        """All that wait: the first may be one that makes way, or be cancelled by now."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
