"""Buckets that a searcher keeps between searches, kept true by Redis, which tells of every key that changes.

A search goes by what is kept, and meanwhile awaits an answer on the very connection on which changes are told. With
that answer it knows of every write that was acknowledged before it began (see `tracking`); where none of them, and no
later one that it has been told of, concerns what it went by, the search's answer is that of the moment at which it
took what is kept. Else the search starts afresh. So a search whose buckets are all kept needs one round trip, on which
it need not wait before it compares codes, and another where it does not know the names of its winners; it sees what a
search that keeps nothing sees. Where searches may be stale for some time, an answer on that connection serves those
that follow within it: they ask nothing, as long as they find all that they need kept, names included.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
import redis
from numpy.typing import NDArray

from hashgrain.codes.errors import StoreError, StoreUnavailable
from hashgrain.indexer.keeping.arena import Arena
from hashgrain.indexer.keeping.cache_size import CacheStats
from hashgrain.indexer.keeping.changes import Changes
from hashgrain.indexer.keeping.cluster_tracking import ClusterTracking
from hashgrain.indexer.keeping.hot_reading import HotReading
from hashgrain.indexer.keeping.kept_names import KeptNames
from hashgrain.indexer.keeping.sole_use import SoleUse
from hashgrain.indexer.keeping.tending import Tending
from hashgrain.indexer.keeping.tracking import Command, Question, Tracking
from hashgrain.indexer.stored.directories import Directories
from hashgrain.indexer.stored.records import Records
from hashgrain.indexer.stored.shard import Shard

T = TypeVar("T")

FETCHES = 4
"""How often to read what is missing, before all that is needed is read in one step."""

AT_ONCE = 1024
"""Buckets that one command reads: between commands the server serves others."""

UNDER_WAY = 16
"""Commands that are sent before the answer to the first is read: the server holds as many answers in memory."""


class HotBuckets:
    """The buckets that one searcher keeps; safe to share between threads.

    Args:
        shards: of the index.
        cache_bytes: how much to keep; a single reading may exceed it while it lasts.
        max_staleness: seconds for which an answer of Redis, on the connection on which it tells of changes, may serve
            further searches: they ask it nothing more if all that they need is kept, names included.
    """

    def __init__(self, shards: Sequence[Shard], cache_bytes: int, max_staleness: float = 0.0) -> None:
        self._shards = shards
        self._max_staleness = max_staleness
        self._layout = shards[0].header.layout
        self._arenas = [Arena(self._layout, int(cache_bytes) // len(shards)) for _ in shards]
        self._names = KeptNames(int(cache_bytes))
        self._changes = Changes([shard.keys for shard in shards])
        self._verified: list[bytes | None] = [None] * len(shards)
        self._outdated: list[bytes | None] = [None] * len(shards)  # stamps before they changed
        self._whole: Directories | None = None
        self._settled: Directories | None = None  # those that Redis last showed to be true, of every shard
        self._everywhere: list[NDArray[np.int64]] = []
        self._tick = self._hits = self._misses = self._drops = self._evictions = 0
        connection = shards[0].connection
        self._tracking: Any = Tracking(connection, self._changes.prefixes, self._note, self._forget)
        if connection.is_cluster:
            self._tracking = ClusterTracking(connection, [shard.keys for shard in shards], self._note, self._forget)
        self._alone = SoleUse(shards[0].connection.address)
        self._tending = Tending(self.tend)

    def open(self) -> None:
        """Connect, so that a server that cannot tell of changes is known at once; see `Tracking.open`."""
        with self._alone:
            self._tending.start()
            self._tracking.open()

    def read(self, whole: Directories, wanted: NDArray[np.int64]) -> HotReading | None:
        """Have the buckets at some positions, ascending: those kept, and the others from Redis.

        Returns None where a directory is out of date, or the connection was lost.

        Raises:
            IndexCorrupt: a bucket cannot be read.
            StoreUnavailable: no answer in time.
        """
        return self._unless_lost(lambda: self._read(whole, wanted))

    def confirm(self, asked: Question) -> bool:
        """Wait for what a reading asked; False where the connection was lost.

        Raises:
            StoreUnavailable: no answer in time.
        """
        return bool(self._unless_lost(lambda: self._tracking.wait(asked)))

    def answers(self, commands: Sequence[Command], *, together: bool) -> list[Any] | None:
        """Have answers after which all is told of that was acknowledged before; None where the connection was lost.

        Args:
            commands: to be answered, one or more.
            together: whether to be told, too, of what was written just before they were served: the server may answer
                before it tells of what it did in the same turn, but not before it takes up another.

        Raises:
            StoreUnavailable: no answer in time.
        """
        return self._unless_lost(lambda: self._answers(commands, together))

    def stats(self) -> CacheStats:
        """What is kept, and how well that does."""
        with self._alone:
            return CacheStats(
                self._hits,
                self._misses,
                self._drops,
                self._evictions,
                sum(arena.kept for arena in self._arenas),
                sum(arena.nbytes for arena in self._arenas),
            )

    def tend(self) -> None:
        """Take note of what was told meanwhile, and give garbage back, unless a search is going on."""
        if self._alone.enter_now():
            try:
                if self._tracking.is_open:
                    self._tracking.drain()
                for arena in self._arenas:
                    arena.tidy()
            except StoreError:
                pass  # everything was let go; the next search connects again, or tells what is wrong
            finally:
                self._alone.leave()

    def close(self) -> None:
        """Disconnect, and let go of everything."""
        with self._alone:
            self._tending.stop()
            self._tracking.close()

    def _unless_lost(self, work: Callable[[], T | None]) -> T | None:
        """Do something with nobody else inside; None where the connection was lost: the next try makes it anew."""
        with self._alone:
            self._tending.start()
            try:
                return work()
            except StoreUnavailable as exc:
                if isinstance(exc.__cause__, redis.TimeoutError):  # the deadline may have passed
                    raise
                return None

    def _answers(self, commands: Sequence[Command], together: bool) -> list[Any] | None:
        answers: list[Any] = []
        self._tracking.ask(commands, answers.append)
        told = not together or self._tracking.wait(self._tracking.ping())
        return answers if told else None

    def _read(self, whole: Directories, wanted: NDArray[np.int64]) -> HotReading | None:
        self._tracking.drain()
        mine = [whole.shard_positions(wanted, number) for number in range(len(self._shards))]
        numbers = [some for _, some in mine]
        read = 0
        for _ in range(FETCHES):  # while buckets are read, others may change that were kept
            if not self._follow(whole):
                return None
            missing = [arena.missing(some) for arena, some in zip(self._arenas, numbers, strict=True)]
            if None not in self._verified and not any(map(len, missing)):
                break
            if not self._fetch(whole, missing):
                return None
            read += sum(map(len, missing))
        else:
            return None
        self._tick += 1
        spans = []
        for (positions, some), arena, everywhere in zip(mine, self._arenas, self._everywhere, strict=True):
            spans.append(arena.span(some, positions, everywhere, self._tick))
            self._evictions += arena.trim() if read else 0
        self._hits += max(sum(map(len, numbers)) - read, 0)
        self._misses += read
        # What was read just now may show a write of which it is not told yet that it changed a kept bucket as well.
        recent = not read and time.monotonic() - self._tracking.known_until < self._max_staleness
        asked = None if recent else self._tracking.ping()  # the answer may come while the search goes by what is kept
        return HotReading(self._shards, whole, numbers, spans, self, self._changes, self._names, asked, read)

    def _follow(self, whole: Directories) -> bool:
        """Have places for the buckets of some directories; False where one is known to be out of date."""
        if whole is self._settled:
            return True
        stamps = [directory.partition.stamp for directory in whole.shards]
        if any(verified not in (None, stamp) for verified, stamp in zip(self._verified, stamps, strict=True)):
            return False
        if any(outdated == stamp for outdated, stamp in zip(self._outdated, stamps, strict=True)):
            self._outdated = [None] * len(stamps)  # said once: a stamp that was only touched is asked for next
            return False
        if whole is not self._whole:
            self._everywhere = [whole.everywhere]  # the very array: a search of everything is known by it
            if len(self._shards) > 1:
                self._everywhere = [whole.everywhere[slice(*part)] for part in pairwise(whole.first.tolist())]
            for number, directory in enumerate(whole.shards):
                self._arenas[number].align(len(directory.partition))
                self._changes.align(number, len(directory.partition))
            self._whole = whole
        if None not in self._verified:
            self._settled = whole
        return True

    def _fetch(self, whole: Directories, missing: Sequence[NDArray[np.int64]]) -> bool:
        """Read buckets that are not kept; False where a directory is out of date, or a bucket is not there."""
        parts = [
            (shard, numbers[begin : begin + AT_ONCE])
            for shard, numbers in enumerate(missing)
            if len(numbers) or self._verified[shard] is None
            for begin in range(0, max(len(numbers), 1), AT_ONCE)
        ]
        keys = [shard.keys for shard in self._shards]
        commands = [["MGET", keys[n].stamp, *keys[n].buckets(numbers.tolist())] for n, numbers in parts]
        waiting = iter(parts)
        current: list[bool] = []

        def take(answer: list[bytes | None]) -> None:  # at once: the next thing told may concern what was just read
            n, numbers = next(waiting)
            partition = whole.shards[n].partition
            stamp, *stored = answer
            found = [bucket for bucket in stored if bucket is not None]
            current.append(self._whole is whole and stamp == partition.stamp and len(found) == len(stored))
            if current[-1]:
                records = Records.parse(found, partition.handle_bytes[numbers], numbers, self._layout, keys[n])
                self._arenas[n].put(numbers, records)
                self._verified[n] = stamp

        for begin in range(0, len(commands), UNDER_WAY):
            self._tracking.ask(commands[begin : begin + UNDER_WAY], take)
            if not all(current):
                return False
        return True

    def _note(self, keys: Sequence[bytes]) -> None:
        buckets, stamped = self._changes.note(keys)
        for shard, numbers in buckets.items():
            self._drops += self._arenas[shard].drop(numbers)
        for shard in stamped:
            if (verified := self._verified[shard]) is not None:
                self._outdated[shard], self._verified[shard] = verified, None
                self._settled = None

    def _forget(self) -> None:
        self._names.clear()
        self._whole = self._settled = None
        for shard, arena in enumerate(self._arenas):
            self._drops += arena.kept
            arena.clear()
            self._verified[shard] = None
        self._changes.note_all()
