"""`Ahead`: the next values are made while the last ones are in use."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable
from types import TracebackType
from typing import Generic, Self, TypeVar

PATIENCE_S = 5.0
"""How long `close` waits for the thread; it may hang in a read of standard input, which nothing can interrupt."""

_T = TypeVar("_T")


class _End:
    """Nothing more comes; because of an error, where there is one."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


class Ahead(Generic[_T]):
    """Goes through `values` in a thread of its own, and is itself an iterator over them; use it in a `with`.

    Args:
        values: what to iterate over, once.
        depth: values that wait to be taken; one more may be in the making, or made and waiting for a place.

    Raises:
        Whatever `values` raises, after the values that came before.
    """

    def __init__(self, values: Iterable[_T], depth: int) -> None:
        self._values: Iterable[_T] | None = values
        self._made: queue.Queue[_T | _End] = queue.Queue(depth)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="hashgrain-ahead", daemon=True)
        self._thread.start()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> _T:
        value = self._made.get()
        if not isinstance(value, _End):
            return value
        self._made.put(value)  # for whoever asks again
        if value.error is not None:
            raise value.error
        raise StopIteration

    def close(self) -> None:
        """Take no more of the values; whoever waits for one is told that there is none."""
        self._closed.set()
        for _ in range(int(PATIENCE_S / 0.05)):
            self._empty()
            self._thread.join(0.05)
            if not self._thread.is_alive():
                break
        self._empty()
        self._made.put(_End())

    def _run(self) -> None:
        end = _End()
        try:
            assert self._values is not None
            for value in self._values:
                self._made.put(value)
                if self._closed.is_set():
                    return
        except BaseException as exc:
            end = _End(exc)
        finally:
            self._values = None  # a generator among them ends here, in the thread that ran it
            if not self._closed.is_set():
                self._made.put(end)

    def _empty(self) -> None:
        while True:
            try:
                self._made.get_nowait()
            except queue.Empty:
                return

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
