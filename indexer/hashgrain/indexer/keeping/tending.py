"""A thread that looks after something between its uses."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from typing import Any

TEND_S = 1.0
"""How often, in seconds."""


class Tending:
    """Calls a method now and then, for as long as its object is there; a child process starts a thread of its own.

    Args:
        method: a bound method; of its object no more than a weak reference is kept.
    """

    def __init__(self, method: Callable[[], object]) -> None:
        self._method: weakref.WeakMethod[Any] = weakref.WeakMethod(method)
        self._owner: int | None = None
        self._over = threading.Event()

    def start(self) -> None:
        """Have it called from now on, unless it is; to be used by one thread at a time."""
        if self._owner != os.getpid():
            self._owner, self._over = os.getpid(), threading.Event()
            threading.Thread(target=_tend, args=(self._method, self._over), daemon=True).start()

    def stop(self) -> None:
        """Have it called no more; to be used by one thread at a time."""
        if self._owner == os.getpid():
            self._over.set()
        self._owner = None


def _tend(method: weakref.WeakMethod[Any], over: threading.Event) -> None:
    while not over.wait(TEND_S):
        tend = method()
        if tend is None:
            return
        tend()
        del tend
