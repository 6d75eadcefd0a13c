"""What looking for groups and looking for pairs have in common: the codes are read, and kept as long as need be."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from hashgrain.codes.errors import InvalidInput, StoreUnavailable
from hashgrain.codes.layout import CodeLayout
from hashgrain.indexer.duplicates.gathering import Merged, gather
from hashgrain.indexer.duplicates.segments import SegmentFile, Segments
from hashgrain.indexer.managing.listing import for_good
from hashgrain.indexer.request import RANKS, Rank
from hashgrain.indexer.stored.shard import Shard

Progress = Callable[[int, int], None]
"""Told how many steps of how many are done."""


ATTEMPTS = 20
"""How often an index is read anew because buckets were merged meanwhile."""


@dataclass(frozen=True)
class Looked:
    """What is to be looked for, checked, and where.

    Attributes:
        shards: of the index, to be read to the end.
        radius: in bits.
        rank: whose distance it is.
        progress: or None.
    """

    shards: Sequence[Shard]
    radius: int
    rank: Rank
    progress: Progress | None

    @classmethod
    def of(cls, shards: Sequence[Shard], radius: int, rank: Rank, progress: Progress | None) -> Looked:
        """Check.

        Raises:
            InvalidInput: `rank` is no ranking, or the radius is below 0, or so large that every item lies within it.
            IndexMissing: the index is not what it was.
        """
        radius = _require_radius(radius, rank, shards[0].header.layout)
        return cls(for_good(shards), radius, rank, progress)

    @contextmanager
    def read(self) -> Iterator[tuple[Segments, Callable[[int], None]]]:
        """The codes of all items, and what is to be told of codes that were gone through."""
        layout = self.shards[0].header.layout
        bits = {"total": 8 * (layout.fine_bytes + layout.coarse_bytes), "fine": 8 * layout.fine_bytes, "coarse": 64}
        width = -(-bits[self.rank] // 64)
        file = SegmentFile(width)
        try:
            for _ in range(ATTEMPTS):
                read = _Told(self.progress, 2 * sum(shard.count() for shard in self.shards))
                try:
                    gather(self.shards, self.rank, file, read)
                    break
                except Merged:
                    file.close()
                    file = SegmentFile(width)
            else:
                raise StoreUnavailable(
                    f"buckets of index {self.shards[0].keys.name!r} were merged under {ATTEMPTS} attempts to read it; "
                    "look for duplicates while fewer items are deleted"
                )
            segments = file.finished().without_doubles()
            codes = int(segments.count.sum())
            yield segments, _Told(self.progress, 2 * codes, codes)
        finally:
            file.close()


def _require_radius(radius: int, rank: Rank, layout: CodeLayout) -> int:
    """The radius itself.

    Raises:
        InvalidInput: `rank` is no ranking, or the radius no integer from 0 to below the bits that the ranking counts.
    """
    if rank not in RANKS:
        raise InvalidInput(f"rank must be one of {', '.join(RANKS)}, got {rank!r}")
    bits = {"total": layout.fine_bits + layout.coarse_bits, "fine": layout.fine_bits, "coarse": layout.coarse_bits}
    if isinstance(radius, bool) or not isinstance(radius, int | np.integer) or not 0 <= radius < bits[rank]:
        raise InvalidInput(
            f"radius must be an integer of 0 or more, and less than the {bits[rank]} bits of the {rank} distance, "
            f"got {radius!r}"
        )
    return int(radius)


class _Told:
    """Adds up what is done."""

    def __init__(self, progress: Progress | None, total: int, done: int = 0) -> None:
        self._progress, self._total, self._done = progress, total, done

    def __call__(self, more: int) -> None:
        self._done += more
        if self._progress:
            self._progress(min(self._done, self._total), self._total)
