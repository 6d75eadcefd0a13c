"""The sole use of something, for one thread at a time."""

from __future__ import annotations

import os
import threading

import redis

from hashgrain.indexer.wire.deadline import seconds_left
from hashgrain.indexer.wire.store_errors import translated


class SoleUse:
    """A lock for which a search waits no longer than its deadline, and which a child process does not inherit.

    Args:
        address: of the server that is used, for messages.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._lock, self._owner = threading.RLock(), os.getpid()

    def __enter__(self) -> None:
        """Wait until nobody else is inside.

        Raises:
            StoreUnavailable: the deadline passed before.
        """
        if self._owner != os.getpid():  # the lock may have been held when the process was forked
            self._lock, self._owner = threading.RLock(), os.getpid()
        if not self._lock.acquire(blocking=False):
            left = seconds_left()
            if not self._lock.acquire(timeout=left if left < threading.TIMEOUT_MAX else -1):
                with translated(self._address):
                    raise redis.TimeoutError("the deadline of the search passed")

    def __exit__(self, *_: object) -> None:
        self.leave()

    def enter_now(self) -> bool:
        """Enter unless somebody is inside, or this is a child of the process that did last; says whether it did."""
        return self._owner == os.getpid() and self._lock.acquire(blocking=False)

    def leave(self) -> None:
        """Let others in."""
        self._lock.release()
