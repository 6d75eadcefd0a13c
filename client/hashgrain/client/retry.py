"""Trying again: only what may succeed the next time, never past the deadline.

Encoding the same images twice does no harm, so a request may be sent again after a connection broke midway. A server
that is not there is asked a few times; one whose queue is full is there, and is asked until the deadline. All other
errors would come back the same and are raised at once.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
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
        DeadlineExceeded: the server's queue was full to the end; ServerBusy is its cause.
    """
    begun = time.monotonic()
    try:
        return retry(call, seconds, lambda error: isinstance(error, ServerUnavailable))
    except ServerBusy as exc:
        raise DeadlineExceeded(
            f"{waiting} waited {time.monotonic() - begun:.3g} of {seconds:.3g} s for a place in the queue and found "
            f"none; the last time: {exc}; or give a longer Timeouts(request=...)"
        ) from exc


def retry(call: Callable[[float], _T], seconds: float, passes: Callable[[Exception], bool]) -> _T:
    """Run `call`, again after errors that pass; the pauses double, with jitter so that clients do not fall in step.

    Args:
        call: gets the seconds that are left.
        seconds: the deadline for all attempts together.
        passes: whether an error may be gone the next time. After ServerBusy there are any number of attempts.

    Raises:
        Exception: the last attempt's.
    """
    deadline = time.monotonic() + seconds
    failed = rejected = 0
    while True:
        try:
            return call(deadline - time.monotonic())
        except Exception as exc:
            busy = isinstance(exc, ServerBusy)
            failed, rejected = failed + (not busy), rejected + busy
            pause = _pause(rejected if busy else failed)
            if not passes(exc) or failed == ATTEMPTS or time.monotonic() + pause >= deadline:
                raise
            time.sleep(pause)


def _pause(attempts: int) -> float:
    """Seconds to wait after so many attempts."""
    return min(FIRST_PAUSE * 2.0 ** (attempts - 1), LONGEST_PAUSE) * random.uniform(0.5, 1.5)
