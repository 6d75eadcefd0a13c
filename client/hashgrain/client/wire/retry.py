"""Trying again: only what may succeed the next time, never past the deadline.

Encoding the same images twice does no harm, so a request may be sent again after a connection broke midway. A server
that is not there is asked a few times; one whose queue is full is there, and is asked until the deadline. All other
errors would come back the same and are raised at once.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from hashgrain.codes.errors import DeadlineExceeded, ServerBusy, ServerUnavailable

ATTEMPTS = 4
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 2.0

_T = TypeVar("_T")


def retry_unavailable(call: Callable[[float], _T], seconds: float, waiting: str = "a request") -> _T:
    """Run `call`, again after ServerUnavailable; see `retry`.

    Args:
        call: gets the seconds that are left.
        seconds: the deadline for all attempts together.
        waiting: what it is that waits, for the error: "128 images".

    Raises:
        ServerUnavailable: the last attempt's.
        DeadlineExceeded: no answer in time, or the server's queue was full to the end; ServerBusy is then its cause.
    """
    with _said_what_waited(seconds, waiting):
        return retry(call, seconds, _may_come_back)


async def retry_unavailable_async(
    call: Callable[[float], Awaitable[_T]], seconds: float, waiting: str = "a request"
) -> _T:
    """`retry_unavailable` for calls that are awaited."""
    attempts = Attempts(seconds, _may_come_back)
    with _said_what_waited(seconds, waiting):
        while True:
            try:
                return await call(attempts.left())
            except Exception as exc:
                pause = attempts.pause_after(exc)
                if pause is None:
                    raise
                await asyncio.sleep(pause)


def retry(call: Callable[[float], _T], seconds: float, passes: Callable[[Exception], bool], most: int = ATTEMPTS) -> _T:
    """Run `call`, again after errors that pass; the pauses double, with jitter so that clients do not fall in step.

    Args:
        call: gets the seconds that are left.
        seconds: the deadline for all attempts together.
        passes: whether an error may be gone the next time. After ServerBusy there are any number of attempts.
        most: attempts.

    Raises:
        Exception: the last attempt's.
    """
    attempts = Attempts(seconds, passes, most)
    while True:
        try:
            return call(attempts.left())
        except Exception as exc:
            pause = attempts.pause_after(exc)
            if pause is None:
                raise
            time.sleep(pause)


class Attempts:
    """What to do after each attempt, for those who wait in a thread and those who await; see `retry`."""

    def __init__(self, seconds: float, passes: Callable[[Exception], bool], most: int = ATTEMPTS) -> None:
        self._deadline = time.monotonic() + seconds
        self._most = most
        self._passes = passes
        self._failed = self._rejected = 0

    def left(self) -> float:
        """Seconds until the deadline."""
        return self._deadline - time.monotonic()

    def pause_after(self, error: Exception) -> float | None:
        """Seconds to wait until the next attempt; None where this was the last."""
        busy = isinstance(error, ServerBusy)
        self._failed, self._rejected = self._failed + (not busy), self._rejected + busy
        pause = _pause(self._rejected if busy else self._failed)
        if not self._passes(error) or self._failed == self._most or pause >= self.left():
            return None
        return pause


def _may_come_back(error: Exception) -> bool:
    return isinstance(error, ServerUnavailable)


@contextmanager
def _said_what_waited(seconds: float, waiting: str) -> Iterator[None]:
    begun = time.monotonic()
    try:
        yield
    except DeadlineExceeded as exc:
        waited = time.monotonic() - begun
        raise DeadlineExceeded(f"{waiting} waited {waited:.3g} of {seconds:.3g} s: {exc}") from exc.__cause__
    except ServerBusy as exc:
        raise DeadlineExceeded(
            f"{waiting} waited {time.monotonic() - begun:.3g} of {seconds:.3g} s for a place in the queue and found "
            f"none; the last time: {exc}; or give a longer Timeouts(request=...)"
        ) from exc


def _pause(attempts: int) -> float:
    """Seconds to wait after so many attempts."""
    return min(FIRST_PAUSE * 2.0 ** (attempts - 1), LONGEST_PAUSE) * random.uniform(0.5, 1.5)
