"""The directories of an index's shards, as one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes.hamming import word_type
from hashgrain.codes.layout import CodeLayout
from hashgrain.indexer.stored.records import coarse_type
from hashgrain.indexer.stored.shard import Directory


class Directories:
    """The buckets of all shards: those of shard 0 in order of number, then those of shard 1, and so on.

    A *position* says where a bucket stands in that order.

    Args:
        shards: one directory each, in order.
        layout: the code lengths.

    Attributes:
        shards, layout: the same.
        first: int64 (S + 1,), the position of the first bucket of each shard, and where the last one's end.
        everywhere: int64 (B,), the positions of all buckets.
        fine: uint8 (B, fine bytes), the packed fine codes of the centroids.
        coarse: their coarse codes as numbers, (B,), uint16 or uint32 (see `coarse_type`).
        fine_radius, coarse_radius: uint16 (B,), how far from the centroid the bucket's items lie at most, in bits.
        live: how many items the buckets hold together.
    """

    def __init__(self, shards: Sequence[Directory], layout: CodeLayout) -> None:
        partitions = [shard.partition for shard in shards]
        self.shards = shards
        self.layout = layout
        self.first: NDArray[np.int64] = np.cumsum([0, *map(len, partitions)], dtype=np.int64)
        self.everywhere: NDArray[np.int64] = np.arange(self.first[-1])
        self.fine: NDArray[np.uint8] = _joined([part.fine for part in partitions])
        coarse = _joined([part.coarse for part in partitions])
        self.coarse: NDArray[np.unsignedinteger] = coarse.astype(coarse_type(layout))
        self.fine_radius = _joined([part.fine_radius for part in partitions]).astype(np.uint16)
        self.coarse_radius = _joined([part.coarse_radius for part in partitions]).astype(np.uint16)
        self.live = sum(shard.live for shard in shards)
        self._length = len(self.fine)

    def __len__(self) -> int:
        return self._length

    @cached_property
    def words(self) -> NDArray[np.unsignedinteger]:
        """The centroids' fine codes, one after another, as the widest words that divide one of them."""
        return self.fine.reshape(-1).view(word_type(self.fine.shape[1]))

    def shard_positions(self, wanted: NDArray[np.int64], shard: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Those of some positions, ascending, that belong to a shard, and the numbers of their buckets in it."""
        if len(self.shards) == 1:
            return wanted, wanted
        begin, end = np.searchsorted(wanted, self.first[shard : shard + 2]).tolist()
        mine = wanted[begin:end]
        return mine, mine - self.first[shard]


def _joined(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
