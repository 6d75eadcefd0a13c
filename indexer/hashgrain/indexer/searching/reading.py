"""What one reading of buckets gives: their records, and then the names of the winners."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hashgrain.indexer.searching.spans import Span
from hashgrain.indexer.stored.identifiers import ItemId
from hashgrain.indexer.stored.payloads import Payload


@dataclass(frozen=True, eq=False)
class Asked:
    """Items of one shard that are to be named; element n of every array belongs to item n, each is there once.

    Attributes:
        handle: int64 (n,), their handles.
        row: int64 (n,), where they stand among the rows of the shard's span.
        bucket: int64 (n,), the positions of their buckets in the directories.
    """

    handle: NDArray[np.int64]
    row: NDArray[np.int64]
    bucket: NDArray[np.int64]


Names = dict[int, tuple[ItemId | None, Payload | None]]
"""By handle, an item's id and payload; the id is None where the item is no longer there as it was read."""


class Reading(Protocol):
    """Buckets as they were at one moment in each shard."""

    @property
    def spans(self) -> Sequence[Span]:
        """The records of every bucket that was read, by shard."""

    @property
    def fetched(self) -> int:
        """How many buckets were read from Redis for it."""

    def known(self, handles: Sequence[int]) -> Names | None:
        """The names, without payloads, of items whose handles are hashes, if those of all are known without asking.

        They count if the reading holds, as `names` tells.
        """

    def names(self, asked: Mapping[int, Asked], payloads: bool) -> Names | None:
        """Look up items of some shards, with their payloads where asked for.

        A payload that is given belongs to the record that was read, not to one that has replaced it since. An item
        whose handle is its id may be left out where no payloads are asked for. Returns None where the reading turns
        out not to hold, even if nothing is to be looked up.
        """
