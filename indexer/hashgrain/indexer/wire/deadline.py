"""A moment after which a search waits for nothing more, and connections that keep to it."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import redis
from redis.connection import AbstractConnection

# redis-py has no way to hand one call its own time limit, so the moment travels beside the call. A thread that reads
# on behalf of a search must run in a copy of its context.
_WAIT_UNTIL: ContextVar[float] = ContextVar("wait_until", default=math.inf)


class Deadline:
    """A moment, some seconds from now.

    Args:
        seconds: how far away it is; None for never.
    """

    def __init__(self, seconds: float | None) -> None:
        self._at = math.inf if seconds is None else time.monotonic() + seconds

    @property
    def passed(self) -> bool:
        """Whether the moment has come."""
        return time.monotonic() >= self._at

    @contextmanager
    def enforced(self) -> Iterator[None]:
        """Wait for no answer of Redis beyond the moment: one that is late raises redis-py's TimeoutError inside."""
        token = _WAIT_UNTIL.set(self._at)
        try:
            yield
        finally:
            _WAIT_UNTIL.reset(token)


def seconds_left() -> float:
    """Seconds to the moment that is enforced here, 0 where it has passed, infinity where there is none."""
    return max(_WAIT_UNTIL.get() - time.monotonic(), 0.0)


def keeping_deadlines(kind: type[Any]) -> type[Any]:
    """A class of connections as `kind`, one of redis-py's, whose answers are waited for no longer than a `Deadline`.

    An answer that has begun to arrive is read to its end, within the connection's own timeout.
    """
    return type(f"Punctual{kind.__name__}", (_Punctual, kind), {})


class _Punctual(AbstractConnection):
    def read_response(self, *args: Any, **kwargs: Any) -> Any:
        left = _WAIT_UNTIL.get() - time.monotonic()
        own: float | None = self.socket_timeout
        if left < (math.inf if own is None else own) and not self.can_read(timeout=max(left, 0.0)):
            # The late answer must not be taken for that of the next command.
            self.disconnect()  # type: ignore[no-untyped-call]  # redis-py's, which says no types
            raise redis.TimeoutError("the deadline of the search passed")
        return super().read_response(*args, **kwargs)
