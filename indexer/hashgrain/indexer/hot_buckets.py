"""Buckets that a searcher keeps between searches, kept true by Redis, which tells of every key that changes.

A search goes by what is kept, and looks up the names of its winners on the very connection on which changes are told.
With that answer it knows of every write that was acknowledged before it began (see `tracking`); where none of them,
and no later one that it has been told of, concerns what it went by, the answer is that of the moment just before the
names were looked up. Else the search starts afresh. So a search whose buckets are all kept needs one round trip, and
sees what a search that keeps nothing sees. Where searches may be stale for some time, an answer on that connection
serves those that follow within it, and they need none, as long as they find every name among those that are kept.
"""

from __future__ import annotations

import os
import re
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import redis
from numpy.typing import NDArray

from hashgrain.codes.errors import StoreError, StoreUnavailable
from hashgrain.indexer.arena import Arena
from hashgrain.indexer.cache_size import CacheStats
from hashgrain.indexer.deadline import seconds_left
from hashgrain.indexer.directories import Directories
from hashgrain.indexer.hot_reading import HotReading
from hashgrain.indexer.kept_names import KeptNames
from hashgrain.indexer.keys import index_prefix
from hashgrain.indexer.records import Records
from hashgrain.indexer.shard import Directory, Shard
from hashgrain.indexer.store_errors import translated
from hashgrain.indexer.tracking import Command, Tracking

TEND_S = 1.0
"""How often to take note of changes between searches: what is told and not read piles up in the server's memory."""


FETCHES = 4
"""How often to read what is missing, before all that is needed is read in one step."""

