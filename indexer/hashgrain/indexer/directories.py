"""The directories of an index's shards, as one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hashgrain.indexer.shard import Directory


class Directories:
    """The directories of all shards.

    Args:
        shards: one each, in order.

    Attributes:
        shards: the same.
        occupied: uint32 (B,), the coarse codes that are occupied in any of them, ascending.
        live: how many items they hold together.
    """

    def __init__(self, shards: Sequence[Directory]) -> None:
        self.shards = shards
        self.occupied: NDArray[np.uint32] = np.unique(np.concatenate([shard.occupied for shard in shards]))
        self.live = sum(shard.live for shard in shards)
