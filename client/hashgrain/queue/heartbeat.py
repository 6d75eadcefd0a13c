"""`Heartbeat`: something done again and again by a thread, for as long as a block of code runs."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from hashgrain.codes.errors import StoreError


class Heartbeat:
    """Calls `beat` every `seconds`; use it in a `with`.

    A beat that fails is left out: whether Redis is gone, or another has taken over, shows at the next step that counts.
    """

    def __init__(self, beat: Callable[[], object], seconds: float) -> None:
        self._beat = beat
        self._seconds = seconds
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="hashgrain-heartbeat", daemon=True)

    def _run(self) -> None:
        while not self._over.wait(self._seconds):
            with contextlib.suppress(StoreError):
                self._beat()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
