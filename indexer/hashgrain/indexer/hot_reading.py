"""A reading of buckets that the searcher kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hashgrain.indexer.directories import Directories
from hashgrain.indexer.kept_names import KeptNames
from hashgrain.indexer.reading import Names, Numbers
from hashgrain.indexer.shard import Shard
from hashgrain.indexer.spans import Span
from hashgrain.indexer.tracking import Command


class HotReading:
    """Buckets that were kept, some of them read just now. They are of one moment if none changes until `names`.

    Args:
        shards: of the index.
        whole: the directories that the reading goes by.
        spans: one per shard, in order.
        confirm: sends commands on the tracked connection, and gives their answers; None where it was lost.
        kept: names that earlier searches looked up; those of this reading are added. None where each asks anew.
        may_ask_nothing: whether what Redis has told so far is recent enough to answer by.
    """

    def __init__(
        self,
        shards: Sequence[Shard],
        whole: Directories,
        spans: Sequence[Span],
        confirm: Callable[[HotReading, Sequence[Command]], list[Any] | None],
        kept: KeptNames | None,
        *,
        may_ask_nothing: bool,
    ) -> None:
        self._shards = shards
        self._whole = whole
        self.spans = spans
        self._confirm = confirm
        self._kept = kept
        self._may_ask_nothing = may_ask_nothing
        self._changed: list[list[int]] = [[] for _ in shards]
        self._void = False

    def change(self, shard: int, coarse: Sequence[int]) -> None:
        """Take note that buckets have changed since they were read."""
        self._changed[shard] += coarse

    def void(self) -> None:
        """Take note that anything may have changed."""
        self._void = True

    @property
    def holds(self) -> bool:
        """Whether nothing that was read has changed since."""
        if self._void:
            return False
        for changed, span in zip(self._changed, self.spans, strict=True):
            if changed and np.isin(self._whole.occupied[span.buckets], changed).any():
                return False
        return True

    def names(self, numbers: Numbers, payloads: bool) -> Names | None:
        """See `Reading`. The way to Redis is the one on which changes are told, so the answer proves the reading."""
        if self._kept is not None and self._may_ask_nothing and not payloads:
            known = self._kept.find(numbers)
            if known is not None and self.holds:
                return known
        commands: list[Command] = []
        ends = {}
        for shard, mine in numbers.items():
            if len(mine):
                commands += self._shards[shard].naming(mine, payloads)
            ends[shard] = len(commands)
        answers = self._confirm(self, commands or [["PING"]])
        if answers is None or not self.holds:
            return None
        found: Names = {}
        begin = 0
        for shard, mine in numbers.items():
            if len(mine):
                named = self._shards[shard].named(answers[begin : ends[shard]])
                for number, item, payload in zip(mine.tolist(), *named, strict=True):
                    found[shard, number] = (item, payload)
            begin = ends[shard]
        if self._kept is not None:
            self._kept.add(found)
        return found
