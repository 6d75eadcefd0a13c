"""Image files read side by side and handed on in order, but for those that need no reading.

With a ledger, a file whose place, size and time of change are as they were when it was last read is not read again,
as rsync does it; of others a digest of the bytes is taken. A file that was changed within two seconds before it was
read is read again next time: a second change might not show in its time.
"""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from hashgrain.client.bulk.ledger import Entry, Ledger
from hashgrain.client.encoding.stage_clock import StageClock
from hashgrain.client.sources.images import read_file
from hashgrain.client.sources.items import Item, stamp_of
from hashgrain.codes.errors import ImageRejected

ITEMS_AHEAD = 32
"""Items that are being read, or wait for one before them, at a time."""

ITEMS_OF_A_TASK = 8
"""Items in memory or on a disk that one thread reads in a row, since handing one over takes as long as reading it."""

SETTLED_NS = 2 * 10**9


@dataclass(frozen=True)
class Content:
    """An item after reading.

    Attributes:
        item: the item; its image is dropped.
        entry: what the ledger has under its id.
        data: the image file's bytes; None where it was not read or cannot be.
        digest: of these bytes, see `Ledger`; of an unchanged file the ledger's; None without a ledger.
        stamp: see `Ledger`.
        reason: why it cannot be read.
    """

    item: Item
    entry: Entry | None = None
    data: bytes | None = None
    digest: bytes | None = None
    stamp: bytes | None = None
    reason: str | None = None


class Reader:
    """Reads items by up to 32 threads.

    Args:
        ledger: looked up for every id, if there is one.
        verify: read every file, whatever its time of change.
        clock: told what is read.
    """

    def __init__(self, ledger: Ledger | None, verify: bool, clock: StageClock) -> None:
        self._ledger = ledger
        self._verify = verify
        self._clock = clock

    def read(self, items: Iterable[Item]) -> Iterator[Content]:
        """The content of each item, in order.

        Raises:
            DataError: the items, or the ledger, cannot be read.
        """
        pool = ThreadPoolExecutor(ITEMS_AHEAD, "hashgrain-read")
        under_way: deque[tuple[int, Future[list[Content]]]] = deque()
        ahead = 0
        try:
            for task in self._tasks(items):
                under_way.append((len(task), pool.submit(self._read_task, task)))
                ahead += len(task)
                while ahead >= ITEMS_AHEAD:
                    length, future = under_way.popleft()
                    ahead -= length
                    yield from future.result()
            while under_way:
                yield from under_way.popleft()[1].result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _tasks(self, items: Iterable[Item]) -> Iterator[list[Item]]:
        """Neighbours together, remote ones each by itself: there, waiting takes longer than handing over."""
        remaining = iter(items)
        while True:
            with self._clock.at("read"):
                taken = list(islice(remaining, ITEMS_OF_A_TASK))
            if not taken:
                return
            if all(isinstance(item.image, Path | bytes) for item in taken):
                yield taken
            else:
                yield from ([item] for item in taken)

    def _read_task(self, items: list[Item]) -> list[Content]:
        with self._clock.at("read"):
            entries = self._ledger.entries([item.id for item in items]) if self._ledger else {}
            return [self._content(item, entries.get(item.id)) for item in items]

    def _content(self, item: Item, entry: Entry | None) -> Content:
        image, item = item.image, replace(item, image=b"")
        if self._ledger is None:
            return _read(image, Content(item))
        if isinstance(image, Path):
            stamp, settled = _file_stamp(image)
        else:
            stamp, settled = (None if isinstance(image, bytes) else image.stamp), True
        if entry is not None and stamp is not None and stamp == entry.stamp and not self._verify:
            return Content(item, entry, digest=entry.content, stamp=stamp)
        content = _read(image, Content(item, entry, stamp=stamp if settled else None))
        if content.data is None:
            return content
        return replace(content, digest=hashlib.blake2b(content.data, digest_size=16).digest())


def _read(image: object, content: Content) -> Content:
    name = str(content.item.id)
    try:
        if isinstance(image, bytes):
            return replace(content, data=image)
        if isinstance(image, Path):
            return replace(content, data=read_file(image, name))
        return replace(content, data=image.read(name))  # type: ignore[attr-defined]
    except ImageRejected as exc:
        return replace(content, reason=exc.reason)


def _file_stamp(path: Path) -> tuple[bytes | None, bool]:
    """A file's stamp, and whether the next change of the file is sure to change it."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None, False
    settled = time.time_ns() - status.st_mtime_ns > SETTLED_NS
    return stamp_of(str(path.absolute()), status.st_size, status.st_mtime_ns), settled
