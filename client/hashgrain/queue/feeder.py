"""`Feeder`: hands the collection out, in whichever process takes the lead; where that one dies, another goes on.

The order of a collection is the same each time. Who takes over goes through it again up to the last reference that was
handed out; where that has vanished from the collection, everything is handed out again.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Iterator
from itertools import islice
from types import TracebackType
from typing import Self

from hashgrain.client.sources.open_source import Part
from hashgrain.codes.errors import DataError, StoreError
from hashgrain.queue.heartbeat import Heartbeat
from hashgrain.queue.job import JobQueue
from hashgrain.queue.work import Reference, Work, name_of, pieces, references

PAUSE_S = 0.2


class Feeder:
    """A thread that hands out whenever nobody else does; use it in a `with`.

    Args:
        queue: the job.
        parts: the collection, with absolute paths.
        size: pictures of one chunk.
        lease: seconds after which another takes the lead from a process that does not show.
    """

    def __init__(self, queue: JobQueue, parts: Iterable[Part], size: int, lease: float) -> None:
        self._queue = queue
        self._parts = list(parts)
        self._size = size
        self._lease = lease
        self._over = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="hashgrain-feed", daemon=True)

    def raise_error(self) -> None:
        """Raise what the thread has failed with, if it has."""
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            while not self._over.is_set():
                state, position, last = self._queue.lead(self._lease)
                if state == "fed":
                    return
                if state == "leads":
                    with Heartbeat(lambda: self._queue.lead(self._lease, stay=True), self._lease / 4):
                        self._feed(position, last)
                self._over.wait(min(PAUSE_S, self._lease / 4))
        except BaseException as exc:
            self._error = exc
        with contextlib.suppress(StoreError, DataError):
            self._queue.release()

    def _feed(self, position: int, last: str) -> None:
        found = remaining(self._parts, position, last) if position else (0, references(self._parts))
        if found is None:
            if self._queue.hand_out_again() == "lost":
                return
            found = 0, references(self._parts)
        position, left = found
        for work in pieces(left, self._size):
            position += len(work.references)
            if not self._hand_out(work, position, name_of(work.references[-1])):
                return
        if not position:
            raise DataError("the collection is empty; give a folder, a list or a Parquet file with images in it")
        self._hand_out(None, position, "")

    def _hand_out(self, work: Work | None, position: int, last: str) -> bool:
        """Whether it was handed out, and more may be."""
        while not self._over.is_set():
            reply = self._queue.hand_out(work, position, last)
            if reply != "full":
                return reply == "taken"
            self._over.wait(PAUSE_S)
        return False

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join(5.0)  # it may hang in a listing, which nothing can interrupt


def remaining(parts: list[Part], position: int, last: str) -> tuple[int, Iterator[Reference]] | None:
    """What comes after a reference, and its place; None where it is not found.

    Args:
        parts: the collection.
        position: where it was, counted from 1.
        last: its name.
    """
    left = references(parts)
    there = next(islice(left, position - 1, None), None)
    if there is not None and name_of(there) == last:
        return position, left
    left = references(parts)  # something before it has come or gone since
    for place, reference in enumerate(left, 1):
        if name_of(reference) == last:
            return place, left
    return None