_BUCKET = re.compile(rb"[0-9a-f]{6}")


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
        self._names = KeptNames() if max_staleness else None
        self._layout = shards[0].header.layout
        budget = int(cache_bytes) // len(shards)
        self._arenas = [Arena(self._layout.fine_bytes, budget) for _ in shards]
        self._verified: list[bytes | None] = [None] * len(shards)
        self._readings: weakref.WeakSet[HotReading] = weakref.WeakSet()
        self._of_key = {shard.keys.version.rpartition(":")[0].encode(): n for n, shard in enumerate(shards)}
        self._of_bucket = {shard.keys.bucket_prefix[:-1].encode(): n for n, shard in enumerate(shards)}
        self._tick = self._hits = self._misses = self._drops = self._evictions = 0
        self._address = shards[0].connection.address
        prefix = index_prefix(shards[0].keys.name)
        self._tracking = Tracking(shards[0].connection, prefix, self._note, self._forget)
        self._lock, self._owner = threading.RLock(), os.getpid()
        self._closed = threading.Event()
        self._tended = False

    def open(self) -> None:
        """Connect, so that a server that cannot tell of changes is known at once.

        Raises:
            StoreUnavailable: no server there.
            StoreError: it cannot tell of changes.
        """
        with self._alone():
            self._tracking.open()

    def read(self, whole: Directories, wanted: NDArray[np.intp]) -> HotReading | None:
        """Have buckets, given as positions in `whole.occupied`, ascending: those kept, and the others from Redis.

        Returns None where a directory is out of date, or the connection was lost.

        Raises:
            IndexCorrupt: a bucket cannot be read.
            StoreUnavailable: no answer in time.
        """
        with self._alone():
            try:
                self._tracking.drain()
                return self._read(whole, wanted)
            except StoreUnavailable as exc:
                _raise_if_late(exc)
                return None

    def stats(self) -> CacheStats:
        """What is kept, and how well that does."""
        with self._alone():
            return CacheStats(
                self._hits,
                self._misses,
                self._drops,
                self._evictions,
                sum(arena.buckets for arena in self._arenas),
                sum(arena.nbytes for arena in self._arenas),
            )

    def tend(self) -> None:
        """Take note of what was told meanwhile, unless a search is doing so."""
        if self._owner == os.getpid() and self._lock.acquire(blocking=False):
            try:
                if self._tracking.is_open:
                    self._tracking.drain()
            except StoreError:
                pass  # everything was let go; the next search connects again, or tells what is wrong
            finally:
                self._lock.release()

    def close(self) -> None:
        """Disconnect, and let go of everything."""
        with self._alone(tended=False):
            self._closed.set()
            self._tended = False
            self._tracking.close()

    def _read(self, whole: Directories, wanted: NDArray[np.intp]) -> HotReading | None:
        mine = [_of_shard(whole, directory, wanted) for directory in whole.shards]
        read = 0
        for _ in range(FETCHES):  # while buckets are read, others may change that were kept
            missing = self._missing(whole.shards, mine)
            if missing is None:
                return None
            if all(version is not None for version in self._verified) and not any(map(len, missing)):
                break
            if not self._fetch(whole.shards, missing):
                return None
            read += sum(map(len, missing))
        else:
            return None
        self._tick += 1
        spans = []
        for (buckets, places), arena in zip(mine, self._arenas, strict=True):
            spans.append(arena.span(places, buckets, self._tick))
            self._evictions += arena.trim()
        self._hits += max(sum(len(places) for _, places in mine) - read, 0)
        self._misses += read
        recent = time.monotonic() - self._tracking.known_until <= self._max_staleness
        reading = HotReading(self._shards, whole, spans, self._confirm, self._names, may_ask_nothing=recent)
        self._readings.add(reading)
        return reading

    def _missing(
        self, directories: Sequence[Directory], mine: Sequence[tuple[NDArray[np.intp], NDArray[np.intp]]]
    ) -> list[NDArray[np.intp]] | None:
        """By shard, the places of the buckets that are not kept; None where a directory is known to be out of date."""
        missing = []
        for (_, places), arena, directory, verified in zip(
            mine, self._arenas, directories, self._verified, strict=True
        ):
            if verified not in (None, directory.version):
                return None
            if arena.occupied is not directory.occupied:
                arena.align(directory.occupied)
            missing.append(arena.missing(places))
        return missing

    def _fetch(self, directories: Sequence[Directory], missing: Sequence[NDArray[np.intp]]) -> bool:
        """Read buckets that are not kept; False where a directory is out of date, or a bucket is not there."""
        asked = [n for n, places in enumerate(missing) if len(places) or self._verified[n] is None]
        if not asked:
            return True
        coarse = {n: directories[n].occupied[missing[n]] for n in asked}
        keys = {n: self._shards[n].keys for n in asked}
        commands = [["MGET", keys[n].version, *keys[n].buckets(coarse[n].tolist())] for n in asked]
        waiting = iter(asked)
        current: list[bool] = []

        def take(answer: list[bytes | None]) -> None:  # at once: the next thing told may concern what was just read
            n = next(waiting)
            version, *logs = answer
            found = [log for log in logs if log is not None]
            current.append(version == directories[n].version and len(found) == len(logs))
            if current[-1]:
                order = np.arange(len(found), dtype=np.int64)
                self._arenas[n].put(missing[n], Records.parse(found, order, self._layout, keys[n], coarse[n]))
                self._verified[n] = version

        self._tracking.ask(commands, take)
        return all(current)

    def _confirm(self, reading: HotReading, commands: Sequence[Command]) -> list[Any] | None:
        answers: list[Any] = []
        with self._alone():
            try:
                self._tracking.ask(commands, answers.append)
            except StoreUnavailable as exc:
                _raise_if_late(exc)
                return None
            self._readings.discard(reading)
        return answers

    def _note(self, keys: Sequence[bytes]) -> None:
        changed: dict[int, list[int]] = {}
        for key in keys:
            head, _, tail = key.rpartition(b":")
            shard = self._of_bucket.get(head)
            if shard is not None and _BUCKET.fullmatch(tail):
                changed.setdefault(shard, []).append(int(tail, 16))
            elif tail == b"version" and head in self._of_key:
                self._verified[self._of_key[head]] = None
                for reading in self._readings:
                    reading.void()
        for shard, coarse in changed.items():
            self._drops += self._arenas[shard].drop(np.array(coarse, np.uint32))
            for reading in self._readings:
                reading.change(shard, coarse)

    def _forget(self) -> None:
        if self._names is not None:
            self._names.clear()
        for shard, arena in enumerate(self._arenas):
            self._drops += arena.buckets
            arena.clear()
            self._verified[shard] = None
        for reading in self._readings:
            reading.void()

    @contextmanager
    def _alone(self, tended: bool = True) -> Iterator[None]:
        """Keep other threads out, but wait for them no longer than the search's deadline."""
        if self._owner != os.getpid():  # the lock may have been held when the process was forked
            self._lock, self._owner, self._tended = threading.RLock(), os.getpid(), False
        left = seconds_left()
        if not self._lock.acquire(timeout=left if left < threading.TIMEOUT_MAX else -1):
            with translated(self._address):
                raise redis.TimeoutError("the deadline of the search passed")
        try:
            if tended and not self._tended:
                self._closed, self._tended = threading.Event(), True
                tending = threading.Thread(target=_tend, args=(weakref.ref(self), self._closed), daemon=True)
                tending.start()
            yield
        finally:
            self._lock.release()


def _of_shard(
    whole: Directories, directory: Directory, wanted: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Those of the wanted buckets that the shard has, and their places in its directory; both ascend."""
    if len(directory.occupied) == len(whole.occupied):
        return wanted, wanted
    mine = wanted[np.isin(whole.occupied[wanted], directory.occupied, assume_unique=True)]
    return mine, np.searchsorted(directory.occupied, whole.occupied[mine])


def _raise_if_late(exc: StoreUnavailable) -> None:
    """What comes late may mean that the deadline passed; a connection that broke is made anew by the next try."""
    if isinstance(exc.__cause__, redis.TimeoutError):
        raise exc


def _tend(kept: weakref.ref[HotBuckets], closed: threading.Event) -> None:
    while not closed.wait(TEND_S):
        buckets = kept()
        if buckets is None:
            return
        buckets.tend()
        del buckets
