"""What an `Index` works on: the generation of an index that its name means."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from hashgrain.codes.errors import FingerprintMismatch, IndexMissing, InvalidInput, LayoutMismatch, StoreError
from hashgrain.codes.layout import CodeLayout
from hashgrain.indexer.keeping.hot_buckets import HotBuckets
from hashgrain.indexer.searching.search import Searcher
from hashgrain.indexer.stored.generations import read_generations
from hashgrain.indexer.stored.header import split_name
from hashgrain.indexer.stored.shard import Shard, Superseded
from hashgrain.indexer.wire.connection import Connection

Made = TypeVar("Made")

ATTEMPTS = 100
"""How often the live generation is looked for while others switch."""


@dataclass(frozen=True, eq=False)
class Opened:
    """The shards of one generation, and what is kept of them.

    Attributes:
        shards: in order.
        hot: the buckets that are kept, or None.
        searcher: answers queries.
    """

    shards: Sequence[Shard]
    hot: HotBuckets | None
    searcher: Searcher

    @classmethod
    def of(cls, shards: Sequence[Shard], cache_bytes: int | None, max_staleness: float) -> Opened:
        """Make ready to search; connects, where buckets are to be kept.

        Raises:
            StoreUnavailable, StoreError: see `HotBuckets.open`.
            InvalidInput: buckets are to be kept, and the address asks for replicas to be read.
        """
        if cache_bytes is not None and shards[0].connection.settings.read_from_replicas:
            raise InvalidInput(
                "read_from_replicas in the address goes without cache_bytes: kept buckets are held true by what the "
                "primaries tell; leave one of the two out"
            )
        hot = None if cache_bytes is None else HotBuckets(shards, cache_bytes, max_staleness)
        if hot is not None:
            hot.open()
        return cls(shards, hot, Searcher(shards, shards[0].header.layout, hot))

    @property
    def layout(self) -> CodeLayout:
        """The lengths of the codes that it holds."""
        return self.shards[0].header.layout

    @property
    def fingerprint(self) -> str | None:
        """Of the model whose codes it holds, or None."""
        return self.shards[0].header.fingerprint

    def close(self) -> None:
        """Let go of what is kept."""
        if self.hot is not None:
            self.hot.close()


class Followed:
    """What the name of an index means: opened anew where another generation has become the live one.

    Safe to share between threads. A name that says the number of a generation means that one for good.

    Args:
        connection: the server that holds the index.
        name: of the index.
        open_: opens what the name means now.

    Attributes:
        now: what it meant when it was last used.
    """

    def __init__(self, connection: Connection, name: str, open_: Callable[[], Opened]) -> None:
        self._connection = connection
        self._name = name
        self._open = open_
        self._lock = threading.Lock()
        self.now = self._first()

    def run(self, work: Callable[[Opened], Made]) -> Made:
        """Do something with the live generation, and all of it again where that turns out not to be live any more.

        Raises:
            IndexMissing: the index was dropped since it was opened, or the generation is one that is opened by its
                number and cannot be written any more.
        """
        left: Opened | None = None
        attempt = 0
        while True:
            try:
                if left is not None:
                    self._leave(left)
                left = self.now
                return work(left)
            except (IndexMissing, LayoutMismatch, FingerprintMismatch) as exc:
                attempt += 1
                if attempt > ATTEMPTS or not self._has_moved(exc, left or self.now):
                    raise
                _wait_for_others(attempt)

    def _first(self) -> Opened:
        """Open what the name means, again where others switch just then."""
        attempt = 0
        while True:
            try:
                return self._open()
            except Superseded:
                attempt += 1
                if attempt > ATTEMPTS:
                    raise
                _wait_for_others(attempt)

    def _has_moved(self, exc: Exception, left: Opened) -> bool:
        """Whether what went wrong with a generation may be so because it is no longer the one that is meant."""
        if split_name(self._name)[1] is not None:
            return False
        if isinstance(exc, Superseded):
            return True
        with suppress(StoreError):
            known = read_generations(self._connection, self._name)
            return known is not None and known.stored(known.live) != left.shards[0].keys.name
        return False

    def _leave(self, left: Opened) -> None:
        with self._lock:
            if self.now is left:  # no other thread has done it
                self.now = self._open()
                left.close()


def _wait_for_others(attempt: int) -> None:
    """Where two switch at once, for a moment no generation is live."""
    time.sleep(0.001 * min(attempt, 20))
