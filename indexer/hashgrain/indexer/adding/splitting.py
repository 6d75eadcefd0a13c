"""Buckets that have outgrown their size are split in two, so that an index grows by itself.

The writer that overfilled a bucket splits it, after its items are written: it reads the bucket, divides its items by
2-majority (see `clustering`), and has the server put both halves in place at once, provided that nothing has changed
meanwhile. (SPFresh, SOSP 2023, keeps the cells of a vector index even by splits of this kind.) A writer that is cut
short leaves a large bucket behind, which is no harm: the next one that adds to it splits it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes.hamming import hamming
from hashgrain.codes.layout import CodeLayout
from hashgrain.indexer.adding.clustering import two_majority
from hashgrain.indexer.stored.handles import hashes_of
from hashgrain.indexer.stored.keys import HOLES, MOST_BUCKETS
from hashgrain.indexer.stored.partition import Partition, entry_bytes, pack_entries
from hashgrain.indexer.stored.records import body_bytes, live_rows, packed_codes
from hashgrain.indexer.stored.shard import Shard
from hashgrain.indexer.wire.store_errors import translated

ATTEMPTS = 3
"""How often a bucket is read anew where others change it; after that it stays whole until the next write."""

_NEIGHBOURS = 16  # that are asked whether they are empty, and as many at random
_FULL = 0.75  # a bucket of so many of its items or fewer is long for its holes only


def split_overfull(shard: Shard, buckets: Iterable[int]) -> None:
    """Split the buckets of these numbers until none holds more items than it should.

    Raises:
        IndexMissing, IndexCorrupt, StoreError: the items are where they were.
    """
    waiting = list(buckets)
    while waiting:
        waiting += _split(shard, waiting.pop())


def _split(shard: Shard, number: int) -> list[int]:
    """Split one bucket; returns the numbers of those that are still too large."""
    limit = shard.header.bucket_items
    for _ in range(ATTEMPTS):
        found = read_bucket(shard, number)
        if found is None:
            return []
        stored, entry, buckets = found
        live = live_rows(stored, entry[-1], shard.header.layout)
        if len(live) <= max(_FULL * limit, 1) or buckets >= MOST_BUCKETS:
            return []
        one, two = _halves(live, shard.header.layout, entry[-1])
        digest = hashlib.sha1(stored, usedforsecurity=False).hexdigest()
        other = _an_empty_one(shard, number, entry)
        other = buckets if other is None else other
        arguments = (number, digest, entry, other, one.records, two.records, one.entry, two.entry, two.hashes)
        done = shard.write("split", *arguments) == [1]
        shard.reroute()
        if done:
            return [number] * (one.size > limit) + [other] * (two.size > limit)
    return []


def read_bucket(shard: Shard, number: int) -> tuple[bytes, bytes, int] | None:
    """A bucket's bytes and entry, and how many buckets there are; None where it is not there, or is damaged."""
    width = entry_bytes(shard.header.layout)
    with translated(shard.connection.address):
        pipe: Any = shard.connection.client.pipeline(transaction=False)
        pipe.getrange(shard.keys.partition, number * width, (number + 1) * width - 1)
        pipe.strlen(shard.keys.partition)
        pipe.get(shard.keys.bucket(number))
        entry, length, stored = pipe.execute()
    if stored is None or len(entry) != width or entry[-1] not in HOLES:
        return None
    if len(stored) % (body_bytes(shard.header.layout) + entry[-1]):
        return None
    return stored, entry, length // width


def _an_empty_one(shard: Shard, number: int, entry: bytes) -> int | None:
    """The number of a bucket that holds nothing, and so can take a half; None where none is found.

    Looks among the nearest, and among as many anywhere: else items that come and go would leave more and more empty
    buckets behind. Where a share e of all is empty, 16 drawn at random miss them with probability (1 - e)**16.
    """
    partition, layout = shard.routes(), shard.header.layout
    here = Partition.parse(partition.stamp, entry, layout, shard.keys.partition)
    away = hamming(here.fine, partition.fine)[0] + hamming(here.packed_coarse, partition.packed_coarse)[0]
    nearest = np.argsort(away, kind="stable")[: _NEIGHBOURS + 1].tolist()
    anywhere = np.random.default_rng().integers(len(away), size=_NEIGHBOURS).tolist()
    asked = list(dict.fromkeys([*nearest, *anywhere]))
    with translated(shard.connection.address):
        pipe: Any = shard.connection.client.pipeline(transaction=False)
        pipe.hmget(shard.keys.holes, asked)
        for one in asked:
            pipe.strlen(shard.keys.bucket(one))
        holes, *lengths = pipe.execute()
    for one, listed, length in zip(asked, holes, lengths, strict=True):
        width = body_bytes(layout) + int(partition.handle_bytes[one])
        if one != number and length == len(listed or b"") // 2 * width:
            return int(one)
    return None


@dataclass(frozen=True, eq=False)
class _Half:
    """What one half of a bucket is stored as."""

    size: int
    records: bytes
    entry: bytes
    hashes: bytes


def _halves(rows: NDArray[np.void], layout: CodeLayout, handle_bytes: int) -> tuple[_Half, _Half]:
    """Both halves, the larger one first: it stays where it is."""
    fine, coarse = packed_codes(rows["fine"]), packed_codes(rows["coarse"])
    halves = two_majority(fine, coarse, layout)
    made = []
    for half, members in enumerate((halves.first, ~halves.first)):
        centroid = halves.fine[half : half + 1], halves.packed_coarse[half : half + 1]
        far, near = hamming(centroid[0], fine[members]).max(), hamming(centroid[1], coarse[members]).max()
        entry = pack_entries(*centroid, [far], [near], [handle_bytes])
        mine = rows[members]
        hashes = hashes_of(mine["handle"].astype(np.int64)).astype("<u4").tobytes()
        made.append(_Half(len(mine), mine.tobytes(), entry, hashes))
    made.sort(key=lambda half: -half.size)
    return made[0], made[1]
