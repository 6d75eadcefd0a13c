"""An index's buckets, read once and as they are at about one moment.

Buckets are read in order, some at a time, while others write. An item that stays as it is can still move, when its
bucket is split: to a new bucket, which is read at the end, or to one that was read already and was empty. A split
gives both halves other centroids; so where the partition has changed, buckets whose centroid is not what it was when
they were read are read again, until there are none. (A bucket that lost all its items and was then filled by a split
that gave it the very centroid that it had would be passed over.) An item that was read more than once counts as it was
read last. Where a bucket was merged into others, its items may have moved from one that was not read yet into one that
was, which shows nothing of it: then all is to be read once more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes.errors import StoreUnavailable
from hashgrain.indexer.duplicates.segments import SegmentFile
from hashgrain.indexer.request import Rank
from hashgrain.indexer.searching.ranked_codes import ranked_words
from hashgrain.indexer.stored.records import Records
from hashgrain.indexer.stored.shard import Directory, Shard

AT_ONCE = 128
"""Buckets that one command reads."""

ATTEMPTS = 100
"""How often in a row buckets are read anew because the partition has changed."""


def gather(shards: Sequence[Shard], rank: Rank, into: SegmentFile, progress: Callable[[int], None]) -> None:
    """Read all buckets.

    Args:
        shards: of the index.
        rank: in which distance they are looked at.
        into: takes them.
        progress: told how many items were read.

    Raises:
        IndexMissing, IndexCorrupt.
        StoreUnavailable: also where writers changed the partition faster than it could be read.
        Merged: all is to be read once more.
    """
    for shard in shards:
        _Gathering(shard, rank, into, progress).run()


class Merged(Exception):
    """Buckets were merged while they were read, so that items may be missing."""


class _Gathering:
    """The reading of one shard."""

    def __init__(self, shard: Shard, rank: Rank, into: SegmentFile, progress: Callable[[int], None]) -> None:
        self._shard = shard
        self._rank: Rank = rank
        self._into = into
        self._progress = progress
        self._layout = shard.header.layout
        self._seen: NDArray[np.uint8] = np.empty((0, self._layout.fine_bytes + self._layout.coarse_bytes), np.uint8)
        self._known = np.empty(0, np.bool_)  # whether a bucket was read, with the centroid in `_seen`

    def run(self) -> None:
        """Read buckets until each was read with the centroid that it has."""
        lost = 0
        directory = self._shard.directory()
        merged = directory.merged
        while len(wanted := self._wanted(now := _centroids(directory))):
            for low in range(0, len(wanted), AT_ONCE):
                if not self._read(directory, now, wanted[low : low + AT_ONCE]):
                    lost += 1
                    break
                lost = 0
            if lost > ATTEMPTS:
                raise StoreUnavailable(
                    f"index {self._shard.keys.name!r} changed under {ATTEMPTS} attempts to read a part of it; look for "
                    "duplicates while fewer write"
                )
            directory = self._shard.directory()
            if directory.merged != merged:
                raise Merged

    def _wanted(self, now: NDArray[np.uint8]) -> NDArray[np.int64]:
        """The buckets that were not read yet, and those that are no longer what they were, by the centroids of all."""
        more = max(len(now) - len(self._seen), 0)
        self._seen = np.concatenate([self._seen[: len(now)], now[len(now) - more :]])  # an empty bucket may have gone
        self._known = np.concatenate([self._known[: len(now)], np.zeros(more, np.bool_)])
        return np.flatnonzero(~self._known | (self._seen != now).any(axis=1))

    def _read(self, directory: Directory, now: NDArray[np.uint8], numbers: NDArray[np.int64]) -> bool:
        """Read some buckets; False where the directory is out of date."""
        stored = self._shard.read(directory, numbers)
        if stored is None:
            return False
        partition = directory.partition
        records = Records.parse(stored, partition.handle_bytes[numbers], numbers, self._layout, self._shard.keys)
        self._into.append(
            ranked_words(partition.fine[numbers], partition.coarse[numbers], self._rank, self._layout),
            records.bucket,
            ranked_words(records.fine, records.coarse, self._rank, self._layout),
            records.handle.astype(np.int64),
        )
        self._seen[numbers], self._known[numbers] = now[numbers], True
        self._progress(len(records))
        return True


def _centroids(directory: Directory) -> NDArray[np.uint8]:
    return np.concatenate([directory.partition.fine, directory.partition.packed_coarse], axis=1)
