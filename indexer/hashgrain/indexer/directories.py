"""The directories of an index's shards, as one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hashgrain.indexer.occupancy import Occupancy
from hashgrain.indexer.shard import Directory


class Directories:
    """The directories of all shards.

    Args:
        shards: one each, in order.
        coarse_bits: length of a coarse code.

    Attributes:
        shards: the same.
        occupied: uint32 (B,), the coarse codes that are occupied in any of them, ascending.
        occupancy: the same codes as a bitmap.
        live: how many items they hold together.
    """

    def __init__(self, shards: Sequence[Directory], coarse_bits: int) -> None:
        self.shards = shards
        self.occupied: NDArray[np.uint32] = _union([shard.occupied for shard in shards])
        self.occupancy = Occupancy(self.occupied, coarse_bits)
        self.live = sum(shard.live for shard in shards)


def _union(codes: Sequence[NDArray[np.uint32]]) -> NDArray[np.uint32]:
    return codes[0] if len(codes) == 1 else np.unique(np.concatenate(codes))
