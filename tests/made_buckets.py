"""Buckets made by hand, without a server: the directories of some shards, and the records that lie in them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes import CodeLayout, HashCodes
from hashgrain.codes.hamming import hamming
from hashgrain.codes.packing import coarse_keys
from hashgrain.indexer.searching.spans import Span
from hashgrain.indexer.stored.directories import Directories
from hashgrain.indexer.stored.keys import NARROW, WIDE
from hashgrain.indexer.stored.partition import Partition, pack_entries
from hashgrain.indexer.stored.records import needs_wide
from hashgrain.indexer.stored.shard import Directory
from made_records import records_of
from random_codes import random_codes


@dataclass(frozen=True)
class MadeBuckets:
    """An index that exists in memory only.

    Attributes:
        layout: the code lengths.
        items: their codes.
        handle: int64 (N,), of the items.
        bucket: int64 (N,), the position of the bucket that each lies in.
        whole: the directories.
    """

    layout: CodeLayout
    items: HashCodes
    handle: NDArray[np.int64]
    bucket: NDArray[np.int64]
    whole: Directories

    def spans(self, wanted: NDArray[np.int64] | None = None) -> list[Span]:
        """What a reading of some buckets, ascending, gives; of all, if none are named."""
        spans = []
        coarse = coarse_keys(self.items.coarse, self.layout.coarse_bits)
        for shard in range(len(self.whole.shards)):
            mine, _ = self.whole.shard_positions(self.whole.everywhere if wanted is None else wanted, shard)
            rows = np.concatenate([np.flatnonzero(self.bucket == one) for one in mine.tolist()] or [np.arange(0)])
            place = np.searchsorted(mine, self.bucket[rows])
            records = records_of(
                place, self.handle[rows], coarse[rows], np.ascontiguousarray(self.items.fine[rows]), len(mine)
            )
            spans.append(Span.of(mine, records, self.layout))
        return spans


def made_buckets(
    layout: CodeLayout,
    items: int,
    buckets: list[int],
    seed: int,
    *,
    astray: float = 0.1,
    wide: bool = False,
    spare: int = 0,
) -> MadeBuckets:
    """Put random items into the buckets of the nearest of random centroids, but for some; a few buckets stay empty.

    Args:
        layout: the code lengths.
        items: how many.
        buckets: how many each shard has.
        seed: of everything that is random.
        astray: which share of the items goes into any bucket.
        wide: whether some handles need eight bytes.
        spare: how much larger than needed the radii are, in bits.
    """
    rng = np.random.default_rng(seed)
    codes, centroids = random_codes(items, layout, seed), random_codes(sum(buckets), layout, seed + 1)
    nearest = (hamming(codes.fine, centroids.fine) + hamming(codes.coarse, centroids.coarse)).argmin(axis=1)
    bucket = np.where(rng.random(items) < astray, rng.integers(0, sum(buckets), items), nearest)
    handle = rng.permutation(items).astype(np.int64) + (rng.integers(-2, 2, items) << 40 if wide else 0)
    fine_radius = _radii(centroids.fine, codes.fine, bucket) + spare
    coarse_radius = _radii(centroids.coarse, codes.coarse, bucket) + spare
    widths = np.full(sum(buckets), NARROW, np.uint8)
    widths[bucket[needs_wide(handle)]] = WIDE
    directories, first = [], 0
    for count in buckets:
        mine = slice(first, first + count)
        entries = pack_entries(
            centroids.fine[mine], centroids.coarse[mine], fine_radius[mine], coarse_radius[mine], widths[mine]
        )
        live = int(((bucket >= first) & (bucket < first + count)).sum())
        directories.append(Directory(Partition.parse(b"1:1", entries, layout, "made"), live, pages=1))
        first += count
    return MadeBuckets(layout, codes, handle, bucket, Directories(directories, layout))


def _radii(centroids: NDArray[np.uint8], codes: NDArray[np.uint8], bucket: NDArray[np.int64]) -> NDArray[np.int64]:
    radii = np.zeros(len(centroids), np.int64)
    for item, where in enumerate(bucket.tolist()):
        far = hamming(centroids[where : where + 1], codes[item : item + 1])
        radii[where] = max(radii[where], int(far[0, 0]))
    return radii
